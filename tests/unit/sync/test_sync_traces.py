"""Stories of block sync as text: see `tests/support/sync_traces.py` for the commands."""

from pathlib import Path

import pytest

from support import traces
from support.sync_traces import Follower

FILES = sorted((Path(__file__).parents[2] / "traces" / "sync").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_trace(path: Path, rewrite: bool) -> None:
    traces.run(path, Follower().command, rewrite=rewrite)


def test_there_are_traces() -> None:
    assert FILES
