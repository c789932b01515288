"""CheckTx calls that come side by side, checked together: one `check_txs` for all that wait."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from catenet.types.application import CheckResult

BATCH_TXS_MAX = 1024

CheckAll = Callable[[Sequence[bytes], bool], Awaitable[Sequence[CheckResult]]]
"""Checks transactions, in order; the flag says that they were checked before."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    tx: bytes
    recheck: bool
    answer: asyncio.Future[CheckResult]


class Checks:
    """Gathers calls in the order in which they came. How many may wait is bounded by the server's calls."""

    def __init__(self, check_all: CheckAll) -> None:
        self._check_all = check_all
        self._waiting: deque[_Waiting] = deque()
        self._news = asyncio.Event()

    async def ask(self, tx: bytes, *, recheck: bool) -> CheckResult:
        """Check one transaction, together with others that wait."""
        answer: asyncio.Future[CheckResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(tx, recheck, answer))
        self._news.set()
        return await answer

    async def run(self) -> None:
        """Check what waits until cancelled; while the application is at work, more gathers."""
        while True:
            await self._news.wait()
            group = self._take()
            if not group:
                self._news.clear()
                continue
            results = await self._check_all([one.tx for one in group], group[0].recheck)
            for one, result in zip(group, results, strict=True):
                # Who gave up meanwhile does not wait any more.
                if not one.answer.done():
                    one.answer.set_result(result)

    def _take(self) -> list[_Waiting]:
        """Take the first that wait, as far as they are of one kind."""
        group: list[_Waiting] = []
        while self._waiting and len(group) < BATCH_TXS_MAX:
            if group and self._waiting[0].recheck != group[0].recheck:
                break
            one = self._waiting.popleft()
            if not one.answer.done():
                group.append(one)
        return group
