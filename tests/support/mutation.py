"""The campaign of `scripts/campaign-mutation`: cosmic-ray's changes, tried on a copy of the sources.

A process that has the copy and its tests imported forks a child for each mutant that changes one function; it
takes the mutant's code and runs the tests: a few hundredths of a second. Other mutants, of constants and of
decorators, are written into the copy and imported afresh.
"""

import argparse
import importlib
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from support.mutants import Mutant, changed_function, mutants_of, put_in
from support.repository import ROOT
from support.survivors import PAGE, Section, Survivor, read, table, updated, write
from support.targets import TARGETS

PLACE = ROOT / ".cache" / "mutation"
TREE = PLACE / "tree"
KILLER = PLACE / "killer"
TOOL = ROOT / ".venv-mutation" / "bin" / "python"
CPU_S_MAX = 10
"""A mutant whose tests need more CPU has an endless loop: killed. A busy machine does not count."""
WALL_S_MAX = 60.0
"""The same for one that waits for ever."""

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

    def __init__(
        self,
        module: str,
        mutants: Sequence[Mutant],
        tell: Callable[[Mutant, int], None],
        until: float,
    ) -> None:
        self._module = module
        self._mutants = mutants
        self._tell = tell
        self._until = until

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants that change one function; what cannot be put in is left out."""
        name = self._module.removeprefix("src/").removesuffix(".py").replace("/", ".")
        module = importlib.import_module(name)
        original = (TREE / self._module).read_text(encoding="utf-8")
        items = list(session.items)
        for mutant in self._mutants:
            if time.monotonic() >= self._until:
                break
            changed = changed_function(original, mutant.source, str(TREE / self._module))
            if changed is None:
                continue

            def body(changed: tuple[str, types.CodeType] = changed) -> int:
                if not put_in(module, *changed):
                    return NOT_PUT_IN
                return run_items(session, items)

            KILLER.unlink(missing_ok=True)
            self._tell(mutant, in_child(body))
            if KILLER.exists():
                # The test that noticed this change is likely to notice the next one: it goes first.
                items.insert(0, items.pop(int(KILLER.read_text())))
        return True


def run_items(session: pytest.Session, items: Sequence[pytest.Item]) -> int:
    """Run tests up to the first failure; 1: one failed, and its place is written down."""
    for index, item in enumerate(items):
        following = items[index + 1] if index + 1 < len(items) else None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            KILLER.write_text(str(index))
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


def campaign(
    module: str, tests: Sequence[str], mutants: Sequence[Mutant], *, until: float
) -> dict[str, bool]:
    """Try mutants of a module up to a moment of the monotonic clock; return which are killed, by name."""
    source, told = TREE / module, PLACE / "told"
    if (code := in_child(lambda: run_tests(tests, keep_bytecode=True))) != 0:
        raise SystemExit(f"the tests of {module} fail without any change (pytest exit {code})")
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
            code = run_tests(tests, Loop(module, mutants, tell, until))
        finally:
            os._exit(code)
    if (code := os.waitstatus_to_exitcode(os.waitpid(zygote, 0)[1])) != 0:
        raise SystemExit(f"the tests of {module} cannot be collected (pytest exit {code})")
    results = [json.loads(line) for line in told.read_text().splitlines()]
    killed = {name: code != 0 for name, code in results if code != NOT_PUT_IN}
    original = source.read_text(encoding="utf-8")
    for mutant in mutants:
        if mutant.name not in killed and time.monotonic() < until:
            source.write_text(mutant.source, encoding="utf-8")
            killed[mutant.name] = in_child(lambda: run_tests(tests)) != 0
            source.write_text(original, encoding="utf-8")
    return killed


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


def try_module(module: str, *, again: bool, until: float) -> tuple[list[Mutant], list[Mutant], int]:
    """Return the mutants of a module, those that survive, and how many are left over."""
    source = (TREE / module).read_text(encoding="utf-8")
    mutants = mutants_of(TREE / module, TOOL, cache=PLACE)
    place = PLACE / (module.replace("/", "-") + ".json")
    known = remembered(place, source) if again else {}
    wanted = [mutant for mutant in mutants if not known.get(mutant.name)]
    if until < math.inf:
        # What is left over shall not always be the same; what never had its turn comes first.
        random.shuffle(wanted)
        wanted.sort(key=lambda mutant: mutant.name in known)
    known |= campaign(module, TARGETS[module], wanted, until=until)
    place.write_text(json.dumps({"source": source, "killed": known}))
    survivors = [mutant for mutant in mutants if known.get(mutant.name) is False]
    return mutants, survivors, len([mutant for mutant in mutants if mutant.name not in known])


def compare(module: str, found: Sequence[Mutant], listed: Section, *, whole: bool) -> int:
    """Say which survivors the page has not got, and which it has that are none; return how many are new."""
    source = (TREE / module).read_text(encoding="utf-8")
    known = {Survivor.of(mutant, source): mutant for mutant in found}
    new = [mutant for survivor, mutant in known.items() if survivor not in listed.reasons]
    for mutant in new:
        print(f"new: {module}:{mutant.line}:{mutant.column} {mutant.operator}\n{mutant.diff(source)}\n")
    for survivor in listed.reasons if whole else ():
        if survivor not in known:
            print(
                f"listed, but killed: {module}, {survivor.function}\n{survivor.before}\n{survivor.line()}\n"
            )
    return len(new)


def options_of() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/campaign-mutation", epilog=f"Survivors are compared with {PAGE.relative_to(ROOT)}."
    )
    parser.add_argument("--floor", type=float, default=85.0, help="percent killed, per module")
    parser.add_argument("--again", action="store_true", help="try what survived or was left over last time")
    parser.add_argument("--budget", type=float, metavar="MINUTES", help="stop after so long")
    parser.add_argument("--write", action="store_true", help="write the page of survivors; reasons are kept")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="parts of paths; all when none is given")
    options = parser.parse_args()
    wanted = options.modules
    options.chosen = [m for m in TARGETS if not wanted or any(part in m for part in wanted)]
    if not options.chosen:
        parser.error(f"no module of the campaign has {' or '.join(wanted)} in its path: {list(TARGETS)}")
    return options


def main() -> int:
    """Run the campaign; print the survivors that are new, and a table. 4: there are some, or too many."""
    options = options_of()
    make_tree()
    end = math.inf if options.budget is None else time.monotonic() + 60 * options.budget
    listed = read(PAGE.read_text(encoding="utf-8"))
    results: dict[str, Section] = {}
    faults = 0
    for place, module in enumerate(options.chosen):
        start = time.monotonic()
        until = start + max(0.0, end - start) / (len(options.chosen) - place)
        mutants, survivors, left = try_module(module, again=options.again, until=until)
        before = listed.get(module, Section())
        faults += compare(module, survivors, before, whole=not left)
        source = (TREE / module).read_text(encoding="utf-8")
        found = [Survivor.of(mutant, source) for mutant in survivors]
        results[module] = updated(before, len(mutants) - left, found)
        faults += results[module].percent < options.floor
        if not left:
            listed[module] = results[module]
        print(f"{module}: {time.monotonic() - start:.0f} s, {left} mutants left over", file=sys.stderr)
    print(table(results), flush=True)
    if options.write:
        write(PAGE, {module: listed[module] for module in TARGETS if module in listed})
    return 4 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
