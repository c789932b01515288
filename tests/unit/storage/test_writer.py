"""The writer thread: one sync per group, the guard after the journal, and a failure that is final."""

import errno
import os
import queue
import random
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catenet.storage.guard_file import GuardFile
from catenet.storage.log import Log
from catenet.storage.scan import segment_numbers
from catenet.storage.writer import Writer
from catenet.types.errors import Overloaded, Unavailable
from support.storage import Disk, contents

WAIT_S = 10


class GatedDisk(Disk):
    """A sync that waits until it is let through, and notes in which order files were synced."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.order: list[str] = []

    def __call__(self, descriptor: int) -> None:
        self.entered.set()
        assert self.gate.wait(WAIT_S)
        name = os.readlink(f"/proc/self/fd/{descriptor}")
        self.order.append("guard" if name.endswith("guard") else "journal")
        super().__call__(descriptor)


class Opened:
    """A journal, a guard file and a writer over them, and what the writer said."""

    def __init__(self, home: Path, *, disk: Disk | None = None, **limits: int) -> None:
        sync = disk or os.fdatasync
        self.journal = Log.create(home / "journal", segment_bytes=4096, ahead_bytes=512, sync=sync)
        self.guard = GuardFile.create(home / "guard", self.journal.id, sync=sync)
        self.durable: queue.Queue[int] = queue.Queue()
        self.failures: queue.Queue[OSError] = queue.Queue()
        self.writer = Writer(self.journal, self.guard, self.durable.put, self.failures.put, **limits)

    def wait(self, ticket: int) -> None:
        while self.durable.get(timeout=WAIT_S) < ticket:
            pass


@contextmanager
def opened(home: Path, *, disk: Disk | None = None, **limits: int) -> Iterator[Opened]:
    parts = Opened(home, disk=disk, **limits)
    try:
        yield parts
    finally:
        parts.writer.close()
        parts.journal.close()
        parts.guard.close()


def test_what_is_queued_meanwhile_is_one_group_with_one_sync(tmp_path: Path) -> None:
    disk = GatedDisk()
    with opened(tmp_path, disk=disk) as parts:
        assert parts.writer.write([b"first"]) == 1
        assert disk.entered.wait(WAIT_S)
        tickets = [parts.writer.write([b"r%d" % n, b"s%d" % n], b"state %d" % n) for n in range(50)]
        assert tickets == list(range(2, 52))
        assert parts.writer.queued_bytes > 0
        disk.gate.set()
        parts.wait(51)
        assert disk.order == ["journal", "journal", "guard"]
        assert parts.guard.state == b"state 49"
    journal = contents(tmp_path / "journal")
    assert journal == [[b"first"], [r for n in range(50) for r in (b"r%d" % n, b"s%d" % n)]]


def test_a_group_ends_at_its_size_and_tickets_rise(tmp_path: Path) -> None:
    disk = GatedDisk()
    with opened(tmp_path, disk=disk, group_bytes_max=1000) as parts:
        parts.writer.write([b"first"])
        assert disk.entered.wait(WAIT_S)
        for _ in range(10):
            parts.writer.write([b"x" * 400])
        disk.gate.set()
        said = [parts.durable.get(timeout=WAIT_S) for _ in range(6)]
        assert said == [1, 3, 5, 7, 9, 11]


def test_a_ticket_without_records_waits_for_what_came_before(tmp_path: Path) -> None:
    disk = GatedDisk()
    with opened(tmp_path, disk=disk) as parts:
        parts.writer.write([b"first"])
        last = parts.writer.write([])
        disk.gate.set()
        parts.wait(last)
        assert disk.syncs == 1


def test_a_full_queue_refuses_and_recovers(tmp_path: Path) -> None:
    disk = GatedDisk()
    with opened(tmp_path, disk=disk, queue_bytes_max=1000) as parts:
        parts.writer.write([b"first"])
        assert disk.entered.wait(WAIT_S)
        parts.writer.write([b"x" * 900])
        with pytest.raises(Overloaded):
            parts.writer.write([b"x" * 200])
        disk.gate.set()
        parts.wait(2)
        parts.wait(parts.writer.write([b"x" * 200]))


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_a_failed_sync_stops_for_ever_and_is_told_once(tmp_path: Path, error: int) -> None:
    disk = Disk(fail_at=3, error=error)
    with opened(tmp_path, disk=disk) as parts:
        parts.wait(parts.writer.write([b"one"]))
        parts.wait(parts.writer.write([b"two"]))
        parts.writer.write([b"three"], b"state")
        assert parts.failures.get(timeout=WAIT_S).errno == error
        with pytest.raises(Unavailable, match=os.strerror(error)):
            parts.writer.write([b"four"])
        assert disk.syncs == 3
        assert parts.guard.state == b""
    assert parts.failures.empty()
    assert parts.durable.empty()
    assert disk.syncs == 3
    assert contents(tmp_path / "journal")[:2] == [[b"one"], [b"two"]]


def test_a_guard_that_cannot_be_written_stops_the_journal_too(tmp_path: Path) -> None:
    disk = Disk(fail_at=2)
    with opened(tmp_path, disk=disk) as parts:
        parts.writer.write([b"one"], b"state")
        assert parts.failures.get(timeout=WAIT_S).errno == errno.EIO
        assert parts.durable.empty()
        with pytest.raises(Unavailable):
            parts.writer.write([b"two"])


def test_trim_keeps_every_ticket_from_the_named_one_on(tmp_path: Path) -> None:
    with opened(tmp_path) as parts:
        tickets = [parts.writer.write([b"%04d" % n * 100]) for n in range(60)]
        parts.wait(tickets[-1])
        tickets += [parts.writer.write([b"%04d" % n * 100]) for n in range(60, 120)]
        parts.wait(parts.writer.trim(tickets[70]))
        parts.wait(parts.writer.write([b"end"]))
        assert segment_numbers(tmp_path / "journal")[0] > 1
    kept = [record for group in contents(tmp_path / "journal") for record in group]
    assert kept[-51:] == [*[b"%04d" % n * 100 for n in range(70, 120)], b"end"]


def test_close_writes_what_is_queued_and_refuses_the_rest(tmp_path: Path) -> None:
    with opened(tmp_path) as parts:
        for n in range(200):
            parts.writer.write([b"%d" % n])
        parts.writer.close()
        with pytest.raises(Unavailable, match="closed"):
            parts.writer.write([b"late"])
    assert [r for group in contents(tmp_path / "journal") for r in group] == [b"%d" % n for n in range(200)]


def test_a_full_disk_stops_the_writer_and_leaves_a_journal_that_opens(tmp_path: Path) -> None:
    """The system refuses to let the file grow, as a full disk does: the write is cut short, then fails."""
    with opened(tmp_path) as parts:
        parts.wait(parts.writer.write([b"kept"]))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        try:
            parts.writer.write([b"x" * 3000])
            failure = parts.failures.get(timeout=WAIT_S)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert failure.errno == errno.EFBIG
        with pytest.raises(Unavailable):
            parts.writer.write([b"more"])
    assert contents(tmp_path / "journal") == [[b"kept"]]


CHILD = """
import sys, threading
from pathlib import Path
from catenet.storage.guard_file import GuardFile
from catenet.storage.log import Log
from catenet.storage.writer import Writer

