"""The room `network`: the connections between nodes (consensus.md 9) and nothing that a client sees.

`Peers` is the door. A connection counts only after `handshake`; what travels on it is queued by `outbox`,
pumped by `link`, and handed to the node as `types.ports.PeerHandler`.
"""

import catenet.wire  # noqa: F401 - before any module here imports grpc: see wire/tls_floor.py
