"""Stories of consensus as text: see `tests/support/consensus_traces.py` for the commands."""

from pathlib import Path

import pytest

from support import traces
from support.consensus_traces import Cluster

TESTS = Path(__file__).parents[2]
TRACES = sorted((TESTS / "traces" / "consensus").glob("*.txt"))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace(path: Path, rewrite: bool) -> None:
    traces.run(path, Cluster().command, rewrite=rewrite)


def test_there_are_traces() -> None:
    assert TRACES
