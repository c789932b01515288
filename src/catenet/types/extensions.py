"""What an application may have besides `Application`: vote extensions and snapshots.

An application has them when its class has the methods; nothing is subclassed. Catenet's own node asks for
neither: they are for an application that runs under CometBFT (`catenet abci serve`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

from catenet.types.application import CommitInfo, Misbehavior


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendVote:
    """The block that this validator is about to precommit."""

    txs: Sequence[bytes]
    last_commit: CommitInfo
    misbehavior: tuple[Misbehavior, ...]
    hash: bytes
    height: int
    time_ns: int
    next_validators_hash: bytes
    proposer_address: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyVoteExtension:
    """Another validator's extension."""

    hash: bytes
    validator_address: bytes
    height: int
    vote_extension: bytes


@runtime_checkable
class VoteExtensions(Protocol):
    """Adds bytes of the application to precommits; the next proposer sees them in `prepare_proposal`."""

    def extend_vote(self, request: ExtendVote) -> bytes:
        """Return what this validator adds; need not be deterministic."""
        ...

    def verify_vote_extension(self, request: VerifyVoteExtension) -> bool:
        """Accept or refuse another validator's extension; deterministic."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A copy of the state after a height, in numbered chunks."""

    height: int
    format: int
    chunks: int
    hash: bytes
    metadata: bytes = b""


class OfferResult(IntEnum):
    """What becomes of a snapshot that was offered."""

    ACCEPT = 1
    ABORT = 2
    REJECT = 3
    REJECT_FORMAT = 4
    REJECT_SENDER = 5


class ChunkResult(IntEnum):
    """What became of a chunk."""

    ACCEPT = 1
    ABORT = 2
    RETRY = 3
    RETRY_SNAPSHOT = 4
    REJECT_SNAPSHOT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkOutcome:
    """What became of a chunk, which ones to ask for again, and who sends no good ones."""

    result: ChunkResult = ChunkResult.ACCEPT
    refetch_chunks: tuple[int, ...] = ()
    reject_senders: tuple[str, ...] = ()


@runtime_checkable
class Snapshots(Protocol):
    """Gives and takes copies of the state, so that a new node need not execute all blocks."""

    def list_snapshots(self) -> Sequence[Snapshot]:
        """Return the snapshots that are here."""
        ...

    def load_snapshot_chunk(self, height: int, format: int, chunk: int) -> bytes:
        """Return one chunk of a snapshot."""
        ...

    def offer_snapshot(self, snapshot: Snapshot, app_hash: bytes) -> OfferResult:
        """Take or refuse a snapshot; `app_hash` is what the chain says of its height."""
        ...

    def apply_snapshot_chunk(self, index: int, chunk: bytes, sender: str) -> ChunkOutcome:
        """Take one chunk, in order; after the last one the application is at the snapshot's height."""
        ...
