"""The simulator can fail: each planted fault is put in place, and a few schedules are enough to notice."""

import pytest

from catenet.core.consensus import rules
from catenet.testing.mutants import MUTANTS
from catenet.testing.mutants.bend import Bend
from catenet.testing.mutants.hunt import hunt, hunting_schedule, invariant_of
from catenet.testing.mutants.mutant import Kind
from catenet.testing.simulator.run import run

QUICK = (
    "half-is-a-quorum",
    "precommit-on-any-prevotes",
    "prevote-twice",
    "votes-not-restored",
    "polka-not-logged",
    "no-status",
)
"""Found within a few schedules; `catenet simulate mutants` hunts all."""


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_a_planted_fault_is_found(name: str) -> None:
    found = hunt(name, 30)
    assert found.killed
    assert found.by


@pytest.mark.slow
def test_the_same_schedules_end_well_when_nothing_is_bent() -> None:
    for seed in range(8):
        config = hunting_schedule(seed)
        assert min(run(seed, config).heights) >= config.heights


def test_what_is_bent_comes_back() -> None:
    before = rules.RULES, rules._answer_to
    for mutant in MUTANTS.values():
        with Bend() as bend:
            mutant.bend(bend)
    assert (rules.RULES, rules._answer_to) == before


def test_every_mutant_has_a_name_a_rule_and_a_sentence() -> None:
    assert len(MUTANTS) >= 25
    assert {mutant.kind for mutant in MUTANTS.values()} == set(Kind)
    for name, mutant in MUTANTS.items():
        assert mutant.name == name
        assert mutant.rule
        assert mutant.says.endswith(".")


@pytest.mark.parametrize(
    ("fault", "by"),
    [
        ("seed 1 at 2 s (loss=4): node 4fe7eb48: 4: precommits precommit for x", "4"),
        ("seed 1 at 2 s (loss=4): 14: stalled at heights [1]", "14"),
        ("seed 1 at 2 s (loss=4): node 4fe7eb48: halts: no", "halts"),
        ("seed 1 at 2 s (loss=4): an exception leaves a core: KeyError(3)", "exception"),
    ],
)
def test_a_fault_names_its_invariant(fault: str, by: str) -> None:
    assert invariant_of(fault) == by
