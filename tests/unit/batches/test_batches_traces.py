"""Stories of the pool as text: see `tests/support/batch_traces.py` for the commands."""

from pathlib import Path

import pytest

from support import traces
from support.batch_traces import Pools

FILES = sorted((Path(__file__).parents[2] / "traces" / "batches").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_trace(path: Path, rewrite: bool) -> None:
    traces.run(path, Pools().command, rewrite=rewrite)


def test_there_are_traces() -> None:
    assert FILES
