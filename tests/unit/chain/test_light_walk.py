"""Walks from a trusted header to another: skipping, one by one, backwards; and what makes them end."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from catenet.chain.header import Header
from catenet.chain.keys import PublicKey
from catenet.chain.light import Expired, InvalidCommit, NotTrusted, Terms, check_decided, verify_backwards
from catenet.chain.light_block import GenesisTrust, LightBlock
from catenet.chain.light_walk import Walk, backwards, sequential, shortened, skipping
from support.chain import LocalChain, make_chain, make_genesis, make_keys
from support.light_chains import changing_chain, drive

TERMS = Terms(trusting_period_ns=10**15)
CHAIN = make_chain(4, heights=9)
NOW_NS = CHAIN.decided[-1].block.header.time_ns + 10**9


def light(height: int, chain: LocalChain = CHAIN) -> LightBlock:
    return chain.decided[height - 1].light


def forward(
    walk: Callable[..., Walk], first: int, last: int, chain: LocalChain = CHAIN, terms: Terms = TERMS
) -> tuple[list[int], list[int]]:
    """Return the heights that a walk asked for, and those that it verified."""
    now_ns = light(last, chain).time_ns + 10**9
    started = walk(light(first, chain), light(last, chain), PublicKey.verify, terms=terms, now_ns=now_ns)
    verified, asked = drive(started, chain)
    return asked, [block.height for block in verified]


def test_skipping_asks_for_nothing_while_the_validators_stay() -> None:
    assert forward(skipping, 1, 9) == ([], [9])
    assert forward(skipping, 1, 2) == ([], [2])


def test_one_by_one_asks_for_every_height() -> None:
    assert forward(sequential, 1, 9) == (list(range(2, 9)), list(range(2, 10)))


def test_skipping_halves_its_way_to_where_the_validators_changed() -> None:
    chain = changing_chain(heights=12, change_at=4)
    asked, verified = forward(skipping, 1, 12, chain)
    # The set of heights 1 to 5 is gone from height 6 on: only 5 names it.
    assert verified[-1] == 12
    assert 5 in verified
    assert 6 in verified
    assert len(asked) < 10
    for low, high in pairwise([1, *verified]):
        same = light(low, chain).header.validators_hash == light(high, chain).header.validators_hash
        assert same or high == low + 1


def test_a_path_is_shortened_to_what_it_takes() -> None:
    chain = changing_chain(heights=12, change_at=4)
    now_ns = light(12, chain).time_ns + 10**9
    trust = GenesisTrust.of(chain.genesis)
    every = [light(height, chain) for height in range(1, 13)]
    short = shortened(trust, every, PublicKey.verify, terms=TERMS, now_ns=now_ns)
    # The last that the old validators signed, the first of the new ones, and the end.
    assert [block.height for block in short] == [5, 6, 12]
    with pytest.raises(NotTrusted):
        shortened(trust, every[8:], PublicKey.verify, terms=TERMS, now_ns=now_ns)


def test_more_trust_asked_for_is_more_headers() -> None:
    keys = make_keys(8)
    chain = LocalChain(keys, make_genesis(keys[:4]))
    for number in range(4):
        updates = [(keys[number].public, 0), (keys[4 + number].public, 10)]
        chain.add(chain.build([b"swap %d" % number]), validator_updates=updates)
    chain.grow(8)
    little, _ = forward(skipping, 1, 12, chain)
    much, _ = forward(skipping, 1, 12, chain, Terms(trusting_period_ns=10**15, trust=Fraction(1)))
    assert len(little) < len(much)


def test_every_walk_refuses_a_height_on_the_wrong_side() -> None:
    for walk in (skipping, sequential):
        with pytest.raises(InvalidCommit, match="height 3 is not above 5"):
            forward(walk, 5, 3)
    with pytest.raises(InvalidCommit, match="height 5 is not below 3"):
        drive(backwards(light(3).header, light(5)), CHAIN)


def test_backwards_follows_the_hashes() -> None:
    verified, asked = drive(backwards(light(9).header, light(4)), CHAIN)
    assert (asked, [block.height for block in verified]) == ([8, 7, 6, 5], [8, 7, 6, 5, 4])


def test_backwards_needs_no_signature_but_every_hash() -> None:
    other = make_chain(4, heights=4)
    other.add(other.build([b"another transaction"]))
    with pytest.raises(InvalidCommit, match="header 5 is not the one that header 6 names"):
        drive(backwards(light(6).header, light(5, other)), CHAIN)


def test_a_header_below_is_the_very_one_and_older() -> None:
    with pytest.raises(InvalidCommit, match="height 3 is not the one below 9"):
        verify_backwards(light(9).header, light(3))
    newer = replace(light(5).header, last_block_id=light(4).commit.block_id, time_ns=light(4).time_ns)
    with pytest.raises(InvalidCommit, match="is not before"):
        verify_backwards(newer, light(4))


@pytest.mark.parametrize("walk", [sequential, backwards])
def test_a_block_of_another_height_than_asked_for_is_refused(walk: Callable[..., Walk]) -> None:
    started = (
        backwards(light(9).header, light(4))
        if walk is backwards
        else sequential(light(4), light(9), PublicKey.verify, terms=TERMS, now_ns=NOW_NS)
    )
    wanted = next(started)
    with pytest.raises(InvalidCommit, match=f"height 2 came instead of {wanted}"):
        started.send(light(2))


def test_a_walk_begins_at_the_genesis() -> None:
    trust = GenesisTrust.of(CHAIN.genesis)
    for target in (1, 9):
        walk = skipping(trust, light(target), PublicKey.verify, terms=TERMS, now_ns=NOW_NS)
        verified, asked = drive(walk, CHAIN)
        assert (asked, len(verified)) == ([], 1)
    other = GenesisTrust.of(make_genesis(make_keys(4, first=50)))
    with pytest.raises(InvalidCommit, match="names next"):
        drive(skipping(other, light(9), PublicKey.verify, terms=TERMS, now_ns=NOW_NS), CHAIN)


def test_a_header_before_the_genesis_is_refused() -> None:
    trust = replace(GenesisTrust.of(CHAIN.genesis), time_ns=light(9).time_ns + 1)
    with pytest.raises(InvalidCommit, match="before that of the genesis"):
        drive(skipping(trust, light(9), PublicKey.verify, terms=TERMS, now_ns=NOW_NS), CHAIN)


def test_what_is_trusted_expires() -> None:
    terms = Terms(trusting_period_ns=5)
    with pytest.raises(Expired, match="height 1 has expired"):
        forward(skipping, 1, 9, terms=terms)


@pytest.mark.parametrize("trust", [Fraction(1, 4), Fraction(4, 3)])
def test_terms_that_protect_nobody_are_refused(trust: Fraction) -> None:
    with pytest.raises(ValueError, match="not within 1/3 to 1"):
        Terms(trusting_period_ns=1, trust=trust)
    with pytest.raises(ValueError, match="trusting period of 0"):
        Terms(trusting_period_ns=0)


def test_light_blocks_have_canonical_bytes() -> None:
    block = light(9)
    assert LightBlock.decode(block.encode()) == block
    with pytest.raises(ValueError, match="truncated"):
        LightBlock.decode(block.encode()[:-1])


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (replace(light(9).header, version_block=12), "block version 12, not 11"),
        (replace(light(9).header, height=0), "height 0 is not above 0"),
        (replace(light(9).header, chain_id="other"), "of chain 'other'"),
    ],
)
def test_the_form_of_a_light_block_is_checked(header: Header, reason: str) -> None:
    with pytest.raises(InvalidCommit, match=reason):
        check_decided(replace(light(9), header=header), "test-chain", PublicKey.verify)
