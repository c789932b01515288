"""Continuous submission to a network that is being disturbed; what was acknowledged is remembered."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from catenet.client.sdk import Client
from catenet.client.values import Block
from catenet.types.errors import CatenetError
from support.cluster import Cluster

BATCH = 10


class Load:
    """Workers that submit numbered transactions at REPLICATED, each again until it is acknowledged."""

    def __init__(self, name: str, size: int = 0) -> None:
        """Each transaction has `size` further bytes."""
        self.name = name
        self._filler = b"x" * size
        self._stopping = False
        self.acknowledged: set[bytes] = set()
        self.handed_in: set[bytes] = set()
        self.failures: Counter[str] = Counter()
        """Calls that ended without an answer, by kind: the outcome of their transactions was open."""

    async def work(self, client: Client, number: int, pause_s: float) -> None:
        """Submit in lists of different lengths until `stop`; a list without an answer is sent again."""
        count = 0
        while not self._stopping:
            size = 1 + count % BATCH
            txs = [
                b"%s-%d-%d=%d%s" % (self.name.encode(), number, count + i, i, self._filler)
                for i in range(size)
            ]
            count += size
            self.handed_in.update(txs)
            if await self._acknowledged(client, txs):
                self.acknowledged.update(txs)
            if pause_s:
                await asyncio.sleep(pause_s)

    async def _acknowledged(self, client: Client, txs: Sequence[bytes]) -> bool:
        while True:
            try:
                result = await client.submit(txs)
            except (CatenetError, TimeoutError) as error:
                self.failures[type(error).__name__] += 1
                if self._stopping:
                    return False
            else:
                assert not result.refused, f"refused: {result.refused}"
                return True

    def stop(self) -> None:
        """Have the workers end after the list they are at."""
        self._stopping = True

    async def wait_acknowledged(self, more: int, *, within_s: float) -> float:
        """Wait until `more` further transactions are acknowledged; returns the seconds it took."""
        wanted, began = len(self.acknowledged) + more, time.monotonic()
        while len(self.acknowledged) < wanted:
            took = time.monotonic() - began
            assert took < within_s, (
                f"{len(self.acknowledged)} of {wanted} acknowledged after {within_s:g} s; {self.failures}"
            )
            await asyncio.sleep(0.01)
        return time.monotonic() - began


@asynccontextmanager
async def submitting(
    targets: Sequence[str],
    *,
    workers: int = 4,
    timeout_s: float = 30.0,
    pause_s: float = 0.0,
    name: str = "tx",
    size: int = 0,
) -> AsyncIterator[Load]:
    """Submit beside the test's body; worker i begins at node i. On the way out the workers end."""
    load = Load(name, size)
    clients = [
        Client([*targets[i % len(targets) :], *targets[: i % len(targets)]], timeout_s=timeout_s)
        for i in range(workers)
    ]
    try:
        async with asyncio.TaskGroup() as tasks:
            for number, client in enumerate(clients):
                tasks.create_task(load.work(client, number, pause_s))
            try:
                yield load
            finally:
                load.stop()
    finally:
        for client in clients:
            await client.__aexit__(None, None, None)


def check_once(blocks: Sequence[Block], load: Load) -> None:
    """Check that no acknowledged transaction is lost, none is there twice, and none was made up."""
    prefix = load.name.encode() + b"-"
    counts = Counter(tx for block in blocks for tx in block.txs if tx.startswith(prefix))
    lost = load.acknowledged - counts.keys()
    assert not lost, f"{len(lost)} acknowledged transactions are in no block, one is {min(lost)!r}"
    twice = [tx for tx, count in counts.items() if count > 1]
    assert not twice, f"{len(twice)} transactions are in blocks twice, one is {twice[0]!r}"
    assert not counts.keys() - load.handed_in


async def settled_chain(net: Cluster, *, within_s: float = 20.0) -> list[Block]:
    """Wait until nothing waits for a block any more; returns the chain, the same on all running nodes."""
    for index in range(net.count):
        if net.running(index):
            await net.wait_status(
                index, lambda found: found.pending_txs == 0, within_s=within_s, what="nothing pending"
            )
    head = await net.head()
    await net.wait_height(head, within_s=within_s)
    return await net.agreed_chain(head)
