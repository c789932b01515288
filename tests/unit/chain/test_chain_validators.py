"""Validator sets: order, updates, fairness of the rotation, bounds."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain import merkle, validators
from catenet.chain.encoding import DecodeError
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


@pytest.mark.parametrize(
    "members",
    [[], [(KEYS[0], 0)], [(KEYS[0], 1), (KEYS[0], 1)], [(KEYS[0], MAX_TOTAL_POWER), (KEYS[1], 1)]],
)
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


def with_priorities(*priorities: int, power: int = 1) -> ValidatorSet:
    """Return equal validators, in order of address, with these priorities."""
    keys = sorted(KEYS[: len(priorities)], key=lambda key: key.address)
    members = tuple(
        [
            Validator(public_key=key, power=power, priority=priority)
            for key, priority in zip(keys, priorities, strict=True)
        ]
    )
    return ValidatorSet(validators=members, proposer=members[0])


def priorities_of(valset: ValidatorSet) -> list[int]:
    return [member.priority for member in valset.validators]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A window of twice the total: 4. What is spread no wider stays; each gets 1, the first pays 2.
        ((2, -2), (1, -1)),
        # Spread 5: by 2, rounded towards zero as Go does: 1 and -1; by flooring it were -2.
        ((3, -2), (0, 0)),
        ((2, -3), (0, 0)),
        # Spread 13: by 4 (13 / 4, rounded up): 1 and -2. Centred by the floor of the average, -1: 2 and -1.
        ((5, -8), (1, 0)),
        # Spread 9: by 3: 2 and -1. The average is 0.
        ((6, -3), (1, 0)),
        # Spread 8, twice the window to the last: by 2.
        ((4, -4), (1, -1)),
        # A window of 6, spread 9: by 2: 2, 0 and -2.
        ((5, -1, -4), (0, 1, -1)),
    ],
)
def test_priorities_far_apart_are_divided_towards_zero(
    before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    assert priorities_of(with_priorities(*before).increment(1)) == list(after)


def test_the_centre_is_the_floor_of_the_average() -> None:
    # The average of 1, 0, 0 is 0, that of -1, 0, 0 is -1: everybody gets 1 more.
    assert priorities_of(with_priorities(1, 0, 0).increment(1)) == [-1, 1, 1]
    assert priorities_of(with_priorities(-1, 0, 0).increment(1)) == [1, -1, 2]


def test_the_bounds_are_those_of_the_format() -> None:
    assert MAX_TOTAL_POWER == 1_152_921_504_606_846_975
    assert validators._clip(2**63 - 1) == 2**63 - 1
    assert validators._clip(2**63) == 2**63 - 1
    assert validators._clip(-(2**63)) == -(2**63)
    assert validators._clip(-(2**63) - 1) == -(2**63)
    assert (validators._clip(0), validators._clip(-1)) == (0, -1)


def test_a_total_power_over_the_bound_is_named() -> None:
    valset = set_of(MAX_TOTAL_POWER - 2, 1, 1)
    over = MAX_TOTAL_POWER + 1
    with pytest.raises(InvalidUpdate, match=f"^total power {over} exceeds {MAX_TOTAL_POWER}$"):
        valset.update([(KEYS[5], 2), (KEYS[1], 0)])
    with pytest.raises(InvalidUpdate, match=f"^total power {over + 1} exceeds {MAX_TOTAL_POWER}$"):
        valset.update([(KEYS[5], 3), (KEYS[1], 0)])
    assert valset.update([(KEYS[5], 2), (KEYS[1], 0), (KEYS[2], 0)]).total_power == MAX_TOTAL_POWER


def test_priorities_after_an_update_fit_the_new_total() -> None:
    """The window is twice the total after the update, removals included: known by hand."""
    valset = set_of(100, 1, 1)
    for _ in range(3):
        valset = valset.increment(1)
    small = valset.update([(KEYS[0], 0)])
    assert small.total_power == 2
    spread = max(priorities_of(small)) - min(priorities_of(small))
    assert spread <= 4
    # Six of 18 leave: a window of 24, and the spread of 36 is more.
    three = with_priorities(18, -18, 0, power=6)
    assert priorities_of(three.update([(three.validators[2].public_key, 0)])) == [9, -9]
    joined = with_priorities(40, -40, power=10).update([(KEYS[7], 5)])
    # 25 and an eighth of it behind: -28. Spread 80 in a window of 50: by 2. Centred by -5 (-14 / 3, floored).
    found = {member.address: member.priority for member in joined.validators}
    first, second = sorted(KEYS[:2], key=lambda key: key.address)
    assert (found[first.address], found[second.address], found[KEYS[7].address]) == (25, -15, -9)


def test_sets_that_cannot_exist_are_not_read() -> None:
    valset = set_of(3, 2, 1)
    members = valset.validators
    assert ValidatorSet.decode(valset.encode()) == valset
    for fault in (
        (),
        (replace(members[0], power=0), *members[1:]),
        (*members[:2], replace(members[2], power=0)),
        (*members[:2], replace(members[2], power=-1)),
        (members[0], members[0], members[1]),
        (members[1], members[0], members[2]),
        (members[0], members[2], members[1]),
        (members[0], replace(members[0], power=2)),
    ):
        with pytest.raises(DecodeError):
            ValidatorSet.decode(ValidatorSet(validators=fault, proposer=members[0]).encode())
    large = Validator(public_key=KEYS[0], power=MAX_TOTAL_POWER)
    more = Validator(public_key=KEYS[1], power=1)
    assert ValidatorSet.decode(ValidatorSet(validators=(large,), proposer=large).encode())
    with pytest.raises(DecodeError, match=f"2 validators with a total power of {MAX_TOTAL_POWER + 1}"):
        ValidatorSet.decode(ValidatorSet(validators=(large, more), proposer=large).encode())


def test_a_member_begins_in_the_middle_of_the_rotation() -> None:
    assert Validator(public_key=KEYS[0], power=1).priority == 0


def test_members_are_found_by_address() -> None:
    valset = set_of(3, 2, 1)
    assert len(valset) == 3
    assert [valset.index_of(key.address) for key in KEYS[:3]] == [0, 1, 2]
    assert valset.by_address(KEYS[1].address) == valset.validators[1]
    assert valset.index_of(KEYS[5].address) is None
    assert valset.by_address(KEYS[5].address) is None


def test_a_hash_is_that_of_keys_and_powers() -> None:
    valset = set_of(3, 2, 1)
    head = b"\x0a\x22\x0a\x20"
    leaves = [
        head + key.data + b"\x10" + bytes([power]) for key, power in zip(KEYS[:3], (3, 2, 1), strict=True)
    ]
    assert valset.hash() == merkle.root(leaves) == valset.increment(5).hash()
    assert valset.hash() != set_of(3, 2, 2).hash()
    assert valset.hash() is valset.hash()


def test_an_update_leaves_the_proposer_as_it_was_chosen_and_the_old_set_alone() -> None:
    valset = set_of(3, 2, 1)
    before = valset.encode()
    changed = valset.update([(KEYS[2], 9), (KEYS[6], 4)])
    assert changed.proposer == valset.proposer
    assert valset.encode() == before
    assert [(member.public_key, member.power) for member in changed.validators] == [
        (KEYS[2], 9),
        (KEYS[6], 4),
        (KEYS[0], 3),
        (KEYS[1], 2),
    ]
