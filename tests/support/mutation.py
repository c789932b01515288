"""The campaign of `scripts/campaign-mutation`: cosmic-ray changes the code, tests run in forked children.

A copy of the sources is mutated, never the checkout. This process has pytest and the foreign packages loaded,
and for each mutant forks a child that imports the copy afresh: a mutant costs a few tenths of a second.
"""

import argparse
import ast
import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.repository import ROOT

PLACE = ROOT / ".cache" / "mutation"
TREE = PLACE / "tree"
TOOL = ROOT / ".venv-mutation" / "bin" / "cosmic-ray"
CPU_S_MAX = 20
"""A mutant whose tests need more CPU has an endless loop: killed. A busy machine does not count."""
WALL_S_MAX = 600.0
"""The same for one that waits for ever."""

LOG_TESTS = (
    "tests/unit/storage/test_log_files.py",
    "tests/unit/storage/test_log_repair.py",
    "tests/unit/storage/test_log.py",
)

TARGETS: dict[str, tuple[str, ...]] = {
    "src/catenet/core/consensus/votes.py": (
        "tests/unit/consensus/test_votes.py",
        "tests/unit/consensus/test_counting.py",
        "tests/unit/consensus/test_consensus_traces.py",
    ),
    "src/catenet/chain/validators.py": (
        "tests/unit/chain/test_chain_validators.py",
        "tests/unit/chain/test_vectors_chain.py",
    ),
    "src/catenet/core/guard.py": (
        "tests/unit/consensus/test_guard_traces.py",
        "tests/unit/consensus/test_guard.py",
    ),
    "src/catenet/storage/log.py": LOG_TESTS,
    "src/catenet/storage/frame.py": ("tests/unit/storage/test_frame.py", "tests/unit/storage/test_log.py"),
    "src/catenet/storage/guard_file.py": ("tests/unit/storage/test_guard_file.py",),
    "src/catenet/storage/scan.py": LOG_TESTS,
}
"""Module to the tests that are to notice a change in it."""

WARM = (
    "pytest",
    "hypothesis",
    "hypothesis.strategies",
    "nacl.bindings",
    "google.protobuf.message",
    "google.protobuf.descriptor_pool",
    "google.protobuf.internal.builder",
    "orjson",
)

CLIENT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect(sys.argv[1])
    sys.exit(int(link.recv(16) or b'1'))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change, and whether the tests noticed."""

    line: int
    column: int
    operator: str
    killed: bool
    diff: str


class Runner:
    """Answers each connection with the exit code of the tests of the tree as it is then."""

    def __init__(self, path: Path, tests: Sequence[str]) -> None:
        self._tests = tests
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self._socket.settimeout(0.2)
        self._stopped = threading.Event()
        self.runs = 0

    def serve(self, tool: "subprocess.Popen[bytes]") -> None:
        """Serve until the tool is done."""
        while tool.poll() is None:
            try:
                link, _ = self._socket.accept()
            except TimeoutError:
                continue
            with link:
                link.sendall(str(run_tests(self._tests)).encode())
            self.runs += 1
            if self.runs % 50 == 0:
                print(f"  {self.runs} mutants", file=sys.stderr)
        self._socket.close()


def run_tests(tests: Sequence[str], *, keep_bytecode: bool = False) -> int:
    """Run tests of the tree in a child; return pytest's exit code, or 99 when they did not end."""
    child = os.fork()
    if child == 0:
        _be_the_child(tests, keep_bytecode=keep_bytecode)
    deadline = time.monotonic() + WALL_S_MAX
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            # A child that a signal ended (no CPU left, a crash) has a negative code: killed all the same.
            return abs(os.waitstatus_to_exitcode(status))
        threading.Event().wait(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 99


def _be_the_child(tests: Sequence[str], *, keep_bytecode: bool) -> None:
    """Import the tree and run its tests. Never returns."""
    code = 98
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
        os.chdir(TREE)
        # Bytecode of a mutant must not outlive it; that of all else is kept from the first run.
        sys.dont_write_bytecode = not keep_bytecode
        sys.path[:0] = [str(TREE / "src"), str(TREE / "tests")]
        for name in [name for name in sys.modules if name.partition(".")[0] in {"support", "catenet"}]:
            del sys.modules[name]
        if not keep_bytecode:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
        pytest = importlib.import_module("pytest")
        options = ["-x", "-q", "-m", "not slow", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        # File by file: most mutants fall to the first, and the others are not even collected.
        for file in tests:
            code = int(pytest.main([*options, file]))
            if code:
                break
    except BaseException:  # noqa: BLE001 - a forked child: nobody above it may run
        traceback.print_exc()
    finally:
        os._exit(code)


def annotations(path: Path) -> list[tuple[int, int, int, int]]:
    """Return where types stand: a change of `|` there fails at import or means nothing: not counted."""
    places = []
    for node in ast.walk(ast.parse(path.read_text())):
        found: list[ast.expr | None] = []
        match node:
            case ast.arg(annotation=annotation):
                found = [annotation]
            case ast.AnnAssign(annotation=annotation):
                found = [annotation]
            case ast.FunctionDef(returns=returns):
                found = [returns]
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.BitOr()) as union) if (
                name[0].isupper() and not name.isupper()
            ):
                found = [union]
            case _:
                pass
        for expr in found:
            if expr is not None:
                assert expr.end_lineno is not None
                assert expr.end_col_offset is not None
                places.append((expr.lineno, expr.col_offset, expr.end_lineno, expr.end_col_offset))
    return places


