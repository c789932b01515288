"""ARCHITECTURE.md is true: short, every room on it, every name of the walk in the file that it points to."""

import ast
import re

import pytest

from support.repository import ROOT, SOURCE

MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
LINES_MAX = 150

WALK = re.findall(r"^\| \d+ \| `([\w/]+\.py)` \| `([\w.]+)` \|", MAP, re.M)


def names(source: str) -> set[str]:
    """Return what a module defines: names, and members of its classes as `Class.member`."""
    found = set()
    for node in ast.parse(source).body:
        for name in defined(node):
            found.add(name)
            if isinstance(node, ast.ClassDef):
                found.update(f"{name}.{member}" for child in node.body for member in defined(child))
    return found


def defined(node: ast.stmt) -> list[str]:
    """Return the names that one statement defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def test_the_map_is_short() -> None:
    assert MAP.count("\n") <= LINES_MAX


def test_every_room_is_on_the_map() -> None:
    rooms = {path.parent.name for path in (SOURCE / "catenet").glob("*/__init__.py")}
    assert rooms == set(re.findall(r"^\| `(\w+)/` \|", MAP, re.M))


def test_every_row_of_the_walk_was_read() -> None:
    rows = MAP.partition("## The walk")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| \d+ \|", rows, re.M)) == len(WALK) >= 10


@pytest.mark.parametrize(("path", "name"), WALK)
def test_each_name_of_the_walk_is_in_its_file(path: str, name: str) -> None:
    assert name in names((SOURCE / "catenet" / path).read_text(encoding="utf-8"))
