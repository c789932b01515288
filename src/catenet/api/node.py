"""`blockchain.Node`: the newest block, and the ways in for transactions. Lists go in, lists come out."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from hashlib import sha256
from math import ceil

from catenet.api.blocks import block_response, stored_block
from catenet.api.drain import Drain, Draining
from catenet.api.limits import Limits
from catenet.api.window import Window
from catenet.types.effects import TxRefusal
from catenet.types.errors import CatenetError, InvalidInput, Overloaded, Rejected, Unavailable
from catenet.types.events import Level
from catenet.types.ports import Gateway, SubmitOutcome
from catenet.wire.seed import blockchain_pb2 as seed

Batches = AsyncIterator[seed.TransactionBatch]
WriteAck = Callable[[seed.BatchAck], Awaitable[None]]


class NodeService:
    """Takes transactions in for a node, and shows its newest block."""

    def __init__(self, gateway: Gateway, drain: Drain, limits: Limits) -> None:
        self._gateway = gateway
        self._drain = drain
        self._limits = limits

    async def latest_block(self) -> seed.BlockResponse:
        """Return the newest final block. Raises `Unavailable` before the first one."""
        reader = self._gateway.reader
        head = reader.head
        if head == 0:
            raise Unavailable("no block yet")
        return block_response(stored_block(reader, head), raw=False)

    async def broadcast(self, request: seed.Transaction, client: str) -> seed.Ack:
        """Take one transaction in; answer when it reached the level asked for.

        A transaction that is committed already answers with its first outcome (consensus.md 5.6).
        Raises `InvalidInput` (empty, too large), `Rejected` by the application, `Overloaded`, `Unavailable`.
        """
        level = _level(request.level)
        if fault := self._fault(request.data):
            raise InvalidInput(fault)
        outcome = await self._submit([request.data], level, client)
        for refusal in outcome.refused:
            raise _refused(refusal)
        return self._ack(request.data, outcome)

    async def broadcast_all(self, batches: Batches, client: str) -> seed.BatchSummary:
        """Take a stream of batches in, one after the other, and sum up at its end.

        When the node is full, the stream is not read on until the node takes the batch.
        """
        summary = seed.BatchSummary()
        room = self._limits.summary_bytes
        async for batch in batches:
            ack = await self._take_patiently(batch, client)
            summary.accepted += len(batch.transactions) - len(ack.refused)
            summary.refused += len(ack.refused)
            room -= ack.ByteSize()
            if room >= 0:
                summary.acks.append(ack)
        return summary

    async def submit_batches(self, batches: Batches, write: WriteAck, client: str) -> None:
        """Take a stream of batches in, several at a time, and acknowledge each when it is done.

        Acknowledgements come in the order of completion. One with `retry_after_ms` says that nothing of its
        batch was taken. No batch is read while `Limits.stream_batches` are in processing: that holds the
        sender back.
        """
        window = Window(count=self._limits.stream_batches, size=self._limits.stream_bytes)
        writing = asyncio.Lock()
        stopped: Draining | None = None

        async def process(batch: seed.TransactionBatch, size: int) -> None:
            try:
                ack = await self._take(batch, client)
                async with writing:
                    await write(ack)
            finally:
                window.release(size)

        async with asyncio.TaskGroup() as group:
            try:
                async with self._drain.interruptible():
                    async for batch in batches:
                        size = batch.ByteSize()
                        await window.acquire(size)
                        group.create_task(process(batch, size))
            except Draining as draining:
                stopped = draining  # What is in processing is still answered.
        if stopped is not None:
            raise stopped

    async def _take_patiently(self, batch: seed.TransactionBatch, client: str) -> seed.BatchAck:
        while True:
            ack = await self._take(batch, client)
            if not ack.retry_after_ms:
                return ack
            async with self._drain.interruptible():
                await asyncio.sleep(ack.retry_after_ms / 1000)

    async def _take(self, batch: seed.TransactionBatch, client: str) -> seed.BatchAck:
        level = _level(batch.level)
        txs: Sequence[bytes] = list(batch.transactions)
        ack = seed.BatchAck(sequence=batch.sequence, reached=batch.level)
        if len(txs) > self._limits.batch_txs:
            raise InvalidInput(
                f"batch {batch.sequence} has {len(txs)} transactions; the limit is {self._limits.batch_txs}"
            )
        if (size := batch.ByteSize()) > self._limits.batch_bytes:
            raise InvalidInput(
                f"batch {batch.sequence} has {size} bytes; the limit is {self._limits.batch_bytes}"
            )
        places: Sequence[int] = range(len(txs))
        if txs and (not all(txs) or len(max(txs, key=len)) > self._limits.tx_bytes):
            places = self._refuse_unfit(txs, ack)
            txs = [txs[place] for place in places]
        if txs:
            try:
                outcome = await self._submit(txs, level, client)
            except Overloaded as overload:
                retry_after_ms = max(1, ceil(overload.retry_after_s * 1000))
                return seed.BatchAck(sequence=batch.sequence, retry_after_ms=retry_after_ms)
            _report(outcome, places, ack)
        return ack

    def _refuse_unfit(self, txs: Sequence[bytes], ack: seed.BatchAck) -> list[int]:
        """Refuse empty and too large transactions, and return the places of the others."""
        fit: list[int] = []
        for place, tx in enumerate(txs):
            if fault := self._fault(tx):
                ack.refused.add(index=place, reason=fault)
            else:
                fit.append(place)
        return fit

    def _fault(self, tx: bytes) -> str:
        if not tx:
            return "the transaction is empty"
        if len(tx) > self._limits.tx_bytes:
            return f"the transaction has {len(tx)} bytes; the limit is {self._limits.tx_bytes}"
        return ""

    async def _submit(self, txs: Sequence[bytes], level: Level, client: str) -> SubmitOutcome:
        self._drain.check()
        try:
            async with asyncio.timeout(self._limits.submit_s):
                return await self._gateway.submit(txs, level, client=client)
        except TimeoutError:
            raise Unavailable(
                f"not {level.name} within {self._limits.submit_s:g} s: the outcome is open; "
                "look the transaction up, or send the same bytes again"
            ) from None

    def _ack(self, tx: bytes, outcome: SubmitOutcome) -> seed.Ack:
        tx_id = sha256(tx).digest()
        ack = seed.Ack(success=True, id=tx_id)
        for committed in outcome.committed:
            ack.height, ack.index = committed.location.height, committed.location.index
            ack.code, ack.log, ack.data = committed.result.code, committed.result.log, committed.result.data
            return ack
        if location := self._gateway.reader.locate([tx_id]).get(tx_id):
            ack.height, ack.index, ack.code = location.height, location.index, location.code
        return ack


def _level(number: int) -> Level:
    try:
        return Level(number)
    except ValueError:
        known = ", ".join(f"{level.value} {level.name}" for level in Level)
        raise InvalidInput(f"level {number} is unknown; the levels are {known}") from None


def _refused(refusal: TxRefusal) -> CatenetError:
    if refusal.code:
        return Rejected(refusal.reason, code=refusal.code)
    return InvalidInput(refusal.reason)


def _report(outcome: SubmitOutcome, places: Sequence[int], ack: seed.BatchAck) -> None:
    """Write an outcome into an acknowledgement: refusals, the highest block, and codes other than 0."""
    for refusal in outcome.refused:
        ack.refused.add(index=places[refusal.index], code=refusal.code, reason=refusal.reason)
    if not outcome.committed:
        return
    ack.height = max(tx.location.height for tx in outcome.committed)
    out = {refusal.index for refusal in outcome.refused}
    taken = (place for index, place in enumerate(places) if index not in out)
    for place, tx in zip(taken, outcome.committed, strict=True):
        if tx.result.code:
            ack.refused.add(index=place, code=tx.result.code, reason=tx.result.log)
