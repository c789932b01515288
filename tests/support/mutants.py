"""Mutants of one module: which there are, and how one takes a function's place in a process that runs.

cosmic-ray lists them, in its own environment. A change within one function's body is put into the module that
is imported already, as another code object; any other change needs a fresh import.
"""

import ast
import functools
import json
import subprocess
import types
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path

from support.uncounted import ignored_places, is_counted

LISTER = """
import json, pathlib, sys
from cosmic_ray import plugins
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code
path = pathlib.Path(sys.argv[1])
source, tree = path.read_text(encoding="utf-8"), get_ast_from_path(path)
for name in sorted(plugins.operator_names()):
    made = plugins.get_operator(name)
    if made.arguments():
        continue
    operator = made()
    places = [place for node in ast_nodes(tree) for place in operator.mutation_positions(node)]
    for occurrence, (start, _) in enumerate(places):
        print(json.dumps([name, occurrence, *start, mutate_code(source, operator, occurrence)]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of a module."""

    operator: str
    occurrence: int
    line: int
    column: int
    source: str

    @property
    def name(self) -> str:
        """Return what tells it from the module's other mutants."""
        return f"{self.operator}/{self.occurrence}"

    def diff(self, original: str) -> str:
        """Return the lines that change."""
        lines = unified_diff(original.splitlines(), self.source.splitlines(), n=0, lineterm="")
        return "\n".join([line for line in lines if line[:1] in "+-"][2:])


def mutants_of(path: Path, tool: Path, *, cache: Path) -> list[Mutant]:
    """Return the mutants of a module that are Python and that count (`support.uncounted`).

    `tool` is the Python that has cosmic-ray; what it lists, in half a minute, is kept in a folder.
    """
    kept = cache / f"{sha256(path.read_bytes()).hexdigest()}.jsonl"
    if not kept.exists():
        listed = subprocess.run([tool, "-c", LISTER, path], check=True, capture_output=True, text=True)
        kept.write_text(listed.stdout, encoding="utf-8")
    ignored = ignored_places(path.read_text(encoding="utf-8"))
    found = []
    for row in kept.read_text(encoding="utf-8").splitlines():
        operator, occurrence, line, column, source = json.loads(row)
        name = operator.removeprefix("core/")
        if is_counted(name, line, column, ignored) and parses(source):
            made = Mutant(operator=name, occurrence=occurrence, line=line, column=column, source=source)
            found.append(made)
    return found


def parses(source: str) -> bool:
    """Say whether a text is Python: cosmic-ray takes the star of a signature for a product."""
    try:
        compiled(source, "mutant")
    except SyntaxError:
        return False
    return True


class _Shell(ast.NodeTransformer):
    """Empties the bodies of functions."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.body = [ast.Pass()]
        return node


def _shell(source: str) -> str:
    return ast.dump(_Shell().visit(ast.parse(source)))


def _functions(code: types.CodeType) -> Iterator[tuple[tuple[str, int], types.CodeType]]:
    """Yield the functions and methods of a module's code by name and line, not what is nested in them."""
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            if const.co_flags & 0x2:  # CO_NEWLOCALS: a function; the body of a class has not got it.
                yield (const.co_qualname, const.co_firstlineno), const
            else:
                yield from _functions(const)


def compiled(source: str, file: str) -> types.CodeType:
    """Compile a module without a warning: Python warns of `is` beside a number, and pytest would fail."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, file, "exec")


def changed_function(original: str, mutant: str, file: str) -> tuple[str, types.CodeType] | None:
    """Return the name and the new code of the one function that a mutant changes; None: it changes more."""
    if _shell(original) != _shell(mutant):
        return None
    before = dict(_functions(compiled(original, file)))
    after = dict(_functions(compiled(mutant, file)))
    if before.keys() != after.keys():
        return None
    changed = [
        (name, after[(name, line)]) for name, line in after if before[(name, line)] != after[(name, line)]
    ]
    return changed[0] if len(changed) == 1 else None


def put_in(module: types.ModuleType, name: str, code: types.CodeType) -> bool:
    """Give a function of an imported module other code. False: it is not found, or of another shape."""
    holder: object = module
    *classes, last = name.split(".")
    for part in classes:
        holder = vars(holder).get(part)
        if not isinstance(holder, type):
            return False
    found = vars(holder).get(last)
    for function in _behind(found):
        if function.__code__.co_firstlineno == code.co_firstlineno:
            if function.__code__.co_freevars != code.co_freevars:
                return False
            function.__code__ = code
            return True
    return False


def _behind(value: object) -> Iterator[types.FunctionType]:
    """Yield the plain functions behind what decorators made of them."""
    match value:
        case types.FunctionType():
            yield value
            if hasattr(value, "__wrapped__"):
                yield from _behind(value.__wrapped__)
        case property():
            for part in (value.fget, value.fset):
                yield from _behind(part)
        case classmethod() | staticmethod():
            yield from _behind(value.__func__)
        case functools._lru_cache_wrapper():
            yield from _behind(value.__wrapped__)
        case _:
            pass
