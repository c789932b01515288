"""Blocks in order: each height exactly once, from whichever node can send it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, TypeAlias

import grpc

from catenet.chain.block import split_txs
from catenet.chain.encoding import fields
from catenet.client.nodes import Nodes, decoded, gave_up, may_retry
from catenet.client.values import Block
from catenet.types.errors import CatenetError, NotFound, PastTip, Unavailable
from catenet.wire.seed import blockchain_pb2 as seed
from catenet.wire.status import error_of

_Method: TypeAlias = "grpc.aio.UnaryStreamMultiCallable[bytes, bytes]"
METHOD: Final = "/blockchain.BlockSyncService/SyncBlocks"
DATA_FIELD: Final = 2
"""Of the block's proto message: `Data{txs}`."""


def block_txs(raw: bytes) -> list[bytes]:
    """Return the transactions of a stored block."""
    for number, _, value in fields(raw):
        if number == DATA_FIELD and isinstance(value, bytes):
            return split_txs(value)
    return []


class BlockStream:
    """Reads blocks from `start` on, up to `end` if given, going on at another node when one fails."""

    def __init__(self, nodes: Nodes, start: int, end: int | None, *, raw: bool, timeout_s: float) -> None:
        """Bound by `timeout_s` how long no node may be there to read from."""
        self._nodes = nodes
        self._next = start
        self._end = end
        self._raw = raw
        self._timeout_s = timeout_s
        self._fault: CatenetError | None = None

    async def blocks(self) -> AsyncGenerator[Block, None]:
        """Yield the blocks. Raises `NotFound` (pruned everywhere), `PastTip` (everywhere), `Unavailable`."""
        now = asyncio.get_running_loop().time
        pauses = self._nodes.pauses()
        failed_at, refusals = None, 0
        while self._end is None or self._next <= self._end:
            target, before = self._nodes.current, self._next
            async for block in self._read(target):
                yield block
            if self._fault is None:
                continue
            if self._next > before:
                failed_at, refusals = None, 0
                pauses.reset()
            failed_at = failed_at or now()
            self._nodes.failed(target)
            if isinstance(self._fault, NotFound | PastTip):
                refusals += 1
                # A node may lag or keep less than others; when all say so, it is the caller's mistake.
                if refusals >= len(self._nodes) and self._next == before:
                    raise self._fault
            pause = max(pauses.next_s(), self._nodes.budget.delay_s(now()))
            if now() + pause - failed_at >= self._timeout_s:
                raise gave_up(self._fault, target, self._timeout_s)
            await asyncio.sleep(pause)

    async def _read(self, target: str) -> AsyncGenerator[Block, None]:
        """Yield blocks of one node while it sends them; then `_fault` says what ended it."""
        request = seed.SyncRequest(start_height=self._next, end_height=self._end or 0, raw_blocks=self._raw)
        open_stream: _Method = self._nodes.channel(target).unary_stream(METHOD)
        call = open_stream(request.SerializeToString())
        self._fault = None
        try:
            while isinstance(data := await call.read(), bytes):
                answer = decoded(seed.BlockResponse, data)
                if answer.height != self._next:
                    self._fault = Unavailable(f"{target} sent block {answer.height} instead of {self._next}")
                    return
                self._next += 1
                yield _block(answer)
            if self._end is None or self._next <= self._end:
                self._fault = Unavailable(f"{target} ended the stream before block {self._next}")
        except grpc.aio.AioRpcError as error:
            self._fault = error_of(error)
            if not may_retry(error) and not isinstance(self._fault, NotFound | PastTip):
                raise self._fault from None
        finally:
            call.cancel()


def _block(answer: seed.BlockResponse) -> Block:
    txs = block_txs(answer.block) if answer.block else list(answer.transactions)
    return Block(height=answer.height, hash=answer.hash, txs=txs, raw=answer.block, commit=answer.commit)
