"""Concurrent clients of a real network whose calls are recorded for the checker of histories."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Protocol

from catenet.client.sdk import Client
from catenet.testing.linearizability import Kind, Operation, Recorder, Value
from catenet.types.application import QueryResult
from catenet.types.errors import CatenetError
from catenet.types.events import Level
from support.registers import NO_VALUE

WORKERS = 48
KEYS = 8
"""Keys in use at a time; after `OPERATIONS_PER_KEY * KEYS` operations come new ones."""

OPERATIONS_PER_KEY = 100
PATIENCE_S = 30.0
HASTE_S = 0.5
"""One call in ten is given up after so long; half of these are made again, a write with the same bytes."""

ATTEMPT_S = 2.0


class Caller(Protocol):
    """The two calls that are recorded; `SdkCaller` is the true one, others are planted bugs."""

    async def read(self, key: bytes) -> QueryResult: ...

    async def write(self, order: bytes) -> bytes:
        """Hand in `VERB KEY VALUE ATTEMPT...` until it is committed; return what was there before."""
        ...


class SdkCaller:
    """Calls through the SDK: linearizable reads, and writes that are sent again with the same bytes."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, key: bytes) -> QueryResult:
        return await self._client.query("/store", key, linearizable=True)

    async def write(self, order: bytes) -> bytes:
        return await self.send(order % 1)

    async def send(self, tx: bytes) -> bytes:
        receipt = await self._client.send(tx, Level.COMMITTED)
        assert receipt.code == 0, f"{tx!r} failed with code {receipt.code}: {receipt.log}"
        return receipt.data


class TwiceCaller(SdkCaller):
    """A planted bug: a retry is another transaction, because it carries the number of the attempt."""

    async def write(self, order: bytes) -> bytes:
        await self.send(order % 1)
        return await self.send(order % 2)


MakeCaller = Callable[[Client], Caller]


class Recording:
    """Workers that share a number of operations; a failed call keeps its unknown outcome."""

    def __init__(
        self,
        targets: Sequence[str],
        operations: int,
        *,
        seed: int,
        caller: MakeCaller = SdkCaller,
        name: str = "",
    ) -> None:
        """`caller` makes what is called through; `name` begins the keys of this recording."""
        self._targets = targets
        self._total = operations
        self._seed = seed
        self._caller = caller
        self._name = name
        self._recorder = Recorder()
        self._taken = 0
        self._progress = asyncio.Event()
        self.done = 0
        """Calls that have ended, with an answer or without."""
        self.failures = 0
        """How often the SDK gave a call up."""

    @property
    def history(self) -> list[Operation]:
        return self._recorder.history

    async def wait_done(self, count: int) -> None:
        """Return when so many calls have ended."""
        while self.done < count:
            self._progress.clear()
            await self._progress.wait()

    @property
    def over(self) -> bool:
        return self.done >= self._total

    async def run(self) -> None:
        """Do all operations."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            for turn in range(len(self._targets)):
                # These begin at node `turn`, so that all nodes are asked.
                targets = [*self._targets[turn:], *self._targets[:turn]]
                clients = [
                    Client(targets, timeout_s=timeout_s, attempt_timeout_s=min(ATTEMPT_S, timeout_s))
                    for timeout_s in (PATIENCE_S, HASTE_S)
                ]
                for client in clients:
                    await stack.enter_async_context(client)
                callers = [self._caller(client) for client in clients]
                for number in range(turn, WORKERS, len(self._targets)):
                    group.create_task(self._work(number, *callers))

    async def _work(self, number: int, patient: Caller, hasty: Caller) -> None:
        random = Random(f"{self._seed}/{number}")
        seen: dict[str, Value] = {}
        while self._taken < self._total:
            self._taken += 1
            era = self._taken // (OPERATIONS_PER_KEY * KEYS)
            key = f"{self._name}k{era * KEYS + random.randrange(KEYS)}"
            kind = random.choices(list(Kind), weights=(5, 2, 2, 1))[0]
            callers = [patient]
            if random.randrange(10) == 0:
                callers = [hasty, patient] if random.randrange(2) else [hasty]
            await self._one(callers, number, key, kind, seen)
            self.done += 1
            self._progress.set()

    async def _one(
        self, callers: Sequence[Caller], number: int, key: str, kind: Kind, seen: dict[str, Value]
    ) -> None:
        """Do one operation, with the next caller when one fails: whether it took effect then is not known."""
        value = None if kind is Kind.READ else f"v{self._taken}"
        expected = seen.get(key) if kind is Kind.CAS else None
        call = self._recorder.call(number, key, kind, value=value, expected=expected)
        for caller in callers:
            try:
                if value is None:
                    result = await caller.read(key.encode())
                    found = result.value.decode() if result.code == 0 else None
                else:
                    before = await caller.write(order_text(key, kind, value, expected))
                    found = before.decode() or None
            except (CatenetError, TimeoutError):
                self.failures += 1
                continue
            self._recorder.answer(call, None if kind is Kind.WRITE else found)
            seen[key] = found if value is None else value
            return


def order_text(key: str, kind: Kind, value: str, expected: Value) -> bytes:
    """Return a transaction of `registers.Registers` with `%d` for the attempt."""
    text = f"{kind.value} {key} {value} %d".encode()
    return text if kind is not Kind.CAS else text + b" " + (expected.encode() if expected else NO_VALUE)
