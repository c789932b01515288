"""The client of a Catenet network: submit transactions, wait for them, read blocks and state.

`sdk.Client` is the asynchronous client, `sync.SyncClient` the same for scripts; `values` is what they answer.
Works without the server's rooms: it knows the wire, the vocabulary and the chain format.
"""

import catenet.wire  # noqa: F401 - before any module here imports grpc: see wire/tls_floor.py
