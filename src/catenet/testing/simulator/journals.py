"""Invariant 9 of consensus.md 10.2: nothing leaves before its records. What each node has appended, by name.

That appended records are durable before effects leave is the business of outbox and disk; here it is checked
that they were appended at all, and before.
"""

from typing import assert_never

from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.types.batch import Batch
from catenet.types.ids import Address
from catenet.types.records import (
    BatchRecord,
    CheckpointRecord,
    CommitRecord,
    EvidenceRecord,
    ExecutedRecord,
    ForkRecord,
    IncarnationRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
)

Name = tuple[str | int | bytes, ...]


class Journals:
    """The journals of all nodes, as names of what is in them."""

    def __init__(self) -> None:
        self._names: dict[Address, set[Name]] = {}
        self._lost: set[Address] = set()

    def opened(self, node: Address, *, lost: bool = False) -> None:
        """A node begins a life; what its journal holds follows as `appended`.

        A lost journal was there before: what left then was recorded, and may be said again by anybody.
        """
        if lost:
            self._lost.add(node)
        if node not in self._lost:
            self._names[node] = set()
        self._names.setdefault(node, set())

    def appended(self, node: Address, record: Record) -> None:
        """A record is in a node's journal, or about to be."""
        name = _name_of(record)
        if name:
            self._names[node].add(name)

    def lacks_vote(self, vote: Vote) -> bool:
        """Whether the signer of a vote that leaves it did not record it, or the polka behind a lock."""
        names = self._names[vote.address]
        if _vote(vote) not in names:
            return True
        locks = vote.type is VoteType.PRECOMMIT and not vote.is_nil
        return locks and _polka(vote) not in names

    def lacks_proposal(self, proposer: Address, proposal: Proposal) -> bool:
        """Whether the proposer of a proposal that leaves it did not record it."""
        return _proposal(proposal) not in self._names[proposer]

    def lacks_batch(self, author: Address, batch: Batch) -> bool:
        """Whether the author of a batch that leaves it did not record it."""
        return ("batch", author, batch.incarnation, batch.seq) not in self._names[author]

    def lacks_outcome(self, node: Address, height: int) -> bool:
        """Whether a node commits a height without having recorded what executing it gave."""
        return ("executed", height) not in self._names[node]


def _vote(vote: Vote) -> Name:
    return ("vote", vote.height, vote.round, int(vote.type), vote.block_id.hash, vote.time_ns)


def _polka(vote: Vote) -> Name:
    return ("polka", vote.height, vote.round, vote.block_id.hash)


def _proposal(proposal: Proposal) -> Name:
    return ("proposal", proposal.height, proposal.round, proposal.block_id.hash, proposal.time_ns)


def _name_of(record: Record) -> Name:
    match record:
        case VoteRecord(vote=vote):
            return _vote(vote)
        case ProposalRecord(proposal=proposal):
            return _proposal(proposal.signed)
        case PolkaRecord(votes=votes):
            return _polka(votes[0])
        case BatchRecord(author=author, batch=batch):
            return ("batch", author, batch.incarnation, batch.seq)
        case ExecutedRecord(height=height):
            return ("executed", height)
        case (
            CommitRecord()
            | RoundCertRecord()
            | CheckpointRecord()
            | IncarnationRecord()
            | RejoinRecord()
            | ForkRecord()
            | EvidenceRecord()
        ):
            return ()
        case _:
            assert_never(record)
