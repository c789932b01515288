"""The blocks of one height: content that is not that of its id, and how many are kept."""

from dataclasses import replace

import pytest

from catenet.chain.commit import EMPTY_COMMIT, BlockID, PartSetHeader
from catenet.core.consensus.blocks import BLOCKS_MAX, BlockTable, Fault, Verdict
from catenet.core.consensus.io import CannotJudge
from catenet.types.assembly import Assembled, Broken, Missing
from catenet.types.batch import Compact
from support.bench import Bench
from support.consensus import Pool, make_block

PEER, OTHER = b"p" * 20, b"o" * 20


def made(pool: Pool) -> tuple[Compact, BlockID]:
    at = Bench()
    compact = make_block(at.node.state, pool, last_commit=EMPTY_COMMIT, txs=[b"tx"], proposer=at.peers[0])
    whole = pool.assemble(compact)
    assert isinstance(whole, Assembled)
    return compact, whole.block_id


def test_content_is_rebuilt_and_judged_once() -> None:
    pool = Pool()
    compact, block_id = made(pool)
    table = BlockTable(pool)
    assert table.offer(block_id, compact, PEER, 7) is None
    entry = table.get(block_id)
    assert entry is not None
    assert entry.assembled is not None
    asked: list[Assembled] = []

    def fine(assembled: Assembled) -> None:
        asked.append(assembled)

    entry.judge_header(fine)
    entry.judge_header(fine)
    assert len(asked) == 1
    verdicts = []
    for entry.accepted in (None, True, False):
        verdicts.append(entry.verdict)
    assert verdicts == [Verdict.PENDING, Verdict.VALID, Verdict.INVALID]
    # More content for it is not looked at.
    assert table.offer(block_id, replace(compact, header=b"\xff"), OTHER, 8) is None
    assert entry.sources == [PEER, OTHER]


def test_e2_a_node_without_the_history_leaves_the_block_pending_for_ever() -> None:
    pool = Pool()
    compact, block_id = made(pool)
    table = BlockTable(pool)
    table.offer(block_id, compact, PEER, 7)
    entry = table.get(block_id)
    assert entry is not None
    entry.judge_header(lambda assembled: CannotJudge(reason="no history"))
    entry.judge_header(lambda assembled: "a rule is broken")
    assert (entry.unjudgeable, entry.header_judged, entry.verdict) == (True, False, Verdict.PENDING)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"\xff", "a header that does not parse"),
        (b"", "a header that"),
        (None, "not the hash of the block id"),
    ],
)
def test_content_with_another_header_is_a_fault_of_its_sender(header: bytes | None, reason: str) -> None:
    pool = Pool()
    compact, block_id = made(pool)
    if header is None:
        block_id = replace(block_id, hash=b"x" * 32)
    else:
        compact = replace(compact, header=header)
    table = BlockTable(pool)
    fault = table.offer(block_id, compact, PEER, 7)
    assert fault is not None
    assert fault.peer == PEER
    assert reason in fault.reason
    entry = table.get(block_id)
    assert entry is not None
    assert entry.compact is None


def test_21_the_same_header_with_other_parts_is_another_value() -> None:
    pool = Pool()
    compact, block_id = made(pool)
    twin = replace(block_id, parts=PartSetHeader(total=1, hash=b"t" * 32))
    table = BlockTable(pool)
    assert table.offer(block_id, compact, PEER, 7) is None
    fault = table.offer(twin, compact, OTHER, 7)
    assert fault == Fault(peer=OTHER, reason="a compact block that rebuilds to another id")
    entry = table.get(twin)
    assert entry is not None
    # It says nothing about the id: that stays pending, and is fetched from others.
    assert (entry.compact, entry.header, entry.verdict) == (None, None, Verdict.PENDING)
    assert [each.block_id for each in table.with_hash(block_id.hash)] == [block_id, twin]


class Shelf:
    """An assembler whose answer is at hand: what the pool of batches says is tested with that."""

    def __init__(self, answer: Assembled | Missing | Broken) -> None:
        self.answer = answer

    def assemble(self, compact: Compact) -> Assembled | Missing | Broken:
        return self.answer


def test_broken_content_is_dropped_and_its_sender_named_whenever_that_is_found() -> None:
    compact, block_id = made(Pool())
    shelf = Shelf(Missing(digests=(b"d" * 32,)))
    table = BlockTable(shelf)
    assert table.offer(block_id, compact, PEER, 7) is None
    entry = table.get(block_id)
    assert entry is not None
    assert (entry.missing, entry.missing_since_us) == ((b"d" * 32,), 7)
    shelf.answer = Missing(digests=(b"e" * 32,))
    assert table.rebuild(entry, 9) is None
    assert (entry.missing, entry.missing_since_us) == ((b"e" * 32,), 7)
    shelf.answer = Broken(reason="a batch of junk")
    assert table.rebuild(entry, 9) == Fault(peer=PEER, reason="a batch of junk")
    assert (entry.compact, entry.compact_from, entry.missing, entry.missing_since_us) == (None, b"", (), 0)
    assert table.rebuild(entry, 9) is None


def test_the_newest_blocks_and_those_that_are_pinned_are_kept() -> None:
    table = BlockTable(Pool())
    ids = [
        BlockID(hash=bytes([number]) * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
        for number in range(BLOCKS_MAX + 3)
    ]
    for block_id in ids[:BLOCKS_MAX]:
        table.name(block_id)
    table.trim(set())
    assert [entry.block_id for entry in table] == ids[:BLOCKS_MAX]
    for block_id in ids[BLOCKS_MAX:]:
        table.name(block_id, PEER)
    table.trim({ids[0], ids[2]})
    assert [entry.block_id for entry in table] == [ids[0], ids[2], *ids[5:]]
    # With everything pinned there are more of them for a while.
    for block_id in ids:
        table.name(block_id)
    table.trim(set(ids))
    assert len(list(table)) == BLOCKS_MAX + 3
