"""Schedules of a campaign, with traitors: what a seed stands for, and that they end well."""

import os
from collections import Counter

import pytest

from catenet.testing.simulator.config import Report
from catenet.testing.simulator.profile import SEVENS, schedule_of
from catenet.testing.simulator.run import run
from catenet.testing.traitors import TRAITORS

SEEDS = 20 * int(os.environ.get("CATENET_SCHEDULES", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRAITORS))
def test_the_others_go_on_beside_a_traitor(name: str) -> None:
    seed = next(seed for seed in range(1_000) if schedule_of(seed).traitors == (name,))
    report = run(seed, schedule_of(seed))
    assert len(report.heights) == schedule_of(seed).validators - 1
    assert min(report.heights) >= schedule_of(seed).heights


@pytest.mark.slow
def test_seeds_of_a_campaign_end_well_and_reach_hard_cases() -> None:
    reports: list[Report] = [run(seed, schedule_of(seed)) for seed in range(SEEDS)]
    reached: Counter[str] = Counter()
    for report in reports:
        reached.update(report.reached)
    assert reached["late_rounds"] > 0
    assert reached["nil_precommits"] > 0
    assert reached["catch_ups"] > 0


def test_a_seed_stands_for_one_schedule_and_seeds_differ() -> None:
    schedules = [schedule_of(seed) for seed in range(1_000)]
    assert schedules == [schedule_of(seed) for seed in range(1_000)]
    assert [s.validators - s.powers.count(0) for s in schedules].count(7) == 1_000 // SEVENS
    assert sum(0 in s.powers for s in schedules) >= 10
    assert sum(bool(s.traitors) for s in schedules) >= 500
    crashes = [s.crashes or s.aimed_crashes or s.lock_crashes or s.total_crash for s in schedules]
    assert sum(map(bool, crashes)) >= 500
    assert {name for s in schedules for name in s.traitors} == set(TRAITORS)
    for schedule in schedules:
        assert 3 * len(schedule.traitors) < schedule.validators
