"""One validator alone, in a process of its own: a few blocks of work, whatever happens to it meanwhile."""

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from catenet.client.sdk import Client
from catenet.storage.home import Home
from catenet.types.errors import CatenetError
from catenet.types.events import Level
from support.audit import Contents, contents, require_same, signed_by, transactions
from support.cluster import LOOK_S, Cluster, cluster

BLOCKS = 3
UP_S = 30.0
END_S = 20.0

SETTINGS = ("consensus.heartbeat_interval_ms=0", "consensus.proof_delay_ms=0")
"""No block that a transaction has not asked for, but the one that proves it: runs are alike."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a node had on disk at one time, and had told its client."""

    data: Path
    acknowledged: tuple[bytes, ...]
    noted: bytes | None
    """The note beside the key of the chains that it signed for, if it was there."""


class Solo:
    """The one node of a network, and what it told its client."""

    def __init__(self, net: Cluster, index: int = 0) -> None:
        self.net = net
        self.home = Home(net.home(index))
        self.acknowledged: list[bytes] = []
        """Transactions that are REPLICATED: for one validator alone, durable."""

    def keep(self) -> "Kept":
        """Copy what the stopped node has on disk, to go back to."""
        kept = self.home.root.with_name(f"kept{len(list(self.home.root.parent.glob('kept*')))}")
        shutil.copytree(self.home.data, kept)
        note = self.home.signed_chains
        return Kept(kept, tuple(self.acknowledged), note.read_bytes() if note.exists() else None)

    def go_back(self, kept: "Kept") -> None:
        """Put back what was kept; what came after it never was."""
        shutil.rmtree(self.home.data)
        shutil.copytree(kept.data, self.home.data)
        self.home.signed_chains.unlink(missing_ok=True)
        if kept.noted is not None:
            self.home.signed_chains.write_bytes(kept.noted)
        self.acknowledged = list(kept.acknowledged)
        self.net.log_path(0).unlink(missing_ok=True)

    def start(self, under: Sequence[str] = ()) -> None:
        self.net.start(0, under=under)

    async def work(self, count: int, name: str, *, filler: int = 0) -> bool:
        """Have `count` transactions committed, one after the other; False when the node ends before.

        Each has `filler` further bytes.
        """
        async with self.net.client(0, timeout_s=END_S) as client:
            working = asyncio.get_running_loop().create_task(self._submit(client, count, name, bytes(filler)))
            try:
                while not working.done():
                    if not self.net.running(0):
                        return False
                    await asyncio.sleep(LOOK_S)
                return working.result()
            finally:
                working.cancel()
                await asyncio.wait([working])

    async def _submit(self, client: Client, count: int, name: str, filler: bytes) -> bool:
        for number in range(count):
            tx = b"%s%d=%d%s" % (name.encode(), number, number, filler)
            try:
                await client.send(tx, Level.REPLICATED, timeout_s=UP_S)
                self.acknowledged.append(tx)
                await client.wait(sha256(tx).digest())
            except (CatenetError, TimeoutError):
                return False
        return True

    def stop(self) -> int | None:
        """End the node in good order; returns its exit code, or None when it had ended before."""
        if not self.net.running(0):
            return None
        (code,) = self.net.stop(0)
        return code

    def was_killed(self) -> bool:
        """Say whether the node ended by kill -9."""
        return not self.net.running(0) and self.net.exit_code(0, within_s=0) == -signal.SIGKILL

    async def recovered(self, name: str) -> Contents:
        """Start the node as it was left; it must go on by itself, with all that was acknowledged.

        Returns what its home then holds; all of it was checked.
        """
        before = signed_by(self.home)
        began, said = time.monotonic(), len(self.net.log(0))
        self.start()
        assert await self.work(1, name), f"no new transaction is committed:\n{self.net.tails()}"
        took = time.monotonic() - began
        assert took < UP_S, f"going on took {took:.1f} s"
        async with self.net.client(0) as client:
            for tx in self.acknowledged:
                found = await client.wait(sha256(tx).digest())
                key, _, value = tx.partition(b"=")
                answer = await client.query("/store", key)
                assert (found.code, answer.value) == (0, value), f"{tx!r} is acknowledged, and not served"
        assert self.stop() == 0, self.net.tails()
        log = self.net.log(0)[said:]
        assert '"level": "ERROR"' not in log, log
        assert "_rebuilt" not in log, "a crash alone must not cost the index or the state"
        after = contents(self.home)
        require_same(before, after.signed)
        counts = transactions(after.chain)
        assert len(counts) == len(set(counts)), "a transaction is in blocks twice"
        assert set(self.acknowledged) <= set(counts)
        # A node may be told to stop between a block's record and its execution; the next start catches up.
        assert len(after.chain) - 1 <= after.state_height <= len(after.chain)
        return after


@contextmanager
def solo(folder: Path) -> Iterator[Solo]:
    """Make a network of one in a folder, which is removed in the end. Nothing runs yet."""
    with cluster(folder, count=1, settings=SETTINGS, chain_id="faults") as net:
        yield Solo(net)
    shutil.rmtree(folder, ignore_errors=True)
