"""Vote counting by example, with the borders: exactly two thirds, one more, one round less."""

from dataclasses import replace

import pytest

from catenet.chain.commit import ABSENT, NIL, BlockID, CommitSig, Flag, PartSetHeader
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.core.consensus.votes import (
    RoundVotes,
    VoteBook,
    commit_of,
    committed_power,
    eligible,
    has_bit,
    polka_in,
    power_of,
)
from support.chain import make_keys

A = BlockID(hash=b"a" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
B = BlockID(hash=b"b" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
PREVOTE, PRECOMMIT = VoteType.PREVOTE, VoteType.PRECOMMIT


def make_set(*powers: int) -> ValidatorSet:
    """Return a set; its members stand by power descending."""
    keys = make_keys(len(powers))
    return ValidatorSet.new([(key.public, power) for key, power in zip(keys, powers, strict=True)])


def vote(
    members: ValidatorSet,
    index: int,
    block_id: BlockID = A,
    *,
    round: int = 0,
    type: VoteType = PREVOTE,
    time_ns: int = 100,
) -> Vote:
    return Vote(
        type=type,
        height=1,
        round=round,
        block_id=block_id,
        time_ns=time_ns,
        address=members.validators[index].address,
        index=index,
        signature=bytes([index]) * 64,
    )


def booked(members: ValidatorSet, *votes: Vote) -> VoteBook:
    book = VoteBook(members)
    for one in votes:
        assert book.add(one) is None
    return book


def counted(book: VoteBook, round: int, type: VoteType) -> RoundVotes:
    votes = book.of(round, type)
    assert votes is not None
    return votes


def test_exactly_two_thirds_is_no_quorum_and_one_more_is() -> None:
    members = make_set(2, 2, 1, 1)
    book = booked(members, vote(members, 0), vote(members, 1))
    assert counted(book, 0, PREVOTE).power == 4
    assert counted(book, 0, PREVOTE).quorum is None
    assert not book.two_any(0, PREVOTE)
    assert book.add(vote(members, 2)) is None
    assert counted(book, 0, PREVOTE).quorum == A
    assert counted(book, 0, PREVOTE).power_of == {A: 5}
    assert book.two_any(0, PREVOTE)


def test_a_quorum_is_for_one_id_while_two_any_is_for_whatever() -> None:
    members = make_set(1, 1, 1, 1)
    book = booked(members, vote(members, 0), vote(members, 1, B), vote(members, 2, NIL))
    assert book.two_any(0, PREVOTE)
    votes = counted(book, 0, PREVOTE)
    assert votes.quorum is None
    assert (votes.power, votes.power_of) == (3, {A: 1, B: 1, NIL: 1})
    assert votes.present() == (vote(members, 0), vote(members, 1, B), vote(members, 2, NIL))
    assert votes.those_for(B) == (vote(members, 1, B),)
    assert votes.by_index == [*votes.present(), None]


def test_rounds_and_types_are_counted_apart() -> None:
    members = make_set(1, 1, 1, 1)
    book = booked(
        members,
        vote(members, 0),
        vote(members, 1, round=1),
        vote(members, 2, type=PRECOMMIT),
    )
    assert not book.two_any(0, PREVOTE)
    assert not book.two_any(7, PREVOTE)
    assert book.of(7, PREVOTE) is None
    assert book.held(1, PREVOTE, 1) == vote(members, 1, round=1)
    assert book.held(0, PREVOTE, 1) is None
    assert book.held(7, PREVOTE, 1) is None


def test_the_second_vote_of_a_step_is_not_counted_and_the_first_is_given_back() -> None:
    members = make_set(1, 1, 1)
    book = booked(members, vote(members, 0))
    assert book.add(vote(members, 0, B)) == vote(members, 0)
    assert book.add(vote(members, 0)) == vote(members, 0)
    assert counted(book, 0, PREVOTE).power == 1
    assert counted(book, 0, PREVOTE).power_of == {A: 1}


def test_only_a_quorum_of_precommits_for_a_block_can_decide() -> None:
    members = make_set(1, 1, 1)
    book = VoteBook(members)
    for index in range(3):
        book.add(vote(members, index, A, round=1))
        book.add(vote(members, index, NIL, round=2, type=PRECOMMIT))
        assert book.precommit_quorums == {}
    for index in range(3):
        assert book.precommit_quorums == {}
        book.add(vote(members, index, B, round=3, type=PRECOMMIT))
    assert book.precommit_quorums == {3: B}


def test_the_first_quorum_of_a_round_stays() -> None:
    """With a third and more faulty there may be a second one: what was seen first is not taken back."""
    members = make_set(4, 1)
    book = booked(members, vote(members, 0, A, type=PRECOMMIT), vote(members, 1, B, type=PRECOMMIT))
    assert counted(book, 0, PRECOMMIT).quorum == A
    assert book.precommit_quorums == {0: A}


def test_where_each_validator_was_seen_last_is_remembered() -> None:
    members = make_set(3, 2, 1)
    book = VoteBook(members)
    assert (book.top_round, book.heard_power, book.max_round) == (-1, 0, [-1, -1, -1])
    book.note_round(1, 2)
    assert (book.top_round, book.heard_power, book.max_round) == (2, 2, [-1, 2, -1])
    book.note_round(1, 4)
    book.note_round(1, 3)
    assert (book.top_round, book.heard_power, book.max_round) == (4, 2, [-1, 4, -1])
    book.add(vote(members, 2, round=2))
    assert (book.top_round, book.heard_power, book.max_round) == (4, 3, [-1, 4, 2])
    # Who was heard of in round 0 is not counted again in a later one.
    book.note_round(0, 0)
    book.note_round(0, 1)
    assert (book.top_round, book.heard_power, book.max_round) == (4, 6, [1, 4, 2])


@pytest.mark.parametrize(
    ("rounds", "above", "expected"),
    [
        ((-1, -1, -1), 0, None),
        ((5, -1, -1), 0, None),
        # A third, exactly: one of three.
        ((5, 3, -1), 2, 3),
        ((5, 3, -1), 3, None),
        ((5, 5, -1), 4, 5),
        ((5, 5, -1), 5, None),
        ((1, 1, 1), 0, 1),
        ((1, 1, 1), 1, None),
        ((1, 1, 1), 2, None),
        # Below `above` a third is no reason, although one validator is far ahead.
        ((9, 1, 1), 4, None),
    ],
)
def test_a_round_is_skipped_when_a_third_is_beyond_it(
    rounds: tuple[int, ...], above: int, expected: int | None
) -> None:
    members = make_set(4, 4, 4, 1)
    book = VoteBook(members)
    for index, round in enumerate(rounds):
        book.note_round(index, round)
    assert book.skip_round(above) == expected


def test_exactly_a_third_is_enough_to_skip() -> None:
    members = make_set(1, 1, 1)
    book = VoteBook(members)
    book.note_round(2, 6)
    assert book.skip_round(5) == 6
    assert book.skip_round(6) is None


def test_a_bitmap_has_one_bit_a_validator() -> None:
    members = make_set(*[1] * 18)
    book = VoteBook(members)
    assert book.bitmap(0, PREVOTE) == bytes(3)
    for index in (1, 7, 8, 17):
        book.add(vote(members, index))
    assert book.bitmap(0, PREVOTE) == bytes([0b10000010, 0b1, 0b10])
    assert book.bitmap(0, PRECOMMIT) == bytes(3)
    for count, size in ((1, 1), (8, 1), (9, 2), (16, 2), (17, 3)):
        assert len(VoteBook(make_set(*[1] * count)).bitmap(0, PREVOTE)) == size
    named = [index for index in range(40) if has_bit(book.bitmap(0, PREVOTE), index)]
    assert named == [1, 7, 8, 17]
    assert has_bit(b"\xff", 7)
    assert not has_bit(b"\xff", 8)
    assert not has_bit(b"\x7f", 7)


def test_old_rounds_are_forgotten_but_for_those_that_decide() -> None:
    members = make_set(1, 1, 1)
    book = VoteBook(members)
    for index in range(3):
        book.add(vote(members, index, round=0, type=PRECOMMIT))
    for round in (1, 2, 3):
        book.add(vote(members, 0, round=round))
    book.forget_below(3)
    kept = [round for round in range(4) if book.of(round, PREVOTE) or book.of(round, PRECOMMIT)]
    assert kept == [0, 3]


def test_a_polka_in_a_set_of_prevotes() -> None:
    members = make_set(2, 2, 1, 1)
    two = [vote(members, 0, round=3), vote(members, 1, round=3)]
    assert polka_in(two, members) is None
    assert polka_in([], members) is None
    other, third = vote(members, 2, B, round=3), vote(members, 3, round=3)
    polka = polka_in([other, *two, third], members)
    assert polka is not None
    assert (polka.round, polka.block_id, polka.votes) == (3, A, (*two, third))
    assert power_of([other, *two], members) == 5


def test_a_precommit_is_eligible_only_when_it_is_later_than_its_block() -> None:
    members = make_set(1)
    one = vote(members, 0, type=PRECOMMIT, time_ns=100)
    assert eligible(one, block_id=A, block_time_ns=99)
    assert not eligible(one, block_id=A, block_time_ns=100)
    assert not eligible(one, block_id=A, block_time_ns=101)
    assert not eligible(one, block_id=B, block_time_ns=99)


def test_a_commit_has_an_entry_a_validator() -> None:
    members = make_set(5, 4, 3, 2, 1)
    late, early = vote(members, 0, time_ns=101), vote(members, 1, time_ns=100)
    nil, other = vote(members, 2, NIL, time_ns=102), vote(members, 3, B, time_ns=101)
    commit = commit_of([late, early, nil, other, None], height=7, round=2, block_id=A, block_time_ns=100)
    assert (commit.height, commit.round, commit.block_id) == (7, 2, A)
    assert commit.signatures == (
        CommitSig(flag=Flag.COMMIT, address=late.address, time_ns=101, signature=late.signature),
        ABSENT,
        CommitSig(flag=Flag.NIL, address=nil.address, time_ns=102, signature=nil.signature),
        ABSENT,
        ABSENT,
    )
    assert committed_power(commit, members, 100) == 5
    assert committed_power(commit, members, 99) == 5
    assert committed_power(commit, members, 101) == 0
    assert committed_power(commit, members, 102) == 0
    # Absent is absent, whatever else an entry says.
    absent = replace(commit.signatures[0], flag=Flag.ABSENT)
    assert committed_power(replace(commit, signatures=(absent, *commit.signatures[1:])), members, 100) == 0
    short = replace(commit, signatures=commit.signatures[:4])
    with pytest.raises(ValueError, match="zip"):
        committed_power(short, members, 100)


def test_ids_are_compared_by_value_for_they_come_from_different_messages() -> None:
    members = make_set(1, 1, 1)
    same, nothing = replace(A, hash=bytes(A.hash)), replace(NIL, hash=bytes(NIL.hash))
    assert same is not A
    assert nothing is not NIL
    book = VoteBook(members)
    for index, block_id in enumerate((A, same, nothing)):
        book.add(vote(members, index, block_id, type=PRECOMMIT))
    votes = counted(book, 0, PRECOMMIT)
    assert votes.power_of == {A: 2, NIL: 1}
    assert len(votes.those_for(A)) == 2
    assert eligible(vote(members, 1, same), block_id=A, block_time_ns=0)
    commit = commit_of(votes.by_index, height=1, round=0, block_id=A, block_time_ns=0)
    assert [entry.flag for entry in commit.signatures] == [Flag.COMMIT, Flag.COMMIT, Flag.NIL]
