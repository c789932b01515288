"""What a peer can send at worst: forged commits, foreign places, floods; what many heights leave."""

from dataclasses import replace

import pytest

from catenet.chain.commit import EMPTY_COMMIT, NIL, BlockID, PartSetHeader
from catenet.chain.keys import PublicKey
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.blocks import Verdict
from catenet.core.consensus.io import AppVerdict, CheckBlock, ConsensusConfig, Due
from catenet.core.consensus.machine import Consensus
from catenet.types.clock import Instant
from catenet.types.effects import Append, Notice, Send
from catenet.types.events import LinkChanged, Received, Started, TimerFired, TimerKey
from catenet.types.messages import ProposalMessage, Status, VoteMessage, VoteSet
from support.bench import GENESIS, KEYS, NOW, Bench, decides, faults, status
from support.chain import GENESIS_TIME_NS, make_keys
from support.consensus import Node, make_block, make_genesis, verify


def test_a_commit_of_three_of_four_decides() -> None:
    at = Bench()
    outputs = at.give(
        at.commit(at.vote(0, at.block_id), None, at.vote(2, at.block_id), at.vote(3, at.block_id))
    )
    assert decides(outputs)
    assert not faults(outputs)
    assert at.node.machine.height == 2


def test_an_entry_in_a_foreign_place_proves_nothing() -> None:
    at = Bench()
    votes = [at.vote(i, at.block_id) for i in range(3)]
    swapped = at.commit(votes[1], votes[0], votes[2], None)
    outputs = at.give(swapped)
    assert [fault.reason for fault in faults(outputs)] == ["a commit with an entry in a foreign place"]
    assert not decides(outputs)


def test_one_vote_in_three_places_proves_nothing() -> None:
    at = Bench()
    one = at.vote(0, at.block_id)
    outputs = at.give(at.commit(one, one, one, None))
    assert faults(outputs)
    assert not decides(outputs)


def test_a_forged_signature_in_a_commit_disconnects() -> None:
    at = Bench()
    votes = [at.vote(i, at.block_id) for i in range(3)]
    outputs = at.give(at.commit(votes[0], votes[1], replace(votes[2], signature=votes[1].signature), None))
    assert [fault.disconnect for fault in faults(outputs)] == [True]
    assert not decides(outputs)


@pytest.mark.parametrize("third", ["absent", "nil", "early"])
def test_less_than_two_thirds_of_eligible_precommits_do_not_decide(third: str) -> None:
    at = Bench()
    last: Vote | None = {
        "absent": None,
        "nil": at.vote(2, NIL),
        # 2.5: not later than the block's own time, which is the genesis time.
        "early": at.vote(2, at.block_id, time_ns=GENESIS_TIME_NS),
    }[third]
    outputs = at.give(at.commit(at.vote(0, at.block_id), at.vote(1, at.block_id), last, None))
    assert not decides(outputs)
    assert len(faults(outputs)) == 1


def test_another_block_beside_a_good_commit_is_a_fault() -> None:
    at = Bench()
    other = make_block(
        at.node.state, at.node.pool, last_commit=EMPTY_COMMIT, txs=[b"other"], proposer=at.peers[0]
    )
    outputs = at.give(at.commit(*[at.vote(i, at.block_id) for i in range(3)], None), other)
    assert len(faults(outputs)) == 1
    assert not decides(outputs)


@pytest.mark.parametrize(
    "change",
    [
        {"index": 3},
        {"index": 4},
        {"block_id": BlockID(hash=b"h" * 32)},
        {"block_id": BlockID(parts=PartSetHeader(total=1, hash=b"h" * 32))},
        {"extension": b"x"},
        {"signature": b"x" * 64},
        {"time_ns": NOW.wall_ns + 1},
        {"round": 1},
    ],
)
def test_a_vote_that_cannot_be_one_counts_for_nothing(change: dict[str, object]) -> None:
    at = Bench()
    good = at.vote(at.node.state.validators.index_of(at.peers[0]) or 0, NIL, type=VoteType.PREVOTE)
    bad = replace(good, **change)  # type: ignore[arg-type]  # the table above fits
    at.receive(at.peers[0], VoteMessage(vote=replace(bad, address=at.peers[0])))
    assert at.node.machine.state.votes.heard_power == 0


