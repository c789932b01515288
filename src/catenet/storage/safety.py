"""Opening journal and guard together, which must be of one life (consensus.md 4); the repair of a home.

What follows from the answer (rejoin, raise the guard, sign only above a height) is decided by the core.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from catenet.storage.fault import fsync_directory
from catenet.storage.guard_file import GuardFile
from catenet.storage.home import Home, write_file
from catenet.storage.ledger import Ledger
from catenet.storage.log import Log
from catenet.storage.scan import Cut, repair, segment_numbers
from catenet.storage.tables import destroy
from catenet.types.errors import Corrupt

AHEAD_BYTES = 1 << 20
"""The journal is written ahead with zeros by so much: a sync then changes no file size, and is faster."""


class Mark(Enum):
    """What a repair leaves for the next start to know."""

    JOURNAL = "journal"
    BLOCKS = "blocks"
    FORK = "accept-fork"
    """The operator takes it upon himself that this home signs again without knowing what it signed."""


def read_marks(home: Home) -> frozenset[Mark]:
    """Return what repairs left to be known."""
    try:
        words = home.repaired.read_text().split()
    except FileNotFoundError:
        return frozenset()
    return frozenset(mark for mark in Mark if mark.value in words)


def write_marks(home: Home, marks: frozenset[Mark]) -> None:
    """Leave marks for the next start, durably; none takes the file away."""
    if marks:
        write_file(home.repaired, "".join(f"{mark.value}\n" for mark in Mark if mark in marks).encode())
    elif home.repaired.exists():
        home.repaired.unlink()
        fsync_directory(home.data)


class Found(Enum):
    """What opening journal and guard met."""

    FRESH = "neither was here: a first start"
    INTACT = "both are here and belong together"
    GUARD_LOST = "only the journal was here: the guard is to be raised to what it says"
    JOURNAL_LOST = "only the guard was here, or the journal is of another life: the lock is not known"
    REPAIRED = "a repair cut the journal's end: treat as lost what it may have said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """The open journal and guard."""

    journal: Log
    guard: GuardFile
    found: Found

    def close(self) -> None:
        """Close both. Raises OSError."""
        self.journal.close()
        self.guard.close()


def open_safety(home: Home, *, sync: Callable[[int], None] = os.fdatasync) -> Safety:
    """Open or create journal and guard; the home's lock is held. Raises `Corrupt`."""
    remedy = f"Stop the node and run: catenet repair --home {home.root}"
    has_journal, has_guard = bool(segment_numbers(home.journal)), home.guard.exists()

    def create(log_id: bytes | None) -> Log:
        return Log.create(home.journal, log_id=log_id, remedy=remedy, ahead_bytes=AHEAD_BYTES, sync=sync)

    if not has_journal:
        # The guard first: with a journal but no guard, the next start would believe that a guard was lost.
        guard = GuardFile.open(home.guard, sync=sync) if has_guard else None
        guard = guard or GuardFile.create(home.guard, os.urandom(16), sync=sync)
        found = Found.JOURNAL_LOST if guard.state or guard.retired else Found.FRESH
        return Safety(journal=create(guard.log_id), guard=guard, found=found)
    journal = Log.open(home.journal, remedy=remedy, ahead_bytes=AHEAD_BYTES, sync=sync)
    if not has_guard:
        guard = GuardFile.create(home.guard, journal.id, sync=sync)
        return Safety(journal=journal, guard=guard, found=Found.GUARD_LOST)
    guard = GuardFile.open(home.guard, sync=sync)
    if guard.log_id != journal.id:
        journal.close()
        put_aside(home.journal)
        return Safety(journal=create(guard.log_id), guard=guard, found=Found.JOURNAL_LOST)
    found = Found.REPAIRED if Mark.JOURNAL in read_marks(home) else Found.INTACT
    return Safety(journal=journal, guard=guard, found=found)


def put_aside(path: Path) -> Path:
    """Rename a file or directory, keeping it for people to look at; return its new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.old{number}")).exists():
        number += 1
    path.rename(aside)
    fsync_directory(path.parent)
    return aside


def is_blank(home: Home) -> bool:
    """Whether neither journal nor guard knows of any signature. Raises `Corrupt` for a damaged guard."""
    if segment_numbers(home.journal):
        return False
    if not home.guard.exists():
        return True
    guard = GuardFile.open(home.guard)
    try:
        return not guard.state and not guard.retired
    finally:
        guard.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair of a home took away."""

    journal: Cut | None
    blocks: Cut | None
    index_dropped: bool
    """The index did not fit the block log any more: it is made anew at the next start."""


def repair_home(home: Home) -> Repaired:
    """Keep the valid prefix of journal and block log; the home's lock is held.

    What was cut is marked, so that the next start applies the rule for a lost journal. Blocks that were cut
    come again from the journal or from peers; the index is rebuilt.
    """
    # Marked before it is cut: a crash in between must not make the journal look intact.
    marks = read_marks(home)
    write_marks(home, marks | {Mark.JOURNAL, Mark.BLOCKS})
    journal, blocks = repair(home.journal), repair(home.blocks)
    index_dropped = home.index.exists() and (blocks is not None or not _index_fits(home))
    if index_dropped:
        destroy(home.index)
    if journal is not None:
        marks |= {Mark.JOURNAL}
    if blocks is not None or index_dropped:
        marks |= {Mark.BLOCKS}
    write_marks(home, marks)
    return Repaired(journal=journal, blocks=blocks, index_dropped=index_dropped)


def _index_fits(home: Home) -> bool:
    """Whether everything that the index says was synced is in the block log, or may be."""
    try:
        Ledger.open(home.data).close()
    except Corrupt:
        return False
    return True
