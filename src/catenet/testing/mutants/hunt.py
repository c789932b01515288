"""Hunting a mutant: schedules until an invariant notices it, or until the budget is used up."""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from os import sched_getaffinity

from catenet.testing.campaign import prepare_worker
from catenet.testing.mutants import MUTANTS
from catenet.testing.mutants.bend import Bend
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig, Violation
from catenet.testing.simulator.profile import STORM, schedule_of
from catenet.testing.simulator.run import run

HUNTERS = ("chaos", "double-voter", "hidden-lock", "turncoat", "twins", "false-time")
"""Traitors that come closest to the rules that matter most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """How the hunt for one mutant ended."""

    name: str
    killed: bool
    seeds: int
    """Schedules that were run, the last one included."""
    by: str
    """The invariant of consensus.md 10.2 that noticed it, by number, or what else did."""
    fault: str
    """All that was said."""


def hunting_schedule(seed: int) -> SimulationConfig:
    """Return a schedule for hunting: every second one is of the campaign, the others aim at locks."""
    if seed % 2 == 0:
        return schedule_of(seed)
    draw = Chooser(seed ^ 0xA1)
    config = replace(
        STORM,
        chaos_us=2_500_000,
        submissions=8,
        loss=draw.pick((0.1, 0.25, 0.4)),
        delay_us=draw.pick((5_000, 60_000)),
        delay_tail_us=3_000_000,
        partition_every_us=draw.pick((0, 700_000, 1_500_000)),
        broken_links=draw.pick((0, 0, 1)),
        calm_us=2 * STORM.calm_us,
        aimed_crashes=draw.pick((0, 2, 6)),
        lock_crashes=draw.pick((0, 1, 3)),
        traitors=draw.pick(((), *[(name,) for name in HUNTERS])),
        propose_us=draw.pick((1_000_000, 300_000)),
    )
    if config.traitors == ("turncoat",):
        # It decides itself what is lost: chance would only spoil its plan.
        calm = replace(STORM, chaos_us=8_000_000, loss=0, delay_us=5_000, delay_tail_us=200_000)
        return replace(calm, partition_every_us=0, calm_us=config.calm_us, traitors=config.traitors)
    return config


def hunt(name: str, budget: int) -> Hunt:
    """Run schedules with one mutant in place, at most `budget` of them."""
    with Bend() as bend:
        MUTANTS[name].bend(bend)
        for seed in range(budget):
            try:
                run(seed, hunting_schedule(seed))
            except Violation as violation:
                fault = str(violation)
                return Hunt(name=name, killed=True, seeds=seed + 1, by=invariant_of(fault), fault=fault)
    return Hunt(name=name, killed=False, seeds=budget, by="", fault="")


def invariant_of(fault: str) -> str:
    """Return the number of the invariant that a violation names, or what it is about."""
    said = fault.partition("): ")[2]
    number = re.match(r"(?:node [0-9a-f]{8}: )?(\d+): ", said)
    if number:
        return number.group(1)
    return next((word for word in ("halts", "exception", "nobody signed") if word in said), "other")


def hunts(
    names: Sequence[str], budget: int, *, jobs: int = 0, on_hunt: Callable[[Hunt], None] = lambda hunt: None
) -> Sequence[Hunt]:
    """Hunt all named mutants on `jobs` processes (0: one a core); the order is that of the names."""
    done = {}
    for found in _spread(names, budget, jobs or len(sched_getaffinity(0))):
        on_hunt(found)
        done[found.name] = found
    return [done[name] for name in names]


def _spread(names: Sequence[str], budget: int, jobs: int) -> Iterator[Hunt]:
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=prepare_worker) as pool:
        try:
            for future in as_completed([pool.submit(hunt, name, budget) for name in names]):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
