"""Messages that are odd one by one: too early, too far ahead, twice and different, or cut."""

from dataclasses import replace

import pytest

from catenet.chain.commit import EMPTY_COMMIT, NIL, BlockID
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.io import Accuse, Built, FoundCompactBlock, FoundDecided, Output
from catenet.types.assembly import Assembled
from catenet.types.batch import Compact, Ref
from catenet.types.effects import Append, Broadcast, Notice, Send
from catenet.types.events import Received, Signed
from catenet.types.ids import Address
from catenet.types.messages import Ping, ProposalMessage, VoteMessage, VoteSet
from catenet.types.records import CommitRecord, VoteRecord
from support.bench import GENESIS, KEYS, NOW, Bench, decides, faults, status
from support.consensus import make_block

JUNK = Compact(header=b"\xff", last_commit=b"", evidence=b"", manifest=())


def reasons(outputs: list[Output]) -> list[str]:
    return [fault.reason for fault in faults(outputs)]


def alarms(outputs: list[Output]) -> list[str]:
    return [output.name for output in outputs if isinstance(output, Notice)]


def other_block(at: Bench, name: bytes = b"other") -> tuple[Compact, BlockID]:
    compact = make_block(
        at.node.state,
        at.node.pool,
        last_commit=EMPTY_COMMIT,
        txs=[name],
        proposer=at.peers[0],
    )
    made = at.node.pool.assemble(compact)
    assert isinstance(made, Assembled)
    return compact, made.block_id


def proposal(
    at: Bench,
    *,
    height: int = 1,
    round: int = 0,
    block_id: BlockID | None = None,
    compact: Compact | None = None,
    pol: VoteSet | None = None,
    pol_round: int = -1,
    signer: Address | None = None,
) -> ProposalMessage:
    """Return a proposal that the proposer of its round signed, unless another one does."""
    signed = Proposal(
        height=height,
        round=round,
        pol_round=pol_round,
        block_id=at.block_id if block_id is None else block_id,
        time_ns=NOW.wall_ns,
    )
    validators = at.node.state.validators if height == 1 else at.node.state.next_validators
    address = validators.proposer_at(round).address if signer is None else signer
    key = next(key for key in KEYS if key.public.address == address)
    signed = replace(signed, signature=key.sign(signed.sign_bytes(GENESIS.chain_id)))
    return ProposalMessage(signed=signed, compact=at.compact if compact is None else compact, pol=pol)


def by(at: Bench, address: Address, block_id: BlockID, type: VoteType = VoteType.PREVOTE) -> Vote:
    index = at.node.state.validators.index_of(address)
    assert index is not None
    return at.vote(index, block_id, type=type)


def test_a_second_block_of_the_proposer_is_not_looked_at_until_somebody_needs_it() -> None:
    at = Bench()
    at.receive(at.peers[0], proposal(at))
    compact, block_id = other_block(at)
    at.receive(at.peers[1], proposal(at, block_id=block_id, compact=compact))
    blocks = at.node.machine.state.blocks
    assert blocks.get(at.block_id) is not None
    assert blocks.get(block_id) is None
    # Two thirds precommitted it: now it is wanted, whoever brings it.
    for peer in at.peers:
        at.receive(peer, VoteMessage(vote=by(at, peer, block_id, VoteType.PRECOMMIT)))
    assert blocks.get(block_id) is not None
    assert decides(at.receive(at.peers[1], proposal(at, block_id=block_id, compact=compact)))


def test_g4_a_proposal_far_ahead_only_tells_where_its_proposer_is() -> None:
    at = Bench()
    at.receive(at.peers[0], proposal(at, round=8))
    state = at.node.machine.state
    index = state.validators.index_of(state.proposer(8).address)
    assert index is not None
    assert state.votes.max_round[index] == 8
    assert 8 not in state.proposals
    # Beyond some rounds not even that: finding the proposer costs work.
    assert at.receive(at.peers[0], proposal(at, round=65, signer=at.peers[1])) == []
    assert max(state.votes.max_round) == 8


def test_a_proposal_of_an_earlier_round_still_brings_its_polka_and_its_block() -> None:
    at = Bench()
    for peer in at.peers[:2]:
        at.receive(peer, VoteMessage(vote=replace_round(at, peer, 1)))
    state = at.node.machine.state
    assert state.round == 1
    # Nobody needs the block of a round that is over,
    at.receive(at.peers[0], proposal(at))
    assert state.blocks.get(at.block_id) is None
    # unless a polka names it.
    votes = tuple([by(at, peer, at.block_id) for peer in at.peers])
    at.receive(at.peers[0], proposal(at, pol=VoteSet(votes=votes)))
    assert state.polkas[0].block_id == at.block_id
    entry = state.blocks.get(at.block_id)
    assert entry is not None
    assert entry.assembled is not None


