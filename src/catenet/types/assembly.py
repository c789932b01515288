"""Blocks put together from compact blocks and batches: what the consensus machine asks of the batch pool.

The pool implements `BlockAssembler`; consensus is handed it and never sees the pool (consensus.md 1, 2.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from catenet.chain.block import Block
from catenet.chain.commit import BlockID
from catenet.types.batch import Compact
from catenet.types.ids import Digest, TxId


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A block rebuilt from a compact block: all of its batches are here."""

    block: Block
    raw: bytes
    """The block's proto bytes."""
    block_id: BlockID
    """Computed from `raw`; compare it with the id that was signed: a manifest does not bind it."""
    tx_ids: Sequence[TxId]
    """sha256 of each transaction, in order."""
    data_hash: bytes
    """Merkle root over `tx_ids`, to compare with `header.data_hash` without hashing transactions again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Batches that are named and not here: the block is PENDING."""

    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The compact block breaks a rule of manifests (2.4) or does not parse: it says nothing of its id."""

    reason: str


Assembly = Assembled | Missing | Broken


class BlockAssembler(Protocol):
    """Puts blocks together from what is here."""

    def assemble(self, compact: Compact) -> Assembly:
        """Rebuild the block of a compact block. Cheap to ask again: answers are cached for the height."""
        ...
