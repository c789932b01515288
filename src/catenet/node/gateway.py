"""The node as its public services and its peers' fetches see it: who waits for what.

Implements `ports.Gateway`. It decides nothing: submissions go to the core as events, answers come back
as effects, and whoever waits is woken here.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from hashlib import sha256

from catenet.chain.evidence import unwrap
from catenet.node.worker import AppWorker
from catenet.types.application import Application, Query, QueryResult, TxResult
from catenet.types.effects import Abandoned, Acknowledge, CommitBlock, Dropped, Overload, TxRefusal
from catenet.types.errors import InvalidInput, Overloaded, Unavailable
from catenet.types.events import Event, FetchRequested, Level, Received, Submitted
from catenet.types.ids import Address, RequestId, Ticket, TxId
from catenet.types.messages import EvidenceMessage, Found, Wanted
from catenet.types.ports import BlockReader, CommittedTx, NodeStatus, SubmitOutcome

FETCH_ANSWER_S = 5.0


class _Submission:
    """One call of `submit` that waits for an acknowledgement."""

    __slots__ = ("done", "level", "refused")

    def __init__(self, level: Level, done: asyncio.Future[tuple[TxRefusal, ...]]) -> None:
        self.level = level
        self.refused: tuple[TxRefusal, ...] = ()
        self.done = done


class _Waiter:
    """One call of `submit` that waits for its transactions to be committed."""

    __slots__ = ("done", "found", "ids", "left")

    def __init__(self, ids: Sequence[TxId], done: asyncio.Future[None]) -> None:
        self.ids = frozenset(ids)
        self.left = set(ids)
        self.found: dict[TxId, CommittedTx] = {}
        self.done = done


class NodeGateway:
    """Hands in what comes from outside, and wakes who waits."""

    def __init__(
        self,
        *,
        post: Callable[[Event], None],
        reader: BlockReader,
        app: Application,
        worker: AppWorker,
        confirm: Callable[[], Awaitable[None]],
        status: Callable[[], NodeStatus],
        pending: Callable[[TxId], bool],
        judge: Callable[[bytes], str | None],
        tx_bytes_max: int,
    ) -> None:
        self._post = post
        self._reader = reader
        self._app = app
        self._worker = worker
        self._confirm = confirm
        self._status = status
        self._pending = pending
        self._judge = judge
        self._tx_bytes_max = tx_bytes_max
        self._tickets: dict[Ticket, _Submission] = {}
        self._waiting: dict[TxId, list[_Waiter]] = {}
        self._fetches: dict[RequestId, asyncio.Future[Sequence[Found]]] = {}
        self._next = 0
        self._new_head = asyncio.Event()
        self._stopped: str | None = None

    @property
    def reader(self) -> BlockReader:
        """The final blocks."""
        return self._reader

    def status(self) -> NodeStatus:
        """Say how the node stands."""
        return self._status()

    def pending(self, tx_id: TxId) -> bool:
        """Say whether a transaction is known here and not yet committed."""
        return self._pending(tx_id)

    async def submit(self, txs: Sequence[bytes], level: Level, *, client: str) -> SubmitOutcome:
        """Hand in transactions and wait for `level`.

        Raises `InvalidInput` for an empty or oversized transaction, `Overloaded` when a bound is reached,
        `Unavailable` when the node stops or the transactions expire.
        """
        self._check_running()
        self._check_sizes(txs)
        waiter = self._expect_commit(txs) if level is Level.COMMITTED else None
        loop = asyncio.get_running_loop()
        self._next += 1
        ticket = self._next
        submission = _Submission(level, loop.create_future())
        self._tickets[ticket] = submission
        try:
            self._post(Submitted(ticket=ticket, client=client, txs=txs, level=level))
            refused = await submission.done
            if waiter is None:
                return SubmitOutcome(reached=level, refused=refused)
            committed = await self._committed(waiter, txs, refused)
            return SubmitOutcome(reached=level, refused=refused, committed=committed)
        finally:
            self._tickets.pop(ticket, None)
            if waiter is not None:
                self._forget(waiter)

    async def query(self, requests: Sequence[tuple[str, bytes]]) -> Sequence[QueryResult]:
        """Ask the application's committed state: (path, data) each."""
        self._check_running()
        queries = [Query(path=path, data=data) for path, data in requests]
        return await self._worker.ask(lambda: self._app.query_many(queries))

    async def wait_height(self, height: int) -> None:
        """Return when the block of `height` is final here; raise `Unavailable` when the node stops."""
        while self._reader.head < height:
            self._check_running()
            await self._new_head.wait()

    async def confirm_current(self) -> None:
        """Return when all that was final anywhere at the call is final here. Raises `Unavailable`."""
        self._check_running()
        await self._confirm()

    async def heights(self, after: int) -> AsyncIterator[int]:
        """Yield each final height above `after`, in order, as it comes."""
        height = after
        while True:
            height += 1
            await self.wait_height(height)
            yield height

    async def on_fetch(self, peer: Address, wanted: Wanted) -> Sequence[Found]:
        """Answer a peer's fetch."""
        self._check_running()
        self._next += 1
        request = self._next
        future: asyncio.Future[Sequence[Found]] = asyncio.get_running_loop().create_future()
        self._fetches[request] = future
        try:
            self._post(FetchRequested(request=request, peer=peer, wanted=wanted))
            async with asyncio.timeout(FETCH_ANSWER_S):
                return await future
        except TimeoutError as error:
            raise Unavailable("the node did not answer the fetch in time") from error
        finally:
            self._fetches.pop(request, None)

    def answered(self, request: RequestId, found: Sequence[Found]) -> None:
        """Hand the core's answer to the fetch that waits for it."""
        future = self._fetches.pop(request, None)
        if future is not None and not future.done():
            future.set_result(found)

    def acknowledged(self, effect: Acknowledge) -> None:
        """Note refusals; wake the submission when its level is reached."""
        submission = self._tickets.get(effect.ticket)
        if submission is None:
            return
        submission.refused += effect.refused
        # COMMITTED waits for the block itself: once admitted, only the block can answer.
        enough = submission.level is Level.COMMITTED or effect.reached is submission.level
        if (enough or effect.reached is Level.REPLICATED) and not submission.done.done():
            submission.done.set_result(submission.refused)

    def refused(self, effect: Overload | Abandoned) -> None:
        """Refuse a submission as a whole, or tell that this node cannot promise REPLICATED any more."""
        submission = self._tickets.get(effect.ticket)
        if submission is None or submission.done.done():
            return
        match effect:
            case Overload(reason=reason, retry_after_us=retry_after_us):
                submission.done.set_exception(Overloaded(reason, retry_after_s=retry_after_us / 1e6))
            case Abandoned(reason=reason):
                submission.done.set_exception(Unavailable(reason))

    def dropped(self, effect: Dropped) -> None:
        """Tell who waits that these transactions will not be committed from here."""
        for tx_id in effect.tx_ids:
            for waiter in self._waiting.pop(tx_id, []):
                if not waiter.done.done():
                    text = f"transaction {tx_id.hex().upper()}: {effect.reason}; look it up by its id"
                    waiter.done.set_exception(Unavailable(text))

    def final(self, effect: CommitBlock) -> None:
        """Wake who waits for this block or for transactions in it."""
        new_head, self._new_head = self._new_head, asyncio.Event()
        new_head.set()
        if not self._waiting:
            return
        wanted = self._waiting.keys() & set(effect.tx_ids)
        if wanted:
            self._deliver(list(wanted))

    def submit_evidence(self, wrapped: bytes) -> bytes:
        """Take evidence that a client found, for a block to come; return its hash.

        Raises `InvalidInput` for what proves nothing or has expired, `Unavailable` when the node stops.
        """
        self._check_running()
        status = self._status()
        if status.catching_up:
            raise Unavailable("this node is catching up and cannot judge evidence; ask another one")
        reason = self._judge(wrapped)
        if reason is not None:
            raise InvalidInput(f"the evidence is refused: {reason}")
        # As if a peer had sent it: kept, told to everybody once, and put into a block.
        message = EvidenceMessage(evidence=wrapped)
        self._post(Received(peer=status.address, message=message))
        return unwrap(wrapped).hash()

    def stop(self, reason: str) -> None:
        """Fail everything that waits; refuse what comes."""
        self._stopped = reason
        error = Unavailable(reason)
        for submission in self._tickets.values():
            if not submission.done.done():
                submission.done.set_exception(error)
        for waiter in [w for waiters in self._waiting.values() for w in waiters]:
            if not waiter.done.done():
                waiter.done.set_exception(error)
        self._new_head.set()

    def _check_running(self) -> None:
        if self._stopped is not None:
            raise Unavailable(self._stopped)

    def _check_sizes(self, txs: Sequence[bytes]) -> None:
        if not txs:
            raise InvalidInput("no transaction given; send at least one")
        lengths = [len(tx) for tx in txs]
        if min(lengths) == 0:
            raise InvalidInput(f"transaction {lengths.index(0)} is empty; a transaction has at least 1 byte")
        largest = max(lengths)
        if largest > self._tx_bytes_max:
            index = lengths.index(largest)
            limit = self._tx_bytes_max
            raise InvalidInput(f"transaction {index} has {largest} bytes; the limit is {limit} bytes")

    def _expect_commit(self, txs: Sequence[bytes]) -> _Waiter:
        ids = [sha256(tx).digest() for tx in txs]
        waiter = _Waiter(ids, asyncio.get_running_loop().create_future())
        for tx_id in waiter.ids:
            self._waiting.setdefault(tx_id, []).append(waiter)
        return waiter

    async def _committed(
        self, waiter: _Waiter, txs: Sequence[bytes], refused: tuple[TxRefusal, ...]
    ) -> tuple[CommittedTx, ...]:
        out = {refusal.index for refusal in refused}
        ids = [sha256(tx).digest() for index, tx in enumerate(txs) if index not in out]
        waiter.left.intersection_update(ids)
        # What was committed before this call, or between the call and its acknowledgement.
        self._deliver(list(waiter.left))
        if waiter.left:
            await waiter.done
        return tuple(waiter.found[tx_id] for tx_id in ids)

    def _deliver(self, ids: Sequence[TxId]) -> None:
        results: dict[int, Sequence[TxResult]] = {}
        for tx_id, location in self._reader.locate(ids).items():
            if location.height not in results:
                outcome = self._reader.outcome(location.height)
                assert outcome is not None, f"height {location.height} is indexed and has no outcome"
                results[location.height] = outcome.results
            result = results[location.height][location.index]
            final = CommittedTx(id=tx_id, location=location, result=result)
            for waiter in self._waiting.pop(tx_id, []):
                waiter.found[tx_id] = final
                waiter.left.discard(tx_id)
                if not waiter.left and not waiter.done.done():
                    waiter.done.set_result(None)

    def _forget(self, waiter: _Waiter) -> None:
        if waiter.done.done() and not waiter.done.cancelled():
            # Whoever gave up before the answer does not read it: that is no fault of the node.
            waiter.done.exception()
        for tx_id in waiter.ids:
            waiters = self._waiting.get(tx_id)
            if waiters is not None and waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    del self._waiting[tx_id]
