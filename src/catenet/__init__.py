"""Catenet: a Byzantine-fault-tolerant ledger network for Python, over gRPC.

The rooms and the stairs between them are drawn in ARCHITECTURE.md.
"""

__version__ = "0.1.0"