def test_a_flood_of_forged_votes_costs_a_bounded_number_of_verifications() -> None:
    asked = 0

    def counting(key: PublicKey, message: bytes, signature: bytes) -> bool:
        nonlocal asked
        asked += 1
        return verify(key, message, signature)

    at = Bench()
    machine = Consensus(
        ConsensusConfig(), at.node.state, KEYS[3].public.address, at.node.pool, lambda _: None, counting
    )
    machine.handle(LinkChanged(peer=at.peers[0], up=True), NOW)
    machine.handle(Started(), NOW)
    index = at.node.state.validators.index_of(at.peers[0])
    assert index is not None
    good = at.vote(index, NIL, type=VoteType.PREVOTE)
    for n in range(3_000):
        forged = replace(good, signature=n.to_bytes(64, "big"))
        machine.handle(Received(peer=at.peers[0], message=VoteMessage(vote=forged)), NOW)
    assert asked < 500


def test_a_set_of_more_votes_than_there_can_be_is_a_fault() -> None:
    at = Bench()
    votes = tuple([at.vote(0, NIL)] * 9)
    assert faults(at.receive(at.peers[0], VoteSet(votes=votes, answer=True)))


def test_a_claim_of_an_absurd_height_moves_nothing() -> None:
    at = Bench()
    at.receive(at.peers[0], status(1 << 60))
    assert at.node.machine.height == 1
    assert not at.node.machine.away


def test_status_is_sent_to_each_peer_with_its_own_newest_vote() -> None:
    at = Bench()
    index = at.node.state.validators.index_of(at.peers[1])
    assert index is not None
    vote = at.vote(index, NIL, type=VoteType.PREVOTE)
    at.receive(at.peers[1], VoteMessage(vote=vote))
    outputs = at.node.run(TimerFired(key=TimerKey(name="consensus/status")), NOW)
    yours = {
        o.peer: o.message.yours for o in outputs if isinstance(o, Send) and isinstance(o.message, Status)
    }
    assert yours == {at.peers[0]: b"", at.peers[1]: vote.encode(), at.peers[2]: b""}


def test_the_application_is_asked_once_and_its_failure_is_no_rejection() -> None:
    at = Bench()
    at.node.auto_check = False
    signed = Proposal(height=1, round=0, pol_round=-1, block_id=at.block_id, time_ns=NOW.wall_ns)
    signed = replace(signed, signature=KEYS[0].sign(signed.sign_bytes(GENESIS.chain_id)))
    message = ProposalMessage(signed=signed, compact=at.compact)
    outputs = [*at.receive(at.peers[0], message), *at.receive(at.peers[1], message)]
    assert [o.block_hash for o in outputs if isinstance(o, CheckBlock)] == [at.block_id.hash]
    failed = AppVerdict(height=1, block_hash=at.block_id.hash, accepted=None)
    outputs = at.node.run(failed, NOW)
    assert [o.alarm for o in outputs if isinstance(o, Notice)] == [True]
    assert at.node.machine.step == "propose"
    entry = at.node.machine.state.blocks.get(at.block_id)
    assert entry is not None
    assert entry.verdict is Verdict.PENDING


@pytest.mark.slow
def test_the_state_of_a_height_is_dropped_with_it() -> None:
    """A thousand heights: nothing that is kept grows, and no once-per-round flag stays set."""
    key = make_keys(1)[0]
    node = Node(key, make_genesis([key], [10]), config=ConsensusConfig(min_block_interval_us=0))
    node.auto_build = lambda request: [b"%d" % request.height]
    node.boot()
    now = NOW
    node.run(Started(), now)
    sizes = []
    for step in range(1_000):
        now = Instant(mono_us=now.mono_us + 1_000, wall_ns=now.wall_ns + 1_000_000)
        outputs = node.run(Due(height=node.machine.height), now)
        assert any(isinstance(output, Append) for output in outputs)
        node.written.clear()
        node.guard_log.clear()
        node.decided.clear()
        if step in (100, 999):
            ctx = node.machine._ctx
            kept = (ctx.decided, ctx.own, ctx.newest, ctx.peers, ctx.future_votes, ctx.out, ctx.hs.mine)
            sizes.append([len(collection) for collection in kept])
    assert node.machine.height > 1_000
    assert sizes[0] == sizes[1]
