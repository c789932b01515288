"""The repository as the house tests see it: its files, its modules, their syntax trees."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One hand-written Python file."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """Return the path from the root of the repository, for messages."""
        return self.path.relative_to(ROOT).as_posix()


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    return tuple(sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file()))


def is_generated(path: Path) -> bool:
    """Say whether a tool wrote the file."""
    return "_pb2" in path.name


@cache
def modules(*, below: str = "") -> tuple[Module, ...]:
    """Return the hand-written Python modules under a folder of the repository."""
    found = []
    for path in files():
        if path.suffix == ".py" and not is_generated(path) and path.is_relative_to(ROOT / below):
            text = path.read_text(encoding="utf-8")
            found.append(Module(path=path, text=text, tree=ast.parse(text, filename=str(path))))
    return tuple(found)


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Yield functions, methods and classes with their dotted names; what is inside a function stays out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            name = f"{prefix}{node.name}"
            yield name, node
            if isinstance(node, ast.ClassDef):
                yield from definitions(node, f"{name}.")


def dotted_name(path: Path) -> str:
    """Return the import name of a module below `src`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
