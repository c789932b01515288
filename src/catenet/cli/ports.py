"""Ports of this machine: which are free, and by whom the others are taken (Linux's /proc)."""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from catenet.cli.shape import Failure

LISTENING = "0A"


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether one could listen on a port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        # A bind alone succeeds beside a listener that shares its port (SO_REUSEPORT).
        return not _inodes(port)


def is_ours(host: str) -> bool:
    """Say whether an address is one of this machine's; names that do not resolve are not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
        return True


def holder(port: int) -> str:
    """Say who listens on a port: `name (pid N)`, or what little is known."""
    inodes = {f"socket:[{inode}]" for inode in _inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        if inodes.intersection(_links(process / "fd")):
            return f"{_name(process)} (pid {process.name})"
    return "a process of another user" if inodes else "another process"


def free_offset(ports: Sequence[int], *, step: int = 1000) -> int | None:
    """Return the least multiple of `step` that moves all ports to free ones; None when there is none."""
    for offset in range(0, 65536 - max(ports), step):
        if all(is_free(port + offset) for port in ports):
            return offset
    return None


def require_free(ports: Sequence[int], *, offset: int | None = 0, step: int = 1000) -> None:
    """Fail when a port is taken, saying by what, and which offset would do.

    `offset` is what the ports were moved by already; None when they cannot be moved.
    """
    taken = next((port for port in ports if not is_free(port)), None)
    if taken is None:
        return
    advice = "; stop that process first"
    if offset is not None and (more := free_offset(ports, step=step)) is not None:
        advice = f"; try --port-offset {offset + more}: {taken + more} is free"
    raise Failure(f"port {taken} is taken by {holder(taken)}{advice}")


def _links(folder: Path) -> set[str]:
    """Return what a process's descriptors lead to, as far as they are still there and ours to see."""
    found: set[str] = set()
    try:
        names = os.listdir(folder)
    except OSError:
        return found
    for name in names:
        with suppress(OSError):
            found.add(os.readlink(folder / name))
    return found


def _inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                found.add(columns[9])
    return found


def _name(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        return " ".join(word.decode(errors="replace") for word in words[:4] if word).strip() or process.name
    except OSError:
        return "a process"
