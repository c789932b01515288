"""Every reader of bytes keeps its promises on inputs that are nearly right.

The generators are those of `scripts/campaign-fuzz`, which has more time; what it finds is kept in
`test_found_in_*.py`. Here Hypothesis drives them, the same inputs in every run.
"""

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fuzzing.bounds import bounded_space, cheap, ends
from support.fuzzing.every import every_target
from support.fuzzing.targets import Target

FIXED = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
SEEDS = 40
"""Besides: so many inputs of a plain generator, which cost a tenth."""

TARGETS = every_target()


def read(target: Target, data: bytes) -> None:
    with ends(), cheap(len(data), peak_bytes=target.peak_bytes, traced=len(data) % 4 == 0):
        target.run(data)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_reader_raises_only_what_it_says_and_costs_no_more_than_its_input(target: Target) -> None:
    @FIXED
    @given(st.randoms(use_true_random=False, note_method_calls=False))
    def holds(random: Random) -> None:
        read(target, target.make(random))

    with bounded_space():
        holds()
        for seed in range(SEEDS * target.weight):
            read(target, target.make(Random(f"{target.name} {seed}")))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_inputs_of_a_reader_go_beyond_its_first_check(target: Target) -> None:
    # A generator whose inputs are all refused, or all accepted, would test nothing.
    inputs = [target.make(Random(f"reach {seed}")) for seed in range(120)]
    taken = {target.accepts(data) for data in inputs}
    assert True in taken
    assert False in taken or not target.refuses
