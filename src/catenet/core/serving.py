"""Answering a peer's fetch (D7, G5): batches from the pool, blocks from consensus or the store. Pure."""

from catenet.core.batches.machine import Batches
from catenet.core.consensus.machine import Consensus
from catenet.types.messages import Found, FoundBlock, FoundCompact, Wanted
from catenet.types.ports import BlockReader

BLOCKS_MAX = 16
"""Blocks looked at for one fetch: as many as a node keeps of one height (consensus.md 3, bounds)."""


def serve(wanted: Wanted, batches: Batches, consensus: Consensus, reader: BlockReader) -> tuple[Found, ...]:
    """Return what of the wanted is here. Whoever holds it answers; the asker checks by hash."""
    found: list[Found] = [*batches.serve(wanted.digests)]
    for block_hash in wanted.block_hashes[:BLOCKS_MAX]:
        entries = consensus.state.blocks.with_hash(block_hash)
        compacts = [entry.compact for entry in entries if entry.compact is not None]
        if compacts:
            found.extend([FoundCompact(block_hash=block_hash, compact=compact) for compact in compacts])
            continue
        height = reader.height_of(block_hash)
        stored = None if height is None else reader.block(height)
        if stored is not None:
            found.append(FoundBlock(block_hash=block_hash, block=stored.raw, commit=stored.commit))
    return tuple(found)
