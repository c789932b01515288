"""The power fails on all four validators, or on one: what nobody made durable is gone, and nothing else.

Each node's data lies on a file system of its own (`support.loopdisk`). CATENET_SEED chooses the moments.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from catenet.chain.block import Block
from catenet.storage.home import Home
from support.audit import Place, contents, require_same, signed_by, signed_last
from support.campaign import Part, choices
from support.cluster import Cluster, cluster, wait_signature
from support.load import BATCH, check_once, settled_chain, submitting
from support.loopdisk import Disk, disk, require_disks, wait_frozen

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROUNDS = 40
SAMPLE = 1
WORKERS = 4
RECOVERY_S = 90.0


@contextmanager
def on_disks(folder: Path) -> Iterator[tuple[Cluster, list[Disk]]]:
    """Make a network whose nodes' data lie on a disk each."""
    require_disks(folder)
    with cluster(folder / "net") as net, ExitStack() as stack:
        stack.callback(net.close)  # before the disks go
        yield net, [stack.enter_context(disk(net.home(index) / "data")) for index in range(net.count)]


def cut_power(
    net: Cluster, disks: list[Disk], indices: list[int], signed: dict[int, dict[Place, bytes]]
) -> int:
    """Cut the power of nodes at one moment, and give it back; returns how many files that changed.

    Nobody may have signed against what was durable at an earlier cut; and all that was signed is durable now,
    but what the last group of a journal holds: that was about to be, and has not left.
    """
    net.pause(*indices)
    wait_frozen([net.pid(index) for index in indices])
    copies = {index: disks[index].copy() for index in indices}
    net.kill(*indices)
    lost = 0
    for index in indices:
        before = contents_of(disks[index].place)
        home = Home(net.home(index))
        written, last = signed_by(home), signed_last(home)
        require_same(dict(signed[index]), written)
        disks[index].replace(copies[index])
        durable = signed_by(home)
        assert written.keys() - durable.keys() <= last, "a signature before the last group was not durable"
        require_same(written, durable)
        require_same(signed[index], durable)
        lost += sum(contents_of(disks[index].place).get(name) != data for name, data in before.items())
    return lost


def contents_of(place: Path) -> dict[Path, bytes]:
    files = [path for path in place.rglob("*") if path.is_file()]
    return {path.relative_to(place): path.read_bytes() for path in files}


@pytest.mark.parametrize("which", ["all four", "one"])
def test_what_was_acknowledged_survives_a_loss_of_power(tmp_path: Path, which: str) -> None:
    chance = choices(which)
    part = Part(f"losses of power, {which}")

    async def body() -> None:
        with on_disks(tmp_path) as (net, disks):
            signed: dict[int, dict[Place, bytes]] = {index: {} for index in range(net.count)}
            net.start()
            await net.wait_ready()
            async with submitting(net.targets, workers=WORKERS, timeout_s=60.0) as load:
                for _ in part.chosen(range(ROUNDS), sample=SAMPLE):
                    await asyncio.sleep(chance.uniform(0.05, 1.5))
                    indices = list(range(net.count)) if which == "all four" else [chance.randrange(net.count)]
                    part.counts["changed files"] += cut_power(net, disks, indices, signed)
                    net.start(*indices)
                    await load.wait_acknowledged(WORKERS * BATCH + 1, within_s=RECOVERY_S)
                    for index in indices:
                        await net.wait_ready(index, within_s=RECOVERY_S)
                        await wait_signature(net, index, after=await net.head(), within_s=RECOVERY_S)
                    part.counts["recovered"] += 1
            blocks = await settled_chain(net)
            check_once(blocks, load)
            net.stop()
            for index, known in signed.items():
                require_same(known, signed_by(Home(net.home(index))))
            # Others hold what left: two votes of one step would be evidence in the chain.
            chain = contents(Home(net.home(0))).chain
            # One more block may have been made before they stopped.
            assert len(chain) >= len(blocks)
            assert not [raw for raw in chain if Block.decode(raw).evidence]
            part.counts["acknowledged"] += len(load.acknowledged)
            part.counts["blocks"] += len(blocks)
            part.counts["signatures"] += sum(map(len, signed.values()))

    asyncio.run(body())
    assert part.counts["changed files"], "no cut lost anything: the disks are not what they should be"
    part.report()
