"""Where the double-sign guard's state lives: two slots, written alternately (consensus.md 4).

A write touches only the slot that is not the newest, so that a torn one never harms the state that counts; no
file is renamed, so there is no directory to forget. What a state means is `core/guard.py`'s business:
bytes here.

    slot := magic[8] | log id[16] | counter u64 | retired u32 | length u32 | state | zeros | crc u32   (4 KiB)
"""

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from catenet.storage.fault import damaged, fsync_directory, make_directory, naming, pwrite_all
from catenet.types.errors import WrongState

SLOT_BYTES = 4096
MAGIC = b"CATEGRD1"
_HEAD = struct.Struct("<8s16sQII")
STATE_BYTES_MAX = SLOT_BYTES - _HEAD.size - 4


class Slot:
    """What one valid slot says."""

    __slots__ = ("counter", "log_id", "retired", "state")

    def __init__(self, *, log_id: bytes, counter: int, retired: bool, state: bytes) -> None:
        self.log_id = log_id
        self.counter = counter
        self.retired = retired
        self.state = state

    def encode(self) -> bytes:
        """Return the 4 KiB of the slot."""
        head = _HEAD.pack(MAGIC, self.log_id, self.counter, self.retired, len(self.state))
        body = (head + self.state).ljust(SLOT_BYTES - 4, b"\0")
        return body + zlib.crc32(body).to_bytes(4, "little")


def decode_slot(data: bytes) -> Slot | None:
    """Return what a slot says, or None when it does not check."""
    if len(data) != SLOT_BYTES or zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "little"):
        return None
    magic, log_id, counter, retired, length = _HEAD.unpack_from(data)
    if magic != MAGIC or length > STATE_BYTES_MAX:
        return None
    state = data[_HEAD.size : _HEAD.size + length]
    return Slot(log_id=log_id, counter=counter, retired=bool(retired), state=state)


class GuardFile:
    """An open guard file. Made by `GuardFile.create` or `GuardFile.open`; used by one thread at a time."""

    def __init__(
        self, path: Path, slots: list[Slot | None], *, sync: Callable[[int], None] = os.fdatasync
    ) -> None:
        newest = max((slot for slot in slots if slot), key=lambda slot: slot.counter)
        self.path = path
        self.log_id = newest.log_id
        self.damaged_slot = None in slots
        """Whether one slot did not check when the file was opened: a torn write, or rot."""
        self._newest = newest
        self._next = 1 - slots.index(newest)
        self._sync = sync
        self._failed = False
        self._descriptor = os.open(path, os.O_RDWR)

    @classmethod
    def create(
        cls,
        path: Path,
        log_id: bytes,
        *,
        state: bytes = b"",
        sync: Callable[[int], None] = os.fdatasync,
    ) -> "GuardFile":
        """Put a new guard file in place of any that is there: whole or not at all, private to its owner."""
        if len(state) > STATE_BYTES_MAX:
            raise ValueError(f"a guard state of {len(state)} bytes is over the limit of {STATE_BYTES_MAX}")
        make_directory(path.parent)
        slots = [Slot(log_id=log_id, counter=n, retired=False, state=state) for n in (1, 2)]
        unfinished = path.with_name(path.name + ".new")
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with naming(unfinished):
                pwrite_all(descriptor, b"".join(slot.encode() for slot in slots), 0)
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.rename(path)
        fsync_directory(path.parent)
        return cls(path, list(slots), sync=sync)

    @classmethod
    def open(cls, path: Path, *, sync: Callable[[int], None] = os.fdatasync) -> "GuardFile":
        """Open a guard file. Raises `Corrupt` when no slot checks, FileNotFoundError when it is not there."""
        data = path.read_bytes()
        slots = [decode_slot(data[at : at + SLOT_BYTES]) for at in (0, SLOT_BYTES)]
        if not any(slots):
            home = path.absolute().parent.parent
            remedy = (
                f"What was signed is not known any more; stop the node and run: catenet rejoin --home {home}"
            )
            raise damaged(path, 0, "neither slot checks", remedy=remedy)
        return cls(path, slots, sync=sync)

    @property
    def state(self) -> bytes:
        """The newest state that is durable; empty when nothing was ever signed."""
        return self._newest.state

    @property
    def retired(self) -> bool:
        """Whether the state was exported to another signer: nothing may be signed from here."""
        return self._newest.retired

    def write(self, state: bytes) -> None:
        """Make a state durable. Raises OSError, after which the file is unusable for ever; `WrongState`."""
        if self.retired:
            raise WrongState(exported(self.path))
        self._put(state, retired=False)

    def retire(self) -> None:
        """Refuse all signing from here on, in both slots: the state lives elsewhere (export-state)."""
        self._put(self.state, retired=True)
        self._put(self.state, retired=True)

    def restore(self, state: bytes) -> None:
        """Go on from a state that came back (import-state): from here on, signing is allowed again."""
        self._put(state, retired=False)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _put(self, state: bytes, *, retired: bool) -> None:
        if self._failed or self._descriptor < 0:
            raise WrongState(f"{self.path}: the guard file is closed, or a write to it failed")
        if len(state) > STATE_BYTES_MAX:
            raise ValueError(f"a guard state of {len(state)} bytes is over the limit of {STATE_BYTES_MAX}")
        slot = Slot(log_id=self.log_id, counter=self._newest.counter + 1, retired=retired, state=state)
        try:
            with naming(self.path):
                pwrite_all(self._descriptor, slot.encode(), self._next * SLOT_BYTES)
                self._sync(self._descriptor)
        except OSError:
            # The slot may hold either state: only a fresh read after a restart can tell.
            self._failed = True
            raise
        self._newest, self._next = slot, 1 - self._next


def exported(path: Path) -> str:
    """Return what is said of a guard file whose state was exported."""
    home = path.absolute().parent.parent
    return (
        f"{path}: the sign state was exported, and another signer may have used the key since; "
        f"bring its state back with: catenet keys import-state FILE --home {home}"
    )
