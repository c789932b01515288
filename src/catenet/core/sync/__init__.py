"""Block sync, client side (consensus.md 7, S1-S5; G9). `Sync` is the whole of it for `core/node.py`."""

from catenet.core.sync.io import Apply, Caught, Output, Proven, SyncConfig, SyncedBlock
from catenet.core.sync.machine import Sync

__all__ = ["Apply", "Caught", "Output", "Proven", "Sync", "SyncConfig", "SyncedBlock"]
