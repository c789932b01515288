"""Validators of this machine as processes: started, ended, paused; pid files let other commands find them."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catenet.cli.places import Network

LOG = "node.log"
GRACE_S = 10.0
TAIL_BYTES = 2000
TAIL_LINES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """A process, told apart from a later one with the same number by its start time (Linux's clock ticks)."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Return the identity of a running process; None when there is none (or only a zombie)."""
        try:
            # The name in brackets may hold blanks; what follows it has fixed places.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else cls(pid=pid, started=int(fields[19]))

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return ProcessId.of(self.pid) == self

    @property
    def paused(self) -> bool:
        """Whether the process is stopped (SIGSTOP)."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False


def write_pid(path: Path, pid: int) -> None:
    """Note a process in a file."""
    found = ProcessId.of(pid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{pid} {found.started if found else 0}\n")


def read_pid(path: Path) -> ProcessId | None:
    """Return the process that a file notes, if it still runs."""
    try:
        pid, started = path.read_text().split()
        noted = ProcessId(pid=int(pid), started=int(started))
    except (OSError, ValueError):
        return None
    return noted if noted.alive else None


def run_folder(home: Path) -> Path:
    """Return where a network's pid files and requests lie."""
    return home / "run"


class LocalNetwork:
    """The validators of one network, as children of this process."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._children: dict[int, asyncio.subprocess.Process] = {}
        self._begun = [asyncio.Event() for _ in network.nodes]

    @property
    def run(self) -> Path:
        """Where pid files and requests lie."""
        return run_folder(self.network.home)

    def log_path(self, index: int) -> Path:
        """Return where a validator writes what it has to say."""
        return self.network.home / self.network.nodes[index].home / LOG

    def pid_path(self, index: int) -> Path:
        """Return the pid file of a validator."""
        return self.run / f"node{index}.pid"

    async def start(self, index: int) -> None:
        """Start a validator; returns when the process exists."""
        home = self.network.home / self.network.nodes[index].home
        with self.log_path(index).open("ab") as log:
            # A session of its own: Ctrl-C on the terminal reaches only us, and we end them in order.
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "catenet", "start", "--home", str(home), "--with-parent", str(os.getpid())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children[index] = child
        write_pid(self.pid_path(index), child.pid)
        self._begun[index].set()

    def running(self, index: int) -> bool:
        """Say whether a validator runs."""
        child = self._children.get(index)
        return child is not None and child.returncode is None

    def send(self, index: int, number: signal.Signals) -> None:
        """Send a signal to a validator; nothing when it has ended."""
        child = self._children.get(index)
        if child is not None and child.returncode is None:
            child.send_signal(number)

    async def ended(self, index: int) -> int:
        """Wait until a validator has ended, and return its exit code (negative: the signal)."""
        return await self._children[index].wait()

    async def begun(self, index: int) -> None:
        """Wait until a validator runs."""
        while not self.running(index):
            await self._begun[index].wait()
            self._begun[index].clear()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """End all validators: SIGTERM, and SIGKILL for those that take longer than `grace_s`."""
        for index in self._children:
            self.send(index, signal.SIGCONT)
            self.send(index, signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                for child in self._children.values():
                    await child.wait()
        except TimeoutError:
            await self.kill_all()

    async def kill_all(self) -> None:
        """End all validators at once."""
        for index in self._children:
            self.send(index, signal.SIGKILL)
        for child in self._children.values():
            await child.wait()

    @property
    def any_running(self) -> bool:
        """Whether at least one validator runs."""
        return any(self.running(index) for index in self._children)

    def tail(self, index: int) -> str:
        """Return the last lines that a validator wrote."""
        return "\n".join(tail(self.log_path(index)).splitlines()[-TAIL_LINES:])


def tail(path: Path, size: int = TAIL_BYTES) -> str:
    """Return the last lines of a file, at most `size` bytes."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def requests(folder: Path, kind: str) -> Iterator[int]:
    """Yield the validators that others asked something for, and forget the requests."""
    for path in sorted(folder.glob(f"*.{kind}")):
        digits = path.stem.removeprefix("node")
        path.unlink(missing_ok=True)
        if digits.isdecimal():
            yield int(digits)
