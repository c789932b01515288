"""Running the command line in this process, and a real public server in another."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catenet.cli.root import run

TESTS = Path(__file__).parent.parent


class Terminal:
    """Calls `catenet ...` and keeps what it wrote."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code = -1
        self.out = ""
        self.err = ""

    def __call__(self, *arguments: object) -> int:
        self._capsys.readouterr()
        try:
            self.code = run([str(argument) for argument in arguments])
        except SystemExit as end:
            self.code = end.code if isinstance(end.code, int) else 1
        self.out, self.err = self._capsys.readouterr()
        return self.code


@contextmanager
def serving_node() -> Iterator[str]:
    """Serve the public services with three transactions in two blocks; yields the address."""
    server = subprocess.Popen(
        [sys.executable, "-m", "support.api"],
        cwd=TESTS,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.communicate()
