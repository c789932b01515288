"""Counting votes of one height: quorums by power, polkas, round certificates, equivocation.

Everything here is arithmetic over verified votes. Nothing is sent, signed or decided.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catenet.chain.commit import ABSENT, NIL, BlockID, Commit, CommitSig, Flag
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType

PREVOTE = VoteType.PREVOTE
PRECOMMIT = VoteType.PRECOMMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Polka:
    """Prevotes of one round, all for one id or all nil, with more than two thirds of the power."""

    round: int
    block_id: BlockID
    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCert:
    """Precommits of one round for anything, with more than two thirds of the power: it is over soon."""

    round: int
    votes: tuple[Vote, ...]


class RoundVotes:
    """The votes of one round and type: the first one of each validator."""

    __slots__ = ("by_index", "power", "power_of", "quorum")

    def __init__(self, validators: int) -> None:
        self.by_index: list[Vote | None] = [None] * validators
        self.power = 0
        """Of all who voted, whatever for."""
        self.power_of: dict[BlockID, int] = {}
        self.quorum: BlockID | None = None
        """What has more than two thirds; NIL for nil; None as long as nothing has."""

    def present(self) -> tuple[Vote, ...]:
        """Return the votes in set order."""
        return tuple([vote for vote in self.by_index if vote is not None])

    def those_for(self, block_id: BlockID) -> tuple[Vote, ...]:
        """Return the votes for one id, in set order."""
        return tuple([vote for vote in self.by_index if vote is not None and vote.block_id == block_id])


class VoteBook:
    """All votes of one height that count."""

    __slots__ = ("_rounds", "_validators", "heard_power", "max_round", "precommit_quorums", "top_round")

    def __init__(self, validators: ValidatorSet) -> None:
        self._validators = validators
        self._rounds: dict[tuple[int, VoteType], RoundVotes] = {}
        self.max_round = [-1] * len(validators)
        """By index: the highest round of any verified vote or proposal of that validator."""
        self.top_round = -1
        """The highest of `max_round`."""
        self.heard_power = 0
        """Of the validators that were heard of at all."""
        self.precommit_quorums: dict[int, BlockID] = {}
        """Round to the id, not nil, that has more than two thirds of the precommits."""

    def note_round(self, index: int, round: int) -> None:
        """Remember that a validator was in a round (T10)."""
        old = self.max_round[index]
        if round > old:
            self.max_round[index] = round
            self.top_round = max(self.top_round, round)
            if old < 0:
                self.heard_power += self._validators.validators[index].power

    def add(self, vote: Vote) -> Vote | None:
        """Count a verified vote; return the vote that holds its place instead when there is one.

        First-vote rule: a second, different vote of one step is never counted.
        """
        key = (vote.round, vote.type)
        votes = self._rounds.get(key)
        if votes is None:
            votes = self._rounds[key] = RoundVotes(len(self._validators))
        held = votes.by_index[vote.index]
        if held is not None:
            return held
        votes.by_index[vote.index] = vote
        power = self._validators.validators[vote.index].power
        votes.power += power
        votes.power_of[vote.block_id] = total = votes.power_of.get(vote.block_id, 0) + power
        if votes.quorum is None and self._validators.two_thirds(total):
            votes.quorum = vote.block_id
            if vote.type is PRECOMMIT and not vote.is_nil:
                self.precommit_quorums[vote.round] = vote.block_id
        self.note_round(vote.index, vote.round)
        return None

    def of(self, round: int, type: VoteType) -> RoundVotes | None:
        """Return the votes of a round and type."""
        return self._rounds.get((round, type))

    def held(self, round: int, type: VoteType, index: int) -> Vote | None:
        """Return the vote of one validator."""
        votes = self._rounds.get((round, type))
        return None if votes is None else votes.by_index[index]

    def two_any(self, round: int, type: VoteType) -> bool:
        """Whether votes of more than two thirds are here, whatever for."""
        votes = self._rounds.get((round, type))
        return votes is not None and self._validators.two_thirds(votes.power)

    def skip_round(self, above: int) -> int | None:
        """Return the largest round above `above` that a third has reached (T10)."""
        if self.top_round <= above:
            return None
        power = 0
        for round, index in sorted(
            [(round, index) for index, round in enumerate(self.max_round)], reverse=True
        ):
            power += self._validators.validators[index].power
            if round <= above:
                return None
            if self._validators.third(power):
                return round
        return None

    def bitmap(self, round: int, type: VoteType) -> bytes:
        """Return who voted, as `Status` says it."""
        bits = bytearray((len(self._validators) + 7) // 8)
        votes = self._rounds.get((round, type))
        if votes is not None:
            for index, vote in enumerate(votes.by_index):
                if vote is not None:
                    bits[index // 8] |= 1 << index % 8
        return bytes(bits)

    def forget_below(self, round: int) -> None:
        """Drop the votes of rounds below `round`, but those that decide."""
        for key in [key for key in self._rounds if key[0] < round and key[0] not in self.precommit_quorums]:
            del self._rounds[key]


def has_bit(bitmap: bytes, index: int) -> bool:
    """Whether a `Status` bitmap names a validator."""
    return index // 8 < len(bitmap) and bool(bitmap[index // 8] >> index % 8 & 1)


def polka_in(votes: Iterable[Vote], validators: ValidatorSet) -> Polka | None:
    """Return the polka within prevotes of one round and distinct validators, or None."""
    powers: dict[BlockID, int] = {}
    by_id: dict[BlockID, list[Vote]] = {}
    for vote in votes:
        powers[vote.block_id] = powers.get(vote.block_id, 0) + validators.validators[vote.index].power
        by_id.setdefault(vote.block_id, []).append(vote)
    for block_id, power in powers.items():
        if validators.two_thirds(power):
            chosen = tuple(by_id[block_id])
            return Polka(round=chosen[0].round, block_id=block_id, votes=chosen)
    return None


def power_of(votes: Iterable[Vote], validators: ValidatorSet) -> int:
    """Return the power behind votes of distinct validators."""
    return sum([validators.validators[vote.index].power for vote in votes])


def eligible(vote: Vote, *, block_id: BlockID, block_time_ns: int) -> bool:
    """Whether a precommit counts for deciding a block (consensus.md 2.5): later than the block's own time."""
    return vote.block_id == block_id and vote.time_ns > block_time_ns


def commit_of(
    votes: Sequence[Vote | None], *, height: int, round: int, block_id: BlockID, block_time_ns: int
) -> Commit:
    """Return the commit that precommits of one round make, one entry per validator.

    Ineligible precommits and those for another block are left out, nil ones stay (2.5).
    """
    return Commit(
        height=height,
        round=round,
        block_id=block_id,
        signatures=tuple([_entry(vote, block_id, block_time_ns) for vote in votes]),
    )


def _entry(vote: Vote | None, block_id: BlockID, block_time_ns: int) -> CommitSig:
    if vote is None:
        return ABSENT
    if vote.block_id == NIL:
        flag = Flag.NIL
    elif eligible(vote, block_id=block_id, block_time_ns=block_time_ns):
        flag = Flag.COMMIT
    else:
        return ABSENT
    return CommitSig(flag=flag, address=vote.address, time_ns=vote.time_ns, signature=vote.signature)


def committed_power(commit: Commit, validators: ValidatorSet, block_time_ns: int) -> int:
    """Return the power of a commit's eligible entries for its block."""
    return sum(
        [
            member.power
            for member, entry in zip(validators.validators, commit.signatures, strict=True)
            if entry.flag is Flag.COMMIT and entry.time_ns > block_time_ns
        ]
    )