home = Path(sys.argv[1])
first = int(sys.argv[2])
journal = Log.open(home / "journal", segment_bytes=20000, ahead_bytes=4096)
guard = GuardFile.open(home / "guard")
def durable(ticket):
    print(first + ticket, flush=True)
writer = Writer(journal, guard, durable, lambda error: print("failed", flush=True))
number = first
while True:
    number += 1
    record = b"%d|" % number + b"x" * (number * 37 % 900)
    writer.write([record], b"%d" % number)
    if number % 7 == 0:
        threading.Event().wait(0.0005)
"""


@pytest.mark.slow
def test_what_was_told_durable_survives_kill_9_again_and_again(tmp_path: Path) -> None:
    choices = random.Random(3)
    log = Log.create(tmp_path / "journal", segment_bytes=20000)
    GuardFile.create(tmp_path / "guard", log.id).close()
    log.close()
    highest = 0
    for _ in range(12):
        command = [sys.executable, "-c", CHILD, str(tmp_path), str(highest)]
        told = highest
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(choices.randrange(5, 60)):
                told = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            for line in child.stdout:
                told = int(line)
        assert told > highest
        records = [record for group in contents(tmp_path / "journal") for record in group]
        numbers = [int(record.split(b"|")[0]) for record in records]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= told
        guard = GuardFile.open(tmp_path / "guard")
        assert told <= int(guard.state) <= len(numbers)
        guard.close()
        highest = len(numbers)
