"""Stories of the double-sign guard as text: see `tests/support/guard_traces.py` for the commands."""

from pathlib import Path

import pytest

from support import traces
from support.guard_traces import Signer

FILES = sorted((Path(__file__).parents[2] / "traces" / "guard").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_trace(path: Path, rewrite: bool) -> None:
    traces.run(path, Signer().command, rewrite=rewrite)


def test_there_are_traces() -> None:
    assert FILES
