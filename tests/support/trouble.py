"""Kills and pauses of real nodes, at random moments, for as long as something else goes on."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random

from support.cluster import Cluster

UP_S = 30.0
"""How long a node may take to answer again."""


class Trouble:
    """One fault after the other; each is over, and all nodes answer, before the next one begins."""

    def __init__(self, net: Cluster, *, seed: int) -> None:
        self._net = net
        self._random = Random(seed)
        self.kills = 0
        self.pauses = 0
        self.faults: Counter[str] = Counter()

    async def run(self, over: Callable[[], bool]) -> None:
        """Make trouble until `over` says so."""
        kinds = [self._kill_one, self._pause_one, self._kill_one_pause_one, self._pause_two, self._kill_all]
        while not over():
            (kind,) = self._random.choices(kinds, weights=(6, 6, 3, 2, 1))
            self.faults[kind.__name__.removeprefix("_")] += 1
            await kind()
            for index in range(self._net.count):
                await self._net.wait_status(index, lambda _: True, within_s=UP_S, what="an answer")
            await self._moment(0.2, 2.0)

    async def _kill_one(self) -> None:
        (one,) = self._some(1)
        self._kill(one)
        await self._moment(0.0, 2.0)
        self._net.start(one)

    async def _pause_one(self) -> None:
        (one,) = self._some(1)
        self._pause(one)
        await self._moment(0.1, 4.0)
        self._net.resume(one)

    async def _kill_one_pause_one(self) -> None:
        one, other = self._some(2)
        self._pause(other)
        self._kill(one)
        await self._moment(0.0, 1.5)
        self._net.start(one)
        self._net.resume(other)

    async def _pause_two(self) -> None:
        both = self._some(2)
        self._pause(*both)
        await self._moment(0.1, 1.5)
        self._net.resume(*both)

    async def _kill_all(self) -> None:
        self._kill(*self._some(self._net.count))
        self._net.start(*self._some(self._net.count))

    def _some(self, count: int) -> list[int]:
        return self._random.sample(range(self._net.count), count)

    def _kill(self, *indices: int) -> None:
        self.kills += len(indices)
        self._net.kill(*indices)

    def _pause(self, *indices: int) -> None:
        self.pauses += len(indices)
        self._net.pause(*indices)

    async def _moment(self, least_s: float, most_s: float) -> None:
        await asyncio.sleep(self._random.uniform(least_s, most_s))
