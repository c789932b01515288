"""Each rule of docs/reference/protocol.md is cited by the code that follows it."""

import re

import pytest

from support.repository import ROOT, modules

RULES = re.findall(
    r"\b[TGDES]\d+b?\b",
    "\n".join(
        re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/reference/protocol.md").read_text(encoding="utf-8"), re.M)
    ),
)

FOLLOWERS = [module for module in modules(below="src") if not {"types", "testing"} & set(module.path.parts)]
"""Where a rule is acted on: vocabulary and simulator only talk about it."""

LATER = {
    "G10": "observers need discovery, a later issue",
    "S6": "observers need discovery, a later issue",
}
"""Rules that no code follows yet, and why."""


def test_the_page_lists_the_rules() -> None:
    assert len(RULES) == len(set(RULES)) == 14 + 10 + 9 + 3 + 6
    assert set(LATER) <= set(RULES)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in LATER])
def test_the_rule_is_cited_in_the_code(rule: str) -> None:
    assert any(re.search(rf"\b{rule}\b", module.text) for module in FOLLOWERS)
