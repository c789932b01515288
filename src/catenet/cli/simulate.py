"""`catenet simulate`: schedules of faults through the production core, in virtual time, from seeds."""

import os
from typing import TYPE_CHECKING

import click

from catenet.cli.output import Progress, duration, emit, json_option, say, table
from catenet.cli.shape import CHECK_FAILED, OK, Command, Group

if TYPE_CHECKING:
    from catenet.testing.campaign import Campaign, Outcome
    from catenet.testing.mutants.hunt import Hunt


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
    examples=["catenet simulate replay 4711", "catenet simulate replay 4711 --json"],
    next_step="catenet simulate run --seeds 1000",
)
@click.argument("seed", type=click.IntRange(0))
@json_option
def replay(seed: int, as_json: bool) -> int:
    """Run one schedule again. The digest covers all that happened: it is the same on every machine."""
    from catenet.testing.campaign import outcome_of
    from catenet.testing.simulator.profile import schedule_of

    outcome = outcome_of(seed)
    value: dict[str, object] = {
        "seed": seed,
        "digest": outcome.digest,
        "events": outcome.events,
        "reached": dict(outcome.reached),
        "fault": outcome.fault,
        "hash_seed": os.environ.get("PYTHONHASHSEED", "random"),
    }
    config = schedule_of(seed)
    traitors = ", ".join(config.traitors) or "none"
    text = f"seed {seed}  {config.validators} validators  traitors: {traitors}\n"
    text += (
        f"fault: {outcome.fault}" if outcome.fault else f"{outcome.events:,} events  digest {outcome.digest}"
    )
    emit(value, text, as_json=as_json)
    return CHECK_FAILED if outcome.fault else OK


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
