"""Each rule of docs/reference/protocol.md is cited by the code that follows it, and shown by a trace."""

import re
from collections.abc import Iterable
from functools import cache

import pytest

from support.repository import ROOT, modules

RULES = re.findall(
    r"\b[TGDES]\d+b?\b",
    "\n".join(
        re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/reference/protocol.md").read_text(encoding="utf-8"), re.M)
    ),
)

TRACES = ROOT / "tests" / "traces"

LATER = {"S6": "observers need discovery, a later issue"}
"""Rules that no code follows yet, and why. When code does, its rule leaves this list."""

OUTSIDE_THE_CORE = {"S1": "network"}
"""Rules that another room follows: blocks are served from the store, without the core."""


def code(room: str) -> list[str]:
    """Return the modules of a room."""
    return [module.text for module in modules(below=f"src/catenet/{room}")]


@cache
def stories() -> dict[str, str]:
    """Return what the notes of each trace say, by folder and name."""
    return {
        f"{path.parent.name}/{path.name}": "\n".join(
            [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        )
        for path in sorted(TRACES.rglob("*.txt"))
    }


def uncited(texts: Iterable[str], rules: Iterable[str] = RULES) -> list[str]:
    """Return the rules that none of the texts cites."""
    cited = {rule for text in texts for rule in re.findall(r"\b[TGDES]\d+b?\b", text)}
    return [rule for rule in rules if rule not in cited]


def test_the_page_lists_the_rules() -> None:
    assert len(RULES) == len(set(RULES)) == 14 + 10 + 9 + 4 + 6
    assert LATER.keys() | OUTSIDE_THE_CORE.keys() <= set(RULES)


def test_every_rule_is_cited_by_the_code_that_follows_it() -> None:
    assert uncited(code("core"), [rule for rule in RULES if rule not in OUTSIDE_THE_CORE]) == [*LATER]
    for rule, room in OUTSIDE_THE_CORE.items():
        assert uncited(code(room), [rule]) == []


def test_every_rule_is_shown_by_a_trace() -> None:
    assert uncited(stories().values()) == [*LATER]


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in LATER])
def test_a_missing_citation_is_noticed(rule: str) -> None:
    """The same check over notes without the citation: T1 is not found in T11, nor T6 in T6b."""
    planted = [re.sub(rf"\b{rule}\b", "it", text) for text in stories().values()]
    assert uncited(planted) == [each for each in RULES if each == rule or each in LATER]


def test_every_trace_is_run_by_a_test() -> None:
    """A story that no test tells shows nothing: each folder has one module that runs all that is in it."""
    folders = {path.parent.name for path in TRACES.rglob("*.txt")}
    runners = [
        folder
        for module in modules(below="tests/unit")
        if "traces.run(" in module.text
        for folder in re.findall(r'"traces" / "(\w+)"\)\.glob\("\*\.txt"\)', module.text)
    ]
    assert sorted(runners) == sorted(folders)
    assert {path.relative_to(TRACES).parts[0] for path in TRACES.rglob("*.txt")} == folders
