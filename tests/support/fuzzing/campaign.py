"""The campaign: every target for its share of the time, what fails made small and kept in a folder.

`python -m support.fuzzing.campaign SECONDS` prints one JSON object. Each share runs in a process of its own,
so that an input that ends the process is a finding, too. A seed names its input: `Random("target seed")`.
"""

import argparse
import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random
from typing import cast

import catenet.wire  # noqa: F401 - the environment of gRPC's core, before anything imports grpc
from support.fuzzing.bounds import STUCK_S, bounded_space, cheap, ends
from support.fuzzing.every import every_target
from support.fuzzing.targets import Target

TRACED_ONE_IN = 16
FAULTS_MAX = 20
"""Different faults of one target that are kept; more say nothing new."""

SHRINK_TRIES = 2000


@dataclass(slots=True)
class Score:
    """How one target did."""

    executions: int = 0
    accepted: int = 0
    crashes: int = 0
    seconds: float = 0.0
    faults: dict[str, str] = field(default_factory=dict)
    """By what failed: the smallest input that was found, in hex."""


def main() -> int:
    """Run the campaign; exit code 4 when a promise was broken."""
    arguments = _arguments()
    chosen = [target for target in every_target() if arguments.only in target.name]
    if not chosen:
        print(f"no target is called {arguments.only!r}", file=sys.stderr)
        return 2
    scores = run(chosen, seconds=arguments.seconds, seed=arguments.seed, jobs=arguments.jobs)
    folder = Path(arguments.out)
    kept = [path for name, score in scores.items() for path in keep(folder, name, score)]
    total = sum(score.executions for score in scores.values())
    crashes = sum(score.crashes for score in scores.values())
    shown = {name: {**asdict(score), "seconds": round(score.seconds, 1)} for name, score in scores.items()}
    print(
        json.dumps(
            {"seed": arguments.seed, "executions": total, "crashes": crashes, "kept": kept, "targets": shown}
        )
    )
    return 4 if crashes else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign-fuzz", description="Fuzz every reader of bytes.")
    parser.add_argument("seconds", nargs="?", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=1, help="another one gives other inputs")
    parser.add_argument("--only", default="", help="targets whose name contains this")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--out", default="fuzz-findings", help="folder for the inputs that fail")
    return parser.parse_args()


def run(targets: Sequence[Target], *, seconds: float, seed: int, jobs: int) -> dict[str, Score]:
    """Give each target its share of `seconds`, `jobs` at a time."""
    share_s = seconds * jobs / sum(target.weight for target in targets)
    waiting, running = list(targets), list[_Share]()
    scores: dict[str, Score] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            target = waiting.pop(0)
            running.append(_Share(target, seed=seed, seconds=share_s * target.weight))
        share = running.pop(0)
        scores[share.target.name] = share.result()
    return {target.name: scores[target.name] for target in targets}


class _Share:
    """One target in a process of its own."""

    def __init__(self, target: Target, *, seed: int, seconds: float) -> None:
        context = multiprocessing.get_context("fork")
        self.target = target
        self._seconds = seconds
        self._name = ""
        self._at = cast("Synchronized[int]", context.Value("q", 0))
        self._seed = seed
        self._result, end = context.Pipe(duplex=False)
        self._process: BaseProcess = context.Process(
            target=_work, args=(target, seed, seconds, self._at, end)
        )
        self._process.start()
        end.close()

    def result(self) -> Score:
        """Wait for the end, however it comes."""
        patience_s = self._seconds + 3 * STUCK_S
        score = Score(seconds=self._seconds, crashes=1)
        if self._result.poll(patience_s):
            try:
                score = cast("Score", self._result.recv())
            except EOFError:
                self._note_death(score, "the process died")
        else:
            self._process.kill()
            self._note_death(score, f"no end after {patience_s:.0f} s")
        self._process.join()
        return score

    def _note_death(self, score: Score, what: str) -> None:
        score.executions = self._at.value
        score.faults[what] = made(self.target, self._seed, self._at.value).hex()


def made(target: Target, seed: int, number: int) -> bytes:
    """Return input `number` of a target."""
    return target.make(Random(f"{target.name} {seed} {number}"))


def _work(target: Target, seed: int, seconds: float, at: "Synchronized[int]", end: Connection) -> None:
    score, begun = Score(), time.monotonic()
    with bounded_space():
        while time.monotonic() - begun < seconds and len(score.faults) < FAULTS_MAX:
            at.value += 1
            data = made(target, seed, at.value)
            fault, accepted = attempt(target, data, traced=at.value % TRACED_ONE_IN == 0)
            score.executions += 1
            score.accepted += accepted
            if fault:
                score.crashes += 1
                if fault not in score.faults:
                    score.faults[fault] = shrunk(data, _fails_alike(target, fault)).hex()
    score.seconds = time.monotonic() - begun
    end.send(score)


def attempt(target: Target, data: bytes, *, traced: bool) -> tuple[str, bool]:
    """Read one input; return what failed and where (empty: nothing), and whether it was accepted."""
    try:
        with ends(), cheap(len(data), peak_bytes=target.peak_bytes, traced=traced):
            return "", target.run(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}", False


def _fails_alike(target: Target, fault: str) -> Callable[[bytes], bool]:
    traced = fault.startswith("Costly")
    return lambda data: attempt(target, data, traced=traced)[0] == fault


def shrunk(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """Return a smaller input that fails alike: pieces left out, then bytes set to zero."""
    tries, size = 0, len(data) // 2
    while size and tries < SHRINK_TRIES:
        at = 0
        while at < len(data) and tries < SHRINK_TRIES:
            tries += 1
            smaller = data[:at] + data[at + size :]
            if fails(smaller):
                data = smaller
            else:
                at += size
        size //= 2
    for at in range(min(len(data), SHRINK_TRIES // 4)):
        plain = data[:at] + b"\0" + data[at + 1 :]
        if data[at] and fails(plain):
            data = plain
    return data


def keep(folder: Path, name: str, score: Score) -> list[str]:
    """Write the failing inputs of a target into the folder; return the files."""
    paths = []
    for number, (fault, data) in enumerate(score.faults.items(), 1):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{number}.bin"
        path.write_bytes(bytes.fromhex(data))
        path.with_suffix(".txt").write_text(f"{name}: {fault}\n")
        paths.append(str(path))
    return paths


if __name__ == "__main__":
    sys.exit(main())
