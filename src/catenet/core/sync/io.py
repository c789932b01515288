"""What block sync says besides effects, and its configuration. Plain values."""

from dataclasses import dataclass

from catenet.chain.block import Block
from catenet.chain.commit import BlockID, Commit
from catenet.types.effects import Effect
from catenet.types.ids import TxId


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncConfig:
    """Bounds and delays of block sync (S2)."""

    range_blocks: int = 32
    """Blocks asked for in one request, at most."""
    range_bytes: int = 8 * 1024 * 1024
    """The same in bytes, by the average of the blocks seen."""
    peers: int = 4
    """Peers asked in parallel."""
    ahead_blocks: int = 128
    """Blocks above the executed head that are held, at most."""
    tick_us: int = 250_000
    """How often deadlines are looked at."""
    patience_us: int = 400_000
    """After so long without a block a range may be asked of another peer, too."""
    stall_first_us: int = 3_000_000
    """How long a peer may give nothing before its rate is known."""
    stall_min_us: int = 1_000_000
    """Shortest deadline of a peer whose rate is known; the longest is `stall_first_us`."""
    held_bytes: int = 64 * 1024 * 1024
    """Bytes of blocks above the executed head that are asked for, by the average of the blocks seen."""
    cut_us: int = 600_000_000
    """S2: for so long a peer that was cut is not heard."""
    wrong_blocks: int = 3
    """S2: a peer that gave so many wrong blocks is cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncedBlock:
    """A verified block and the commit for it."""

    block: Block
    raw: bytes
    block_id: BlockID
    tx_ids: tuple[TxId, ...]
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """A verified run, to be executed in order; then say `on_applied`.

    Content, chain of hashes and one commit for the last block are verified (S3): signatures of the last
    commits inside need no verification again. App and results hashes are checked while executing: a mismatch
    is a Halt, never a peer's lie (S4).
    """

    blocks: tuple[SyncedBlock, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """Everything that peers prove to have is executed, up to the last block or the one before (G9)."""

    last_commit: Commit | None
    """Of the newest block, when this sync brought it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What one peer claimed is true (G9): a verified commit shows that others are ahead. Begin to sync."""

    height: int
    """Of the newest block that is verified."""


Output = Effect | Apply | Caught | Proven
