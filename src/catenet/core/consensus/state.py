"""The state of one height (consensus.md 2.1): one object, made anew per height, dropped with it.

Nothing here is carried over, so no flag of a height can outlive it. What changes it are the rules.
"""

from dataclasses import dataclass
from enum import IntEnum

from catenet.chain.commit import BlockID, Commit
from catenet.chain.validators import Validator, ValidatorSet
from catenet.chain.vote import Proposal, SignTemplate, Vote, VoteType, vote_template
from catenet.core.consensus.blocks import BlockEntry, BlockTable
from catenet.core.consensus.votes import Polka, RoundCert, VoteBook, commit_of
from catenet.types.assembly import BlockAssembler
from catenet.types.ids import Address
from catenet.types.messages import ProposalMessage

ROUNDS_AHEAD = 4
"""Votes and proposals of rounds further ahead only tell where their validator is (G4, G7)."""
ROUNDS_BACK = 8
"""Votes of rounds further back are dropped (T1)."""


class Step(IntEnum):
    """Where a node stands within a round; the numbers are those of `Status`."""

    PROPOSE = 1
    PREVOTE = 2
    PRECOMMIT = 3


@dataclass(frozen=True, slots=True)
class RoundValue:
    """A block id with the round that gave it its meaning: `locked` and `valid` of the paper."""

    round: int
    block_id: BlockID


class LastCommit:
    """Precommits of the height before, in its deciding round: they still grow (consensus.md 2.6)."""

    def __init__(
        self, *, commit: Commit, validators: ValidatorSet, block_time_ns: int, votes: list[Vote | None]
    ) -> None:
        self.height = commit.height
        self.round = commit.round
        self.block_id = commit.block_id
        self.validators = validators
        self.block_time_ns = block_time_ns
        self.votes = votes
        """Verified, by index."""
        self.parked: dict[int, Vote] = {}
        """Late and not verified: whoever builds a block verifies them first."""

    @property
    def complete(self) -> bool:
        """Whether no precommit is missing."""
        return all(vote is not None or index in self.parked for index, vote in enumerate(self.votes))

    def park(self, vote: Vote) -> None:
        """Keep a late precommit until somebody needs it."""
        if self.votes[vote.index] is None:
            self.parked.setdefault(vote.index, vote)

    def build(self) -> Commit:
        """Return the commit for the next block."""
        return commit_of(
            self.votes,
            height=self.height,
            round=self.round,
            block_id=self.block_id,
            block_time_ns=self.block_time_ns,
        )


