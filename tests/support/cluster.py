"""Networks of real node processes for tests: made in a folder, started, killed, paused, and always ended.

Waiting is for a condition with a deadline, asked through the SDK; nothing sleeps in the hope of something.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from catenet.chain.block import Block as ChainBlock
from catenet.chain.commit import Commit, Flag
from catenet.cli.homes import Layout, make_network
from catenet.cli.places import Network
from catenet.cli.ports import is_free
from catenet.client.sdk import Client
from catenet.client.values import Block, Status
from catenet.node.config import Endpoint, ListenConfig
from catenet.types.errors import CatenetError

HOST = "127.0.0.1"
PORTS_PER_NODE = 4
PORTS = range(12_000, 32_000)
"""Below the ephemeral range of Linux: no outgoing connection can take a port between choice and use."""

LOOK_S = 0.02
STOP_S = 15.0
TAIL_LINES = 25
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class LowPorts(Layout):
    """All nodes on this machine, from one port on: peers, clients without TLS, with TLS, JSON-RPC."""

    first: int
    with_rpc: bool = False
    """Whether the nodes serve JSON-RPC: most tests have no use for it."""

    def peer(self, index: int) -> Endpoint:
        return Endpoint(HOST, self.first + PORTS_PER_NODE * index)

    def listen(self, index: int) -> ListenConfig:
        port = self.peer(index).port
        return ListenConfig(
            peer=self.peer(index),
            public_plaintext=Endpoint(HOST, port + 1),
            public_tls=Endpoint(HOST, port + 2),
        )

    def rpc(self, index: int) -> Endpoint | None:
        return Endpoint(HOST, self.peer(index).port + 3) if self.with_rpc else None


def free_ports(count: int) -> int:
    """Return the first of `count` free ports in a row."""
    # Test runs side by side begin at different places.
    places = random.Random(os.getpid() ^ time.monotonic_ns())
    for _ in range(200):
        first = places.randrange(PORTS.start, PORTS.stop - count)
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise AssertionError(f"no {count} free ports in a row in {PORTS}")


class Cluster:
    """The validators of one network, as children of this process. Use `cluster` to make one."""

    def __init__(self, network: Network, settings: Sequence[str] = ()) -> None:
        self.network = network
        self._settings = settings
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def count(self) -> int:
        return len(self.network.nodes)

    @property
    def targets(self) -> list[str]:
        """Addresses without TLS, one for each node."""
        return [node.plaintext for node in self.network.nodes]

    def home(self, index: int) -> Path:
        return self.network.home / self.network.nodes[index].home

    def peer(self, index: int) -> str:
        return self.network.nodes[index].peer

    def rpc(self, index: int) -> str:
        """Where a node serves JSON-RPC: `http://host:port`."""
        return f"http://{self.network.nodes[index].rpc}"

    def tls(self, index: int) -> str:
        return self.network.nodes[index].tls

    @property
    def ca(self) -> Path:
        return self.network.home / self.network.ca

    # Processes.

    def start(self, *indices: int, settings: Sequence[str] = (), under: Sequence[str] = ()) -> None:
        """Start nodes; all of them when none is named. Returns when the processes exist.

        `under`: a command that runs the node's command as the same process (see `support.strace`).
        """
        for index in indices or range(self.count):
            assert not self.running(index), f"node{index} runs already"
            command = [*under, sys.executable, "-m", "catenet", "start", "--home", str(self.home(index))]
            # Linux ends the node with its parent, also when the tests are killed.
            command += ["--with-parent", str(os.getpid())]
            for setting in (*self._settings, *settings):
                command += ["--set", setting]
            with self.log_path(index).open("ab") as log:
                self._processes[index] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )

    def running(self, index: int) -> bool:
        process = self._processes.get(index)
        return process is not None and process.poll() is None

    def pid(self, index: int) -> int:
        return self._processes[index].pid

    def send(self, number: signal.Signals, indices: Iterable[int]) -> None:
        for index in indices:
            if self.running(index):
                self._processes[index].send_signal(number)

    def kill(self, *indices: int) -> None:
        """End nodes as a crash would: kill -9, all of them before any is waited for."""
        chosen = indices or tuple(self._processes)
        self.send(signal.SIGKILL, chosen)
        for index in chosen:
            self._processes[index].wait(STOP_S)

    def stop(self, *indices: int) -> list[int]:
        """End nodes in good order (SIGTERM); returns their exit codes."""
        chosen = indices or tuple(self._processes)
        self.send(signal.SIGTERM, chosen)
        return [self._processes[index].wait(STOP_S) for index in chosen]

    def pause(self, *indices: int) -> None:
        """Freeze nodes (SIGSTOP), as a stalled machine would be."""
        self.send(signal.SIGSTOP, indices)

    def resume(self, *indices: int) -> None:
        """Let paused nodes go on."""
        self.send(signal.SIGCONT, indices)

    def exit_code(self, index: int, *, within_s: float) -> int:
        """Wait until a node has ended by itself; returns its exit code."""
        return self._processes[index].wait(within_s)

    def close(self) -> None:
        """End everything that was started here, whatever state it is in."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
        for process in self._processes.values():
            process.wait()

    def cpu_s(self) -> float:
        """Return the processor time of all running nodes so far: user and system, in seconds."""
        return sum(process_cpu_s(self.pid(index)) for index in self._processes if self.running(index))

    # Logs.

    def log_path(self, index: int) -> Path:
        return self.home(index) / "node.log"

    def log(self, index: int) -> str:
        try:
            return self.log_path(index).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def events(self, index: int, name: str) -> list[dict[str, object]]:
        """Return the log entries of one name."""
        found = []
        for line in self.log(index).splitlines():
            if line.startswith("{"):
                entry: dict[str, object] = json.loads(line)
                if entry.get("event") == name:
                    found.append(entry)
        return found

    def tails(self) -> str:
        """Return the end of each node's log, for the report of a failure."""
        parts = []
        for index in range(self.count):
            lines = self.log(index).splitlines()[-TAIL_LINES:]
            parts.append(f"--- node{index} ---\n" + "\n".join(line[:600] for line in lines))
        return "\n".join(parts)

    # The network, asked through the SDK.

    @asynccontextmanager
    async def client(self, *indices: int, timeout_s: float = 30.0) -> AsyncIterator[Client]:
        """Connect to the named nodes, to all of them when none is named; the first is used first."""
        targets = [self.targets[index] for index in indices] or self.targets
        async with Client(targets, timeout_s=timeout_s, attempt_timeout_s=min(10.0, timeout_s)) as client:
            yield client

    async def status(self, index: int, *, timeout_s: float = 2.0) -> Status | None:
        """Ask one node how it stands; None when it does not answer."""
        async with self.client(index, timeout_s=timeout_s) as client:
            try:
                return await client.status()
            except (CatenetError, TimeoutError):
                return None

    async def wait_status(
        self, index: int, condition: Callable[[Status], bool], *, within_s: float, what: str
    ) -> Status:
        """Wait until one node's status meets a condition; returns that status."""
        deadline, found = time.monotonic() + within_s, None
        async with self.client(index, timeout_s=1.0) as client:
            while time.monotonic() < deadline:
                try:
                    found = await client.status()
                except (CatenetError, TimeoutError):
                    found = None
                if found is not None and condition(found):
                    return found
                await asyncio.sleep(LOOK_S)
        raise AssertionError(f"node{index}: not within {within_s:g} s: {what}; last status: {found}")

    async def wait_height(self, height: int, *indices: int, within_s: float = 30.0) -> None:
        """Wait until nodes (all running ones when none is named) have a height."""
        chosen = indices or tuple(index for index in self._processes if self.running(index))
        for index in chosen:
            await self.wait_status(
                index, lambda found: found.height >= height, within_s=within_s, what=f"height {height}"
            )

    async def make_whole(self, *, within_s: float = 30.0) -> None:
        """Have all nodes run, connected and at one height, whatever was done to them before."""
        self.resume(*self._processes)
        if missing := [index for index in range(self.count) if not self.running(index)]:
            self.start(*missing)
        await self.wait_ready(within_s=within_s)
        await self.wait_height(await self.head(), within_s=within_s)

    async def wait_ready(self, *indices: int, within_s: float = 30.0) -> None:
        """Wait until nodes reach all others that run, and the first block is there."""
        running = sum(self.running(index) for index in range(self.count))
        chosen = indices or tuple(index for index in self._processes if self.running(index))
        for index in chosen:
            await self.wait_status(
                index,
                lambda found: found.height >= 1 and sum(v.connected for v in found.validators) >= running,
                within_s=within_s,
                what=f"height 1 and {running} validators connected",
            )

    async def head(self, *indices: int) -> int:
        """Return the greatest height that nodes have; all running ones when none is named."""
        chosen = indices or tuple(index for index in self._processes if self.running(index))
        found = [await self.status(index) for index in chosen]
        return max((status.height for status in found if status is not None), default=0)

    async def chain(self, index: int, last: int) -> list[Block]:
        """Return the blocks 1 to `last` of one node, with stored bytes and commits."""
        async with self.client(index) as client:
            return [block async for block in client.blocks(1, last, raw=True)]

    async def agreed_chain(self, last: int) -> list[Block]:
        """Return the blocks 1 to `last`, which must be the same bytes on all running nodes."""
        chains = [await self.chain(index, last) for index in range(self.count) if self.running(index)]
        for other in chains[1:]:
            assert [block.raw for block in other] == [block.raw for block in chains[0]]
        return chains[0]


