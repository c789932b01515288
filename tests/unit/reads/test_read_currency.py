"""A read that was confirmed saw everything final before it, whoever lies; and a liar cannot stop it."""

from collections.abc import Mapping, Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenet.chain.validators import ValidatorSet
from catenet.core.guard import GuardState
from catenet.core.reads import is_current, pledge
from support.chain import make_keys

HEAD = 7
KEYS = make_keys(7)


def validators(powers: Sequence[int]) -> ValidatorSet:
    return ValidatorSet.new([(key.public, power) for key, power in zip(KEYS, powers, strict=False)])


def pledges(heights: Sequence[int | None]) -> Mapping[bytes, int]:
    found = zip(KEYS, heights, strict=False)
    return {key.public.address: height for key, height in found if height is not None}


@pytest.mark.parametrize(
    ("signed", "head", "expected"),
    [
        (GuardState(), 0, 0),
        (GuardState(height=5, round=0, step=1), 4, 4),
        (GuardState(height=5, round=0, step=2), 4, 4),
        (GuardState(height=5, round=0, step=3), 4, 5),
        (GuardState(height=5, round=1, step=1), 4, 5),
        (GuardState(height=5, round=0, step=3), 9, 9),
        (GuardState(height=5, round=0, step=2), 2, 4),
    ],
)
def test_a_pledge_counts_every_precommit_that_may_have_left(
    signed: GuardState, head: int, expected: int
) -> None:
    assert pledge(signed, head) == expected


@given(data=st.data(), powers=st.lists(st.integers(1, 9), min_size=1, max_size=7))
def test_no_state_is_current_once_the_next_block_may_be_decided(
    data: st.DataObject, powers: list[int]
) -> None:
    members = validators(powers)
    indices = range(len(powers))
    liars = data.draw(st.sets(st.sampled_from(indices)))
    while 3 * sum(powers[i] for i in liars) >= sum(powers):
        liars.pop()
    pledged = data.draw(st.sets(st.sampled_from(indices)))
    # Liars precommit too, and then say whatever they like.
    decidable = members.two_thirds(sum(powers[i] for i in pledged | liars))
    answers = [
        data.draw(st.sampled_from([None, 0, HEAD, HEAD + 1, 2**63]))
        if i in liars
        else data.draw(st.sampled_from([None, HEAD + 1 if i in pledged else HEAD]))
        for i in indices
    ]
    if is_current(HEAD, pledges(answers), members):
        assert not decidable


def test_a_liar_cannot_stop_a_read_and_two_of_four_cannot_confirm_it() -> None:
    four = validators([1, 1, 1, 1])
    for lie in (None, 0, HEAD + 1, 2**63):
        assert is_current(HEAD, pledges([HEAD, HEAD, HEAD - 3, lie]), four)
    assert not is_current(HEAD, pledges([HEAD, HEAD]), four)
    assert not is_current(HEAD, {b"\x07" * 20: HEAD, **pledges([HEAD, HEAD])}, four), "no member"


def test_what_peers_have_stored_would_not_be_enough() -> None:
    # Three of four precommitted the next block, one of them has stored it and told a client. Judged by stored
    # blocks the other three would confirm the old state; judged by pledges no three can.
    four, stored, pledged = validators([1] * 4), [HEAD, HEAD, HEAD, None], [HEAD + 1, HEAD + 1, HEAD, None]
    assert is_current(HEAD, pledges(stored), four)
    assert not is_current(HEAD, pledges(pledged), four)
    for answers in product((None, HEAD), (None, HEAD + 1), (None, HEAD + 1), (None, HEAD + 1)):
        assert not is_current(HEAD, pledges(answers), four)
