"""Stories of evidence as text: see `tests/support/evidence_traces.py` for the commands."""

from pathlib import Path

import pytest

from support import traces
from support.evidence_traces import Court

FILES = sorted((Path(__file__).parents[2] / "traces" / "evidence").glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_trace(path: Path, rewrite: bool) -> None:
    traces.run(path, Court().command, rewrite=rewrite)


def test_there_are_traces() -> None:
    assert FILES
