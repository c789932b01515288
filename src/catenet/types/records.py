"""Records of the journal (consensus.md 4): what a node must find again after a crash.

A record is appended before what depends on it leaves the node. `wire/records.py` gives them bytes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from catenet.chain.commit import Commit
from catenet.chain.vote import Vote
from catenet.types.application import BlockOutcome
from catenet.types.batch import Batch, Compact
from catenet.types.ids import Address
from catenet.types.messages import ProposalMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteRecord:
    """An own vote, signed."""

    vote: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalRecord:
    """An own proposal, signed, with its block."""

    proposal: ProposalMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class PolkaRecord:
    """The polka behind a lock or a valid value, with the block it is for."""

    votes: tuple[Vote, ...]
    compact: Compact


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCertRecord:
    """Precommits for anything with more than two thirds: their round is over."""

    votes: tuple[Vote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """A batch, own or foreign."""

    author: Address
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRecord:
    """A decided block and the commit that decided it."""

    height: int
    compact: Compact
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedRecord:
    """What executing a height gave."""

    height: int
    outcome: BlockOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRecord:
    """Blocks, index and application state up to `height` are durable elsewhere."""

    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IncarnationRecord:
    """The incarnation of the own batch stream from here on."""

    incarnation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RejoinRecord:
    """Sign only above this height: what was signed before is not known any more."""

    height: int
    """0: not known yet; nothing is signed until others have said where they are. The newest record counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkRecord:
    """The operator had this home sign again without knowing all that it signed: earlier bars are void.

    So is what was recorded before of heights above `height`: their blocks are lost, and are made again.
    """

    height: int
    """The height that is decided next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRecord:
    """Evidence that waits for a block: the bytes of one `Evidence`."""

    evidence: bytes


Record = (
    VoteRecord
    | ProposalRecord
    | PolkaRecord
    | RoundCertRecord
    | BatchRecord
    | CommitRecord
    | ExecutedRecord
    | CheckpointRecord
    | IncarnationRecord
    | RejoinRecord
    | ForkRecord
    | EvidenceRecord
)


def standing(records: Iterable[Record]) -> list[Record]:
    """Return the records of a journal without those that a `ForkRecord` after them made void."""
    kept: list[Record] = []
    for record in records:
        if isinstance(record, ForkRecord):
            kept = [earlier for earlier in kept if _outlives(earlier, record)]
        kept.append(record)
    return kept


def _outlives(record: Record, fork: ForkRecord) -> bool:
    match record:
        case VoteRecord(vote=vote):
            return vote.height <= fork.height
        case ProposalRecord(proposal=proposal):
            return proposal.signed.height <= fork.height
        case PolkaRecord(votes=votes) | RoundCertRecord(votes=votes):
            return votes[0].height <= fork.height
        case CommitRecord(height=height) | ExecutedRecord(height=height) | CheckpointRecord(height=height):
            return height < fork.height
        case RejoinRecord() | ForkRecord():
            return False
        case BatchRecord() | IncarnationRecord() | EvidenceRecord():
            return True
        case _:
            assert_never(record)
