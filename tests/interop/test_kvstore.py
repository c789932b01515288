"""CometBFT's Go application on a network of ours, while applications and nodes end at random moments."""

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catenet.client.sdk import Client
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.types.errors import CatenetError
from catenet.types.events import Level
from support.cluster import Cluster, cluster
from support.kvstore import KvStore, Restarts, kvstores

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

VALIDATORS = 4
SEED = int(os.environ.get("CATENET_SEED", "1"))
RESTARTS = int(os.environ.get("CATENET_RESTARTS", "8"))
"""More of the same: CATENET_RESTARTS=100 CATENET_SEED=2."""

BATCH = 10


def test_the_go_application_agrees_on_four_validators_over_restarts(tmp_path: Path) -> None:
    with kvstores(tmp_path, VALIDATORS) as apps, cluster(tmp_path / "net", count=VALIDATORS) as net:
        restarts = Restarts(net, apps, SEED)
        for index in range(VALIDATORS):
            restarts.start(index)
        asyncio.run(net.wait_ready())
        acknowledged = under_load(net, restarts)
        asyncio.run(settled(net))
        print(f"seed {SEED}: {restarts.counts}, {len(acknowledged)} transactions acknowledged")
        assert len(acknowledged) > BATCH
        heights = {app.info().last_block_height for app in apps}
        hashes = {app.info().last_block_app_hash for app in apps}
        assert len(heights) == len(hashes) == 1
        for app in apps:
            for number in (min(acknowledged), max(acknowledged)):
                assert app.value(b"key%d" % number) == b"value%d" % number
        assert net.stop() == [0] * VALIDATORS, net.tails()
        require_one_chain(net, apps, acknowledged)


def under_load(net: Cluster, restarts: Restarts) -> set[int]:
    """Restart things while transactions come; returns the numbers of those that are final."""
    acknowledged: set[int] = set()
    over = threading.Event()
    # The restarts are done in the main thread: Linux ends a process with the thread that started it.
    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(lambda: asyncio.run(load(net, acknowledged, over)))
        try:
            for _ in range(RESTARTS):
                restarts.one()
        finally:
            over.set()
        loading.result()
    return acknowledged


async def load(net: Cluster, acknowledged: set[int], over: threading.Event) -> None:
    """Send transactions to whichever node answers, until told to stop."""
    number = 0
    async with Client(net.targets, timeout_s=20.0, attempt_timeout_s=3.0) as client:
        while not over.is_set():
            numbers = range(number, number + BATCH)
            number += BATCH
            try:
                await client.submit([b"key%d=value%d" % (n, n) for n in numbers], Level.COMMITTED)
                acknowledged.update(numbers)
            except (CatenetError, TimeoutError):
                # What was not acknowledged may be in the chain or not.
                await asyncio.sleep(0.05)


async def settled(net: Cluster) -> None:
    """Wait until all nodes have one height and nothing is under way."""
    await net.wait_ready(within_s=60)
    heights: list[int] = []
    for _ in range(60):
        seen = [await net.status(index) for index in range(net.count)]
        before, heights = heights, [status.height for status in seen if status is not None]
        if len(set(heights)) == 1 and heights == before:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"heights do not settle: {heights}")


def require_one_chain(net: Cluster, apps: list[KvStore], acknowledged: set[int]) -> None:
    """Check that all homes hold the same chain, whose last hash is what the applications said."""
    info = apps[0].info()
    chains = []
    for index in range(net.count):
        ledger = Ledger.open(Home(net.home(index)).data)
        assert ledger.head == info.last_block_height
        outcomes = [ledger.outcome(height) for height in range(1, ledger.head + 1)]
        blocks = [ledger.block(height) for height in range(1, ledger.head + 1)]
        ledger.close()
        chains.append(([one.raw for one in blocks if one], [one.app_hash for one in outcomes if one]))
    assert all(chain == chains[0] for chain in chains[1:])
    assert chains[0][1][-1] == info.last_block_app_hash
    whole = b"".join(chains[0][0])
    for number in acknowledged:
        assert whole.count(b"key%d=value%d" % (number, number)) >= 1, f"transaction {number} is lost"
