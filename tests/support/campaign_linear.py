"""`scripts/campaign-linear [RUNS] [OPERATIONS]`: histories under kills and pauses, judged by both checkers.

Talk goes to stderr, the final JSON object to stdout. Exit code 4 when a history is no linearization, or when
not all could be judged; the history file then stays, and its path is in the object.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from catenet.testing.linearizability import Operation, Verdict, check, write_history
from support.cluster import cluster
from support.porcupine import build, judge
from support.recording import Recording
from support.repository import ROOT
from support.trouble import Trouble

APP = "app=support.registers:Registers"
CHECK_FAILED = 4
STEPS_MAX = 5_000_000
RUN_S_PER_OPERATION = 0.2
"""A run that takes longer than this hangs."""


@dataclass
class Totals:
    """What all runs together found."""

    runs: int = 0
    operations: int = 0
    unknown: int = 0
    given_up: int = 0
    """Calls that failed; about half of them were made again."""
    kills: int = 0
    pauses: int = 0
    violations: int = 0
    undecided: int = 0
    porcupine: str = "no go on the PATH"
    kept: list[str] = field(default_factory=list)
    seconds: float = 0.0


async def recorded(folder: Path, operations: int, seed: int, totals: Totals) -> list[Operation]:
    """Run one network with clients and trouble; return the history."""
    with cluster(folder, settings=[APP]) as net:
        net.start()
        await net.wait_ready()
        recording = Recording(net.targets, operations, seed=seed)
        trouble = Trouble(net, seed=seed)
        async with asyncio.timeout(60 + RUN_S_PER_OPERATION * operations), asyncio.TaskGroup() as group:
            group.create_task(recording.run())
            group.create_task(trouble.run(lambda: recording.over))
        head = await net.head()
        await net.make_whole()
        await net.agreed_chain(head)
    totals.given_up += recording.failures
    totals.kills += trouble.kills
    totals.pauses += trouble.pauses
    say(f"  {head} blocks; {dict(sorted(trouble.faults.items()))}")
    return recording.history


def verdicts(file: Path, history: list[Operation], program: Path | None, totals: Totals) -> list[Verdict]:
    """Have both checkers judge a history; count what it holds."""
    report = check(history, steps_max=STEPS_MAX)
    totals.operations += report.operations
    totals.unknown += report.unknown
    say(f"  {report.operations} operations, {report.unknown} of unknown outcome: {report.verdict.value}")
    for fault in report.faults:
        say(f"  {fault}")
    write_history(file, history)
    return [report.verdict, *(judge(program, [file]) if program else [])]


def campaign(runs: int, operations: int, folder: Path) -> Totals:
    """Do all runs."""
    totals, began = Totals(), time.monotonic()
    seed = int(os.environ.get("CATENET_SEED", str(time.time_ns() % 1_000_000)))
    go = shutil.which("go")
    program = build(go, folder) if go else None
    if program:
        totals.porcupine = "agreed"
    for number in range(runs):
        say(f"run {number + 1} of {runs}, seed {seed + number}")
        history = asyncio.run(recorded(folder / f"net{number}", operations, seed + number, totals))
        file = folder / f"history-{seed + number}.jsonl"
        found = verdicts(file, history, program, totals)
        totals.runs += 1
        totals.violations += Verdict.VIOLATED in found
        totals.undecided += Verdict.UNDECIDED in found
        if len(set(found)) > 1:
            totals.porcupine = "disagreed"
        if set(found) == {Verdict.LINEARIZABLE}:
            file.unlink()
        else:
            totals.kept.append(str(file))
        shutil.rmtree(folder / f"net{number}")
    totals.seconds = round(time.monotonic() - began, 1)
    return totals


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    runs, operations = (int(text) for text in sys.argv[1:3])
    os.environ["PYTHONPATH"] = str(ROOT / "tests")
    folder = Path(tempfile.mkdtemp(prefix="catenet-linear-"))
    totals = campaign(runs, operations, folder)
    if not totals.kept:
        shutil.rmtree(folder)
    print(json.dumps(vars(totals)))
    good = totals.violations == totals.undecided == 0 and totals.porcupine != "disagreed"
    return 0 if good else CHECK_FAILED


if __name__ == "__main__":
    sys.exit(main())
