"""A stream of transactions: batches under way in a bounded window, sent again, same bytes, when a node fails.

One `Submission` lives as long as its stream. Lists are handed around; nothing looks at single transactions.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

import grpc

from catenet.client.nodes import Nodes, decoded, gave_up, may_retry
from catenet.client.values import BatchReceipt, StreamSummary
from catenet.types.effects import TxRefusal
from catenet.types.errors import CatenetError, InvalidInput, Unavailable
from catenet.types.events import Level
from catenet.wire.seed import blockchain_pb2 as seed
from catenet.wire.status import error_of

METHOD: Final = "/blockchain.Node/SubmitBatches"
BATCH_TXS_MAX: Final = 10_000
BATCH_BYTES_MAX: Final = 1024 * 1024
"""A node takes no larger batch."""

WINDOW_BATCHES: Final = 64
WINDOW_BYTES: Final = 4 * 1024 * 1024
"""What may be under way; a single larger batch may be, too."""

BatchSource = AsyncIterable[Sequence[bytes]] | Iterable[Sequence[bytes]]
OnAck = Callable[[BatchReceipt], None]
_Method: TypeAlias = "grpc.aio.StreamStreamMultiCallable[bytes, bytes]"
_Call: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


@dataclass(slots=True)
class _Batch:
    sequence: int
    first: int
    count: int
    data: bytes
    sent_at: float = 0.0
    """When it was first sent; 0: not yet."""
    sendings: int = 0


class Submission:
    """Hands in a source of batches and ends when each of them is acknowledged."""

    def __init__(
        self,
        nodes: Nodes,
        level: Level,
        *,
        on_ack: OnAck | None,
        timeout_s: float,
        attempt_timeout_s: float,
    ) -> None:
        """Bound how long a batch may stay unacknowledged, and a node silent about all of them."""
        self._nodes = nodes
        self._level = level
        self._on_ack = on_ack
        self._timeout_s = timeout_s
        self._attempt_timeout_s = attempt_timeout_s
        self._now = asyncio.get_running_loop().time
        self._pauses = nodes.pauses()
        self._unacknowledged: dict[int, _Batch] = {}
        self._to_send: deque[_Batch] = deque()
        self._size = 0
        self._complete = False
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._progress_at = 0.0
        self._first = self._refused = self._resent = self._failovers = self._batches = 0

    async def run(self, source: BatchSource) -> StreamSummary:
        """Hand in all batches of `source`. Raises what ended it before all were acknowledged."""
        try:
            async with asyncio.TaskGroup() as group:
                feeding = group.create_task(self._feed(source))
                await self._deliver()
                feeding.cancel()
        except BaseExceptionGroup as faults:
            raise first_fault(faults) from None
        return StreamSummary(
            transactions=self._first,
            batches=self._batches,
            refused=self._refused,
            resent_batches=self._resent,
            failovers=self._failovers,
        )

    async def _feed(self, source: BatchSource) -> None:
        """Take batches from the source as the window has room for them."""
        if isinstance(source, AsyncIterable):
            async for txs in source:
                await self._enter(txs)
        else:
            for txs in source:
                await self._enter(txs)
        self._complete = True
        self._work.set()

    async def _enter(self, txs: Sequence[bytes]) -> None:
        sequence = self._batches + 1
        data = seed.TransactionBatch(
            transactions=txs, level=seed.AckLevel.Name(self._level.value), sequence=sequence
        ).SerializeToString()
        if len(txs) > BATCH_TXS_MAX or len(data) > BATCH_BYTES_MAX:
            raise InvalidInput(
                f"batch {sequence} has {len(txs)} transactions and {len(data)} bytes; "
                f"the limits are {BATCH_TXS_MAX} and {BATCH_BYTES_MAX}"
            )
        while self._unacknowledged and (
            len(self._unacknowledged) >= WINDOW_BATCHES or self._size + len(data) > WINDOW_BYTES
        ):
            self._room.clear()
            await self._room.wait()
        if not self._unacknowledged:
            self._progress_at = self._now()
        batch = _Batch(sequence=sequence, first=self._first, count=len(txs), data=data)
        self._batches = sequence
        self._first += len(txs)
        self._size += len(data)
        self._unacknowledged[sequence] = batch
        self._to_send.append(batch)
        self._work.set()

    async def _deliver(self) -> None:
        """Keep a stream open at some node until everything is acknowledged."""
        while True:
            target = self._nodes.current
            fault = await self._converse(target)
            if fault is None:
                return
            self._nodes.failed(target)
            self._failovers += 1
            pause = self._pauses.next_s()
            pause = max(pause, self._nodes.budget.delay_s(self._now()))
            if self._oldest_s() + pause >= self._timeout_s:
                raise gave_up(fault, target, self._timeout_s)
            await asyncio.sleep(pause)
            # The order of the source is kept; what is acknowledged already is not among these.
            self._to_send = deque(self._unacknowledged.values())

    async def _converse(self, target: str) -> CatenetError | None:
        """Send and read on one stream.

        Return None when all is acknowledged, or the fault that another node may not have; raise any other.
        """
        open_stream: _Method = self._nodes.channel(target).stream_stream(METHOD)
        call = open_stream()
        self._progress_at = self._now()
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(self._write(call))
            watching = group.create_task(self._watch(call))
            try:
                return await self._read(call)
            finally:
                call.cancel()
                writing.cancel()
                watching.cancel()

    async def _write(self, call: _Call) -> None:
        # What ends the stream is learned by the reader, which waits for it all the time. Ending a stream
        # whose connection is gone raises gRPC's own InternalError instead of an AioRpcError.
        with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            while True:
                while self._to_send:
                    batch = self._to_send.popleft()
                    batch.sendings += 1
                    self._resent += batch.sendings == 2
                    batch.sent_at = batch.sent_at or self._now()
                    await call.write(batch.data)
                if self._complete and not self._unacknowledged:
                    await call.done_writing()
                    return
                self._work.clear()
                await self._work.wait()

    async def _read(self, call: _Call) -> CatenetError | None:
        try:
            while isinstance(data := await call.read(), bytes):
                self._take(decoded(seed.BatchAck, data))
        except grpc.aio.AioRpcError as error:
            if may_retry(error):
                return error_of(error)
            raise error_of(error) from None
        except asyncio.CancelledError:
            # The watcher cancels the call, somebody else this task: only the first is to be answered.
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            return Unavailable(f"no acknowledgement within {self._attempt_timeout_s:g} s")
        if self._complete and not self._unacknowledged:
            return None
        return Unavailable("the node ended the stream before everything was acknowledged")

    async def _watch(self, call: _Call) -> None:
        """Cancel the call when nothing is acknowledged for too long."""
        while True:
            waited_s = self._now() - self._progress_at if self._unacknowledged else 0.0
            if waited_s >= self._attempt_timeout_s:
                call.cancel()
                return
            await asyncio.sleep(max(0.01, self._attempt_timeout_s - waited_s))

    def _take(self, ack: seed.BatchAck) -> None:
        batch = self._unacknowledged.get(ack.sequence)
        if batch is None:
            return
        self._progress_at = self._now()
        if ack.retry_after_ms:
            self._again_later(batch, ack.retry_after_ms / 1000)
            return
        del self._unacknowledged[batch.sequence]
        self._size -= len(batch.data)
        self._refused += len(ack.refused)
        self._pauses.reset()
        self._room.set()
        if not self._unacknowledged:
            self._work.set()
        if self._on_ack is not None:
            self._on_ack(_receipt(batch, ack, self._now()))

    def _again_later(self, batch: _Batch, pause_s: float) -> None:
        """Send a batch again that the node had no room for."""
        if self._now() - batch.sent_at + pause_s >= self._timeout_s:
            raise Unavailable(
                f"{self._nodes.current} had no room for transactions {batch.first} to "
                f"{batch.first + batch.count - 1} for {self._timeout_s:g} s"
            )
        queue = self._to_send

        def send() -> None:
            # A new stream sends everything anew, from a queue of its own.
            if queue is self._to_send and batch.sequence in self._unacknowledged:
                queue.append(batch)
                self._work.set()

        asyncio.get_running_loop().call_later(self._pauses.spread_s(pause_s), send)

    def _oldest_s(self) -> float:
        """Return for how long the oldest unacknowledged batch has been under way; 0 when none is."""
        sent = [batch.sent_at for batch in self._unacknowledged.values() if batch.sent_at]
        return self._now() - min(sent) if sent else 0.0


def _receipt(batch: _Batch, ack: seed.BatchAck, now: float) -> BatchReceipt:
    return BatchReceipt(
        sequence=batch.sequence,
        first=batch.first,
        count=batch.count,
        reached=Level(ack.reached),
        height=ack.height,
        refused=tuple(
            TxRefusal(index=refusal.index, code=refusal.code, reason=refusal.reason)
            for refusal in ack.refused
        ),
        seconds=now - batch.sent_at,
    )


def first_fault(faults: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first single fault of a group: the caller asked for one thing."""
    fault: BaseException = faults
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
