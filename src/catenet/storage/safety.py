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
from catenet.storage.log import Log
from catenet.storage.scan import Cut, repair, segment_numbers
from catenet.storage.tables import destroy

AHEAD_BYTES = 1 << 20
"""The journal is written ahead with zeros by so much: a sync then changes no file size, and is faster."""


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
    home: Home

    def settle_repair(self) -> None:
        """Forget that a repair was made: what follows from it is durable in the journal."""
        self.home.repaired.unlink(missing_ok=True)
        fsync_directory(self.home.data)

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
        return Safety(journal=create(guard.log_id), guard=guard, found=found, home=home)
    journal = Log.open(home.journal, remedy=remedy, ahead_bytes=AHEAD_BYTES, sync=sync)
    if not has_guard:
        guard = GuardFile.create(home.guard, journal.id, sync=sync)
        return Safety(journal=journal, guard=guard, found=Found.GUARD_LOST, home=home)
    guard = GuardFile.open(home.guard, sync=sync)
    if guard.log_id != journal.id:
        journal.close()
        _put_aside(home.journal)
        return Safety(journal=create(guard.log_id), guard=guard, found=Found.JOURNAL_LOST, home=home)
    found = Found.REPAIRED if home.repaired.exists() else Found.INTACT
    return Safety(journal=journal, guard=guard, found=found, home=home)


def _put_aside(directory: Path) -> None:
    """Rename a directory, keeping it for people to look at."""
    number = 1
    while (aside := directory.with_name(f"{directory.name}.old{number}")).exists():
        number += 1
    directory.rename(aside)
    fsync_directory(directory.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """What a repair of a home took away."""

    journal: Cut | None
    blocks: Cut | None


def repair_home(home: Home) -> Repaired:
    """Keep the valid prefix of journal and block log. Raises `WrongState` while the home is in use.

    A journal that was cut is marked, so that the next start applies the rule for a lost journal. Blocks that
    were cut come again from the journal or from peers; the index is rebuilt.
    """
    with home.lock():
        # Marked before it is cut: a crash in between must not make the journal look intact.
        was_marked = home.repaired.exists()
        write_file(home.repaired, b"the journal was repaired\n")
        journal = repair(home.journal)
        if journal is None and not was_marked:
            home.repaired.unlink()
            fsync_directory(home.data)
        blocks = repair(home.blocks)
        if blocks is not None:
            destroy(home.index)
        return Repaired(journal=journal, blocks=blocks)
