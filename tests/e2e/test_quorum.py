"""Progress after a quorum was lost, and with one validator away (consensus.md 2.3, 13.5).

CATENET_PAUSE_S says how long two of four are frozen (10).
"""

import asyncio
import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from catenet.client.sdk import Client
from support.cluster import Cluster, cluster
from support.load import check_once, settled_chain, submitting

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PAUSE_S = float(os.environ.get("CATENET_PAUSE_S", "10"))
RECOVERY_S = 5.0
STALL_S = 2.0
LOAD_S = 5.0
SETTLE_S = 1.0
"""What was decided when the pause began may still arrive."""


class Arrivals:
    """When each block with transactions came to one node's reader."""

    def __init__(self) -> None:
        self.at: list[float] = []

    async def follow(self, client: Client, start: int) -> None:
        async for block in client.blocks(start):
            if block.txs:
                self.at.append(time.monotonic())

    def longest_gap(self, since: float) -> float:
        """Return the longest time without such a block, from a moment to now."""
        marks = [since, *(at for at in self.at if at > since), time.monotonic()]
        return max(after - before for before, after in pairwise(marks))


async def longest_stall(net: Cluster, away: Callable[[int], None], *, victim: int) -> float:
    """Take one validator away under load; returns the longest time between blocks with transactions."""
    others = [index for index in range(4) if index != victim]
    targets = [net.targets[index] for index in others]
    arrivals = Arrivals()
    async with (
        net.client(*others) as reader,
        submitting(targets, name=f"v{victim}-{time.monotonic_ns()}") as load,
        asyncio.TaskGroup() as tasks,
    ):
        following = tasks.create_task(arrivals.follow(reader, await net.head() + 1))
        await load.wait_acknowledged(50, within_s=10)
        began = time.monotonic()
        away(victim)
        await asyncio.sleep(LOAD_S)
        stall = arrivals.longest_gap(began)
        following.cancel()
    return stall


def test_two_of_four_frozen_stop_commits_and_resumed_go_on_at_once(tmp_path: Path) -> None:
    async def body() -> None:
        with cluster(tmp_path / "net") as net:
            net.start()
            await net.wait_ready()
            async with submitting(net.targets[:2], timeout_s=PAUSE_S + 30) as load:
                await load.wait_acknowledged(50, within_s=10)
                net.pause(2, 3)
                await asyncio.sleep(SETTLE_S)
                stopped_at = await net.head(0, 1)
                deadline = time.monotonic() + PAUSE_S - SETTLE_S
                while time.monotonic() < deadline:
                    assert await net.head(0, 1) == stopped_at, "a commit without a quorum"
                    await asyncio.sleep(0.25)
                pids = [net.pid(index) for index in range(4)]
                resumed = time.monotonic()
                net.resume(2, 3)
                await net.wait_height(stopped_at + 1, 0, within_s=RECOVERY_S)
                took = time.monotonic() - resumed
                await load.wait_acknowledged(50, within_s=10)
            print(f"\ntwo of four frozen for {PAUSE_S:g} s: next commit {took:.2f} s after they were resumed")
            assert took <= RECOVERY_S
            assert [net.pid(index) for index in range(4)] == pids
            check_once(await settled_chain(net), load)

    asyncio.run(body())


def test_one_validator_away_stalls_commits_for_two_seconds_at_most(tmp_path: Path) -> None:
    async def body() -> None:
        with cluster(tmp_path / "net") as net:
            net.start()
            await net.wait_ready()
            killed = await longest_stall(net, net.kill, victim=3)
            print(f"\none of four killed: longest stall {killed:.2f} s over {LOAD_S:g} s of load")
            assert killed <= STALL_S
            net.start(3)
            await net.wait_ready()
            frozen = await longest_stall(net, net.pause, victim=2)
            print(f"one of four frozen: longest stall {frozen:.2f} s over {LOAD_S:g} s of load")
            net.resume(2)
            assert frozen <= STALL_S
            await net.wait_height(await net.head(), within_s=10)
            await net.agreed_chain(await net.head())

    asyncio.run(body())
