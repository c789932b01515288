"""What peers say to each other once a connection is proven (consensus.md 9), as plain values.

`wire/convert.py` turns them into frames and back. `Hello` and `Proof` belong to `network`, not to the core.
"""

from dataclasses import dataclass

from catenet.chain.commit import Commit
from catenet.chain.vote import Proposal, Vote
from catenet.types.batch import Batch, Compact
from catenet.types.ids import Address, Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What I have: the pull that asks a peer for what I lack (G1)."""

    height: int
    round: int
    step: int
    """1 propose, 2 prevote, 3 precommit."""
    due: bool
    prevotes: bytes
    """Bitmap of prevotes held of `round`: validator i is bit `i % 8` of byte `i // 8`."""
    precommits: bytes
    proposal: bool
    valid_round: int
    """-1: none."""
    lowest: int
    """Lowest height whose block this node still serves."""
    head_hash: bytes
    """Hash of the newest decided block, at `height - 1`; empty before the first."""
    yours: bytes = b""
    """The receiver's own newest vote that the sender holds, as `Vote` bytes; empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteMessage:
    """One vote, from the validator that signed it (G8)."""

    vote: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteSet:
    """Votes of others: a polka, a round certificate, or the answer to a Status (any mix)."""

    votes: tuple[Vote, ...]
    answer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalMessage:
    """A signed proposal with its block, and the polka of its pol_round when that is >= 0 (G4)."""

    signed: Proposal
    compact: Compact
    pol: VoteSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedBlock:
    """A decided block for a peer that is one or two heights behind (G6)."""

    compact: Compact
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceMessage:
    """Evidence of a duplicate vote: the bytes of one `Evidence` (with its oneof wrapper)."""

    evidence: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMessage:
    """A batch of the sender's own (D2). Travels on BULK."""

    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """The sender's batches up to `to` are freed or expired: do not wait for them (D2). Travels on BULK."""

    to: int
    incarnation: int = 0
    """The stream that `to` is a number of; 0: the one that the receiver knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """A heartbeat: it only shows that the sender lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """Up to where this node holds the batches of `author` durably (D4), and what it will still take."""

    author: Address
    incarnation: int
    seq: int
    credit: int
    """Bytes that this node will still take from this author; 0: stop pushing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Have:
    """Tips, carried in the `have` list of any frame."""

    tips: tuple[Tip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBatch:
    """Answer to a fetch: a batch, whoever its author is. The receiver recomputes the digest."""

    author: Address
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCompact:
    """Answer to a fetch by block id: the compact block."""

    block_hash: bytes
    compact: Compact


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBlock:
    """Answer to a fetch by a holder of the decided block: the stored bytes and the commit."""

    block_hash: bytes
    block: bytes
    commit: Commit


Found = FoundBatch | FoundCompact | FoundBlock

Message = (
    Status
    | VoteMessage
    | VoteSet
    | ProposalMessage
    | CommittedBlock
    | EvidenceMessage
    | BatchMessage
    | Skip
    | Ping
    | Have
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a node asks a peer for over `Fetch`: batches by digest, blocks by hash."""

    digests: tuple[Digest, ...] = ()
    block_hashes: tuple[bytes, ...] = ()
    height: int = 0
    """The height that the block hashes belong to."""
