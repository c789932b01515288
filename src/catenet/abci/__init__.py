"""The room `abci`: ABCI 2.0 over gRPC, both ways. Its quirks stay in here.

`server` serves our applications to a CometBFT node; `host` runs a foreign application behind the port of
ours. `values`, `requests` and `answers` turn messages into `types` and back. Only `node` imports this room.
"""
