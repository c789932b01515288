"""Commits and headers: what light verification accepts, and every way to be refused."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from catenet.chain.commit import ABSENT, BlockID, Commit, CommitSig, Flag, PartSetHeader
from catenet.chain.keys import PublicKey
from catenet.chain.light import (
    InvalidCommit,
    NotTrusted,
    Terms,
    verify_adjacent,
    verify_commit,
    verify_commit_light,
    verify_commit_trusting,
    verify_non_adjacent,
)
from catenet.chain.light_block import LightBlock
from support.chain import LocalChain, make_chain, make_genesis, make_keys

CHAIN = make_chain(4, heights=5, powers=[10, 10, 10, 10])
LAST = CHAIN.decided[-1]
PERIOD_NS = 10**15
TERMS = Terms(trusting_period_ns=PERIOD_NS)
NOW_NS = LAST.block.header.time_ns + 10**9
CHECKS = (verify_commit, verify_commit_light)


def verify(
    commit: Commit, check: Callable[..., None] = verify_commit, block_id: BlockID = LAST.block_id
) -> None:
    check("test-chain", LAST.light.validators, block_id, 5, commit, PublicKey.verify)


def with_entry(index: int, entry: CommitSig, commit: Commit = LAST.commit) -> Commit:
    entries = list(commit.signatures)
    entries[index] = entry
    return replace(commit, signatures=tuple(entries))


def forged(entry: CommitSig) -> CommitSig:
    return replace(entry, signature=entry.signature[:-1] + bytes([entry.signature[-1] ^ 1]))


@pytest.mark.parametrize("check", CHECKS)
def test_an_honest_commit_is_accepted(check: Callable[..., None]) -> None:
    verify(LAST.commit, check)
    verify(with_entry(3, ABSENT), check)


@pytest.mark.parametrize("check", CHECKS)
def test_exactly_two_thirds_are_too_little(check: Callable[..., None]) -> None:
    chain = make_chain(3, heights=1)
    decided = chain.decided[0]
    for commit, accepted in ((decided.commit, True), (with_entry(1, ABSENT, decided.commit), False)):
        arguments = ("test-chain", decided.light.validators, decided.block_id, 1, commit, PublicKey.verify)
        if accepted:
            check(*arguments)
        else:
            with pytest.raises(InvalidCommit, match="power 20 of 30"):
                check(*arguments)


@pytest.mark.parametrize("check", CHECKS)
def test_a_forged_signature_is_refused(check: Callable[..., None]) -> None:
    with pytest.raises(InvalidCommit, match="signature of entry 1 is wrong"):
        verify(with_entry(1, forged(LAST.commit.signatures[1])), check)


def test_the_full_check_looks_at_every_signature() -> None:
    commit = with_entry(3, forged(LAST.commit.signatures[3]))
    verify(commit, verify_commit_light)
    with pytest.raises(InvalidCommit, match="signature of entry 3"):
        verify(commit, verify_commit)


@pytest.mark.parametrize("check", CHECKS)
def test_an_address_at_another_index_is_refused(check: Callable[..., None]) -> None:
    first, second = LAST.commit.signatures[:2]
    swapped = with_entry(0, second, with_entry(1, first))
    with pytest.raises(InvalidCommit, match="entry 0 names"):
        verify(swapped, check)
    # The signature does not cover the address: only the rule catches this one.
    with pytest.raises(InvalidCommit, match="entry 2 names"):
        verify(with_entry(2, replace(LAST.commit.signatures[2], address=first.address)), check)


@pytest.mark.parametrize("check", CHECKS)
def test_a_vote_that_is_counted_twice_is_refused(check: Callable[..., None]) -> None:
    with pytest.raises(InvalidCommit, match="entry 1 names"):
        verify(with_entry(1, LAST.commit.signatures[0]), check)


@pytest.mark.parametrize("check", CHECKS)
def test_nil_votes_do_not_count(check: Callable[..., None]) -> None:
    chain = make_chain(4)
    block = chain.build()
    enough, short = chain.sign(block, nil=[0]), chain.sign(block, nil=[0, 1])
    arguments = ("test-chain", chain.state.validators, enough.block_id, 1)
    check(*arguments, enough, PublicKey.verify)
    with pytest.raises(InvalidCommit, match="power 20 of 40"):
        check(*arguments, short, PublicKey.verify)


@pytest.mark.parametrize("check", CHECKS)
def test_a_nil_vote_relabelled_as_commit_is_refused(check: Callable[..., None]) -> None:
    chain = make_chain(4)
    block = chain.build()
    commit = chain.sign(block, nil=[0])
    relabelled = with_entry(0, replace(commit.signatures[0], flag=Flag.COMMIT), commit)
    with pytest.raises(InvalidCommit, match="signature of entry 0"):
        check("test-chain", chain.state.validators, commit.block_id, 1, relabelled, PublicKey.verify)


@pytest.mark.parametrize(
    ("commit", "reason"),
    [
        (replace(LAST.commit, height=4), "height 4"),
        (replace(LAST.commit, block_id=CHAIN.decided[0].block_id), "commit is for"),
        (replace(LAST.commit, round=1), "signature of entry 0"),
        (replace(LAST.commit, signatures=LAST.commit.signatures[:3]), "3 entries for 4"),
        (replace(LAST.commit, signatures=(*LAST.commit.signatures, ABSENT)), "5 entries for 4"),
        (with_entry(0, replace(LAST.commit.signatures[0], flag=Flag.ABSENT)), "absent but has content"),
        (with_entry(0, replace(LAST.commit.signatures[0], time_ns=1)), "signature of entry 0"),
    ],
)
def test_other_faults_are_refused(commit: Commit, reason: str) -> None:
    for check in CHECKS:
        with pytest.raises(InvalidCommit, match=reason):
            verify(commit, check)


def test_the_parts_are_part_of_the_identity() -> None:
    other = BlockID(hash=LAST.block_id.hash, parts=PartSetHeader(total=2, hash=b"p" * 32))
    with pytest.raises(InvalidCommit, match="commit is for"):
        verify(LAST.commit, block_id=other)
    with pytest.raises(InvalidCommit, match="signature"):
        verify(replace(LAST.commit, block_id=other), block_id=other)


def test_a_commit_of_another_chain_is_refused() -> None:
    with pytest.raises(InvalidCommit, match="signature of entry 0"):
        verify_commit("other-chain", LAST.light.validators, LAST.block_id, 5, LAST.commit, PublicKey.verify)


def trusting(commit: Commit, trust: Fraction = Fraction(1, 3)) -> None:
    verify_commit_trusting(
        "test-chain", CHAIN.decided[0].light.validators, commit, PublicKey.verify, trust=trust
    )


def test_trust_needs_more_than_its_share() -> None:
    one = with_entry(1, ABSENT, with_entry(2, ABSENT, with_entry(3, ABSENT)))
    two = with_entry(1, ABSENT, with_entry(2, ABSENT))
    trusting(two)
    with pytest.raises(NotTrusted, match="power 10 of 40"):
        trusting(one)
    with pytest.raises(NotTrusted, match="power 20 of 40"):
        trusting(two, Fraction(2, 3))
    trusting(LAST.commit, Fraction(2, 3))


def test_trust_counts_nobody_twice() -> None:
    first = LAST.commit.signatures[0]
    with pytest.raises(InvalidCommit, match="second one"):
        trusting(with_entry(1, first, with_entry(2, first)))


def test_trust_passes_over_strangers_and_checks_signatures() -> None:
    stranger = replace(LAST.commit.signatures[0], address=b"s" * 20, signature=b"")
    trusting(with_entry(0, stranger))
    with pytest.raises(InvalidCommit, match="signature of entry 0"):
        trusting(with_entry(0, forged(LAST.commit.signatures[0])))


@pytest.mark.parametrize("trust", [Fraction(1, 4), Fraction(4, 3)])
def test_trust_out_of_range_is_refused(trust: Fraction) -> None:
    with pytest.raises(ValueError, match="not within"):
        trusting(LAST.commit, trust)


def light(height: int) -> LightBlock:
    return CHAIN.decided[height - 1].light


def adjacent(trusted: LightBlock, untrusted: LightBlock, now_ns: int = NOW_NS) -> None:
    verify_adjacent(trusted, untrusted, PublicKey.verify, terms=TERMS, now_ns=now_ns)


def skipping(trusted: LightBlock, untrusted: LightBlock, now_ns: int = NOW_NS) -> None:
    verify_non_adjacent(trusted, untrusted, PublicKey.verify, terms=TERMS, now_ns=now_ns)


def test_headers_are_followed_one_by_one_or_skipping() -> None:
    for height in range(1, 5):
        adjacent(light(height), light(height + 1))
    skipping(light(1), light(5))


def test_heights_must_fit_the_kind_of_verification() -> None:
    with pytest.raises(InvalidCommit, match="does not follow"):
        adjacent(light(1), light(3))
    with pytest.raises(InvalidCommit, match="adjacent"):
        skipping(light(1), light(2))
    with pytest.raises(InvalidCommit, match="not above"):
        skipping(light(3), light(3))


@pytest.mark.parametrize(
    ("untrusted", "reason"),
    [
        (replace(light(5), header=replace(light(5).header, chain_id="other")), "of chain 'other'"),
        (replace(light(5), header=replace(light(5).header, time_ns=1)), "not after"),
        (replace(light(5), header=replace(light(5).header, time_ns=NOW_NS + 10**10)), "future"),
        (replace(light(5), header=replace(light(5).header, app_hash=b"x")), "another header"),
        (replace(light(5), validators=make_chain(5).state.validators), "not those of the header"),
        (replace(light(5), commit=light(4).commit), "commit is of height 4, not 5"),
        (
            replace(light(5), commit=with_entry(0, forged(LAST.commit.signatures[0]))),
            "signature of entry 0",
        ),
    ],
)
def test_a_false_header_is_refused(untrusted: LightBlock, reason: str) -> None:
    with pytest.raises(InvalidCommit, match=reason):
        skipping(light(1), untrusted)
    with pytest.raises(InvalidCommit, match=reason):
        adjacent(light(4), untrusted)


def test_an_expired_header_is_trusted_no_more() -> None:
    with pytest.raises(InvalidCommit, match="expired"):
        adjacent(light(4), light(5), now_ns=light(4).header.time_ns + PERIOD_NS)


def test_a_set_that_the_trusted_header_does_not_name_is_refused() -> None:
    keys = make_keys(4)
    other = LocalChain(keys[:3], make_genesis(keys[:3]))
    other.grow(5)
    with pytest.raises(InvalidCommit, match="names next"):
        adjacent(light(4), other.decided[4].light)


def test_skipping_fails_softly_when_the_set_has_changed() -> None:
    old, new = make_keys(3), make_keys(3, first=50)
    chain = LocalChain([*old, *new], make_genesis(old))
    chain.grow(1)
    updates = [(key.public, 0) for key in old] + [(key.public, 10) for key in new]
    chain.add(chain.build([b"change"]), validator_updates=updates)
    chain.grow(3)
    first, last = chain.decided[0].light, chain.decided[4].light
    assert first.validators.hash() != last.validators.hash()
    with pytest.raises(NotTrusted):
        skipping(first, last)
    for height in range(4):
        adjacent(chain.decided[height].light, chain.decided[height + 1].light)


def test_a_third_of_the_trusted_set_is_not_enough_to_decide() -> None:
    block = CHAIN.decided[4].light
    # Half of the power satisfies trust in the old set, but decides nothing in the set of the header.
    half = replace(block, commit=with_entry(2, ABSENT, with_entry(3, ABSENT)))
    trusting(half.commit)
    with pytest.raises(InvalidCommit, match="not more than two thirds") as caught:
        skipping(light(1), half)
    assert not isinstance(caught.value, NotTrusted)
