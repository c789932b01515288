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

# A traitor votes at the next height already; who has decided this one relays it before anybody has committed.
EARLY_VOTE = SimulationConfig(
    chaos_us=2_500_000,
    heights=1,
    loss=0.2,
    duplication=0.1,
    delay_us=2_000,
    delay_tail_us=1_500_000,
    partition_every_us=700_000,
    crashes=0,
    aimed_crashes=2,
    down_us=1_500_000,
    fsync_us=1_000,
    execute_us=20_000,
    submissions=8,
    traitors=("chaos",),
)

# A crash leaves a vote in the journal and not in the guard's file; later, before another is signed, the
# journal is lost. What the guard was raised to at the start in between must have reached its file.
GUARD_BEHIND = SimulationConfig(
    chaos_us=2_500_000,
    heights=1,
    loss=0.1,
    duplication=0.1,
    delay_us=80_000,
    delay_tail_us=1_500_000,
    partition_every_us=700_000,
    crashes=1,
    aimed_crashes=2,
    lock_crashes=1,
    down_us=1_500_000,
    lost_journals=1,
    fsync_us=30_000,
    execute_us=20_000,
    clock_skew_us=0,
    clock_steps=2,
    submissions=8,
)

# A node that lagged skips to a round with that round's certificate in hand: a restart goes on after it.
KNOWN_END = SimulationConfig(
    chaos_us=2_000_000,
    heights=1,
    loss=0.0,
    duplication=0.02,
    delay_us=2_000,
    delay_tail_us=1_500_000,
    partition_every_us=700_000,
    crashes=0,
    aimed_crashes=0,
    lock_crashes=1,
    down_us=1_500_000,
    fsync_us=1_000,
    execute_us=20_000,
    propose_us=150_000,
    submissions=6,
    traitors=("have-liar",),
)

KEPT = [
    pytest.param(5067, UNSIGNED_LOCK, id="a lock that was never signed is not missed after a replay"),
    pytest.param(6, NEWCOMER, id="blocks that overtake others blame nobody"),
    pytest.param(11, NEWCOMER, id="blocks that overtake others blame nobody, again"),
    pytest.param(40340, GUARD_BEHIND, id="a guard that was raised knows it without the journal"),
    pytest.param(42280, KNOWN_END, id="a round that was entered with its end in hand is over after a replay"),
    pytest.param(5785, EARLY_VOTE, id="a vote of the next height may be relayed before any commit"),
]


@pytest.mark.parametrize(("seed", "config"), KEPT)
def test_a_schedule_that_found_something_ends_well(seed: int, config: SimulationConfig) -> None:
    run(seed, config)
