"""`blockchain.BlockSyncService`: blocks in order, from a height on, for as long as the caller reads."""

from collections.abc import AsyncGenerator

from catenet.api.blocks import block_response, stored_block
from catenet.api.drain import Drain
from catenet.types.errors import InvalidInput, NotFound, PastTip
from catenet.types.ports import BlockReader, Gateway
from catenet.wire.seed import blockchain_pb2 as seed


class SyncService:
    """Serves `SyncBlocks` from the final blocks of a node."""

    def __init__(self, gateway: Gateway, drain: Drain) -> None:
        self._gateway = gateway
        self._drain = drain

    async def sync_blocks(self, request: seed.SyncRequest) -> AsyncGenerator[seed.BlockResponse, None]:
        """Yield each block from `start_height` on, then new ones as they come, up to `end_height` if given.

        One block at a time is read: a caller that stops reading costs one block and the transport's window.
        Raises `PastTip`, `NotFound` (pruned), `InvalidInput`, and `Draining` when the node stops.
        """
        reader = self._gateway.reader
        _check_range(reader, request.start_height, request.end_height)
        height = request.start_height
        while not request.end_height or height <= request.end_height:
            self._drain.check()
            if height > reader.head:
                async with self._drain.interruptible():
                    await self._gateway.wait_height(height)
            yield block_response(stored_block(reader, height), raw=request.raw_blocks)
            height += 1


def _check_range(reader: BlockReader, start: int, end: int) -> None:
    tip = reader.head
    if start == 0:
        raise PastTip(f"start_height 0 is out of range: heights begin at 1, the tip is {tip}")
    if start > tip + 1:
        raise PastTip(f"start_height {start} is out of range: the tip is {tip}, ask from {tip + 1} at most")
    if tip and start < reader.lowest:
        raise NotFound(f"block {start} is pruned: the lowest height kept is {reader.lowest}")
    if end and end < start:
        raise InvalidInput(f"end_height {end} is below start_height {start}")
