"""A disk whose power can be cut: an ext4 file system of its own in an image, on a loop device.

A cut freezes who uses the disk, copies the image, and goes on with the copy: what the kernel held in memory
and had not sent to the device is gone. The journal of ext4 and its order are the real ones; that a device may
lose what it was sent without a flush is not modelled.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

DISK_BYTES = 192 << 20
PAUSE_S = 5.0
OPTIONS = "loop,noatime,commit=60"
"""ext4 writes what nobody asked for once a minute only, so that as much as possible is lost."""


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


@cache
def _works(folder: Path) -> str:
    """Return why disks cannot be made here; empty when they can."""
    if os.geteuid() != 0:
        return "a file system can be mounted by root only"
    if missing := [tool for tool in ("losetup", "mkfs.ext4", "mount") if shutil.which(tool) is None]:
        return f"{missing[0]} is missing"
    try:
        with disk(folder / "probe"):
            return ""
    except subprocess.CalledProcessError as error:
        return f"{' '.join(error.cmd)}: {error.stderr.decode(errors='replace').strip()}"


def require_disks(folder: Path) -> None:
    """Skip a test where no file system can be mounted, with the reason."""
    if why := _works(folder):
        pytest.skip(f"no disk of its own: {why}")


class Disk:
    """A mounted image. Use `disk` to make one."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.image = place.with_name(place.name + ".img")

    def make(self) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        with self.image.open("wb") as image:
            image.truncate(DISK_BYTES)
        _run("mkfs.ext4", "-q", self.image)
        self.mount()

    def mount(self) -> None:
        _run("mount", "-t", "ext4", "-o", OPTIONS, self.image, self.place)

    def unmount(self) -> None:
        _run("umount", self.place)

    def copy(self) -> Path:
        """Copy what reached the device, at this moment."""
        copy = self.image.with_suffix(".cut")
        _run("cp", "--sparse=always", self.image, copy)
        return copy

    def replace(self, copy: Path) -> None:
        """Go on with a copy: the disk as it is after the power came back. Its users have ended."""
        self.unmount()
        copy.replace(self.image)
        self.mount()


@contextmanager
def disk(place: Path) -> Iterator[Disk]:
    """Make a disk and mount it at a place; on the way out everything of it is removed."""
    made = Disk(place)
    try:
        made.make()
        yield made
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)
        made.image.unlink(missing_ok=True)
        made.image.with_suffix(".cut").unlink(missing_ok=True)
        shutil.rmtree(place, ignore_errors=True)


def wait_frozen(pids: Sequence[int]) -> None:
    """Wait until no thread of stopped processes runs, or waits for a disk, any more."""
    deadline = time.monotonic() + PAUSE_S
    while not all(_is_frozen(pid) for pid in pids):
        assert time.monotonic() < deadline, "a stopped process goes on"


def _is_frozen(pid: int) -> bool:
    states = [
        (task / "stat").read_text().rpartition(")")[2].split()[0]
        for task in Path(f"/proc/{pid}/task").iterdir()
    ]
    return all(state in "tTZX" for state in states)
