"""Every trace in tests/traces/consensus, and that each rule is cited in the code and shown by a trace."""

import re
from pathlib import Path

import pytest

from support import traces
from support.consensus_traces import Cluster

TESTS = Path(__file__).parents[2]
TRACES = sorted((TESTS / "traces" / "consensus").glob("*.txt"))
CORE = TESTS.parent / "src" / "catenet" / "core"
RULES = [f"T{n}" for n in range(1, 14)] + ["T6b"] + [f"G{n}" for n in range(1, 11)]


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_trace(path: Path, rewrite: bool) -> None:
    traces.run(path, Cluster().command, rewrite=rewrite)


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_cited_in_the_core(rule: str) -> None:
    assert any(re.search(rf"\b{rule}\b", path.read_text()) for path in sorted(CORE.rglob("*.py")))


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_shown_by_a_trace(rule: str) -> None:
    assert any(re.search(rf"\b{rule}\b", path.read_text()) for path in TRACES)
