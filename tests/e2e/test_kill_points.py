"""A node is killed at a call that changes its disk, each in turn, and goes on by itself (reliability.md 1).

The call itself is not made: the kill after a call is the kill before the next one. A spread sample here; all
of them with `scripts/campaign-disk`.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support import strace
from support.audit import require_same, signed_by
from support.campaign import IS_CAMPAIGN, Part
from support.cluster import Cluster, cluster, wait_signature
from support.load import check_once, settled_chain, submitting
from support.solo_process import BLOCKS, Kept, Solo, solo
from support.strace import Point

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SAMPLE = 5
RESTARTS = 1
OF_FOUR = 1
MET_MIN = 0.9
TRIES = 3
LARGE_TXS, LARGE_BYTES = 400, 250_000


@pytest.fixture(autouse=True)
def _strace() -> None:
    strace.require_strace()


Work = Callable[[Solo], Awaitable[bool]]
"""What a node is given to do in a life; False when it ended before."""


def blocks(count: int) -> Work:
    """Have blocks of one transaction each, one after the other."""
    return lambda node: node.work(count, "tx")


async def checkpoint(node: Solo) -> bool:
    """Have blocks of so many bytes that segments are full, and a checkpoint drops them."""
    for number in range(LARGE_TXS):
        if not await node.work(1, f"large-{number}-", filler=LARGE_BYTES):
            return False
        if node.net.events(0, "checkpoint"):
            return True
    raise AssertionError("there was no checkpoint")


async def noted(node: Solo, kept: Kept, work: Work, trace: Path) -> list[Point]:
    """Return the calls of one life: a start from what was kept, some work, and a stop."""
    node.go_back(kept)
    node.start(strace.noting(trace))
    assert await work(node)
    assert node.stop() == 0
    return strace.points(trace, node.home.root)


async def killed(node: Solo, kept: Kept, work: Work, point: Point, trace: Path) -> bool:
    """Live that life again, killed at a point; False when the call was not made this time."""
    node.go_back(kept)
    node.start(strace.breaking(node.home.root, point, "signal=SIGKILL", trace))
    await work(node)
    node.stop()
    return node.was_killed()


def is_rare(point: Point) -> bool:
    """Say whether a call is none of those that every block makes."""
    is_log = point.path.endswith((".seg", "guard"))
    return not is_log or point.number <= 2 or point.call not in ("pwrite64", "fdatasync")


async def try_points(
    part: Part,
    node: Solo,
    work: Work,
    trace: Path,
    *,
    sample: int,
    of: Callable[[Point], bool] = lambda point: True,
) -> None:
    kept = node.keep()
    points = [point for point in await noted(node, kept, work, trace) if of(point)]
    for noted_point in part.chosen(points, sample=sample):
        # Which calls share a group depends on time: the last ones are not always made again.
        numbers = range(noted_point.number, max(0, noted_point.number - TRIES), -1)
        for point in [replace(noted_point, number=number) for number in numbers]:
            if met := await killed(node, kept, work, point, trace):
                break
        else:
            met = False
        signed = signed_by(node.home)
        try:
            after = await node.recovered("after")
        except BaseException:
            print(f"\nkilled at {point}, met: {met}")
            raise
        require_same(signed, after.signed)
        part.counts["met" if met else "not met"] += 1
        part.counts["recovered"] += met
        part.counts["acknowledged"] += len(node.acknowledged)
        part.counts["signatures"] += len(after.signed)
    part.report()
    # A call that is not made again tests nothing; of a small sample one may be so.
    assert part.counts["met"] >= max(1, int(MET_MIN * part.counts["tried"]))


def test_killed_at_any_call_of_its_first_three_blocks_a_node_goes_on(tmp_path: Path) -> None:
    async def body() -> None:
        with solo(tmp_path / "net") as node:
            part = Part("kill points of the first life")
            await try_points(part, node, blocks(BLOCKS), tmp_path / "trace", sample=SAMPLE)

    asyncio.run(body())


@pytest.mark.parametrize("ended", ["in good order", "by a kill"])
def test_killed_at_any_call_of_a_second_start_a_node_goes_on(tmp_path: Path, ended: str) -> None:
    async def body() -> None:
        with solo(tmp_path / "net") as node:
            node.start()
            assert await node.work(BLOCKS, "before")
            if ended == "by a kill":
                node.net.kill(0)
            else:
                assert node.stop() == 0
            part = Part(f"kill points after an end {ended}")
            await try_points(part, node, blocks(1), tmp_path / "trace", sample=RESTARTS)

    asyncio.run(body())


@pytest.mark.skipif(not IS_CAMPAIGN, reason="in the campaign only: 50 MB of blocks for each point")
def test_killed_at_any_call_of_a_checkpoint_a_node_goes_on(tmp_path: Path) -> None:
    async def body() -> None:
        with solo(tmp_path / "net") as node:
            node.start()
            assert await node.work(BLOCKS, "before")
            assert node.stop() == 0
            part = Part("kill points of a checkpoint")
            await try_points(part, node, checkpoint, tmp_path / "trace", sample=1, of=is_rare)

    asyncio.run(body())


def test_one_of_four_killed_at_a_call_of_a_round_signs_again_and_never_twice(tmp_path: Path) -> None:
    async def body() -> None:
        with cluster(tmp_path / "net") as net:
            net.start()
            await net.wait_ready()
            await try_one_of_four(net, tmp_path / "trace")

    asyncio.run(body())


async def try_one_of_four(net: Cluster, trace: Path) -> None:
    part = Part("kill points of one of four")
    home, last = Solo(net, 3).home, 3
    async with submitting(net.targets, workers=2, pause_s=0.02, name="four") as load:
        net.stop(last)
        net.start(last, under=strace.noting(trace))
        await net.wait_ready(last, within_s=60)
        await wait_signature(net, last, after=await net.head(0), within_s=30)
        net.stop(last)
        points = [point for point in strace.points(trace, home.root) if not point.is_main]
        signed = signed_by(home)
        for point in part.chosen(points[: 40 if IS_CAMPAIGN else None], sample=OF_FOUR):
            net.start(last, under=strace.breaking(home.root, point, "signal=SIGKILL", trace))
            code = await asyncio.to_thread(net.exit_code, last, within_s=60)
            assert code == -signal.SIGKILL, f"{point} was not met"
            require_same(signed, signed_by(home))
            net.start(last)
            await net.wait_ready(last, within_s=60)
            await wait_signature(net, last, after=await net.head(0), within_s=30)
            assert net.stop(last) == [0]
            require_same(signed, signed_by(home))
            part.counts["met"] += 1
            part.counts["recovered"] += 1
        part.counts["signatures"] += len(signed)
        net.start(last)
        await net.wait_ready()
    check_once(await settled_chain(net), load)
    part.counts["acknowledged"] += len(load.acknowledged)
    part.report()
