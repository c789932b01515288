"""The evidence pool: E1 to E3 over a chain with real signatures."""

from dataclasses import replace

import pytest

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.encoding import message_field
from catenet.chain.evidence import DuplicateVoteEvidence, make
from catenet.chain.keys import PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.params import ConsensusParams
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote
from catenet.core.evidence import PENDING_MAX, PENDING_PER_VALIDATOR_MAX, EvidencePool, HistoryMissing
from catenet.types.effects import Append, Broadcast, Notice, Penalise
from catenet.types.records import EvidenceRecord
from support.chain import LocalChain, make_chain

PEER = b"p" * 20


def other_id(n: int) -> BlockID:
    return BlockID(hash=bytes([n]) * 32, parts=PartSetHeader(total=1, hash=bytes([n]) * 32))


class ChainHistory:
    """History of a `LocalChain`."""

    def __init__(self, chain: LocalChain) -> None:
        self.chain = chain
        self.lowest = 1

    def validators_at(self, height: int) -> ValidatorSet | None:
        known = self.lowest <= height <= len(self.chain.decided)
        return self.chain.decided[height - 1].light.validators if known else None

    def time_at(self, height: int) -> int | None:
        known = self.lowest <= height <= len(self.chain.decided)
        return self.chain.decided[height - 1].block.header.time_ns if known else None

    def light_block_at(self, height: int) -> LightBlock | None:
        return self.chain.decided[height - 1].light if self.chain.decided[height - 1 :] else None

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        return any(e.hash() == evidence_hash for d in self.chain.decided for e in d.block.evidence)


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    return key.verify(message, signature)


class Setting:
    """A chain of three heights; validator 2 voted twice at height 1."""

    def __init__(self, heights: int = 3) -> None:
        self.chain = make_chain(4)
        self.votes = (self.chain.vote(2, other_id(1)), self.chain.vote(2, NIL))
        self.more = [self.chain.vote(2, other_id(n)) for n in range(10, 12 + PENDING_PER_VALIDATOR_MAX)]
        self.chain.grow(heights)
        self.history = ChainHistory(self.chain)
        self.pool = EvidencePool(self.history, verify)

    def evidence(self, a: Vote | None = None, b: Vote | None = None) -> DuplicateVoteEvidence:
        valset, time_ns = self.history.validators_at(1), self.history.time_at(1)
        assert valset is not None
        assert time_ns is not None
        return make(a or self.votes[0], b or self.votes[1], valset, time_ns)


def wrapped(evidence: DuplicateVoteEvidence) -> bytes:
    return message_field(1, evidence.encode())


def test_an_accusation_is_recorded_before_it_is_told_and_makes_a_block_due() -> None:
    at = Setting()
    effects = at.pool.accuse(*at.votes, at.chain.state)
    assert [type(effect) for effect in effects] == [Append, Broadcast, Notice]
    assert at.pool.waiting
    assert at.pool.pick(at.chain.state) == (at.evidence(),)
    assert at.pool.check(at.pool.pick(at.chain.state), at.chain.state) is None
    assert at.pool.accuse(*at.votes, at.chain.state) == []


def test_an_accusation_of_the_present_height_waits_for_its_block_time() -> None:
    at = Setting(heights=0)
    assert at.pool.accuse(*at.votes, at.chain.state) == []
    assert not at.pool.waiting
    at.chain.grow(1)
    assert at.pool.committed((), at.chain.state)[0] == Append(
        record=EvidenceRecord(evidence=wrapped(at.evidence()))
    )
    assert at.pool.waiting


def test_committed_evidence_is_dropped_and_never_taken_again() -> None:
    at = Setting()
    at.pool.accuse(*at.votes, at.chain.state)
    block = at.chain.build(evidence=at.pool.pick(at.chain.state))
    at.chain.add(block)
    at.pool.committed(block.evidence, at.chain.state)
    assert not at.pool.waiting
    assert at.pool.received(PEER, wrapped(at.evidence()), at.chain.state) == []
    assert "repeated" in (at.pool.check((at.evidence(),), at.chain.state) or "")


