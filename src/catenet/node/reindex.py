"""The index of a stopped node, made again out of its blocks, or cut. For commands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.storage.tables import destroy
from catenet.types.errors import WrongState


@dataclass(frozen=True, slots=True, kw_only=True)
class Indexed:
    """What the index covers now."""

    lowest: int
    head: int
    events_from: int
    was_damaged: bool
    """Whether it could not be used as it was."""


def rebuild(home: Home, *, begin: Callable[[int], Callable[[int], object]]) -> Indexed:
    """Throw the index away and make it again; `begin` is told how many blocks, and returns who hears of each.

    Interrupted, the next start goes on. Raises `WrongState` while the node runs, `Corrupt` when a block is
    damaged: then nothing was thrown away.
    """
    _require_blocks(home)
    with home.lock():
        ledger = Ledger.open(home.data)
        lowest, head, was_damaged = ledger.lowest, ledger.head, ledger.rebuilt
        path = ledger.index_path
        ledger.close()
        if not was_damaged:
            progress = begin(head - lowest + 1)
            destroy(path)
            ledger = Ledger.open(home.data, progress=lambda height: progress(height - lowest + 1))
            ledger.close()
    return _indexed(ledger, was_damaged=was_damaged)


def forget(home: Home, *, below: int) -> Indexed:
    """Drop the events of blocks below a height. Raises `WrongState` while the node runs, `Corrupt`."""
    _require_blocks(home)
    with home.lock():
        ledger = Ledger.open(home.data)
        ledger.forget_events(below)
        ledger.close()
    return _indexed(ledger, was_damaged=ledger.rebuilt)


def _indexed(ledger: Ledger, *, was_damaged: bool) -> Indexed:
    return Indexed(
        lowest=ledger.lowest, head=ledger.head, events_from=ledger.events_from, was_damaged=was_damaged
    )


def _require_blocks(home: Home) -> None:
    blocks: Path = home.data / "blocks"
    if not blocks.is_dir():
        raise WrongState(f"{blocks} is not there: {home.root} is no home of a node, or has never run")
