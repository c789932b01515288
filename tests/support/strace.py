"""Faults at the border of the kernel: a node under strace, which notes its writes, or breaks one of them.

strace counts the calls of each thread by themselves. A point is therefore named by file, call and number, and
is looked for in the main thread alone, or in all of them.
"""

import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

CALLS = (
    *("write", "pwrite64", "writev", "pwritev", "fsync", "fdatasync"),
    *("rename", "ftruncate", "unlink", "mkdir", "openat"),
)
"""What changes a disk, or makes a change durable. Of `openat` only what makes or empties a file counts."""

PID = "%PID%"
"""Stands for the number of the node's process in the name of a file."""

_LINE = re.compile(r"^(?P<thread>\d+) +(?P<call>\w+)\((?P<rest>.*)$")
_PATH = re.compile(r'^(?:AT_FDCWD(?:<[^>]*>)?, )?(?:\d+<(?P<fd>[^>]*)>|"(?P<name>[^"]*)")')


@dataclass(frozen=True, slots=True)
class Point:
    """One call of a node that runs: the `number`-th of this name on this file by one thread."""

    path: str
    """Relative to the home."""
    call: str
    number: int
    is_main: bool
    """Whether the main thread makes it: it opens and closes a home, others write in between."""

    def __str__(self) -> str:
        thread = "main" if self.is_main else "other"
        return f"{self.call} {self.number} of {self.path} ({thread} thread)"


@cache
def _works() -> bool:
    command = ["strace", "-D", "-o", os.devnull, "true"]
    return shutil.which("strace") is not None and subprocess.run(command, check=False).returncode == 0


def require_strace() -> None:
    """Skip a test where strace is missing or may not trace. CATENET_REQUIRE_FAULTS=1 makes that a failure."""
    if not _works():
        assert not os.environ.get("CATENET_REQUIRE_FAULTS"), "strace is required, and does not work here"
        pytest.skip("strace is missing, or may not trace here")


def noting(trace: Path) -> list[str]:
    """Return the command under which a node's writes are noted in a file. The node keeps its pid."""
    # One line a call, file names for descriptors, no data.
    return ["strace", "-D", "-f", "-y", "-s", "0", "-e", "signal=none", "-o", str(trace), *_traced(CALLS)]


def breaking(home: Path, point: Point, how: str, trace: Path) -> list[str]:
    """Return the command under which the call of a point is broken: `signal=SIGKILL`, `error=EIO`, ...

    The call itself is not made. The file `trace` notes what was seen, for `has_failed`.
    """
    command = ["strace", "-D", "-y", "-s", "0", "-e", "signal=none", "-o", str(trace)]
    if not point.is_main:
        command.append("-f")
    command += [*_traced([point.call]), "-e", f"inject={point.call}:{how}:when={point.number}", "-P"]
    # The shell, strace's caller and the node are one process: its number is known in time.
    path = "$$".join(map(shlex.quote, str(home / point.path).split(PID)))
    return ["sh", "-c", f'exec {shlex.join(command)} {path} "$@"', "sh"]


def _traced(calls: Sequence[str]) -> list[str]:
    return ["-e", "trace=" + ",".join(calls)]


def has_failed(trace: Path) -> bool:
    """Say whether the call of a point was met and given its error."""
    return trace.exists() and "(INJECTED)" in trace.read_text(errors="replace")


def calls_after_failure(trace: Path) -> list[str]:
    """Return the calls on the file of a point that came after the one that failed, by any thread."""
    _, _, after = trace.read_text(errors="replace").partition("(INJECTED)")
    return [line for line in after.splitlines() if _LINE.match(line)]


def points(trace: Path, home: Path) -> list[Point]:
    """Return the calls that a noted node made on the files of its home, in order."""
    main = None
    seen: Counter[tuple[str, str, str]] = Counter()
    found: list[Point] = []
    for thread, call, path, is_change in _calls(trace):
        main = main or thread
        if not path.startswith(f"{home}/"):
            continue
        inside = path.removeprefix(f"{home}/").replace(f".{main}.", f".{PID}.")
        seen[thread, call, inside] += 1
        if is_change and inside.startswith(("data", "lock", "config")):
            number = seen[thread, call, inside]
            found.append(Point(inside, call, number, is_main=thread == main))
    return list(dict.fromkeys(found))


def _calls(trace: Path) -> Iterator[tuple[str, str, str, bool]]:
    for line in trace.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        named = _PATH.match(found["rest"]) if found else None
        if found is None or named is None:
            continue
        is_change = found["call"] != "openat" or "O_CREAT" in line or "O_TRUNC" in line
        yield found["thread"], found["call"], named["fd"] or named["name"], is_change
