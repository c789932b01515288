"""Batches: numbered runs of transactions by one author, named by content (consensus.md 1).

A batch's payload is the encoding of CometBFT's `Data{txs}`, so that joined payloads are the data of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from catenet.types.ids import Address, Digest

DIGEST_DOMAIN = b"catenet/batch/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What an author pushes to every validator: sealed, numbered, never changed."""

    incarnation: int
    """u64: which stream of numbers; a lost journal starts a higher one."""

    seq: int
    """u64, from 1: the number in the stream; never used twice."""

    payload: bytes
    """Proto bytes of `Data{txs}` (repeated field 1), never empty."""


def batch_digest(author: Address, batch: Batch) -> Digest:
    """Return the name of a batch: author, place in the stream and content."""
    head = batch.incarnation.to_bytes(8, "big") + batch.seq.to_bytes(8, "big")
    return sha256(DIGEST_DOMAIN + author + head + batch.payload).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """Segment of a manifest: a batch without the transactions at `excluded`."""

    digest: Digest
    excluded: Sequence[int] = ()
    """Indices from 0 into the batch, strictly ascending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Segment of a manifest: the transactions at `indices` of a batch, in that order."""

    digest: Digest
    indices: Sequence[int]
    """Indices from 0 into the batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inline:
    """Segment of a manifest: transactions that an application added to its proposal."""

    txs: Sequence[bytes]


Segment = Ref | Pick | Inline


@dataclass(frozen=True, slots=True, kw_only=True)
class Compact:
    """A block without its transactions: the segments' concatenation is `Data.txs`."""

    header: bytes
    """Canonical `Header`."""

    last_commit: bytes
    """Canonical `Commit` of the height before."""

    evidence: bytes
    """Canonical `EvidenceList`; empty when there is none."""

    manifest: tuple[Segment, ...]
