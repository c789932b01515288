"""The campaign of `scripts/campaign-mutation`: cosmic-ray's changes, tried on a copy of the sources.

A process that has the copy and its tests imported forks a child for each mutant that changes one function; it
takes the mutant's code and runs the tests: a few hundredths of a second. Other mutants, of constants and of
decorators, are written into the copy and imported afresh.
"""

import argparse
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from support.mutants import Mutant, changed_function, mutants_of, put_in
from support.repository import ROOT

PLACE = ROOT / ".cache" / "mutation"
TREE = PLACE / "tree"
TOOL = ROOT / ".venv-mutation" / "bin" / "python"
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

NOT_PUT_IN = 97
"""Of a child that could not give a function its other code."""


class Loop:
    """A pytest plugin: the collected tests run in a child for each mutant, instead of once."""

    def __init__(self, module: str, mutants: Sequence[Mutant], tell: Callable[[Mutant, int], None]) -> None:
        self._module = module
        self._mutants = mutants
        self._tell = tell

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants that change one function; what cannot be put in is left out."""
        name = self._module.removeprefix("src/").removesuffix(".py").replace("/", ".")
        module = importlib.import_module(name)
        original = (TREE / self._module).read_text(encoding="utf-8")
        for mutant in self._mutants:
            changed = changed_function(original, mutant.source, str(TREE / self._module))
            if changed is None:
                continue

            def body(changed: tuple[str, types.CodeType] = changed) -> int:
                if not put_in(module, *changed):
                    return NOT_PUT_IN
                return run_items(session)

            self._tell(mutant, in_child(body))
        return True


def run_items(session: pytest.Session) -> int:
    """Run the collected tests up to the first failure; 1: one failed."""
    for index, item in enumerate(session.items):
        following = session.items[index + 1] if index + 1 < len(session.items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def in_child(body: Callable[[], int]) -> int:
    """Return what `body` returns in a forked child; another number when it did not end by itself."""
    child = os.fork()
    if child == 0:
        be_child(body)
    deadline = time.monotonic() + WALL_S_MAX
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            # A child that a signal ended (no CPU left, a crash) has a negative code: killed all the same.
            return abs(os.waitstatus_to_exitcode(status))
        threading.Event().wait(0.002)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 99


def be_child(body: Callable[[], int]) -> NoReturn:
    """Do something in this forked process, silently, and end it."""
    code = 98
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
        be_silent()
        code = body()
    except BaseException:  # noqa: BLE001 - a forked child: nobody above it may run
        traceback.print_exc()
    finally:
        os._exit(code)


def be_silent() -> None:
    """Throw away what this process says, unless CATENET_MUTATION_TALK is set."""
    if "CATENET_MUTATION_TALK" not in os.environ:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)


def enter_tree(*, keep_bytecode: bool) -> None:
    """Have this process import the copy of the sources."""
    os.chdir(TREE)
    sys.dont_write_bytecode = not keep_bytecode
    sys.path[:0] = [str(TREE / "src"), str(TREE / "tests")]
    for name in [name for name in sys.modules if name.partition(".")[0] in {"support", "catenet"}]:
        del sys.modules[name]


def run_tests(tests: Sequence[str], *plugins: object, keep_bytecode: bool = False) -> int:
    """Run tests of the copy in this process, which imports it; return pytest's exit code."""
    enter_tree(keep_bytecode=keep_bytecode)
    options = ["-x", "-q", "-m", "not slow", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options.append(f"--basetemp={PLACE / 'tmp'}")
    return int(pytest.main([*options, *tests], plugins=list(plugins)))


def campaign(module: str, tests: Sequence[str], known: Mapping[str, bool]) -> dict[str, bool]:
    """Try every mutant of a module that is not known to be killed; return which are killed, by name."""
    source = TREE / module
    mutants = mutants_of(source, TOOL)
    if (code := in_child(lambda: run_tests(tests, keep_bytecode=True))) != 0:
        raise SystemExit(f"the tests of {module} fail without any change (pytest exit {code})")
    told, left = PLACE / "told", [mutant for mutant in mutants if not known.get(mutant.name)]
    told.write_text("")

    def tell(mutant: Mutant, code: int) -> None:
        with told.open("a") as file:
            file.write(json.dumps([mutant.name, code]) + "\n")

    zygote = os.fork()
    if zygote == 0:
        # Not bounded as the children are: it lives as long as the module's campaign.
        code = 98
        try:
            be_silent()
            code = run_tests(tests, Loop(module, left, tell))
        finally:
            os._exit(code)
    if (code := os.waitstatus_to_exitcode(os.waitpid(zygote, 0)[1])) != 0:
        raise SystemExit(f"the tests of {module} cannot be collected (pytest exit {code})")
    results = [json.loads(line) for line in told.read_text().splitlines()]
    killed = {name: code != 0 for name, code in results if code != NOT_PUT_IN}
    original = source.read_text(encoding="utf-8")
    for mutant in left:
        if mutant.name not in killed:
            source.write_text(mutant.source, encoding="utf-8")
            killed[mutant.name] = in_child(lambda: run_tests(tests)) != 0
            source.write_text(original, encoding="utf-8")
    return {mutant.name: killed.get(mutant.name, True) for mutant in mutants}


def remembered(place: Path, source: str) -> dict[str, bool]:
    """Return the results of an earlier run, if they are of this source."""
    if not place.exists():
        return {}
    kept = json.loads(place.read_text())
    return dict(kept["killed"]) if kept["source"] == source else {}


def make_tree() -> None:
    """Copy what the tests need, and load what does not change."""
    shutil.rmtree(TREE, ignore_errors=True)
    for part in ("src", "tests", "docs"):
        shutil.copytree(ROOT / part, TREE / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", TREE)
    for name in WARM:
        importlib.import_module(name)
    hypothesis = importlib.import_module("hypothesis")
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None, deadline=None)
    hypothesis.settings.load_profile("mutation")


def main() -> int:
    """Run the campaign; print a table and the survivors. 4: below the floor."""
    parser = argparse.ArgumentParser(prog="scripts/campaign-mutation")
    parser.add_argument("--floor", type=float, default=85.0, help="percent killed, per module")
    parser.add_argument("--again", action="store_true", help="try only the survivors of the last run")
    parser.add_argument("modules", nargs="*", help="parts of paths; all when none is given")
    options = parser.parse_args()
    chosen = [m for m in TARGETS if not options.modules or any(part in m for part in options.modules)]
    if not chosen:
        parser.error(
            f"no module of the campaign has {' or '.join(options.modules)} in its path: {list(TARGETS)}"
        )
    make_tree()
    low = 0
    for module in chosen:
        start, source = time.monotonic(), (TREE / module).read_text(encoding="utf-8")
        place = PLACE / (module.replace("/", "-") + ".json")
        killed = campaign(module, TARGETS[module], remembered(place, source) if options.again else {})
        place.write_text(json.dumps({"source": source, "killed": killed}))
        for mutant in mutants_of(TREE / module, TOOL):
            if not killed[mutant.name]:
                print(f"{module}:{mutant.line}:{mutant.column} {mutant.operator}\n{mutant.diff(source)}\n")
        percent = 100 * sum(killed.values()) / len(killed)
        low += percent < options.floor
        survivors = len(killed) - sum(killed.values())
        counts = f"{len(killed)} mutants, {survivors} survive, {percent:.1f} % killed"
        print(f"{module}: {counts}, {time.monotonic() - start:.0f} s", flush=True)
    return 4 if low else 0


if __name__ == "__main__":
    sys.exit(main())
