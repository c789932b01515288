"""A journal that lost its end, at any byte of its last two groups: a prefix is left, nothing is signed anew.

Every byte with the production's opener; a sample with a whole node (`scripts/campaign-disk`: more of them).
"""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from catenet.chain.genesis import Genesis
from catenet.chain.keys import PrivateKey, parse_key_file
from catenet.chain.state import ChainState
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.guard import GuardState, raised
from catenet.node.journal import Journal, open_journal
from catenet.storage.guard_file import GuardFile
from catenet.storage.home import Home
from catenet.storage.log import Log
from catenet.types.errors import WrongState
from catenet.types.events import Refused, Signed
from catenet.types.records import CommitRecord, Record
from support.audit import copy_of, journal_records, place_of, require_same, signed_by
from support.campaign import IS_CAMPAIGN, Part
from support.solo_process import BLOCKS, Kept, Solo, solo
from support.storage import abandon

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

GROUPS = 5 if IS_CAMPAIGN else 2
ZEROS = 4096
SHARED_MEMORY = Path("/dev/shm")
SAMPLE = 1
NODE_CUTS = 40
"""So many cuts are tried with a node at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """The home of a killed node, and what its journal holds."""

    node: Solo
    kept: Kept
    genesis: Genesis
    key: PrivateKey
    records: list[Record]
    ends: list[tuple[int, int]]
    """For each group that may be torn: where it begins, and how many records are before it."""
    end: int
    items: list[Vote | Proposal]

    @property
    def cuts(self) -> list[int]:
        return list(range(self.ends[0][0], self.end))


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Torn]:
    with solo(tmp_path_factory.mktemp("torn") / "net") as node:
        node.start()
        assert asyncio.run(node.work(BLOCKS, "tx"))
        node.net.kill(0)
        with copy_of(node.home) as copy:
            records = journal_records(copy)
        with copy_of(node.home) as copy:
            log = Log.open(copy.journal)
            groups = [(position.offset, len(group)) for position, group in log.groups()]
            end = log.end.offset
            log.close()
        begins = [offset for offset, _ in groups]
        counts = [sum(size for _, size in groups[:index]) for index in range(len(groups))]
        genesis = Genesis.from_json(node.home.genesis.read_text())
        with copy_of(node.home) as copy:
            file = GuardFile.open(copy.guard)
            slot = GuardState.decode(file.state)
            file.close()
        signed = [
            Proposal.decode(item) if what == "PROPOSAL" else Vote.decode(item)
            for (_, _, what), item in signed_by(node.home).items()
        ]
        yield Torn(
            node=node,
            kept=node.keep(),
            genesis=genesis,
            key=parse_key_file(node.home.validator_key.read_text()),
            records=records,
            ends=list(zip(begins, counts, strict=True))[-GROUPS:],
            end=end,
            # What lies in the journal above the guard's slot had not left the process: it may be lost.
            items=[item for item in signed if raised(slot, item, genesis.chain_id) is slot],
        )


def segment(home: Home) -> Path:
    (path,) = home.journal.glob("*.seg")
    return path


def cut(home: Home, at: int, *, zeros: bool) -> None:
    """End a journal at a byte; `zeros`: its file keeps its size, as when data did not reach the disk."""
    path = segment(home)
    data = path.read_bytes()
    path.write_bytes(data[:at].ljust(len(data), b"\0") if zeros else data[:at])


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: the syncs of thousands of starts prove nothing here."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def test_cut_at_any_byte_a_journal_is_a_prefix_and_signs_nothing_anew(torn: Torn, memory: Path) -> None:
    part = Part("cuts of the journal")
    home = Home(memory / "home")
    (file,) = (torn.kept.data / "journal").iterdir()
    name, data = file.name, file.read_bytes()
    asked: list[tuple[int, GuardState]] = []
    # A file that lost its end, and one whose last data did not reach the disk; in the suite by turns.
    cuts = [(at, zeros) for at in torn.cuts for zeros in (False, True) if IS_CAMPAIGN or zeros == at % 2]
    for at, zeros in cuts:
        part.counts["tried"] += 1
        shutil.rmtree(home.data, ignore_errors=True)
        home.journal.mkdir(parents=True)
        (home.journal / name).write_bytes(data[:at] + bytes(ZEROS) * zeros)
        shutil.copy(torn.kept.data / "guard", home.guard)
        # A group of which only zeros are missing is whole.
        least = max(count for begin, count in torn.ends if begin <= at)
        try:
            journal = open_journal(home, state=ChainState.genesis(torn.genesis), key=torn.key)
        except WrongState:
            # The decision before the height that the guard signed is cut, too: the only validator asks.
            decided = [r.height for r in torn.records[:least] if isinstance(r, CommitRecord)]
            assert max(item.height for item in torn.items) > max(decided, default=0) + 1
            part.counts["refused"] += 1
            continue
        found = list(journal.records)
        borders = {count for _, count in torn.ends if count >= least} | {len(torn.records)}
        # Only the guard's vote may be added to a prefix.
        assert any(
            found[:count] == torn.records[:count]
            and len(found) - count <= 1
            and all(record in torn.records for record in found[count:])
            for count in borders
        )
        state = (len(found), journal.signer.state)
        if state not in asked:
            asked.append(state)
            part.counts["signatures asked for"] += refuses_to_contradict(journal, torn)
        abandon(journal.safety.journal)
        journal.safety.guard.close()
        part.counts["recovered"] += 1
    part.report()


def refuses_to_contradict(journal: Journal, torn: Torn) -> int:
    """Ask for another signature wherever there is one, at another block and at another time."""
    kept: list[bytes] = []
    count = 0
    for item in torn.items:
        other = replace(item, block_id=replace(item.block_id, hash=b"another block".ljust(32)), signature=b"")
        later = replace(item, time_ns=item.time_ns + 1, signature=b"")
        for asked in (other, later):
            answer = journal.signer.sign(asked, kept.append)
            match answer:
                case Refused():
                    pass
                case Signed(item=signed):
                    assert signed == item, "the old signature may be repeated, nothing else"
            count += 1
    assert not kept
    return count


def test_cut_at_a_byte_a_node_goes_on_and_its_chain_is_whole(torn: Torn, tmp_path: Path) -> None:
    signed = {place_of(item): item.encode() for item in torn.items}
    part = Part("cuts of the journal, with a node")
    cuts = torn.cuts[:: max(1, len(torn.cuts) // NODE_CUTS)]

    async def body() -> None:
        for at in part.chosen(cuts, sample=SAMPLE):
            torn.node.go_back(torn.kept)
            cut(torn.node.home, at, zeros=at % 2 == 1)
            after = await torn.node.recovered("after")
            require_same(dict(signed), after.signed)
            part.counts["recovered"] += 1
            part.counts["signatures"] += len(after.signed)

    asyncio.run(body())
    part.report()


def test_what_is_asked_to_be_signed_is_of_all_three_kinds(torn: Torn) -> None:
    kinds = {item.type for item in torn.items if isinstance(item, Vote)}
    assert kinds == {VoteType.PREVOTE, VoteType.PRECOMMIT}
    assert any(isinstance(item, Proposal) for item in torn.items)
