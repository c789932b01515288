"""Seeded schedules of chaos: nothing forks, nothing promised is lost, and everybody recovers.

A failure's text names the seed and the configuration; `run(seed, config)` replays it.
"""

import os
import subprocess
import sys

import pytest

from catenet.testing.simulator.config import Report, SimulationConfig
from catenet.testing.simulator.run import run

SOLO = SimulationConfig(validators=1, chaos_us=8_000_000, crashes=3, aimed_crashes=2, submissions=20)
FOUR = SimulationConfig()
POWERS = SimulationConfig(powers=(10, 21, 13, 34), crashes=1, aimed_crashes=3)
BROKEN = SimulationConfig(broken_links=2, crashes=1, aimed_crashes=1)
TOTAL = SimulationConfig(crashes=0, aimed_crashes=2, total_crash=True)
CHANGING = SimulationConfig(power_changes=0.4, crashes=1, aimed_crashes=2)
JOINING = SimulationConfig(validators=5, powers=(10, 10, 10, 10, 0), power_changes=0.6, aimed_crashes=3)
STEADY = SimulationConfig(loss=0, duplication=0, partition_every_us=0, crashes=0, aimed_crashes=0)
SEVEN = SimulationConfig(validators=7, chaos_us=8_000_000, crashes=2, aimed_crashes=2, submissions=20)

SCHEDULES = {
    "solo": (SOLO, 8),
    "four": (FOUR, 14),
    "powers": (POWERS, 6),
    "broken": (BROKEN, 6),
    "total": (TOTAL, 6),
    "changing": (CHANGING, 6),
    "joining": (JOINING, 4),
    "steady": (STEADY, 1),
    "seven": (SEVEN, 3),
}


SCALE = int(os.environ.get("CATENET_SCHEDULES", "1"))
"""So many times the usual number of schedules."""

QUICK = 2
"""Seeds of each kind that are not marked slow."""

RUNS = [
    pytest.param(kind, seed, marks=[pytest.mark.slow] if seed >= QUICK else [])
    for kind, (_, count) in SCHEDULES.items()
    for seed in range(count * SCALE)
]


@pytest.mark.parametrize(("kind", "seed"), RUNS)
def test_a_schedule_of_chaos_ends_well(kind: str, seed: int) -> None:
    config, _ = SCHEDULES[kind]
    report = run(seed, config)
    assert min(report.heights) >= config.heights
    assert report.replicated > 0
    assert report.committed >= report.replicated


def digest_in_a_process(hash_seed: str) -> str:
    """Return the digest of one run under a hash seed."""
    code = (
        "from catenet.testing.simulator.config import SimulationConfig as C\n"
        "from catenet.testing.simulator.run import run\n"
        "print(run(11, C(chaos_us=5_000_000, submissions=15)).digest)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_same_seed_gives_the_same_run_under_any_hash_seed() -> None:
    first, second = digest_in_a_process("1"), digest_in_a_process("2")
    assert len(first.strip()) == 64
    assert first == second


def test_another_seed_gives_another_run() -> None:
    reports: list[Report] = [run(seed, SOLO) for seed in (1, 2)]
    assert reports[0].digest != reports[1].digest
