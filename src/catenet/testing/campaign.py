"""Many schedules on all cores: each seed on its own, counted together; and what the counts must come to.

python -c "from catenet.testing.campaign import campaign; print(campaign(range(100)))"
"""

import gc
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from time import monotonic

from catenet.testing.simulator import codec
from catenet.testing.simulator.config import Stall, Violation
from catenet.testing.simulator.profile import schedule_of
from catenet.testing.simulator.reached import KINDS
from catenet.testing.simulator.run import run

CHUNK = 10
"""Seeds that a worker takes at a time."""

FLOORS: Mapping[str, int] = {
    "heights": 2_900,
    "late_rounds": 1_000,
    "locked_rounds": 300,
    "reproposals": 150,
    "nil_precommits": 3_000,
    "catch_ups": 3_300,
    "syncs": 170,
    "evidence": 100,
    "set_changes": 200,
    "crashes": 1_500,
}
"""How often a thousand seeds must come to each of the hard cases, at least."""

FLOOR_SEEDS = 1_000
"""Fewer seeds than this are too few to hold against the floors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one seed came to."""

    seed: int
    events: int
    reached: Mapping[str, int]
    traitors: int
    crashed: bool
    """Whether its schedule has crashes of machines."""
    fault: str = ""
    """What was violated; empty when all held."""
    stalled: bool = False
    """The fault is that somebody made no progress."""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What many seeds came to."""

    seeds: int
    events: int
    with_traitors: int
    with_crashes: int
    reached: Mapping[str, int]
    failures: Sequence[Outcome]
    """In the order of their seeds."""
    seconds: float

    @property
    def violations(self) -> int:
        """How many seeds broke an invariant other than progress."""
        return sum(not failure.stalled for failure in self.failures)

    @property
    def stalled(self) -> int:
        """How many seeds ended without the progress they must show."""
        return sum(failure.stalled for failure in self.failures)

    @property
    def below_floor(self) -> Sequence[str]:
        """The hard cases that were reached too rarely; none is asked of a short campaign."""
        if self.seeds < FLOOR_SEEDS:
            return ()
        return [kind for kind in KINDS if self.reached[kind] * 1_000 < FLOORS[kind] * self.seeds]


def outcome_of(seed: int) -> Outcome:
    """Run one seed of the campaign."""
    config = schedule_of(seed)
    crashed = bool(config.crashes or config.aimed_crashes or config.lock_crashes or config.total_crash)
    fault, stalled, events, digest = "", False, 0, ""
    reached: Mapping[str, int] = {}
    try:
        report = run(seed, config)
        events, reached, digest = report.events, report.reached, report.digest
    except Violation as violation:
        fault, stalled = str(violation), isinstance(violation, Stall)
    return Outcome(
        seed=seed,
        events=events,
        reached=reached,
        traitors=len(config.traitors),
        crashed=crashed,
        fault=fault,
        stalled=stalled,
        digest=digest,
    )


def prepare_worker() -> None:
    """Make a worker fast: garbage is collected between schedules, never within one."""
    gc.disable()
    _sweep()


def _sweep() -> None:
    """Collect garbage. What is left was imported: it is never looked at again."""
    codec.forget()
    gc.collect()
    gc.freeze()


def _some(seeds: Sequence[int]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for seed in seeds:
        outcomes.append(outcome_of(seed))
        _sweep()
    return outcomes


def campaign(
    seeds: range,
    *,
    jobs: int = 0,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> Campaign:
    """Run the schedules of all seeds on `jobs` processes (0: one a core)."""
    start = monotonic()
    outcomes = list(_spread(seeds, jobs or len(os.sched_getaffinity(0)), on_outcome))
    reached: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
    for outcome in outcomes:
        reached.update(outcome.reached)
    return Campaign(
        seeds=len(outcomes),
        events=sum(outcome.events for outcome in outcomes),
        with_traitors=sum(outcome.traitors > 0 for outcome in outcomes),
        with_crashes=sum(outcome.crashed for outcome in outcomes),
        reached=reached,
        failures=sorted((o for o in outcomes if o.fault), key=lambda outcome: outcome.seed),
        seconds=monotonic() - start,
    )


def _spread(seeds: range, jobs: int, on_outcome: Callable[[Outcome], None]) -> Iterable[Outcome]:
    chunks = iter([seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)])
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=prepare_worker) as pool:
        under_way: set[Future[list[Outcome]]] = set()
        try:
            while True:
                while len(under_way) < 2 * jobs and (chunk := next(chunks, None)) is not None:
                    under_way.add(pool.submit(_some, chunk))
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    for outcome in future.result():
                        on_outcome(outcome)
                        yield outcome
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