class HeightState:
    """Everything that is known and done at one height."""

    def __init__(
        self,
        *,
        chain_id: str,
        height: int,
        first: bool,
        validators: ValidatorSet,
        address: Address | None,
        last_time_ns: int,
        last_commit: LastCommit | None,
        assembler: BlockAssembler,
        now_us: int,
    ) -> None:
        self.chain_id = chain_id
        self.height = height
        self.first = first
        """The chain's first height."""
        self.validators = validators
        self.index = None if address is None else validators.index_of(address)
        """My place in the set; None: I only follow (G10)."""
        self.last_time_ns = last_time_ns
        """Time of the block of the height before."""
        self.last_commit = last_commit
        self.entered_us = now_us

        self.round = 0
        self.step = Step.PROPOSE
        self.ready = False
        """The block of the height before is executed."""
        self.due = False
        """There is a reason for a block (2.7)."""
        self.locked: RoundValue | None = None
        self.valid: RoundValue | None = None
        self.votes = VoteBook(validators)
        self.polkas: dict[int, Polka] = {}
        self.proposals: dict[int, Proposal] = {}
        """The first verified one of each round."""
        self.blocks = BlockTable(assembler)
        self.round_cert: RoundCert | None = None
        """Of the highest round known."""
        self.certificates: dict[BlockID, Commit] = {}
        """Commits that were received whole and verified (2.5)."""

        self.mine: dict[tuple[int, VoteType], Vote] = {}
        """My votes, from `Sign` on: with these, `locked` and `valid` the safety state."""
        self.mine_proposals: dict[int, ProposalMessage] = {}

        # What happens once per round: the newest round in which it did. Rounds only grow.
        self.entered_round = -1
        self.prevote_timer_round = -1
        self.precommit_timer_round = -1
        self.polka_round = -1
        self.built_round = -1
        self.interval_round = -1
        self.logged_cert_round = -1

        self.accused: set[tuple[int, int, VoteType]] = set()
        self._proposers: dict[int, Validator] = {}
        self._templates: dict[tuple[VoteType, int, BlockID], SignTemplate] = {}

    def proposer(self, round: int) -> Validator:
        """Return who may propose in a round."""
        member = self._proposers.get(round)
        if member is None:
            member = self._proposers[round] = self.validators.proposer_at(round)
        return member

    def sign_bytes(self, vote: Vote) -> bytes:
        """Return what a vote of this height signs; votes for one thing share all but the time."""
        key = (vote.type, vote.round, vote.block_id)
        template = self._templates.get(key)
        if template is None:
            if len(self._templates) > 1024:
                self._templates.clear()
            template = self._templates[key] = vote_template(
                self.chain_id, type=vote.type, height=self.height, round=vote.round, block_id=vote.block_id
            )
        return template.at(vote.time_ns)

    @property
    def valid_round(self) -> int:
        """Round of the newest valid value; -1: none."""
        return -1 if self.valid is None else self.valid.round

    @property
    def locked_round(self) -> int:
        """Round of the lock; -1: none."""
        return -1 if self.locked is None else self.locked.round

    def start_anew(self) -> None:
        """Forget which timers of this round were set and what was asked for: it may have ended unheard."""
        self.entered_round = self.prevote_timer_round = self.precommit_timer_round = -1
        self.built_round = self.interval_round = -1

    def proposed_entry(self) -> BlockEntry | None:
        """Return what is known of the block that is proposed in this round."""
        proposal = self.proposals.get(self.round)
        return None if proposal is None else self.blocks.get(proposal.block_id)

    def count(self, vote: Vote) -> Vote | None:
        """Count a verified vote, and form its round's polka; return the vote that holds its place, if any."""
        held = self.votes.add(vote)
        if held is None and vote.type is VoteType.PREVOTE and vote.round not in self.polkas:
            votes = self.votes.of(vote.round, VoteType.PREVOTE)
            if votes is not None and votes.quorum is not None:
                chosen = votes.those_for(votes.quorum)
                self.set_polka(Polka(round=vote.round, block_id=votes.quorum, votes=chosen))
        return held

    def set_polka(self, polka: Polka) -> bool:
        """Keep a polka of a round that matters; at most one can exist per round. Say whether it is news."""
        if polka.round in self.polkas or not self._matters(polka):
            return False
        self.polkas[polka.round] = polka
        if not polka.block_id.is_nil:
            self.blocks.name(polka.block_id)
        return True

    def _matters(self, polka: Polka) -> bool:
        """Whether T4, T6 or T6b could use a polka; a hidden lock may be any number of rounds old."""
        return (
            polka.round >= self.round - ROUNDS_BACK
            or (polka.round > self.valid_round and not polka.block_id.is_nil)
            or any(proposal.pol_round == polka.round for proposal in self.proposals.values())
        )

    def forget_old_rounds(self) -> None:
        """Drop what rounds that are over leave behind (T1), and keep what may still be needed."""
        self.votes.forget_below(self.round - ROUNDS_BACK)
        self.proposals = {round: p for round, p in self.proposals.items() if round >= self.round}
        self.polkas = {
            round: polka
            for round, polka in self.polkas.items()
            if self._matters(polka) or round in (self.valid_round, self.locked_round)
        }
        self.blocks.trim(self.pinned_blocks())

    def pinned_blocks(self) -> set[BlockID]:
        """Return the ids whose content must stay: locked, valid, own, proposed, decided elsewhere."""
        pinned = {value.block_id for value in (self.locked, self.valid) if value is not None}
        pinned.update([message.signed.block_id for message in self.mine_proposals.values()])
        pinned.update([proposal.block_id for proposal in self.proposals.values()])
        pinned.update(self.votes.precommit_quorums.values())
        pinned.update(self.certificates)
        return pinned
