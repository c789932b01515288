"""A validator that is behind comes back by itself and signs again (consensus.md 7, G9, 4)."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from support.cluster import Cluster, cluster, wait_signature
from support.load import check_once, settled_chain, submitting

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MISSED = 200
"""Blocks that are made while a validator is away."""

BACK_S = 20.0


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    # Short delays make many small blocks, also in the rounds of the proposer that is away.
    settings = (
        "consensus.min_block_interval_ms=0",
        "consensus.propose_timeout_ms=100",
        "consensus.precommit_timeout_ms=20",
    )
    with cluster(tmp_path_factory.mktemp("sync") / "net", settings=settings) as made:
        made.start()
        yield made


@asynccontextmanager
async def away(net: Cluster, index: int, *, blocks: int) -> AsyncIterator[None]:
    """Make blocks under load while the caller has taken a node away; the load goes on in the body."""
    others = [other for other in range(net.count) if other != index]
    name = f"s{time.monotonic_ns()}"
    async with submitting(
        [net.targets[other] for other in others], workers=3, pause_s=0.02, name=name
    ) as load:
        began, start = time.monotonic(), await net.head(*others)
        await net.wait_height(start + blocks, others[0], within_s=60)
        print(f"\n{blocks} blocks without node{index} in {time.monotonic() - began:.1f} s")
        yield
    check_once(await settled_chain(net), load)


async def back(net: Cluster, index: int) -> None:
    """Check that a node reaches the head and signs again while the others go on."""
    began = time.monotonic()
    target = await net.head(*[other for other in range(net.count) if other != index])
    await net.wait_height(target, index, within_s=BACK_S)
    caught_up = time.monotonic() - began
    signed = await wait_signature(net, index, after=target, within_s=BACK_S)
    took = time.monotonic() - began
    print(f"node{index} had height {target} after {caught_up:.1f} s and signed {signed} after {took:.1f} s")


def test_a_validator_that_was_down_syncs_and_signs_again(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        net.kill(3)
        async with away(net, 3, blocks=MISSED):
            net.start(3)
            await back(net, 3)
        assert net.events(3, "block_sync_begins")

    asyncio.run(body())


def test_a_frozen_validator_leaves_and_reenters_consensus_without_restart(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        pid, before = net.pid(2), len(net.events(2, "block_sync_ends"))
        net.pause(2)
        async with away(net, 2, blocks=MISSED // 3):
            net.resume(2)
            await back(net, 2)
        assert net.pid(2) == pid
        assert net.running(2)
        assert len(net.events(2, "block_sync_ends")) > before, "it left consensus and came back"

    asyncio.run(body())


def test_a_validator_without_its_derived_data_makes_it_again(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        net.stop(1)
        for name in ("blocks", "index", "app"):
            shutil.rmtree(net.home(1) / "data" / name)
        net.start(1)
        async with away(net, 1, blocks=10):
            await back(net, 1)

    asyncio.run(body())
