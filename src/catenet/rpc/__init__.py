"""CometBFT v0.38's JSON-RPC and WebSocket on this node, for clients that nobody here wrote.

One table of routes, one encoder, one place for errors. The quirks of that interface stay in this room:
whatever a client of it relies on is in `docs/reference/rpc.md`.
"""
