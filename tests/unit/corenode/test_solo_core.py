"""A core alone, driven by hand: a submission becomes a final block; an application may propose badly."""

import pytest

from catenet.core.serving import BLOCKS_MAX
from catenet.types import effects, events
from catenet.types.messages import Wanted
from catenet.types.records import CommitRecord, ExecutedRecord, VoteRecord
from support.solo import Prepare, Solo

TXS = [b"a=1", b"b=2", b"a=1"]


def test_a_submission_becomes_a_final_block_in_the_order_of_the_law() -> None:
    solo = Solo()
    solo.give(events.Submitted(ticket=1, client="c", txs=TXS, level=events.Level.COMMITTED))
    solo.run(2_000_000)
    committed = [effect for effect in solo.done if isinstance(effect, effects.CommitBlock)]
    assert [tx for effect in committed for tx in effect.block.txs] == [b"a=1", b"b=2"]
    assert solo.store.head == solo.core.state.last_height == len(committed)
    for effect in committed:
        at = solo.done.index(effect)
        before = [
            type(e.record)
            for e in solo.done[:at]
            if isinstance(e, effects.Append)
            and isinstance(e.record, CommitRecord | ExecutedRecord)
            and e.record.height == effect.height
        ]
        assert before == [CommitRecord, ExecutedRecord]
    reached = [e.reached for e in solo.done if isinstance(e, effects.Acknowledge)]
    assert reached == [events.Level.ACCEPTED, events.Level.REPLICATED]


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda txs: [*txs, b"x" * 300_000], id="more inline than a manifest holds"),
        pytest.param(lambda txs: [*txs, *txs], id="everything twice"),
        pytest.param(lambda txs: [b"new=1", *reversed(txs)], id="added and reordered"),
    ],
)
def test_whatever_an_application_proposes_each_transaction_is_committed_once(prepare: Prepare) -> None:
    solo = Solo(prepare)
    solo.give(events.Submitted(ticket=1, client="c", txs=TXS, level=events.Level.COMMITTED))
    solo.run(2_000_000)
    txs = [tx for e in solo.done if isinstance(e, effects.CommitBlock) for tx in e.block.txs]
    assert [txs.count(tx) for tx in (b"a=1", b"b=2")] == [1, 1]
    assert solo.core.pending_count == 0
    assert not [effect for effect in solo.done if isinstance(effect, effects.Halt)]


def test_one_fetch_gets_a_bounded_number_of_blocks() -> None:
    solo = Solo()
    solo.run(1_000_000)
    stored = solo.store.block(1)
    assert stored is not None
    wanted = Wanted(block_hashes=(stored.block_id.hash,) * (BLOCKS_MAX + 5), height=1)
    solo.give(events.FetchRequested(request=5, peer=b"p" * 20, wanted=wanted))
    (answer,) = [effect for effect in solo.done if isinstance(effect, effects.Answer)]
    assert len(answer.found) == BLOCKS_MAX


def test_a_proposer_judges_its_own_block_as_any_other() -> None:
    solo = Solo(refused_rounds=1)
    solo.give(events.Submitted(ticket=1, client="c", txs=TXS, level=events.Level.COMMITTED))
    solo.run(5_000_000)
    votes = [record.vote for record in solo.records if isinstance(record, VoteRecord)]
    first = [vote for vote in votes if (vote.height, vote.round) == (1, 0)]
    assert [vote.is_nil for vote in first] == [True, True]
    committed = [effect.commit.round for effect in solo.done if isinstance(effect, effects.CommitBlock)]
    assert committed[0] > 0
    assert not any(committed[1:])
