"""Validator sets: order, updates, fairness of the rotation, bounds."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain.keys import PublicKey
from catenet.chain.validators import MAX_TOTAL_POWER, InvalidUpdate, Validator, ValidatorSet
from support.chain import make_keys

KEYS = [key.public for key in make_keys(8)]
POWERS = st.lists(st.integers(1, 1000), min_size=1, max_size=6)
CHANGES = st.dictionaries(st.integers(0, 7), st.integers(0, 1000), min_size=1, max_size=6)


def set_of(*powers: int) -> ValidatorSet:
    return ValidatorSet.new(list(zip(KEYS, powers, strict=False)))


def powers_of(valset: ValidatorSet) -> dict[PublicKey, int]:
    return {member.public_key: member.power for member in valset.validators}


def check_sound(valset: ValidatorSet) -> None:
    ranks = [(-member.power, member.address) for member in valset.validators]
    assert all(first < second for first, second in pairwise(ranks))
    assert valset.total_power == sum(member.power for member in valset.validators)
    priorities = [member.priority for member in valset.validators]
    assert max(priorities) - min(priorities) <= 2 * valset.total_power
    assert ValidatorSet.decode(valset.encode()) == valset
    for index, member in enumerate(valset.validators):
        assert valset.index_of(member.address) == index
        assert valset.by_address(member.address) == member


@pytest.mark.slow
@settings(deadline=None)
@given(powers=POWERS, changes=CHANGES, times=st.integers(1, 20))
def test_updates_set_exactly_the_powers_they_name(
    powers: list[int], changes: dict[int, int], times: int
) -> None:
    valset = set_of(*powers).increment(times)
    expected = powers_of(valset)
    applicable = [(KEYS[n], power) for n, power in changes.items() if power or KEYS[n] in expected]
    for key, power in applicable:
        expected[key] = power
    expected = {key: power for key, power in expected.items() if power}
    if not expected:
        with pytest.raises(InvalidUpdate, match="no validator"):
            valset.update(applicable)
        return
    updated = valset.update(applicable)
    assert powers_of(updated) == expected
    assert updated == valset.update(applicable[::-1])
    check_sound(updated)
    if applicable:
        assert 0 <= sum(member.priority for member in updated.validators) < len(updated)


@pytest.mark.slow
@settings(deadline=None)
@given(powers=POWERS, times=st.integers(1, 30))
def test_the_rotation_changes_priorities_only(powers: list[int], times: int) -> None:
    valset = set_of(*powers)
    later = valset.increment(times)
    assert later.hash() == valset.hash()
    assert powers_of(later) == powers_of(valset)
    assert later.proposer in later.validators
    check_sound(later)


@pytest.mark.slow
@settings(deadline=None)
@given(powers=st.lists(st.integers(1, 12), min_size=1, max_size=5))
def test_everyone_proposes_in_proportion_to_power(powers: list[int]) -> None:
    valset = set_of(*powers)
    turns: dict[PublicKey, int] = {}
    for _ in range(valset.total_power):
        key = valset.proposer.public_key
        turns[key] = turns.get(key, 0) + 1
        valset = valset.increment(1)
    assert turns == powers_of(valset)


def test_a_round_is_as_many_steps_of_a_copy() -> None:
    valset = set_of(5, 3, 1)
    assert valset.proposer_at(0) == valset.proposer
    for round in range(1, 12):
        assert valset.proposer_at(round) == valset.increment(round).proposer


def test_ties_go_to_the_lower_address() -> None:
    valset = set_of(1, 1, 1, 1)
    assert [member.address for member in valset.validators] == sorted(key.address for key in KEYS[:4])
    assert valset.proposer.address == min(key.address for key in KEYS[:4])


def test_a_newcomer_starts_behind_everyone() -> None:
    valset = set_of(10, 10, 10)
    joined = valset.update([(KEYS[5], 10)])
    newcomer = joined.by_address(KEYS[5].address)
    assert newcomer is not None
    assert newcomer.priority == min(member.priority for member in joined.validators)
    # 40 + 40 // 8 behind, before the average is subtracted.
    others = [member.priority for member in valset.validators]
    assert newcomer.priority == -45 - (sum(others) - 45) // 4


def test_leaving_and_joining_again_gains_nothing() -> None:
    valset = set_of(10, 10, 10)
    key = valset.increment(1).proposer.public_key
    returned = valset.update([(key, 0)]).update([(key, 10)])
    member, before = returned.by_address(key.address), valset.by_address(key.address)
    assert member is not None
    assert before is not None
    assert member.priority < before.priority


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ([(KEYS[0], 0), (KEYS[1], 0)], "no validator"),
        ([(KEYS[5], 0)], "not a validator"),
        ([(KEYS[0], 3), (KEYS[0], 4)], "twice"),
        ([(KEYS[0], -1)], "power -1"),
        ([(KEYS[0], MAX_TOTAL_POWER + 1)], "power"),
        ([(KEYS[0], MAX_TOTAL_POWER), (KEYS[5], 1)], "total power"),
        ([(KEYS[0], MAX_TOTAL_POWER)], "total power"),
    ],
)
def test_impossible_updates_are_refused(changes: list[tuple[PublicKey, int]], reason: str) -> None:
    with pytest.raises(InvalidUpdate, match=reason):
        set_of(1, 1).update(changes)


def test_the_largest_total_power_is_allowed() -> None:
    valset = set_of(1, 1).update([(KEYS[0], MAX_TOTAL_POWER - 1)])
    assert valset.total_power == MAX_TOTAL_POWER
    check_sound(valset.increment(3))


def test_power_may_move_when_the_total_stays_within_bounds() -> None:
    valset = set_of(MAX_TOTAL_POWER - 1, 1)
    moved = valset.update([(KEYS[0], 0), (KEYS[5], MAX_TOTAL_POWER - 1)])
    assert moved.total_power == MAX_TOTAL_POWER


@pytest.mark.parametrize("members", [[], [(KEYS[0], 0)], [(KEYS[0], 1), (KEYS[0], 1)]])
def test_impossible_new_sets_are_refused(members: list[tuple[PublicKey, int]]) -> None:
    with pytest.raises(InvalidUpdate):
        ValidatorSet.new(members)


def test_no_update_is_no_change() -> None:
    valset = set_of(1, 2)
    assert valset.update([]) is valset


def test_the_rotation_goes_forward_only() -> None:
    with pytest.raises(ValueError, match="increment by 0"):
        set_of(1).increment(0)


def test_priorities_are_clipped_to_64_bits() -> None:
    low, high = -(2**63), 2**63 - 1
    members = tuple(
        Validator(public_key=key, power=MAX_TOTAL_POWER // 4, priority=priority)
        for key, priority in sorted(
            zip(KEYS[:4], (low, low, high, high), strict=True), key=lambda item: item[0].address
        )
    )
    later = ValidatorSet(validators=members, proposer=members[0]).increment(1)
    check_sound(later)


@pytest.mark.parametrize(
    ("power", "two_thirds", "third"),
    [(0, False, False), (33, False, False), (34, False, True), (66, False, True), (67, True, True)],
)
def test_quorums_count_power(power: int, two_thirds: bool, third: bool) -> None:
    valset = set_of(40, 30, 30)
    assert valset.two_thirds(power) is two_thirds
    assert valset.third(power) is third


def test_exact_thirds() -> None:
    valset = set_of(1, 1, 1)
    assert not valset.two_thirds(2)
    assert valset.third(1)