def replace_round(at: Bench, address: Address, round: int) -> Vote:
    vote = replace(by(at, address, NIL), round=round)
    key = next(key for key in KEYS if key.public.address == address)
    return replace(vote, signature=key.sign(vote.sign_bytes(GENESIS.chain_id)))


def test_a_proposal_of_another_height_or_of_half_an_id_is_dropped() -> None:
    at = Bench()
    half = replace(at.block_id, parts=NIL.parts)
    assert at.receive(at.peers[0], proposal(at, block_id=half)) == []
    assert at.receive(at.peers[0], proposal(at, height=3)) == []
    assert not at.node.machine.state.proposals


def test_g7_the_first_proposal_of_the_next_height_that_can_be_verified_is_kept() -> None:
    at = Bench()
    forged = proposal(at, height=2, signer=KEYS[3].public.address)
    proposer = at.node.state.next_validators.proposer.address
    if proposer == KEYS[3].public.address:
        forged = proposal(at, height=2, signer=at.peers[0])
    assert reasons(at.receive(at.peers[1], forged)) == [
        "a proposal of round 0 that its proposer did not sign"
    ]
    ctx = at.node.machine._ctx
    assert ctx.future_proposal is None
    true = proposal(at, height=2)
    assert at.receive(at.peers[1], true) == []
    assert ctx.future_proposal == (at.peers[1], true)
    assert at.receive(at.peers[2], forged) == []
    assert ctx.future_proposal == (at.peers[1], true)


def test_g7_a_vote_of_the_next_height_is_kept_once_and_the_newest_four() -> None:
    at = Bench()
    peer = at.peers[0]
    votes = [replace(by(at, peer, NIL), height=2, round=round) for round in range(6)]
    for vote in [*votes, votes[-1]]:
        assert at.receive(peer, VoteMessage(vote=vote)) == []
    assert at.node.machine._ctx.future_votes[peer] == votes[2:]
    assert at.receive(peer, VoteMessage(vote=replace(votes[0], height=3))) == []
    assert at.node.machine._ctx.future_votes[peer] == votes[2:]


def test_late_votes_of_a_height_that_is_not_known_any_more_are_dropped() -> None:
    at = Bench()
    assert at.receive(at.peers[0], VoteMessage(vote=replace(by(at, at.peers[0], NIL), height=0))) == []


def test_two_commits_for_one_height_are_an_alarm() -> None:
    """More than a third signed both: whoever decided one of them must learn of it."""
    at = Bench()
    compact, block_id = other_block(at)
    at.node.auto_execute = False
    # The first one lacks its batch, so that nothing is decided yet.
    at.node.pool.held.clear()
    first = at.commit(*[at.vote(index, at.block_id) for index in range(3)], None)
    assert alarms(at.give(first)) == []
    second = at.commit(*[at.vote(index, block_id) for index in range(3)], None)
    assert alarms(at.give(replace(second, block_id=block_id), compact)) == ["two-commits-for-one-height"]
    assert set(at.node.machine.state.certificates) == {at.block_id, block_id}
    # The same one again is no news.
    assert at.give(first) == []


@pytest.mark.parametrize("cut", ["entries", "header"])
def test_a_committed_block_that_cannot_be_read_proves_nothing(cut: str) -> None:
    at = Bench()
    commit = at.commit(*[at.vote(index, at.block_id) for index in range(3)], None)
    if cut == "entries":
        short = replace(commit, signatures=commit.signatures[:3])
        assert reasons(at.give(short)) == ["a commit of 3 entries for 4 validators"]
    else:
        [reason] = reasons(at.give(commit, JUNK))
        assert reason.startswith("a committed block whose header does not parse")
    assert not at.node.machine.state.certificates


def test_a_commit_beyond_the_signature_budget_is_left_for_later() -> None:
    at = Bench()
    peer = at.peers[0]
    account = at.node.machine._ctx.peer(peer).verifications
    while not account.take(1, NOW.mono_us):
        pass
    commit = at.commit(*[at.vote(index, at.block_id) for index in range(3)], None)
    assert faults(at.give(commit)) == []
    assert not at.node.machine.state.certificates
    assert at.receive(peer, proposal(at)) == []
    assert not at.node.machine.state.proposals


def test_a_fetched_block_that_does_not_parse_is_the_fault_of_who_gave_it() -> None:
    at = Bench()
    [reason] = reasons(at.run(FoundCompactBlock(peer=at.peers[1], compact=JUNK)))
    assert reason.startswith("a fetched block whose header does not parse")