@contextmanager
def cluster(
    folder: Path,
    *,
    count: int = 4,
    settings: Sequence[str] = (),
    chain_id: str = "e2e-net",
    with_rpc: bool = False,
) -> Iterator[Cluster]:
    """Make a network in a folder; nothing runs yet. On the way out all its processes are ended."""
    layout = LowPorts(count=count, first=free_ports(PORTS_PER_NODE * count), with_rpc=with_rpc)
    made = Cluster(make_network(folder, chain_id=chain_id, layout=layout), settings)
    try:
        yield made
    except BaseException:
        print(made.tails())
        raise
    finally:
        made.close()


def process_cpu_s(pid: int) -> float:
    """Return user and system time of a process in seconds."""
    # The name in brackets may hold blanks; what follows it has fixed places.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def signers(block: Block) -> set[bytes]:
    """Return the addresses whose precommits decided a block."""
    return {entry.address for entry in Commit.decode(block.commit).signatures if entry.flag is Flag.COMMIT}


async def wait_signature(net: Cluster, index: int, *, after: int, within_s: float) -> int:
    """Wait until a node's precommit is in the commit of a block above a height; returns that height."""
    status = await net.status(index)
    assert status is not None, f"node{index} does not answer"
    others = [other for other in range(net.count) if other != index]
    async with net.client(*others) as client, asyncio.timeout(within_s):
        async for block in client.blocks(after + 1, raw=True):
            if status.address in signers(block):
                return block.height
    raise AssertionError("the stream of blocks ended")


def block_time_s(block: Block) -> float:
    """Return the time in a block's header, in seconds of the system clock."""
    return ChainBlock.decode(block.raw).header.time_ns / 1e9


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values stay within."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]
