"""What a stopped home holds, read through the production's own openers and checked whole."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from catenet.apps.kv import KeyValue
from catenet.chain import light
from catenet.chain.block import Block
from catenet.chain.genesis import Genesis
from catenet.chain.keys import PublicKey
from catenet.chain.vote import Proposal, Vote
from catenet.core.guard import GuardState
from catenet.node.handshake import refill, shake_hands
from catenet.storage.guard_file import GuardFile
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.storage.log import Log
from catenet.storage.scan import segment_numbers
from catenet.storage.state import open_state
from catenet.types.records import ProposalRecord, Record, VoteRecord
from catenet.wire.records import decode_record
from support.apps import MemoryState

Place = tuple[int, int, str]
"""Height, round and what was signed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a home holds."""

    signed: dict[Place, bytes]
    """Every own vote and proposal that is known, with its signature."""

    chain: list[bytes]
    """The stored blocks, from height 1."""

    state: dict[bytes, bytes]
    """The rows of the application."""

    state_height: int


@contextmanager
def copy_of(home: Home) -> Iterator[Home]:
    """Copy a home, so that reading it changes nothing in it."""
    with tempfile.TemporaryDirectory(dir=home.root.parent) as folder:
        copy = Home(Path(folder) / "copy")
        copy.create()
        shutil.copytree(home.data, copy.data, dirs_exist_ok=True)
        shutil.copy(home.genesis, copy.genesis)
        yield copy


def signed_by(home: Home) -> dict[Place, bytes]:
    """Return what a home's node signed, from its journal and its guard. Fails when two of them conflict."""
    with copy_of(home) as copy:
        items = signed_in(journal_records(copy))
        if copy.guard.exists():
            guard = GuardFile.open(copy.guard)
            state = GuardState.decode(guard.state)
            guard.close()
            if state.item:
                items.append(Vote.decode(state.item) if state.step > 1 else Proposal.decode(state.item))
    found: dict[Place, bytes] = {}
    for item in items:
        require_same(found, {place_of(item): item.encode()})
    return found


def signed_in(records: Iterable[Record]) -> list[Vote | Proposal]:
    items: list[Vote | Proposal] = []
    for record in records:
        if isinstance(record, VoteRecord):
            items.append(record.vote)
        elif isinstance(record, ProposalRecord):
            items.append(record.proposal.signed)
    return items


def signed_last(home: Home) -> set[Place]:
    """Return the places of what was signed in the last group of a home's journal.

    It alone may be written and not yet durable: the next one is written when it is. Until then nothing of it
    has left the node.
    """
    with copy_of(home) as copy:
        journal = Log.open(copy.journal)
        groups = [group for _, group in journal.groups() if group]
        journal.close()
    last = [decode_record(data) for data in groups[-1]] if groups else []
    return {place_of(item) for item in signed_in(last)}


def place_of(item: Vote | Proposal) -> Place:
    return item.height, item.round, item.type.name if isinstance(item, Vote) else "PROPOSAL"


def require_same(signed: dict[Place, bytes], more: dict[Place, bytes]) -> None:
    """Add signed items to others. One at the same place must be the same bytes, time and signature too."""
    for place, item in more.items():
        assert signed.setdefault(place, item) == item, f"two signatures at {place}"


def journal_records(home: Home) -> list[Record]:
    if not segment_numbers(home.journal):
        return []
    journal = Log.open(home.journal)
    try:
        return [decode_record(data) for _, data in journal.records()]
    finally:
        journal.close()


def contents(home: Home) -> Contents:
    """Read a stopped home and check all of it: signatures, the chain, its commits, the index, the state.

    Everything the application holds must follow from the blocks, and everything the index says, too.
    """
    with copy_of(home) as copy:
        genesis = Genesis.from_json(copy.genesis.read_text())
        ledger = Ledger.open(copy.data)
        refill(ledger, journal_records(copy), genesis)
        ledger.flush()
        assert ledger.verify() == ledger.head
        store, was_reset = open_state(copy.app)
        assert not was_reset, "the application's state was thrown away"
        assert store.height <= ledger.head, "the application is ahead of the chain"
        rows = dict(store.items(b"", limit=1_000_000))
        expected = check_chain(ledger, genesis, until=store.height)
        assert rows == expected, f"the application's rows at height {store.height} are not those of its chain"
        chain = []
        for height in range(1, ledger.head + 1):
            block = ledger.block(height)
            assert block is not None
            chain.append(block.raw)
        height = store.height
        store.close()
        ledger.close()
    return Contents(signed=signed_by(home), chain=chain, state=rows, state_height=height)


def check_chain(ledger: Ledger, genesis: Genesis, *, until: int) -> dict[bytes, bytes]:
    """Execute a stored chain anew; returns the application's rows after height `until`.

    Header by header and commit by commit, as a light client does, and with the application's results.
    """
    memory = Snapshot(until)
    shake_hands(KeyValue(memory), genesis, ledger)
    for height in range(1, ledger.head + 1):
        stored, members = ledger.block(height), ledger.validators_at(height)
        before = ledger.state_at(height - 1) if height > 1 else None
        assert stored is not None
        assert members is not None
        block = Block.decode(stored.raw)
        light.verify_commit(
            genesis.chain_id, members, stored.block_id, height, stored.commit, PublicKey.verify
        )
        if before is not None:
            assert block.header.last_block_id == before.last_block_id, f"block {height} follows another one"
            assert block.header.app_hash == before.app_hash, f"block {height} follows another state"
        for index, tx in enumerate(block.txs):
            where = ledger.locate([sha256(tx).digest()])[sha256(tx).digest()]
            assert (where.height, where.index) == (height, index), f"{tx!r} is indexed elsewhere"
    return memory.rows


class Snapshot(MemoryState):
    """Keeps the rows of one height aside."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = at
        self.rows: dict[bytes, bytes] = {}

    def write(self, height: int, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        super().write(height, changes)
        if height == self._at:
            self.rows = dict(self.values)


def transactions(chain: Iterable[bytes]) -> list[bytes]:
    """Return the transactions of stored blocks, in order."""
    return [bytes(tx) for raw in chain for tx in Block.decode(raw).txs]