def test_g5_a_manifest_that_nobody_can_serve_is_replaced_by_another_peer_s() -> None:
    at = Bench()
    stuck = replace(at.compact, manifest=(Ref(digest=b"n" * 32),))
    at.receive(at.peers[0], proposal(at, compact=stuck))
    entry = at.node.machine.state.blocks.get(at.block_id)
    assert entry is not None
    assert entry.missing == (b"n" * 32,)
    # Within a second the batch may still come.
    at.run(FoundCompactBlock(peer=at.peers[1], compact=at.compact))
    assert entry.compact == stuck
    later = replace(NOW, mono_us=NOW.mono_us + 1_000_000)
    at.node.run(FoundCompactBlock(peer=at.peers[1], compact=at.compact), later)
    assert entry.compact == at.compact
    assert entry.assembled is not None


def test_a_decided_block_may_come_as_the_answer_to_a_fetch() -> None:
    at = Bench()
    commit = at.commit(*[at.vote(index, at.block_id) for index in range(3)], None)
    assert decides(at.run(FoundDecided(peer=at.peers[1], compact=at.compact, commit=commit)))


def test_a_block_that_was_built_too_late_is_not_proposed() -> None:
    at = Bench()
    for height, round in ((2, 0), (1, 1)):
        built = Built(height=height, round=round, compact=at.compact, block_id=at.block_id)
        assert at.run(built) == []
    assert not at.node.machine.state.mine_proposals


def test_a_vote_signed_when_its_height_is_decided_still_joins_the_last_commit() -> None:
    """The signer answers late: the vote is recorded and told like any other, and nothing is counted twice."""
    at = Bench()
    at.give(at.commit(*[at.vote(n, at.block_id) if n != own_index(at) else None for n in range(4)]))
    machine = at.node.machine
    assert machine.height == 2
    last = machine.state.last_commit
    assert last is not None
    assert last.votes[own_index(at)] is None
    vote = at.vote(own_index(at), at.block_id)
    outputs = at.run(Signed(item=vote))
    assert outputs[:2] == [Append(record=VoteRecord(vote=vote)), Broadcast(message=VoteMessage(vote=vote))]
    assert last.votes[own_index(at)] == vote


def own_index(at: Bench) -> int:
    index = at.node.state.validators.index_of(at.node.address)
    assert index is not None
    return index


def test_a_second_holder_of_the_key_is_an_alarm_and_no_accusation() -> None:
    at = Bench()
    at.receive(at.peers[0], proposal(at))
    assert (0, VoteType.PREVOTE) in at.node.machine.state.mine
    twin = at.vote(own_index(at), NIL, type=VoteType.PREVOTE)
    outputs = at.receive(at.peers[1], VoteSet(votes=(twin,), answer=True))
    assert alarms(outputs) == ["key-used-elsewhere"]
    assert not [output for output in outputs if isinstance(output, Accuse)]


def test_a_vote_of_the_twin_that_was_counted_first_is_an_alarm_when_the_own_signature_comes() -> None:
    at = Bench()
    twin = at.vote(own_index(at), NIL, type=VoteType.PREVOTE)
    at.receive(at.peers[1], VoteSet(votes=(twin,), answer=True))
    outputs = at.receive(at.peers[0], proposal(at))
    assert alarms(outputs) == ["key-used-elsewhere"]


def test_what_is_for_other_machines_is_only_a_sign_of_life() -> None:
    at = Bench()
    before = at.node.machine._ctx.peer(at.peers[0]).heard_us
    later = replace(NOW, mono_us=NOW.mono_us + 5)
    assert at.node.run(Received(peer=at.peers[0], message=Ping()), later) == []
    assert before is not None
    assert at.node.machine._ctx.peer(at.peers[0]).heard_us == before + 5


def test_what_the_node_says_of_itself() -> None:
    at = Bench()
    machine = at.node.machine
    assert (machine.round, machine.step, machine.ready, machine.due, machine.signs) == (
        0,
        "propose",
        True,
        True,
        True,
    )
    assert (machine.away, machine.lowest) == (False, 1)
    at.receive(at.peers[0], proposal(at))
    assert machine.step == "prevote"
    assert set(machine.missing()) == set(at.peers)
    at.receive(at.peers[0], VoteMessage(vote=by(at, at.peers[0], at.block_id)))
    assert set(machine.missing()) == set(at.peers[1:])
    for peer in at.peers[1:]:
        at.receive(peer, VoteMessage(vote=by(at, peer, at.block_id)))
    assert machine.step == "precommit"
    assert set(machine.missing()) == set(at.peers)
    assert not [r for r in at.node.written if isinstance(r, CommitRecord)]


def test_g6_nobody_is_handed_the_same_block_again_and_again() -> None:
    at = Bench()
    at.give(at.commit(*[at.vote(index, at.block_id) for index in range(3)], None))
    first = at.receive(at.peers[1], status(1))
    second = at.receive(at.peers[1], status(1))
    assert [type(output.message).__name__ for output in first if isinstance(output, Send)] == [
        "CommittedBlock"
    ]
    assert not [output for output in second if isinstance(output, Send)]
