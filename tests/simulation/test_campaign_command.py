"""`catenet simulate`: what it prints, when it fails, and that a seed replays identically anywhere."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from catenet.testing.campaign import FLOORS, Campaign, Outcome, campaign
from catenet.testing.simulator.reached import KINDS

SEEDS = 100
"""So many runs are compared."""


def made(*, seeds: int, reached: int, failures: tuple[Outcome, ...] = ()) -> Campaign:
    return Campaign(
        seeds=seeds,
        events=1,
        with_traitors=0,
        with_crashes=0,
        reached=dict.fromkeys(KINDS, reached),
        failures=failures,
        seconds=1.0,
    )


def failed(seed: int, *, stalled: bool) -> Outcome:
    return Outcome(seed=seed, events=0, reached={}, traitors=0, crashed=False, fault="x", stalled=stalled)


def test_a_campaign_tells_stalls_from_violations() -> None:
    result = made(seeds=3, reached=0, failures=(failed(1, stalled=True), failed(2, stalled=False)))
    assert (result.violations, result.stalled) == (1, 1)


def test_a_campaign_that_never_reaches_hard_cases_is_told_so_from_a_thousand_seeds_on() -> None:
    assert made(seeds=999, reached=0).below_floor == ()
    assert list(made(seeds=1_000, reached=0).below_floor) == list(KINDS)
    assert made(seeds=1_000, reached=max(FLOORS.values())).below_floor == []
    assert set(FLOORS) == set(KINDS)


@pytest.mark.slow
def test_all_processes_count_together_and_in_any_order() -> None:
    seen: list[int] = []
    result = campaign(range(40, 44), jobs=2, on_outcome=lambda outcome: seen.append(outcome.seed))
    assert sorted(seen) == [40, 41, 42, 43]
    assert (result.seeds, result.violations, result.stalled) == (4, 0, 0)
    assert result.reached["heights"] >= 4 * 2


def replayed(seed: int, hash_seed: str) -> Mapping[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "catenet", "simulate", "replay", str(seed), "--json"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answer: Mapping[str, object] = json.loads(done.stdout)
    return answer


def digests(seeds: int, hash_seed: str) -> subprocess.Popen[str]:
    code = (
        "from catenet.testing.campaign import outcome_of\n"
        f"for seed in range({seeds}): print(outcome_of(seed).digest)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_hundred_seeds_give_the_same_runs_in_other_processes_under_another_hash_seed() -> None:
    runs = [digests(SEEDS, hash_seed) for hash_seed in ("1", "2")]
    first, second = [run.communicate(timeout=600)[0].split() for run in runs]
    assert first == second
    assert len(set(first)) == SEEDS
    assert all(len(digest) == 64 for digest in first)


@pytest.mark.slow
def test_a_seed_replays_identically_under_three_hash_seeds() -> None:
    answers = [replayed(5, hash_seed) for hash_seed in ("1", "2", "3")]
    assert len({str(answer["digest"]) for answer in answers}) == 1
    assert len(str(answers[0]["digest"])) == 64
    assert [answer["hash_seed"] for answer in answers] == ["1", "2", "3"]
