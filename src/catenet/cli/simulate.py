"""`catenet simulate`: schedules of faults through the production core, in virtual time, from seeds."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.cli.output import Progress, duration, emit, json_option, say, table
from catenet.cli.shape import CHECK_FAILED, OK, Command, Group

if TYPE_CHECKING:
    from catenet.testing.campaign import Campaign, Outcome
    from catenet.testing.mutants.hunt import Hunt
    from catenet.testing.simulator.config import SimulationConfig
    from catenet.testing.simulator.story import Story

mutant_option = click.option("--mutant", metavar="NAME", help="With this planted fault in place.")


@click.group(
    cls=Group,
    examples=["catenet simulate run --seeds 1000", "catenet simulate replay 4711"],
    next_step="catenet simulate run --seeds 1000",
)
def simulate() -> None:
    """Run the production core under faults and traitors, in virtual time; every run follows from its seed."""


@simulate.command(
    cls=Command,
    examples=[
        "catenet simulate run --seeds 10000 --json",
        "catenet simulate run --seeds 500 --first-seed 9000",
    ],
    next_step="catenet simulate replay SEED",
)
@click.option("--seeds", default=1_000, show_default=True, type=click.IntRange(1), help="How many schedules.")
@click.option("--first-seed", default=0, show_default=True, type=click.IntRange(0), help="The first of them.")
@click.option(
    "--jobs", default=0, type=click.IntRange(0, 256), help="Processes; 0: one a core.  [default: 0]"
)
@json_option
def run(seeds: int, first_seed: int, jobs: int, as_json: bool) -> int:
    """Run many schedules: one in ten with seven validators, most with traitors and crashes.

    Fails (exit 4) when an invariant is broken, somebody makes no progress, or, from a thousand seeds on, a
    hard case is reached too rarely for the campaign to prove much.
    """
    from catenet.testing.campaign import campaign

    progress = Progress(seeds, "schedules")
    done = 0

    def on_outcome(outcome: "Outcome") -> None:
        nonlocal done
        done += 1
        if outcome.fault:
            say(f"seed {outcome.seed}: {outcome.fault}")
        progress.update(done)

    result = campaign(range(first_seed, first_seed + seeds), jobs=jobs, on_outcome=on_outcome)
    progress.close()
    emit(_value(result, first_seed), _text(result), as_json=as_json)
    return CHECK_FAILED if result.failures or result.below_floor else OK


def _value(result: "Campaign", first_seed: int) -> dict[str, object]:
    return {
        "seeds": result.seeds,
        "first_seed": first_seed,
        "events": result.events,
        "violations": result.violations,
        "stalled": result.stalled,
        "with_traitors": result.with_traitors,
        "with_crashes": result.with_crashes,
        "reached": dict(result.reached),
        "below_floor": list(result.below_floor),
        "failures": [{"seed": f.seed, "stalled": f.stalled, "fault": f.fault} for f in result.failures],
        "seconds": round(result.seconds, 1),
    }


def _text(result: "Campaign") -> str:
    per_s = result.seeds / max(result.seconds, 1e-9)
    rows = [
        ["schedules", f"{result.seeds:,}", f"in {duration(result.seconds)}, {per_s:.0f} a second"],
        ["with traitors", f"{result.with_traitors:,}", ""],
        ["with crashes", f"{result.with_crashes:,}", ""],
        ["events", f"{result.events:,}", ""],
        *[[kind.replace("_", " "), f"{count:,}", ""] for kind, count in result.reached.items()],
        ["violations", f"{result.violations:,}", ""],
        ["stalled", f"{result.stalled:,}", ""],
    ]
    lines = [table(rows)]
    if result.below_floor:
        lines.append(f"reached too rarely to prove much: {', '.join(result.below_floor)}")
    return "\n".join(lines)


@simulate.command(
    cls=Command,
    examples=[
        "catenet simulate replay 4711",
        "catenet simulate replay 4711 --story",
        "catenet simulate replay found.json --html found.html",
    ],
    next_step="catenet simulate shrink SEED",
)
@click.argument("schedule")
@mutant_option
@click.option("--story", "tell", is_flag=True, help="Write what happened, one line each.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a sequence diagram.")
@json_option
def replay(schedule: str, mutant: str | None, tell: bool, html: Path | None, as_json: bool) -> int:
    """Run one schedule again: a seed of the campaign, or a file of `simulate shrink`.

    The digest covers all that happened: it is the same on every machine. Fails (exit 4) when an invariant
    is broken.
    """
    from catenet.testing.diagram import as_html, as_text
    from catenet.testing.simulator.story import Story

    story = Story()
    with _bent(mutant):
        done = _replay(schedule, story, aimed=mutant is not None)
    if html is not None:
        page = as_html(story.lines, title=f"Schedule {schedule}", fault=done.fault, nodes=done.nodes)
        html.write_text(page, encoding="utf-8")
        say(f"sequence diagram: {html}")
    lines = {"lines": as_text(story.lines).splitlines()} if tell else {}
    value: dict[str, object] = {
        "schedule": schedule,
        "digest": done.digest,
        "events": done.events,
        "reached": done.reached,
        "fault": done.fault,
        "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
        **lines,
    }
    text = f"{as_text(story.lines)}\n" if tell else ""
    text += f"schedule {schedule}  {len(done.nodes)} nodes: {', '.join(done.nodes)}\n"
    text += f"fault: {done.fault}" if done.fault else f"{done.events:,} events  digest {done.digest}"
    emit(value, text, as_json=as_json)
    return CHECK_FAILED if done.fault else OK


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replayed:
    nodes: list[str]
    digest: str
    events: int
    reached: dict[str, int]
    fault: str


def _replay(schedule: str, story: "Story", *, aimed: bool) -> _Replayed:
    from catenet.testing.simulator.chooser import Chooser, replayed
    from catenet.testing.simulator.config import Violation
    from catenet.testing.simulator.run import Simulation, run

    seed, config, choices = _schedule(schedule, aimed=aimed)
    chooser = Chooser(seed) if choices is None else Chooser(replayed(choices))
    probe = Chooser(seed) if choices is None else Chooser(replayed(choices))
    nodes = Simulation(seed, config, probe).names()
    try:
        report = run(seed, config, chooser=chooser, story=story)
    except Violation as violation:
        return _Replayed(nodes=nodes, digest="", events=0, reached={}, fault=str(violation))
    return _Replayed(
        nodes=nodes, digest=report.digest, events=report.events, reached=report.reached, fault=""
    )


def _schedule(schedule: str, *, aimed: bool) -> "tuple[int, SimulationConfig, Sequence[int] | None]":
    """Read what names a schedule: a seed, or a file of `simulate shrink`."""
    from catenet.testing.mutants.hunt import hunting_schedule
    from catenet.testing.shrink import Found
    from catenet.testing.simulator.profile import schedule_of

    if schedule.isdecimal():
        seed = int(schedule)
        return seed, hunting_schedule(seed) if aimed else schedule_of(seed), None
    path = Path(schedule)
    if not path.is_file():
        raise click.UsageError(f"{schedule!r} is neither a seed (a number from 0 on) nor a file of `shrink`")
    found = Found.from_json(path.read_text(encoding="utf-8"))
    return found.seed, found.config, found.choices


@contextmanager
def _bent(mutant: str | None) -> Iterator[None]:
    """Have a planted fault in place, when one is named."""
    from catenet.testing.mutants import MUTANTS
    from catenet.testing.mutants.bend import Bend

    if mutant is not None and mutant not in MUTANTS:
        raise click.UsageError(f"no planted fault is called {mutant!r}; there are: {', '.join(MUTANTS)}")
    with Bend() as bend:
        if mutant is not None:
            MUTANTS[mutant].bend(bend)
        yield


@simulate.command(
    cls=Command,
    examples=["catenet simulate shrink 4711 --out found.json"],
    next_step="catenet simulate replay found.json --html found.html",
)
@click.argument("schedule")
@mutant_option
@click.option(
    "--runs", default=400, show_default=True, type=click.IntRange(1), help="Schedules to try at most."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep the smaller schedule.")
@json_option
def shrink(schedule: str, mutant: str | None, runs: int, out: Path | None, as_json: bool) -> int:
    """Make a failing schedule small: fewer faults and nodes, duller choices, the same invariant broken.

    Fails (exit 4) when the schedule breaks nothing.
    """
    from catenet.testing.shrink import Found, Shrink, find, replay

    seed, config, choices = _schedule(schedule, aimed=mutant is not None)
    with _bent(mutant):
        if choices is None:
            found = find(seed, config)
        else:
            found = replay(Found(seed=seed, config=config, choices=choices, fault=""))
        if found is None:
            say(f"error: schedule {schedule} breaks no invariant; take a seed that `simulate run` names")
            return CHECK_FAILED
        small = Shrink(found, runs=runs, on_step=lambda best: say(f"{best.size} choices left")).run()
    if out is not None:
        out.write_text(small.to_json(), encoding="utf-8")
        say(f"kept: {out}")
    value: dict[str, object] = {
        "invariant": small.invariant,
        "fault": small.fault,
        "choices_before": found.size,
        "choices": small.size,
        "runs": small.runs,
    }
    text = f"{found.size} choices became {small.size} in {small.runs} runs\n{small.fault}"
    emit(value, text, as_json=as_json)
    return OK


@simulate.command(
    cls=Command,
    examples=["catenet simulate mutants --json", "catenet simulate mutants no-status lock-not-restored"],
    next_step="catenet simulate run --seeds 1000",
)
@click.argument("names", nargs=-1)
@click.option(
    "--budget", default=3_000, show_default=True, type=click.IntRange(1), help="Schedules for each at most."
)
@click.option(
    "--jobs", default=0, type=click.IntRange(0, 256), help="Processes; 0: one a core.  [default: 0]"
)
@json_option
def mutants(names: tuple[str, ...], budget: int, jobs: int, as_json: bool) -> int:
    """Plant one fault after the other, and run schedules until each is found: so the simulator can fail.

    Fails (exit 4) when a fault is not found within its budget.
    """
    from catenet.testing.mutants import MUTANTS
    from catenet.testing.mutants.hunt import hunts

    unknown = [name for name in names if name not in MUTANTS]
    if unknown:
        raise click.UsageError(f"no planted fault is called {unknown[0]!r}; there are: {', '.join(MUTANTS)}")
    progress, found = Progress(len(names) or len(MUTANTS), "planted faults"), 0

    def on_hunt(hunt: "Hunt") -> None:
        nonlocal found
        found += 1
        progress.update(found)

    done = hunts(names or tuple(MUTANTS), budget, jobs=jobs, on_hunt=on_hunt)
    progress.close()
    value = [{"name": h.name, "killed": h.killed, "seeds": h.seeds, "by": h.by} for h in done]
    rows = [
        [
            h.name,
            MUTANTS[h.name].rule,
            f"invariant {h.by}" if h.killed else "NOT FOUND",
            f"{h.seeds} schedules",
        ]
        for h in done
    ]
    left = sum(not h.killed for h in done)
    summary = f"{len(done) - left} of {len(done)} planted faults were found"
    emit({"mutants": value}, f"{table(rows)}\n{summary}", as_json=as_json)
    return CHECK_FAILED if left else OK


@simulate.command(
    cls=Command,
    examples=["catenet simulate model --traitor 0", "catenet simulate model --rounds 1 --crashes 2 --json"],
    next_step="catenet simulate mutants",
)
@click.option(
    "--rounds", default=2, show_default=True, type=click.IntRange(1, 3), help="Rounds of the height."
)
@click.option(
    "--traitor", default=3, show_default=True, type=click.IntRange(0, 3), help="Who lies, by turn to propose."
)
@click.option(
    "--values", default=2, show_default=True, type=click.IntRange(1, 2), help="Blocks it may propose."
)
@click.option("--crashes", default=0, show_default=True, type=click.IntRange(0, 3), help="Crashes in all.")
@click.option(
    "--budget", default=2_000_000, show_default=True, type=click.IntRange(1), help="States at most."
)
@json_option
def model(rounds: int, traitor: int, values: int, crashes: int, budget: int, as_json: bool) -> int:
    """Drive four production cores through every schedule of one height, one of them byzantine.

    A traitor with turn 3 votes only; with turn 0 or 1 it also proposes, and two rounds then take minutes.
    Where the budget ends the search, the answer says that it is not complete. Fails (exit 4) on a broken
    invariant.
    """
    from catenet.testing.model.config import ModelConfig
    from catenet.testing.model.explore import explore

    config = ModelConfig(rounds=rounds, traitor=traitor, values=values, crashes=crashes, budget=budget)
    progress = Progress(budget, "states")
    found = explore(config, lambda at: progress.update(at.states))
    progress.close()
    value: dict[str, object] = {
        "states": found.states,
        "transitions": found.transitions,
        "depth": found.depth,
        "complete": found.complete,
        "signings": found.signings,
        "decided_rounds": list(found.decided_rounds),
        "locked": found.locked,
        "violations": len(found.violations),
        "seconds": round(found.seconds, 1),
    }
    whole = "every state was visited" if found.complete else "the budget ended the search"
    text = (
        f"{found.states:,} states, {found.transitions:,} transitions, {found.depth} signatures deep: {whole}"
    )
    for breach in found.violations:
        say(str(breach))
    emit(value, f"{text}\nviolations: {len(found.violations)}", as_json=as_json)
    return CHECK_FAILED if found.violations else OK
