"""Blocks as the public services give them out."""

from catenet.chain.block import split_txs
from catenet.chain.encoding import fields
from catenet.types.errors import NotFound
from catenet.types.ports import BlockReader, StoredBlock
from catenet.wire.seed import blockchain_pb2 as seed

DATA_FIELD = 2
"""Of the block's proto message: `Data{txs}`."""


def block_txs(raw: bytes) -> list[bytes]:
    """Return the transactions of a stored block, in the order they were executed."""
    for number, _, value in fields(raw):
        if number == DATA_FIELD and isinstance(value, bytes):
            return split_txs(value)
    return []


def stored_block(reader: BlockReader, height: int) -> StoredBlock:
    """Return the block of a height that is not above the tip. Raises `NotFound` when it is pruned."""
    stored = reader.block(height)
    if stored is None:
        raise NotFound(f"block {height} is not kept here: the lowest height is {reader.lowest}")
    return stored


def block_response(stored: StoredBlock, *, raw: bool) -> seed.BlockResponse:
    """Return a block as the reference's message: with its transactions, or as its stored bytes."""
    head = seed.BlockResponse(hash=stored.block_id.hash, height=stored.height)
    if raw:
        head.block = stored.raw
        head.commit = stored.commit.encode()
    else:
        head.transactions.extend(block_txs(stored.raw))
    return head
