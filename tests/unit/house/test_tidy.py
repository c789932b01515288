"""The house rules that a linter does not know: sizes, words, docstrings, nothing left lying about."""

import ast
import re
import stat
import subprocess

from support.repository import ROOT, SOURCE, Module, definitions, dotted_name, files, is_generated, modules

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
MAP_LINES_MAX = 150

# Each word follows the b of its boundary, or is written in pieces, so that this file does not find itself.
UNFINISHED = re.compile(r"\bTODO\b|\bFIXME\b|\bXXX\b|\bHACK\b")
MACHINE = re.compile(
    "|".join(
        (
            r"(?<![\w./-])/wo" + r"rk/",
            r"/ro" + r"ot/",
            r"/ho" + r"me/\w+/",
            "bash_" + "jobs",
            r"/opt/wh" + "eels",
            "pypi" + r"\.org",
            "pythonhosted" + r"\.org",
            "proxy" + r"\.golang\.org",
            "registry" + r"\.npmjs\.org",
        )
    )
)
TEXT = {
    ".py",
    ".pyi",
    ".md",
    ".toml",
    ".proto",
    ".txt",
    ".lock",
    ".yaml",
    ".yml",
    ".sh",
    ".go",
    ".mod",
    ".rs",
    ".json",
    "",
}


def function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function from `def` on, its docstring not counted."""
    assert node.end_lineno is not None
    first = node.body[0]
    docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) else 0
    return node.end_lineno - node.lineno + 1 - docstring


def test_no_module_is_longer_than_400_lines() -> None:
    long = {module.name: n for module in modules() if (n := module.text.count("\n")) > MODULE_LINES_MAX}
    assert not long


def test_no_function_is_longer_than_60_lines() -> None:
    long = {
        f"{module.name}:{node.lineno} {node.name}": lines
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := function_lines(node)) > FUNCTION_LINES_MAX
    }
    assert not long


def test_every_module_opens_with_a_docstring() -> None:
    assert not [module.name for module in modules() if not ast.get_docstring(module.tree)]


def test_everything_public_has_a_docstring() -> None:
    bare = [
        f"{module.name} {name}"
        for module in modules(below="src")
        for name, node in definitions(module.tree)
        if not any(part.startswith("_") for part in name.split("."))
        and not ast.get_docstring(node)
        and not is_setter(node)
    ]
    assert not bare


def is_setter(node: ast.AST) -> bool:
    """Say whether this is the other half of a property: its getter says what it is."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(
        isinstance(decorator, ast.Attribute) and decorator.attr == "setter" for decorator in decorators
    )


def test_nothing_is_left_unfinished() -> None:
    assert not matches(UNFINISHED, suffixes={".py", ".proto", ".toml", ".md", ".go", ".rs", ""})


def test_no_path_of_a_machine_and_no_registry_host() -> None:
    assert not matches(MACHINE, suffixes=TEXT)


def matches(pattern: re.Pattern[str], *, suffixes: set[str]) -> list[str]:
    """Return where a pattern occurs in the repository's texts, but not in its licence or vectors."""
    found = []
    for path in files():
        if (
            path.suffix not in suffixes
            or path.name == "LICENSE"
            or "vectors" in path.parts
            or is_generated(path)
        ):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    return found


def imported(module: Module) -> set[str]:
    """Return the names of `catenet` modules that a module imports, or names in a string (lazy imports)."""
    names: set[str] = set()
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=aliases):
                names.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=str(base), names=aliases):
                names.add(base)
                names.update(f"{base}.{alias.name}" for alias in aliases)
            case ast.Constant(value=str(text)) if re.fullmatch(r"catenet(\.\w+)+(:\w+)?", text):
                names.add(text.partition(":")[0])
            case _:
                pass
    return {name for name in names if name.startswith("catenet")}


def test_every_module_is_used_by_another() -> None:
    # What a user of the library starts from needs no other user: the light client, the test kit's entry.
    entrances = {"catenet.__main__", "catenet.cli"}
    users = {module.path: imported(module) for module in modules()}
    unused = []
    for module in modules(below="src"):
        name = dotted_name(module.path)
        if module.path.name == "__init__.py" or name in entrances:
            continue
        library = name.startswith(("catenet.testing.", "catenet.chain.", "catenet.client."))
        by = [path for path, names in users.items() if name in names and path != module.path]
        if not any(library or path.is_relative_to(SOURCE) for path in by):
            unused.append(name)
    assert not unused


def test_no_room_is_empty() -> None:
    rooms = {module.path.parent for module in modules(below="src") if module.path.name == "__init__.py"}
    empty = [
        str(room.relative_to(ROOT))
        for room in sorted(rooms)
        if not any(path.parent.is_relative_to(room) and path.name != "__init__.py" for path in files())
        and (room / "__init__.py").read_text(encoding="utf-8").count("\n") < 10
    ]
    assert not empty


def test_no_explicit_any_in_hand_written_code() -> None:
    spoilt = [
        f"{module.name}:{node.lineno}"
        for module in modules(below="src")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom)
        and node.module == "typing"
        and any(alias.name == "Any" for alias in node.names)
    ]
    assert not spoilt


def test_pure_rooms_call_nothing_that_reaches_outside_or_differs_between_runs() -> None:
    # The import contracts see modules only; these are built in. `hash` differs with PYTHONHASHSEED.
    banned = {"open", "print", "input", "__import__", "eval", "exec", "compile", "hash", "globals"}
    calls = [
        f"{module.name}:{node.lineno} {node.func.id}"
        for room in ("chain", "types", "core", "apps")
        for module in modules(below=f"src/catenet/{room}")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in banned
    ]
    assert not calls


def test_pure_rooms_never_walk_through_a_bare_set() -> None:
    walks = [
        f"{module.name}:{source.lineno}"
        for room in ("chain", "types", "core", "apps")
        for module in modules(below=f"src/catenet/{room}")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.For | ast.comprehension)
        and (isinstance(source := node.iter, ast.Set | ast.SetComp) or is_set_call(source))
    ]
    assert not walks


def is_set_call(node: ast.expr) -> bool:
    """Say whether an expression is `set(...)` or `frozenset(...)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"set", "frozenset"}
    )


def test_scripts_parse_and_can_be_run() -> None:
    scripts = [path for path in files() if path.parent in (ROOT / "scripts", ROOT / ".ci")]
    assert scripts
    for path in scripts:
        assert path.stat().st_mode & stat.S_IXUSR, f"{path} is not executable"
        if "bash" in path.read_text(encoding="utf-8").partition("\n")[0]:
            assert subprocess.run(["bash", "-n", path], check=False).returncode == 0, path


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in files()
        if path.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert not broken
