"""The asynchronous client: one object, a few verbs, and every call survives the death of a node.

Each call goes to the current target; when that fails, to the next, with back-off, until `timeout_s` is over.
Sending the same transaction twice is harmless: its id makes it one (consensus.md 5.6).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Final, Self, TypeVar

from google.protobuf.message import Message

from catenet.chain.light_block import LightBlock
from catenet.client import read
from catenet.client.batching import Collector, batched
from catenet.client.nodes import Nodes, checked_timeout
from catenet.client.stream import BlockStream
from catenet.client.submit import BatchSource, OnAck, Submission, first_fault
from catenet.client.values import (
    BatchReceipt,
    Block,
    Receipt,
    Status,
    StreamSummary,
    SubmitResult,
    Transaction,
)
from catenet.types.application import QueryResult
from catenet.types.effects import TxRefusal
from catenet.types.errors import Corrupt, InvalidInput, Unavailable
from catenet.types.events import Level
from catenet.types.ids import TxId
from catenet.wire.seed import blockchain_pb2 as seed
from catenet.wire.v1 import query_pb2 as pb

ITEMS_PER_CALL: Final = 2000
"""Ids or queries in one request; longer lists take several."""

FIRST_LOOK_S: Final = 0.02
LOOK_S_MAX: Final = 0.5
"""`wait` looks a transaction up with growing pauses."""

A = TypeVar("A", bound=Message)


class Client:
    """A connection to one network by way of any of its nodes. Use it as an asynchronous context manager."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        tls_ca: Path | None = None,
        tls_server_name: str | None = None,
        timeout_s: float = 30.0,
        attempt_timeout_s: float = 10.0,
        random: Random | None = None,
    ) -> None:
        """Name the nodes as `host:port`; the first is used until it fails.

        `tls_ca`: PEM file with the authority of the nodes' certificates; without it there is no TLS.
        `tls_server_name`: the name in the nodes' certificates, when it is not the host that is dialled.
        `timeout_s`: a whole call, retries included; `attempt_timeout_s`: one attempt at one node.
        `random`: where the jitter of pauses comes from.
        """
        self._timeout_s = checked_timeout(timeout_s)
        self._attempt_timeout_s = attempt_timeout_s
        self._nodes = Nodes(
            targets, tls_ca=tls_ca, tls_server_name=tls_server_name, random=random or Random()
        )

    async def __aenter__(self) -> Self:
        """Start; connecting itself happens with the first call."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._nodes.close()

    @property
    def target(self) -> str:
        """The node that the next call goes to."""
        return self._nodes.current

    async def send(
        self, tx: bytes, level: Level = Level.REPLICATED, *, timeout_s: float | None = None
    ) -> Receipt:
        """Hand in one transaction and wait for `level`.

        Raises `InvalidInput`, `Rejected` (by the application), `Overloaded`, `Unavailable` (the outcome is
        open: look it up, or send the same bytes again).
        """
        request = seed.Transaction(data=tx, level=seed.AckLevel.Name(level.value))
        ack = await self._call("/blockchain.Node/BroadcastTransaction", request, seed.Ack, timeout_s)
        return Receipt(
            id=ack.id,
            reached=level,
            height=ack.height,
            index=ack.index,
            code=ack.code,
            log=ack.log,
            data=ack.data,
        )

    async def submit(
        self, txs: Sequence[bytes], level: Level = Level.REPLICATED, *, timeout_s: float | None = None
    ) -> SubmitResult:
        """Hand in transactions and wait until all are at `level` or refused. Raises as `send` does."""
        refused: list[TxRefusal] = []
        height = 0

        def note(receipt: BatchReceipt) -> None:
            nonlocal height
            height = max(height, receipt.height)
            refused.extend(
                TxRefusal(index=receipt.first + one.index, code=one.code, reason=one.reason)
                for one in receipt.refused
            )

        if txs:
            await self._submission(level, note, timeout_s).run(batched(txs))
        refused.sort(key=lambda one: one.index)
        return SubmitResult(reached=level, height=height, refused=tuple(refused))

    async def submit_stream(
        self,
        txs: AsyncIterable[bytes] | Iterable[bytes],
        level: Level = Level.REPLICATED,
        *,
        on_ack: OnAck | None = None,
        timeout_s: float | None = None,
    ) -> StreamSummary:
        """Hand in any number of transactions, batched, with a bounded window of batches under way.

        `on_ack` is called for each batch, in order of completion. `timeout_s` bounds how long a batch may
        stay unacknowledged. A transaction of an asynchronous source waits at most 5 ms for others to share
        its batch.
        """
        if not isinstance(txs, AsyncIterable):
            return await self.submit_batches(batched(txs), level, on_ack=on_ack, timeout_s=timeout_s)
        collector = Collector()
        try:
            async with asyncio.TaskGroup() as group:
                collecting = group.create_task(collector.collect(txs))
                summary = await self._submission(level, on_ack, timeout_s).run(collector.batches())
                collecting.cancel()
        except BaseExceptionGroup as faults:
            raise first_fault(faults) from None
        return summary

    async def submit_batches(
        self,
        batches: BatchSource,
        level: Level = Level.REPLICATED,
        *,
        on_ack: OnAck | None = None,
        timeout_s: float | None = None,
    ) -> StreamSummary:
        """`submit_stream` for a caller with batches of its own (up to 1 MiB and 10,000 transactions each)."""
        return await self._submission(level, on_ack, timeout_s).run(batches)

    async def wait(self, tx_id: TxId, *, timeout_s: float | None = None) -> Transaction:
        """Wait until a transaction is in a final block. Raises `Unavailable` when the time is over."""
        limit_s = self._limit_s(timeout_s)
        pause = FIRST_LOOK_S
        found: Transaction | None = None
        try:
            async with asyncio.timeout(limit_s):
                while not (found := await self.transaction(tx_id)).found:
                    await asyncio.sleep(pause)
                    pause = min(LOOK_S_MAX, pause * 1.5)
        except TimeoutError:
            known = (
                "the node knows it" if found is not None and found.pending else "the node does not know it"
            )
            raise Unavailable(
                f"transaction {tx_id.hex()} is not committed after {limit_s:g} s; {known}"
            ) from None
        return found

    async def transaction(self, tx_id: TxId, *, prove: bool = False) -> Transaction:
        """Look a transaction up; `found` and `pending` say what is known."""
        request = pb.GetTransactionRequest(id=tx_id, prove=prove)
        return read.transaction(await self._query("GetTransaction", request, pb.TransactionResult))

    async def transactions(self, tx_ids: Sequence[TxId]) -> list[Transaction]:
        """Look transactions up, any number, in order."""
        found: list[Transaction] = []
        while len(found) < len(tx_ids):
            request = pb.GetTransactionsRequest(ids=tx_ids[len(found) : len(found) + ITEMS_PER_CALL])
            answer = await self._query("GetTransactions", request, pb.TransactionsResponse)
            found.extend(map(read.transaction, _some(answer.results)))
        return found

    async def block(self, which: int | bytes | None = None) -> Block:
        """Return a block with raw bytes and commit: by height, by hash, or the newest.

        Raises `NotFound` (unknown hash, pruned) and `PastTip`.
        """
        match which:
            case None:
                request = pb.GetBlockRequest(height=0)
            case bytes():
                request = pb.GetBlockRequest(hash=which)
            case _ if which > 0:
                request = pb.GetBlockRequest(height=which)
            case _:
                raise InvalidInput(f"height {which} is out of range: heights begin at 1")
        return read.block(await self._query("GetBlock", request, pb.Block))

    async def light_block(self, height: int = 0) -> LightBlock:
        """Return header, commit and validators of a height (0: the newest), unverified.

        Raises `NotFound` (pruned) and `PastTip`. Whoever must not believe the node uses `client.light`.
        """
        request = pb.GetLightBlockRequest(height=height)
        return read.light_block(await self._query("GetLightBlock", request, pb.LightBlockResponse))

    def blocks(
        self, start: int = 1, end: int | None = None, *, raw: bool = False
    ) -> AsyncGenerator[Block, None]:
        """Yield each block from `start` on exactly once, in order, whatever node fails meanwhile.

        Ends after `end`; without it stays open for new blocks. `raw` asks for stored bytes and commits, too.
        """
        if start < 1 or (end is not None and end < start):
            raise InvalidInput(f"blocks {start} to {end} are no range of heights")
        return BlockStream(self._nodes, start, end, raw=raw, timeout_s=self._timeout_s).blocks()

    async def status(self, *, timeout_s: float | None = None) -> Status:
        """Ask the current target how it stands."""
        return read.status(await self._query("Status", pb.StatusRequest(), pb.StatusResponse, timeout_s))

    async def query(
        self, path: str, data: bytes, *, linearizable: bool = False, min_height: int = 0
    ) -> QueryResult:
        """Ask the application's committed state, as one node has it: maybe older than what others answer.

        `linearizable`: a state with everything that was final anywhere when the call began; `min_height`: a
        state of that height or later. Both raise `Unavailable` when no node has it in time.
        """
        request = pb.QueryRequest(path=path, data=data, linearizable=linearizable, min_height=min_height)
        return read.query_result(await self._query("Query", request, pb.QueryResponse))

    async def query_many(
        self, path: str, data: Sequence[bytes], *, linearizable: bool = False, min_height: int = 0
    ) -> list[QueryResult]:
        """Ask for any number of things, in order, as `query` does; the answers may be of several heights."""
        found: list[QueryResult] = []
        while len(found) < len(data):
            request = pb.QueryManyRequest(
                path=path,
                data=data[len(found) : len(found) + ITEMS_PER_CALL],
                linearizable=linearizable,
                min_height=min_height,
            )
            answer = await self._query("QueryMany", request, pb.QueryManyResponse)
            found.extend(map(read.query_result, _some(answer.results)))
        return found

    def _submission(self, level: Level, on_ack: OnAck | None, timeout_s: float | None) -> Submission:
        return Submission(
            self._nodes,
            level,
            on_ack=on_ack,
            timeout_s=self._limit_s(timeout_s),
            attempt_timeout_s=self._attempt_timeout_s,
        )

    async def _query(self, name: str, request: Message, answer: type[A], timeout_s: float | None = None) -> A:
        return await self._call(f"/catenet.v1.Query/{name}", request, answer, timeout_s)

    async def _call(self, method: str, request: Message, answer: type[A], timeout_s: float | None) -> A:
        return await self._nodes.call(
            method,
            request,
            answer,
            timeout_s=self._limit_s(timeout_s),
            attempt_timeout_s=self._attempt_timeout_s,
        )

    def _limit_s(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else checked_timeout(timeout_s)


def _some(results: Sequence[A]) -> Sequence[A]:
    """Return a part of a long answer; a node that sends none of it would be asked for ever."""
    if not results:
        raise Corrupt("the node answered a list with nothing")
    return results