def campaign(module: str, tests: Sequence[str], *, again: bool) -> list[Mutant]:
    """Make every mutant of a module; `again`: only those that an earlier run left over or let survive."""
    if (code := run_tests(tests, keep_bytecode=True)) != 0:
        raise SystemExit(f"the tests of {module} fail without any change (pytest exit {code})")
    place = PLACE / module.replace("/", "-").removesuffix(".py")
    config, session, link = place.with_suffix(".toml"), place.with_suffix(".sqlite"), PLACE / "link"
    client = PLACE / "client.py"
    client.write_text(CLIENT)
    config.write_text(
        "[cosmic-ray]\n"
        f'module-path = "{module}"\n'
        f"timeout = {2 * WALL_S_MAX}\n"
        "excluded-modules = []\n"
        f'test-command = "{sys.executable} -S -E {client} {link}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    source, seen = TREE / module, place.with_suffix(".py")
    if again and seen.exists() and seen.read_bytes() == source.read_bytes():
        with contextlib.closing(sqlite3.connect(session)) as database, database:
            database.execute("DELETE FROM work_results WHERE test_outcome != 'KILLED'")
    else:
        subprocess.run([TOOL, "init", "--force", config, session], cwd=TREE, check=True)
        forget(session, annotations(source))
        shutil.copy(source, seen)
    runner = Runner(link, tests)
    with subprocess.Popen([TOOL, "exec", config, session], cwd=TREE) as tool:
        runner.serve(tool)
    if tool.returncode:
        raise SystemExit(f"cosmic-ray ended with {tool.returncode}")
    dump = subprocess.run([TOOL, "dump", session], cwd=TREE, check=True, capture_output=True, text=True)
    return list(read_dump(dump.stdout))


def forget(session: Path, places: Sequence[tuple[int, int, int, int]]) -> None:
    """Take the mutants within these places out of a session."""
    with contextlib.closing(sqlite3.connect(session)) as database, database:
        rows = database.execute("SELECT job_id, start_pos_row, start_pos_col FROM mutation_specs").fetchall()
        for job, line, column in rows:
            if any([(a, b) <= (line, column) < (c, d) for a, b, c, d in places]):
                database.execute("DELETE FROM mutation_specs WHERE job_id = ?", (job,))
                database.execute("DELETE FROM work_items WHERE job_id = ?", (job,))


def read_dump(text: str) -> Iterator[Mutant]:
    """Yield the mutants of cosmic-ray's dump."""
    for row in text.splitlines():
        item, result = json.loads(row)
        if result is None or result["worker_outcome"] != "normal":
            raise SystemExit(f"a mutant was not run: {row}")
        (change,) = item["mutations"]
        line, column = change["start_pos"]
        yield Mutant(
            line=line,
            column=column,
            operator=change["operator_name"].removeprefix("core/"),
            killed=result["test_outcome"] != "survived",
            diff="\n".join([each for each in result["diff"].splitlines() if each[:1] in "+-"][2:]),
        )


def main() -> int:
    """Run the campaign; print a table and the survivors. 4: below the floor."""
    parser = argparse.ArgumentParser(prog="scripts/campaign-mutation")
    parser.add_argument("--floor", type=float, default=85.0, help="percent killed, per module")
    parser.add_argument("--again", action="store_true", help="try the survivors of the last run once more")
    parser.add_argument("modules", nargs="*", help="parts of paths; all when none is given")
    options = parser.parse_args()
    chosen = [m for m in TARGETS if not options.modules or any(part in m for part in options.modules)]
    if not chosen:
        parser.error(
            f"no module of the campaign has {' or '.join(options.modules)} in its path: {list(TARGETS)}"
        )
    shutil.rmtree(TREE, ignore_errors=True)
    for part in ("src", "tests", "docs"):
        shutil.copytree(ROOT / part, TREE / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", TREE)
    for name in WARM:
        importlib.import_module(name)
    hypothesis = importlib.import_module("hypothesis")
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")
    low = 0
    for module in chosen:
        start = time.monotonic()
        mutants = campaign(module, TARGETS[module], again=options.again)
        survivors = [mutant for mutant in mutants if not mutant.killed]
        percent = 100 * (len(mutants) - len(survivors)) / len(mutants)
        low += percent < options.floor
        for mutant in survivors:
            print(f"{module}:{mutant.line}:{mutant.column} {mutant.operator}\n{mutant.diff}\n")
        seconds = time.monotonic() - start
        counts = f"{len(mutants)} mutants, {len(survivors)} survive, {percent:.1f} % killed"
        print(f"{module}: {counts}, {seconds:.0f} s", flush=True)
    return 4 if low else 0


if __name__ == "__main__":
    sys.exit(main())
