"""The page of what mutation testing lets live: whole, with a reason for each, and above the floor.

Whether it is true is for `scripts/campaign-mutation` to say.
"""

import pytest

from support.mutants import Mutant
from support.survivors import NO_REASON, PAGE, Section, Survivor, read, updated, written
from support.targets import TARGETS
from support.uncounted import ignored_places, is_counted

TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = read(TEXT)
FLOOR = 85.0


def test_the_page_has_every_module_of_the_campaign() -> None:
    assert list(SECTIONS) == list(TARGETS)


@pytest.mark.parametrize("module", TARGETS)
def test_each_survivor_has_a_reason_and_each_module_is_above_the_floor(module: str) -> None:
    section = SECTIONS[module]
    assert section.percent >= FLOOR
    assert len(section.reasons) <= section.survivors
    assert [survivor for survivor, reason in section.reasons.items() if reason in ("", NO_REASON)] == []


def test_the_page_is_written_as_it_is_read() -> None:
    assert written(TEXT, SECTIONS) == TEXT


def test_a_survivor_keeps_its_reason_though_its_line_moves() -> None:
    before = "def f(a: int) -> bool:\n    return a > 0\n"
    mutant = Mutant(operator="x", occurrence=0, line=2, column=11, source=before.replace("> 0", ">= 0"))
    survivor = Survivor.of(mutant, before)
    assert survivor == Survivor(function="f", before="return a > 0", after="return a >= 0")
    moved = "\n\n\n" + before
    again = Mutant(operator="x", occurrence=3, line=5, column=11, source=moved.replace("> 0", ">= 0"))
    assert Survivor.of(again, moved) == survivor
    old = Section(mutants=9, survivors=1, reasons={survivor: "it is never 0"})
    gone = Survivor(function="f", before="return a > 0", after="return a < 0")
    section = updated(old, 10, [survivor, gone])
    assert section == Section(mutants=10, survivors=2, reasons={survivor: "it is never 0", gone: NO_REASON})
    assert section.percent == 80.0


@pytest.mark.parametrize(
    ("line", "part", "operator", "counted"),
    [
        ("def f(a: int | None) -> bool | None: ...", "|", "ReplaceBinaryOperator_BitOr_Add", False),
        ("def f(a: int, *, b: int) -> None: ...", "*", "ReplaceBinaryOperator_Mul_Div", False),
        ("a = b | c", "|", "ReplaceBinaryOperator_BitOr_Add", True),
        ("a = b * c", "*", "ReplaceBinaryOperator_Mul_Div", True),
        ("Either = int | str", "|", "ReplaceBinaryOperator_BitOr_Add", False),
        ("@dataclass(frozen=True)\nclass A: ...", "frozen", "ReplaceTrueWithFalse", False),
        ("a = f(strict=True)", "True", "ReplaceTrueWithFalse", True),
        ("assert a < 1", "<", "ReplaceComparisonOperator_Lt_LtE", False),
        ("a = b < 1", "<", "ReplaceComparisonOperator_Lt_LtE", True),
        ("a = b == 1", "==", "ReplaceComparisonOperator_Eq_Is", False),
        ("a = b is None", "is", "ReplaceComparisonOperator_Is_Eq", False),
        ("a = b is None", "is", "ReplaceComparisonOperator_Is_IsNot", True),
        ("a = b is None", "is", "ReplaceComparisonOperator_Is_NotEq", True),
    ],
)
def test_what_is_not_counted_is_decided_by_rules(line: str, part: str, operator: str, counted: bool) -> None:
    assert is_counted(operator, 1, line.index(part), ignored_places(line)) is counted
