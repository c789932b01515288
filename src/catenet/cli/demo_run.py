"""The demonstration's main part: importing while a validator is killed and comes back, timed from outside.

Times are of this process's clock. A transaction's latency runs from the moment its batch was handed to the
client to the moment its block arrived here from another validator.
"""

import asyncio
import signal
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from catenet.cli.output import Progress, say
from catenet.cli.processes import LocalNetwork
from catenet.client.sdk import Client
from catenet.client.values import BatchReceipt, StreamSummary
from catenet.types.events import Level

BATCH = 200
SETTLE_S = 60.0
"""How long the last transactions may take from REPLICATED to a block."""


@dataclass(slots=True, kw_only=True)
class Measured:
    """What the import showed."""

    transactions: int
    seconds: float = 0.0
    """From the first hand-in to the arrival of the block with the last transaction."""
    committed: int = 0
    latencies: "array[float]" = field(default_factory=lambda: array("d"))
    """Seconds, one for each committed transaction."""
    killed: str = ""
    refused: int = 0
    failovers: int = 0

    def latency_ms(self, share: float) -> float:
        """Return the latency that `share` of the transactions stayed within."""
        if not self.latencies:
            return 0.0
        ranked = sorted(self.latencies)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))] * 1000


class Import:
    """One import: a client that sends, a client that follows the blocks, and a fault on the way."""

    def __init__(self, local: LocalNetwork, txs: Sequence[bytes]) -> None:
        self._local = local
        self._txs = txs
        self._place = {tx: index for index, tx in enumerate(txs)}
        self._handed_in: list[float] = []
        self._acknowledged = 0
        self._sender: Client | None = None
        self._victim: int | None = None
        self._seen = bytearray(len(txs))
        self._measured = Measured(transactions=len(txs))
        self._last_at = monotonic()
        self._all_committed = asyncio.Event()
        self._wake = asyncio.Event()
        self._progress = Progress(len(txs), "transactions")

    async def run(self) -> Measured:
        """Import everything; the killed validator is running again when this returns."""
        targets = [node.plaintext for node in self._local.network.nodes]
        # The follower begins at another node than the sender: its own fail-over would cost measured time.
        followed = targets[-1:] + targets[:-1]
        async with Client(targets) as sender, Client(followed) as follower, asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(follower))
            self._sender = sender
            revival = tasks.create_task(self._revive())
            began = monotonic()
            summary = await sender.submit_batches(self._batches(), Level.REPLICATED, on_ack=self._on_ack)
            await revival
            await self._settle()
            following.cancel()
        self._progress.close()
        return self._result(summary, began)

    def _batches(self) -> Iterator[Sequence[bytes]]:
        for start in range(0, len(self._txs), BATCH):
            self._handed_in.append(monotonic())
            yield self._txs[start : start + BATCH]

    def _on_ack(self, receipt: BatchReceipt) -> None:
        self._acknowledged += receipt.count
        # At once, before the answers that have arrived meanwhile are looked at.
        if self._victim is None and 3 * self._acknowledged >= len(self._txs):
            self._kill()
        self._wake.set()
        self._progress.update(self._acknowledged)

    def _kill(self) -> None:
        """Kill the validator that the sender talks to."""
        nodes = self._local.network.nodes
        target = self._sender.target if self._sender else ""
        self._victim = next(index for index, node in enumerate(nodes) if node.plaintext == target)
        self._local.send(self._victim, signal.SIGKILL)
        self._measured.killed = nodes[self._victim].name
        say(f"  {self._measured.killed} killed (kill -9) after {self._acknowledged:,} transactions")

    async def _reached(self, count: int) -> None:
        while self._acknowledged < count:
            self._wake.clear()
            await self._wake.wait()

    async def _revive(self) -> None:
        """Start the killed validator again at two thirds."""
        await self._reached(-(-2 * len(self._txs) // 3))
        if self._victim is not None:
            await self._local.ended(self._victim)
            await self._local.start(self._victim)
            say(f"  {self._measured.killed} started again after {self._acknowledged:,} transactions")

    async def _follow(self, follower: Client) -> None:
        """Note when each transaction's block arrives."""
        place, seen, latencies = self._place, self._seen, self._measured.latencies
        left = len(self._txs)
        async for block in follower.blocks(1):
            at = monotonic()
            for tx in block.txs:
                index = place.get(tx)
                if index is None or seen[index]:
                    continue
                seen[index] = 1
                latencies.append(at - self._handed_in[index // BATCH])
                left -= 1
            if block.txs:
                self._last_at = at
            if left == 0:
                self._all_committed.set()

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(SETTLE_S):
                await self._all_committed.wait()
        except TimeoutError:
            say(f"  {self._seen.count(0):,} transactions are in no block {SETTLE_S:.0f} s after the last")

    def _result(self, summary: StreamSummary, began: float) -> Measured:
        measured = self._measured
        measured.seconds = self._last_at - began
        measured.committed = self._seen.count(1)
        measured.refused = summary.refused
        measured.failovers = summary.failovers
        return measured
