"""CometBFT's own Go application, `abci-cli kvstore`, as a process that comes and goes; and what it says."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from catenet.abci.link import Link
from catenet.abci.remote import RemoteApplication
from catenet.types.application import Info, Query
from support.cluster import HOST, LOOK_S, Cluster, free_ports
from support.cometbft import abci_cli_binary, with_parent

UP_S = 60.0
STOP_S = 15.0
AHEAD = "If it only executed that block and did not commit it, start it anew"


class KvStore:
    """One process over a database of its own, at one port over restarts."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def setting(self) -> str:
        """What a node of ours is told."""
        return f"proxy_app=grpc://{HOST}:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [str(abci_cli_binary()), "kvstore", "--abci", "grpc", "--log_level", "error"]
        command += ["--address", f"tcp://{HOST}:{self.port}", "--persist", str(self.folder)]
        with (self.folder / "kvstore.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*with_parent(), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.running:
            self.kill()

    def info(self) -> Info:
        """Ask it where it stands, as an engine does."""
        with _asking(self.port) as remote:
            return remote.info()

    def value(self, key: bytes) -> bytes:
        with _asking(self.port) as remote:
            return remote.query(Query(data=key)).value


@contextmanager
def _asking(port: int) -> Iterator[RemoteApplication]:
    link = Link(f"{HOST}:{port}", answer_s=10.0, patience_s=10.0)
    try:
        link.connect()
        yield RemoteApplication(link, lambda height: None)
    finally:
        link.disconnect()


@contextmanager
def kvstores(folder: Path, count: int) -> Iterator[list[KvStore]]:
    """Start Go applications; on the way out all are ended."""
    first = free_ports(count)
    made = [KvStore(folder / f"kvstore{index}", first + index) for index in range(count)]
    try:
        for one in made:
            one.start()
        yield made
    finally:
        for one in made:
            one.close()


class Restarts:
    """Ends and starts applications and nodes at moments that follow from a seed, one at a time."""

    def __init__(self, net: Cluster, apps: Sequence[KvStore], seed: int) -> None:
        self._net, self._apps = net, apps
        self._chance = random.Random(seed)
        self._starts = [0] * net.count
        self.counts = {"application": 0, "node": 0, "both": 0, "paused": 0, "ahead": 0}
        """How often each was done; `ahead`: an application was found to hold a block it had not committed."""

    def start(self, index: int) -> None:
        self._starts[index] += 1
        self._net.start(index, settings=[self._apps[index].setting])

    def one(self) -> None:
        """End something, wait, start it again, and wait until it is there."""
        index = self._chance.randrange(self._net.count)
        kind = self._chance.choice(("application", "node", "both", "paused"))
        self.counts[kind] += 1
        app = self._apps[index]
        self._wait(self._chance.uniform(0.0, 0.7))
        match kind:
            case "application":
                app.kill()
                self._wait(self._chance.choice((0.0, 0.3, 1.0)))
                app.start()
            case "node":
                self._net.kill(index)
                self.start(index)
            case "both":
                app.kill()
                self._net.kill(index)
                self.start(index)
                self._wait(self._chance.choice((0.0, 0.3)))
                app.start()
            case "paused":
                app.pause()
                self._wait(self._chance.uniform(0.1, 1.0))
                app.resume()
        self._wait_started(index)

    def _wait_started(self, index: int) -> None:
        """Wait until a node has shaken hands with its application."""
        deadline = time.monotonic() + UP_S
        while not self._is_up(index):
            assert time.monotonic() < deadline, f"node{index} is not back\n{self._net.tails()}"
            if not self._net.running(index):
                # It says what an operator is to do, and that is done here.
                said = self._net.log(index).splitlines()[-1]
                assert AHEAD in said, f"node{index} ended\n{self._net.tails()}"
                self.counts["ahead"] += 1
                self._apps[index].kill()
                self._apps[index].start()
                self.start(index)
            self._wait(LOOK_S)

    def _is_up(self, index: int) -> bool:
        """Whether the newest life of a node has shaken hands."""
        lives = self._net.log(index).split('"event": "application_awaited"')[1:]
        return (
            self._net.running(index)
            and len(lives) == self._starts[index]
            and '"event": "started"' in lives[-1]
        )

    def _wait(self, seconds: float) -> None:
        # The moments themselves are what is tried out.
        time.sleep(seconds)
