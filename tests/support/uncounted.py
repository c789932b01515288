"""Changes that mutation testing does not count: by these rules alone, never one by one.

- Types: an annotation, a union that names a type. They mean nothing when the program runs.
- The shape of a data class: `frozen`, `slots`, `kw_only`, `repr`, and the star of a signature: what must
  not be written, which the type checker sees to.
- `assert`: it tells the type checker what holds anyway; pytest and `python -O` change it too.
- `is` for another comparison, and `==` for `is` (`!=` for `is not`): whether equal numbers are one object is
  the interpreter's business, and nothing else equals None.

Docstrings and other texts need no rule: the tool changes no text.
"""

import ast
import re
from collections.abc import Iterator

Place = tuple[int, int, int, int]
"""First line and column, last line and column (not included)."""

SHAPE = {"frozen", "slots", "kw_only", "repr"}
IDENTITY = {"Is", "IsNot"}
EQUALITY = {"Is": "Eq", "IsNot": "NotEq"}


def is_counted(operator: str, line: int, column: int, ignored: list[Place]) -> bool:
    """Say whether a change that the tool made at a place is one that tests could notice."""
    if any((a, b) <= (line, column) < (c, d) for a, b, c, d in ignored):
        return False
    kind, *names = operator.split("_")
    if kind != "ReplaceComparisonOperator":
        return True
    before, after = names
    return EQUALITY.get(before) != after and (before in IDENTITY or after not in IDENTITY)


def ignored_places(source: str) -> list[Place]:
    """Return where nothing is counted: types, shapes, asserts."""
    places = [
        (number, star.start(), number, star.end())
        for number, line in enumerate(source.splitlines(), start=1)
        for star in re.finditer(r"\*,", line)
    ]
    for node in ast.walk(ast.parse(source)):
        for part in _ignored(node):
            assert part.end_lineno is not None
            assert part.end_col_offset is not None
            places.append((part.lineno, part.col_offset, part.end_lineno, part.end_col_offset))
    return places


def _ignored(node: ast.AST) -> Iterator[ast.expr | ast.stmt | ast.keyword]:
    match node:
        case (
            ast.arg(annotation=ast.expr() as kind)
            | ast.AnnAssign(annotation=kind)
            | ast.FunctionDef(returns=ast.expr() as kind)
        ):
            yield kind
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.BitOr()) as union) if (
            name[0].isupper() and not name.isupper()
        ):
            yield union
        case ast.Assert():
            yield node
        case ast.keyword(arg=str() as name) if name in SHAPE:
            yield node
        case _:
            pass
