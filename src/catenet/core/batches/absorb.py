"""A whole block as a compact one: its transactions become batches of nobody. All that follows is the same."""

from catenet.chain.block import Block, encode_txs
from catenet.chain.encoding import DecodeError
from catenet.chain.evidence import encode_list
from catenet.chain.state import InvalidBlock, check_contents
from catenet.core.batches.author import split_payloads
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.store import Held, unpack
from catenet.types.batch import Batch, Compact, Ref

NOBODY = bytes(20)
"""The author of batches that are cut out of a block: no key has this address, so nobody can push them."""


def absorb(block_hash: bytes, raw: bytes, config: BatchConfig) -> tuple[Compact, list[Held]] | None:
    """Return a compact form of a block's bytes and the batches that it names.

    None when they are not the block of that hash with all that its header names: what a peer made up must
    not become transactions that wait here.
    """
    try:
        block = Block.decode(raw)
        if block.header.hash() != block_hash:
            return None
        check_contents(block)
    except (DecodeError, InvalidBlock):
        return None
    batches: list[Held] = []
    for number, txs in enumerate(split_payloads(block.txs, config.seal_bytes), 1):
        batch = Batch(incarnation=block.header.height, seq=number, payload=encode_txs(txs))
        held = unpack(NOBODY, batch, config)
        if held is None:
            return None
        batches.append(held)
    compact = Compact(
        header=block.header.encode(),
        last_commit=block.last_commit.encode(),
        evidence=encode_list(block.evidence),
        manifest=tuple([Ref(digest=held.digest) for held in batches]),
    )
    return compact, batches
