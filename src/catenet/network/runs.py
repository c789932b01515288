"""Cuts stored blocks into runs that fit gRPC's messages (S1). Whoever asks is checked elsewhere."""

import asyncio
from collections.abc import AsyncIterator

from catenet.types.errors import InvalidInput, NotFound, PastTip
from catenet.types.ports import BlockReader, BlockRun, StoredBlock
from catenet.wire.convert import RUN_BLOCKS_MAX
from catenet.wire.grpc_server import MESSAGE_BYTES_MAX

RUN_BYTES = 1024 * 1024
"""A run is sent once it holds so much; the last block may make it longer, up to gRPC's limit."""

FRAMING_BYTES = 16
"""At most what a block costs in a message besides its bytes."""

COMMIT_BYTES = 256 * 1024
"""Kept free in a message for the commit of its last block: 2,000 validators."""

FOLLOW_PAUSE_S = 0.1


async def runs(
    reader: BlockReader, *, first: int, last: int, bytes_max: int, follow: bool
) -> AsyncIterator[BlockRun]:
    """Yield blocks `first..last` in runs, each with the commit of its last block.

    `last` 0 or above the head means the head; no run begins after `bytes_max` bytes. With `follow` it goes on
    with each new block, without a bound. Raises `InvalidInput`, `NotFound`, `PastTip`.
    """
    if first < 1 or (last and last < first):
        raise InvalidInput(f"blocks {first} to {last}")
    if first < reader.lowest:
        raise NotFound(f"block {first} is pruned here, the lowest height kept is {reader.lowest}")
    if first > reader.head and not follow:
        raise PastTip(f"block {first} is beyond the head, which is {reader.head}")
    left, height = bytes_max, first
    while follow or left > 0:
        stop = min(last or reader.head, reader.head)
        if height <= stop:
            blocks = _collect(reader, height, stop, bytes_max=RUN_BYTES if follow else min(left, RUN_BYTES))
            raw = [block.raw for block in blocks]
            yield BlockRun(first=height, blocks=raw, commit=blocks[-1].commit.encode())
            left -= sum([len(block) for block in raw])
            height += len(raw)
        elif follow and (not last or height <= last):
            await asyncio.sleep(FOLLOW_PAUSE_S)
        else:
            return


def _collect(reader: BlockReader, first: int, last: int, *, bytes_max: int) -> list[StoredBlock]:
    """Read blocks from `first` on until `bytes_max` is reached; one is always taken."""
    blocks: list[StoredBlock] = []
    size = 0
    for height in range(first, min(last, first + RUN_BLOCKS_MAX - 1) + 1):
        block = reader.block(height)
        if block is None:
            break
        grown = size + len(block.raw) + FRAMING_BYTES
        if blocks and grown > MESSAGE_BYTES_MAX - COMMIT_BYTES:
            break
        blocks.append(block)
        size = grown
        if size >= bytes_max:
            break
    if not blocks:
        raise NotFound(f"block {first} is not here, the lowest height kept is {reader.lowest}")
    return blocks
