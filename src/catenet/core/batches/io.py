"""What the batch pool says besides effects, and its configuration. Plain values; nothing here decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from catenet.types.batch import Segment
from catenet.types.effects import Effect
from catenet.types.ids import Digest, TxId

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """Bounds and delays of dissemination (consensus.md 5.2, 5.3). Sizes in bytes, delays in microseconds."""

    seal_bytes: int = 128 * KIB
    """D1: a payload of this size is sealed at once."""
    seal_us: int = 5_000
    """D1: how long the oldest buffered transaction waits at most, without load."""
    seal_max_us: int = 50_000
    """D1: the same under load."""
    seal_gap_us: int = 1_000
    """D1: batches sealed because nothing is in flight keep this distance: one turn gives one batch."""
    tx_bytes: int = 256 * KIB
    """Largest transaction."""
    payload_bytes: int = 256 * KIB + 16
    """Largest payload: one transaction of the largest size with its framing."""
    window_batches: int = 256
    """WINDOW: unfreed batches per author."""
    window_bytes: int = 16 * MIB
    """WINDOW: unfreed payload bytes per author."""
    pipe_bytes: int = 4 * MIB
    """D2: unacknowledged bytes per peer."""
    push_stall_us: int = 2_000_000
    """D2: after so long without progress, while credit is left, pushing goes back."""
    have_us: int = 5_000
    """D4: smallest distance of standalone tips."""
    eager_us: int = 200_000
    """D5, 2.7 b: a batch of this age is offered even if few acknowledged it."""
    residue_heights: int = 8
    """D6: a proposer offers residue at most once in so many heights."""
    reseal_heights: int = 16
    """D6: the author seals its own residue anew after so many heights."""
    retain_heights: int = 16
    """D8: freed batches still serve fetches for so many heights."""
    ttl_heights: int = 1000
    """D8: a batch expires after so many committed heights and `ttl_ns` of block time, both."""
    ttl_ns: int = 600 * 10**9
    fetch_delay_us: int = 5_000
    """G5: a missing batch is asked for after this pause, since a push of it may be on its way."""
    fetch_retry_us: int = 100_000
    """G5: first pause between rounds of asking; each is half as long again, up to `fetch_retry_max_us`."""
    fetch_retry_max_us: int = 2_000_000
    fetch_patience_us: int = 200_000
    """G5: after so long without an answer a name may be asked of another peer, too."""
    fetch_digests: int = 12
    """G5: digests in one request, so that an answer stays below 4 MiB."""
    wanted: int = 8192
    """G5: digests wanted at once."""
    inline_bytes: int = 256 * KIB
    """2.4: bytes of inline transactions in one manifest."""
    segments: int = 8192
    """2.4: segments in one manifest."""
    block_bytes: int = 3 * MIB
    """2.4: no parameters allow a larger block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Batches that came in: blocks that waited for them may be assembled now."""

    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """Bytes per client of this node that left the pool: its quota is free again."""

    bytes_of: Mapping[str, int]


Output = Effect | Stored | Released


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Transactions that this node would propose, and the manifest that gives exactly them."""

    height: int
    txs: Sequence[bytes]
    ids: Sequence[TxId]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Answer of `choose`. No candidate: the application is being asked; choose again after its answer."""

    candidate: Candidate | None
    outputs: tuple[Output, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest for transactions that the application returned."""

    segments: tuple[Segment, ...]
    txs: Sequence[bytes]
    """What the manifest gives: without repetitions and without what inline bounds or the window forbid."""
    ids: Sequence[TxId]
    data_hash: bytes
    """The header's `data_hash` of these transactions."""
