"""The public services: what applications, tools and the reference's own clients call.

`services` is the table of methods; `node`, `sync`, `query` and `health` are their bodies; `server` holds the
ports. Everything works over `types.ports.Gateway`; no other room of the node is known here.
"""

import catenet.wire  # noqa: F401 - before any module here imports grpc: see wire/tls_floor.py
