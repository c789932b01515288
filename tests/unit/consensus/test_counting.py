"""Counting and timing: quorums by power, skipping, eligible precommits and block time, timers."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenet.chain.commit import NIL, BlockID, Flag, PartSetHeader
from catenet.chain.time import median_time
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.core.consensus import timers
from catenet.core.consensus.signatures import SignatureCache
from catenet.core.consensus.votes import (
    VoteBook,
    commit_of,
    committed_power,
    has_bit,
    polka_in,
)
from support.chain import make_keys

A = BlockID(hash=b"a" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
B = BlockID(hash=b"b" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
POWERS = st.lists(st.integers(1, 5), min_size=1, max_size=7)


def make_set(powers: list[int]) -> ValidatorSet:
    keys = make_keys(len(powers))
    return ValidatorSet.new([(key.public, power) for key, power in zip(keys, powers, strict=True)])


def vote(
    validators: ValidatorSet,
    index: int,
    block_id: BlockID,
    *,
    round: int = 0,
    type: VoteType = VoteType.PREVOTE,
    time_ns: int = 100,
) -> Vote:
    address = validators.validators[index].address
    return Vote(
        type=type, height=1, round=round, block_id=block_id, time_ns=time_ns, address=address, index=index
    )


@given(POWERS, st.data())
def test_a_polka_is_more_than_two_thirds_of_the_power(powers: list[int], data: st.DataObject) -> None:
    validators = make_set(powers)
    choices = [data.draw(st.sampled_from([A, B, NIL, None])) for _ in powers]
    book = VoteBook(validators)
    votes = [vote(validators, i, c) for i, c in enumerate(choices) if c is not None]
    for one in votes:
        assert book.add(one) is None
    members = validators.validators
    enough = [
        c
        for c in (A, B, NIL)
        if 3 * sum([m.power for m, d in zip(members, choices, strict=True) if d == c]) > 2 * sum(powers)
    ]
    polka = polka_in(votes, validators)
    held = book.of(0, VoteType.PREVOTE)
    assert ([] if polka is None else [polka.block_id]) == enough
    assert ([] if held is None or held.quorum is None else [held.quorum]) == enough
    if polka is not None:
        assert {v.block_id for v in polka.votes} == set(enough)


def test_the_first_vote_of_a_step_is_the_one_that_counts() -> None:
    validators = make_set([1, 1, 1])
    book = VoteBook(validators)
    first, second = vote(validators, 0, A), vote(validators, 0, B)
    assert book.add(first) is None
    assert book.add(second) == first
    held = book.of(0, VoteType.PREVOTE)
    assert held is not None
    assert held.power == 1
    assert held.present() == (first,)


@given(POWERS, st.data())
def test_skip_finds_the_largest_round_that_a_third_has_reached(
    powers: list[int], data: st.DataObject
) -> None:
    validators = make_set(powers)
    rounds = [data.draw(st.integers(-1, 6)) for _ in powers]
    above = data.draw(st.integers(0, 6))
    book = VoteBook(validators)
    for index, round in enumerate(rounds):
        book.note_round(index, round)
    members = validators.validators
    fits = [
        r
        for r in range(above + 1, 8)
        if 3 * sum([m.power for m, own in zip(members, rounds, strict=True) if own >= r]) >= sum(powers)
    ]
    assert book.skip_round(above) == (max(fits) if fits else None)
    assert book.heard_power == sum([m.power for m, own in zip(members, rounds, strict=True) if own >= 0])


def test_the_bitmap_names_who_voted() -> None:
    validators = make_set([1] * 11)
    book = VoteBook(validators)
    for index in (0, 7, 8, 10):
        book.add(vote(validators, index, A))
    bitmap = book.bitmap(0, VoteType.PREVOTE)
    assert [index for index in range(16) if has_bit(bitmap, index)] == [0, 7, 8, 10]
    assert not has_bit(b"", 3)


@given(POWERS, st.data())
def test_what_a_proposer_includes_gives_a_legal_time_whatever_the_nil_votes_say(
    powers: list[int], data: st.DataObject
) -> None:
    """consensus.md 2.5: eligible precommits of two thirds bring the median above the block's own time."""
    validators = make_set(powers)
    block_time = 1_000
    votes: list[Vote | None] = []
    for index in range(len(powers)):
        choice = data.draw(st.sampled_from([A, A, A, NIL, B, None]))
        time_ns = data.draw(st.integers(1, 2_000))
        made = choice is not None
        kind = VoteType.PRECOMMIT
        votes.append(vote(validators, index, choice or NIL, type=kind, time_ns=time_ns) if made else None)
    commit = commit_of(votes, height=1, round=0, block_id=A, block_time_ns=block_time)
    for one, entry in zip(votes, commit.signatures, strict=True):
        counted = one is not None and one.block_id == A and one.time_ns > block_time
        assert (entry.flag is Flag.COMMIT) == counted
    if validators.two_thirds(committed_power(commit, validators, block_time)):
        assert median_time(commit, validators) > block_time


@pytest.mark.parametrize(
    ("round", "level", "expected_us"),
    [
        (0, 0, 1_000_000),
        (1, 0, 1_500_000),
        (2, 0, 2_250_000),
        (0, 2, 2_250_000),
        (9, 0, 10_000_000),
        (10**6, 6, 10_000_000),
    ],
)
def test_timers_grow_by_half_up_to_the_cap(round: int, level: int, expected_us: int) -> None:
    assert timers.duration_us(1_000_000, round=round, level=level, cap_us=10_000_000) == expected_us


@pytest.mark.parametrize(
    ("level", "decided", "expected"),
    [(0, 0, 0), (0, 1, 0), (0, 2, 1), (0, 9, 6), (5, 3, 5), (5, 0, 2), (1, 1, 0)],
)
def test_a_slow_network_is_learnt_once_and_forgotten_by_halves(
    level: int, decided: int, expected: int
) -> None:
    assert timers.next_level(level, decided) == expected


def test_a_signature_is_verified_once_in_two_heights() -> None:
    asked: list[bytes] = []
    key = make_keys(1)[0]

    def verify(public: object, message: bytes, signature: bytes) -> bool:
        asked.append(message)
        return key.public.verify(message, signature)

    cache = SignatureCache(verify)
    good = key.sign(b"m")
    assert cache(key.public, b"m", good)
    cache.next_height()
    assert cache(key.public, b"m", good)
    assert asked == [b"m"]
    cache.next_height()
    cache.next_height()
    assert cache(key.public, b"m", good)
    assert not cache(key.public, b"n", good)
    assert not cache(key.public, b"n", good)
    assert asked == [b"m", b"m", b"n", b"n"]


def test_equal_votes_but_for_the_signature_are_not_one() -> None:
    validators = make_set([1, 1, 1])
    one = vote(validators, 0, A)
    assert one != replace(one, signature=b"s")
