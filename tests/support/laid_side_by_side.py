"""Two answers laid side by side: the shape of JSON, member by member.

A member's kind is what a client must know to read it: number or decimal text, upper-case hex or base64, null
or an empty list. Values are not compared, for two chains have different ones.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

KINDS = (
    ("decimal", re.compile(r"-?[0-9]{1,20}")),
    ("time", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?Z")),
    ("HEX", re.compile(r"([0-9A-F]{2}){8,}")),
    ("hex", re.compile(r"([0-9a-f]{2}){8,}")),
    ("base64", re.compile(r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{44,})")),
)


def kind_of(value: object, path: str = "") -> str:
    """Return the kind of a leaf."""
    match value:
        case str() if path.endswith("_hash") and dict(KINDS)["HEX"].fullmatch(value):
            # All of its digits may be decimal ones.
            return "HEX"
        case None:
            return "null"
        case bool():
            return "truth"
        case int() | float():
            return "number"
        case "":
            return "empty text"
        case str():
            return next((name for name, form in KINDS if form.fullmatch(value)), "text")
        case []:
            return "empty list"
        case _:
            return "empty object"


def leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield path and kind of each leaf; elements of a list share a path."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for item in value:
            yield from leaves(item, f"{path}[]")
    else:
        yield path, kind_of(value, path)


def shape(value: object) -> dict[str, frozenset[str]]:
    """Return the kinds that each path has."""
    found: dict[str, set[str]] = {}
    for path, kind in leaves(value):
        found.setdefault(path, set()).add(kind)
    return {path: frozenset(kinds) for path, kinds in found.items()}


@dataclass(frozen=True, slots=True)
class Difference:
    """One member that is not alike."""

    question: str
    path: str
    ours: str
    real: str

    def __str__(self) -> str:
        return f"{self.question}: {self.path}: ours {self.ours}, real {self.real}"


def differences(question: str, *, ours: object, real: object) -> tuple[int, list[Difference]]:
    """Return how many members were compared, and those that are not alike."""
    mine, theirs = shape(ours), shape(real)
    paths = sorted({*mine, *theirs})
    found = [
        Difference(question, path, _shown(mine, path), _shown(theirs, path))
        for path in paths
        if mine.get(path) != theirs.get(path)
    ]
    return len(paths), found


def _shown(shapes: Mapping[str, frozenset[str]], path: str) -> str:
    return " or ".join(sorted(shapes[path])) if path in shapes else "absent"
