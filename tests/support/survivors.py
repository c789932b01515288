"""The page of the mutants that no test notices: each with the reason why that is accepted.

A survivor is known by the function it is in and by the lines that it takes away and puts there, so that a
change elsewhere in the module does not make it another one.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.mutants import Mutant
from support.repository import ROOT, definitions

PAGE = ROOT / "docs" / "reference" / "mutation-survivors.md"
MARK = "<!-- From here on `scripts/campaign-mutation --write` writes all but the reasons. -->"
NO_REASON = "No reason yet."

_HEADING = re.compile(r"## `(?P<module>\S+)`")
_FIGURES = re.compile(r"(?P<mutants>\d+) mutants, (?P<survivors>\d+) survive, .* % are killed\.")
_BEFORE = re.compile(r"- `(?P<function>\S+)`: `(?P<before>.*)`")
_AFTER = re.compile(r"  - becomes (?:`(?P<after>.*)`|nothing)")
_WHY = re.compile(r"  - why: (?P<why>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """One change that no test notices."""

    function: str
    before: str
    after: str

    @classmethod
    def of(cls, mutant: Mutant, source: str) -> "Survivor":
        """Return what the page says of a mutant."""
        lines = mutant.diff(source).splitlines()
        before, after = (
            " ".join([line[1:].strip() for line in lines if line[0] == sign]).strip() for sign in "-+"
        )
        return cls(function=_function_at(source, mutant.line), before=before, after=after)

    def line(self) -> str:
        """Return what becomes of the lines."""
        return f"  - becomes `{self.after}`" if self.after else "  - becomes nothing"


@dataclass(slots=True, kw_only=True)
class Section:
    """What the page says of a module."""

    mutants: int = 0
    survivors: int = 0
    """How many mutants survive; two that make the same line are one entry."""
    reasons: dict[Survivor, str] = field(default_factory=dict[Survivor, str])

    @property
    def percent(self) -> float:
        """How many of a hundred mutants are killed."""
        return 100 * (1 - self.survivors / self.mutants) if self.mutants else 100.0


def _function_at(source: str, line: int) -> str:
    found = "module"
    for name, node in definitions(ast.parse(source)):
        first = min([node.lineno, *[part.lineno for part in node.decorator_list]])
        if first <= line <= (node.end_lineno or node.lineno):
            found = name
    return found


def read(text: str) -> dict[str, Section]:
    """Read what the page says of each module."""
    sections: dict[str, Section] = {}
    section, place = Section(), ("", "")
    unexplained: list[Survivor] = []
    for line in text.partition(MARK)[2].splitlines():
        if heading := _HEADING.fullmatch(line):
            section = sections.setdefault(heading["module"], Section())
        elif figures := _FIGURES.fullmatch(line):
            section.mutants, section.survivors = int(figures["mutants"]), int(figures["survivors"])
        elif before := _BEFORE.fullmatch(line):
            place, unexplained = (before["function"], before["before"]), []
        elif after := _AFTER.fullmatch(line):
            survivor = Survivor(function=place[0], before=place[1], after=after["after"] or "")
            section.reasons[survivor] = NO_REASON
            unexplained.append(survivor)
        elif why := _WHY.fullmatch(line):
            section.reasons |= dict.fromkeys(unexplained, why["why"])
            unexplained = []
    return sections


def updated(section: Section, mutants: int, survivors: Iterable[Survivor]) -> Section:
    """Return what the page is to say of a module after a whole campaign: reasons are kept."""
    found = list(survivors)
    reasons = {survivor: section.reasons.get(survivor, NO_REASON) for survivor in found}
    return Section(mutants=mutants, survivors=len(found), reasons=reasons)


def table(sections: Mapping[str, Section]) -> str:
    """Return the table of the figures."""
    rows = ["| module | mutants | survive | killed |", "|---|---|---|---|"]
    for name, section in sections.items():
        rows.append(f"| `{name}` | {section.mutants} | {section.survivors} | {section.percent:.1f} % |")
    whole = Section(
        mutants=sum([section.mutants for section in sections.values()]),
        survivors=sum([section.survivors for section in sections.values()]),
    )
    rows.append(f"| all | {whole.mutants} | {whole.survivors} | {whole.percent:.1f} % |")
    return "\n".join(rows)


def written(text: str, sections: Mapping[str, Section]) -> str:
    """Return the page with these sections in place of those that it has."""
    parts = [text.partition(MARK)[0] + MARK, table(sections)]
    for name, section in sections.items():
        figures = (
            f"{section.mutants} mutants, {section.survivors} survive, {section.percent:.1f} % are killed."
        )
        parts.append(f"## `{name}`\n\n{figures}")
        if section.reasons:
            parts.append("\n".join(_entries(section)))
    return "\n\n".join(parts) + "\n"


def _entries(section: Section) -> Iterator[str]:
    """Yield the lines of a section: the changes of one line that have the same reason are together."""
    groups: dict[tuple[str, str, str], list[Survivor]] = {}
    for survivor, reason in section.reasons.items():
        groups.setdefault((survivor.function, survivor.before, reason), []).append(survivor)
    for (function, before, reason), survivors in groups.items():
        yield f"- `{function}`: `{before}`"
        yield from [survivor.line() for survivor in survivors]
        yield f"  - why: {reason}"


def write(path: Path, sections: Mapping[str, Section]) -> None:
    """Write the page."""
    path.write_text(written(path.read_text(encoding="utf-8"), sections), encoding="utf-8")