def test_evidence_of_a_peer_is_verified_and_passed_on() -> None:
    at = Setting()
    effects = at.pool.received(PEER, wrapped(at.evidence()), at.chain.state)
    assert [type(effect) for effect in effects] == [Append, Broadcast, Notice]


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, vote_a=replace(e.vote_a, signature=b"x" * 64)),
        lambda e: replace(e, validator_power=e.validator_power + 1),
        lambda e: replace(e, time_ns=e.time_ns + 1),
        lambda e: replace(e, vote_a=e.vote_b, vote_b=e.vote_a),
    ],
)
def test_forged_evidence_disconnects(change: object) -> None:
    assert callable(change)
    at = Setting()
    forged = change(at.evidence())
    (effect,) = at.pool.received(PEER, wrapped(forged), at.chain.state)
    assert isinstance(effect, Penalise)
    assert effect.disconnect
    assert not at.pool.waiting
    assert at.pool.check((forged,), at.chain.state)


def test_bytes_that_are_no_evidence_are_a_fault() -> None:
    at = Setting()
    (effect,) = at.pool.received(PEER, b"\x0a\x01x", at.chain.state)
    assert isinstance(effect, Penalise)


def test_evidence_twice_in_a_block_is_refused() -> None:
    at = Setting()
    assert "repeated" in (at.pool.check((at.evidence(), at.evidence()), at.chain.state) or "")


def test_expired_evidence_is_refused_and_dropped_when_both_ages_have_passed() -> None:
    at = Setting()
    params = ConsensusParams(evidence_max_age_blocks=1, evidence_max_age_ns=10**9)
    at.pool.accuse(*at.votes, at.chain.state)
    old = replace(at.chain.state, params=params)
    assert "expired" in (at.pool.check((at.evidence(),), old) or "")
    assert at.pool.pick(old) == ()
    young = replace(old, params=replace(params, evidence_max_age_ns=10**15))
    assert at.pool.check((at.evidence(),), young) is None
    at.pool.committed((), old)
    assert not at.pool.waiting


def test_a_block_takes_as_much_evidence_as_may_stand_in_it() -> None:
    at = Setting()
    for vote in at.more[:5]:
        at.pool.accuse(at.votes[0], vote, at.chain.state)
    size = max([len(record.evidence) for record in at.pool.live_records()]) + 10
    small = replace(at.chain.state, params=ConsensusParams(evidence_max_bytes=2 * size))
    picked = at.pool.pick(small)
    assert len(picked) == 2
    assert at.pool.check(picked, small) is None
    assert "bytes of evidence" in (at.pool.check(at.pool.pick(at.chain.state), small) or "")


def test_a_traitor_cannot_fill_the_pool() -> None:
    at = Setting()
    for vote in at.more:
        at.pool.accuse(at.votes[0], vote, at.chain.state)
    assert len(at.pool.live_records()) == PENDING_PER_VALIDATOR_MAX


def test_a_node_without_the_history_cannot_judge() -> None:
    at = Setting()
    evidence = at.evidence()
    at.history.lowest = 2
    with pytest.raises(HistoryMissing):
        at.pool.check((evidence,), at.chain.state)
    assert at.pool.received(PEER, wrapped(evidence), at.chain.state) == []


def test_the_journal_brings_pending_evidence_back() -> None:
    at = Setting()
    at.pool.accuse(*at.votes, at.chain.state)
    again = EvidencePool(at.history, verify)
    again.restore(at.pool.live_records())
    assert again.pick(at.chain.state) == at.pool.pick(at.chain.state)


def test_accusations_that_wait_for_their_block_are_bounded() -> None:
    at = Setting(heights=0)
    for _ in range(PENDING_MAX + 5):
        assert at.pool.accuse(*at.votes, at.chain.state) == []
    assert len(at.pool._accusations) == PENDING_MAX
    at.chain.grow(1)
    # All are of one double vote: it becomes evidence once.
    effects = at.pool.committed((), at.chain.state)
    assert len([effect for effect in effects if isinstance(effect, Append)]) == 1


def test_an_accusation_of_a_height_that_is_forgotten_accuses_nobody() -> None:
    at = Setting()
    at.history.lowest = 2
    assert at.pool.accuse(*at.votes, at.chain.state) == []
    assert not at.pool.waiting
    assert at.pool._accusations == []


def test_e2_evidence_of_a_height_that_is_not_decided_stands_in_no_block() -> None:
    at = Setting()
    early = replace(
        at.evidence(),
        vote_a=replace(at.evidence().vote_a, height=4),
        vote_b=replace(at.evidence().vote_b, height=4),
    )
    assert at.pool.check((early,), at.chain.state) == "evidence of height 4, which is not decided"
