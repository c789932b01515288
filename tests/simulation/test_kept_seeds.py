"""Schedules that once found something, kept as they were found. Each names what it found."""

import pytest

from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.run import run

# A home without its journal locks, and may not sign: nobody knows of that lock, and a restart forgets it.
UNSIGNED_LOCK = SimulationConfig(
    chaos_us=3_500_000,
    heights=2,
    loss=0.3,
    duplication=0.2,
    delay_us=2_000,
    delay_tail_us=1_500_000,
    partition_every_us=700_000,
    crashes=0,
    aimed_crashes=1,
    total_crash=True,
    down_us=1_500_000,
    lost_journals=1,
    fsync_us=30_000,
    execute_us=500,
    submissions=10,
)

# A newcomer fetches a long chain: the pieces of one answer are a stream, and come in order or not at all.
NEWCOMER = SimulationConfig(validators=5, powers=(10, 10, 10, 10, 0), aimed_crashes=3, power_changes=0.6)

KEPT = [
    pytest.param(5067, UNSIGNED_LOCK, id="a lock that was never signed is not missed after a replay"),
    pytest.param(6, NEWCOMER, id="blocks that overtake others blame nobody"),
    pytest.param(11, NEWCOMER, id="blocks that overtake others blame nobody, again"),
]


@pytest.mark.parametrize(("seed", "config"), KEPT)
def test_a_schedule_that_found_something_ends_well(seed: int, config: SimulationConfig) -> None:
    run(seed, config)
