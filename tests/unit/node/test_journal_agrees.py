"""Journal and guard at start: what one lost is taken from the other, or nothing is signed there again."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.chain.commit import NIL, BlockID, Commit, PartSetHeader
from catenet.chain.state import ChainState
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.guard import GuardState, signed
from catenet.node.journal import open_journal
from catenet.storage.home import Home
from catenet.storage.safety import Mark, open_safety, read_marks, write_marks
from catenet.types.batch import Compact
from catenet.types.errors import Corrupt, WrongState
from catenet.types.events import Refused, Signed
from catenet.types.messages import ProposalMessage
from catenet.types.records import (
    CommitRecord,
    ForkRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
)
from catenet.wire.records import encode_record
from support.chain import make_genesis, make_keys

CHAIN = "test-chain"
KEY, *OTHERS = make_keys(4)
FOUR = ChainState.genesis(make_genesis([KEY, *OTHERS]))
ALONE = ChainState.genesis(make_genesis([KEY]))
BLOCK = BlockID(hash=b"b" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
COMPACT = Compact(header=b"h", last_commit=b"", evidence=b"", manifest=())


def vote(
    height: int, round: int = 0, *, type: VoteType = VoteType.PRECOMMIT, block_id: BlockID = NIL
) -> Vote:
    item = Vote(
        type=type,
        height=height,
        round=round,
        block_id=block_id,
        time_ns=5,
        address=KEY.public.address,
        index=0,
    )
    return guarded(item)[1]


def proposal(height: int) -> Proposal:
    item = Proposal(height=height, round=0, pol_round=-1, block_id=BLOCK, time_ns=5)
    return replace(item, signature=KEY.sign(item.sign_bytes(CHAIN)))


def guarded(item: Vote) -> tuple[GuardState, Vote]:
    sign_bytes = item.sign_bytes(CHAIN)
    state, done = signed(item, sign_bytes=sign_bytes, signature=KEY.sign(sign_bytes))
    assert isinstance(done, Vote)
    return state, done


def home_with(root: Path, *, journal: list[Vote], guard: Vote | None) -> Home:
    home = Home(root)
    home.data.mkdir(parents=True)
    safety = open_safety(home)
    if journal:
        safety.journal.append([encode_record(VoteRecord(vote=item)) for item in journal])
        safety.journal.sync()
    if guard is not None:
        safety.guard.write(guarded(guard)[0].encode())
    safety.close()
    return home


def test_a_vote_that_only_the_guard_knows_is_recorded_again_once(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3)], guard=vote(4))
    for _ in range(2):
        journal = open_journal(home, state=FOUR, key=KEY)
        assert list(journal.records) == [VoteRecord(vote=vote(3)), VoteRecord(vote=vote(4))]
        assert not journal.was_lost
        journal.close()


def test_a_guard_that_is_older_than_the_journal_is_raised(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3), vote(4)], guard=vote(3))
    journal = open_journal(home, state=FOUR, key=KEY)
    kept: list[bytes] = []
    assert isinstance(journal.signer.sign(vote(3, 1), kept.append), Refused)
    assert isinstance(journal.signer.sign(vote(4, 1), kept.append), Signed)
    assert len(kept) == 1
    journal.close()


@pytest.mark.parametrize("lost_guard", [False, True])
def test_what_the_journal_raised_the_guard_to_outlives_the_journal(tmp_path: Path, lost_guard: bool) -> None:
    home = home_with(tmp_path, journal=[vote(3), vote(4)], guard=vote(3))
    if lost_guard:
        home.guard.unlink()
    # A life in which nothing is signed; what the journal holds is said again.
    open_journal(home, state=FOUR, key=KEY).close()
    shutil.rmtree(home.journal)
    require_rejoin(home)


def test_an_own_proposal_raises_the_guard_too(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3)], guard=vote(3))
    append(home, ProposalRecord(proposal=ProposalMessage(signed=proposal(4), compact=COMPACT)))
    for _ in range(2):
        journal = open_journal(home, state=FOUR, key=KEY)
        kept: list[bytes] = []
        other = replace(proposal(4), pol_round=0, signature=b"")
        assert isinstance(journal.signer.sign(vote(3, 1), kept.append), Refused)
        assert isinstance(journal.signer.sign(other, kept.append), Refused)
        assert isinstance(journal.signer.sign(vote(4), kept.append), Signed)
        journal.close()


def test_without_its_journal_a_home_signs_above_the_guard_only(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(4)], guard=vote(4))
    shutil.rmtree(home.journal)
    for _ in range(2):
        require_rejoin(home)


def test_a_crash_right_after_the_journal_was_made_anew_changes_nothing(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(4)], guard=vote(4))
    shutil.rmtree(home.journal)
    # The new journal is there, and the power fails before its first record.
    open_safety(home).close()
    for _ in range(2):
        require_rejoin(home)


def require_rejoin(home: Home) -> None:
    journal = open_journal(home, state=FOUR, key=KEY)
    kept: list[bytes] = []
    assert [r for r in journal.records if isinstance(r, RejoinRecord)] == [RejoinRecord(height=4)]
    assert journal.was_lost
    assert isinstance(journal.signer.sign(vote(4, 9), kept.append), Refused)
    assert isinstance(journal.signer.sign(vote(5), kept.append), Signed)
    journal.close()


# Journal and guard both lost.


def test_a_home_that_signed_and_lost_both_is_refused_until_it_rejoins(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.data.mkdir(parents=True)
    open_journal(home, state=FOUR, key=KEY).close()
    shutil.rmtree(home.data)
    for _ in range(2):
        with pytest.raises(WrongState, match=f"catenet rejoin --home {home.root}"):
            open_journal(home, state=FOUR, key=KEY)
        assert not home.data.exists(), "a refusal makes nothing"


def test_a_journal_that_was_cut_says_too_little_once_its_guard_is_gone(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3)], guard=vote(4))
    write_marks(home, frozenset({Mark.JOURNAL}))
    home.guard.unlink()
    for _ in range(2):
        with pytest.raises(WrongState, match=f"catenet rejoin --home {home.root}"):
            open_journal(home, state=FOUR, key=KEY)


def test_a_home_of_a_new_chain_starts_also_with_a_key_that_signed_for_another(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.data.mkdir(parents=True)
    home.note_signing("the-chain-before")
    journal = open_journal(home, state=FOUR, key=KEY)
    assert isinstance(journal.signer.sign(vote(1), lambda _: None), Signed)
    assert home.has_signed(CHAIN)
    journal.close()


def test_a_crash_before_the_first_signature_is_no_loss(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.data.mkdir(parents=True)
    # The note comes after journal and guard: up to here nothing could be signed.
    open_safety(home).close()
    shutil.rmtree(home.journal)
    open_journal(home, state=FOUR, key=KEY).close()


def test_while_the_height_is_not_known_nothing_is_signed_and_nothing_cancels_it(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3)], guard=vote(3))
    append(home, RejoinRecord(height=0))
    write_marks(home, frozenset({Mark.JOURNAL}))
    for _ in range(2):
        journal = open_journal(home, state=FOUR, key=KEY)
        assert isinstance(journal.signer.sign(vote(1000), lambda _: None), Refused)
        journal.settle()
        journal.close()
    append(home, RejoinRecord(height=90))
    journal = open_journal(home, state=FOUR, key=KEY)
    assert isinstance(journal.signer.sign(vote(90), lambda _: None), Refused)
    assert isinstance(journal.signer.sign(vote(91), lambda _: None), Signed)
    journal.close()


def append(home: Home, *records: Record) -> None:
    safety = open_safety(home)
    safety.journal.append([encode_record(record) for record in records])
    safety.close()


def test_a_home_whose_state_was_exported_does_not_open(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3)], guard=vote(3))
    safety = open_safety(home)
    safety.guard.retire()
    safety.close()
    with pytest.raises(WrongState, match="catenet keys import-state FILE"):
        open_journal(home, state=FOUR, key=KEY)


def test_a_record_that_does_not_parse_is_named_with_its_place(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3)], guard=None)
    safety = open_safety(home)
    position = safety.journal.append([b"\xff\xff"])
    safety.close()
    with pytest.raises(Corrupt, match=rf"{home.journal} at .*offset={position.offset}"):
        open_journal(home, state=FOUR, key=KEY)


# A validator without which nothing is committed.


def test_the_only_validator_asks_the_operator_when_its_journal_is_lost(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(4)], guard=vote(4))
    shutil.rmtree(home.journal)
    for _ in range(2):
        with pytest.raises(WrongState, match=f"catenet repair --accept-fork --home {home.root}"):
            open_journal(home, state=ALONE, key=KEY)


def test_the_only_validator_asks_the_operator_when_it_lost_both(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.data.mkdir(parents=True)
    home.note_signing(CHAIN)
    with pytest.raises(WrongState, match=f"catenet repair --accept-fork --home {home.root}"):
        open_journal(home, state=ALONE, key=KEY)
    write_marks(home, frozenset({Mark.FORK}))
    journal = open_journal(home, state=ALONE, key=KEY)
    assert isinstance(journal.signer.sign(vote(1), lambda _: None), Signed)
    assert read_marks(home) == {Mark.FORK}, "until what follows is on disk"
    journal.settle()
    assert read_marks(home) == frozenset()
    journal.close()


def at_height(state: ChainState, height: int) -> ChainState:
    return replace(state, last_height=height)


LOCK = vote(4, block_id=BLOCK)


def test_accepted_a_lost_block_is_given_up_and_no_step_is_signed_twice(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[], guard=LOCK)
    write_marks(home, frozenset({Mark.JOURNAL, Mark.FORK}))
    for start in range(2):
        journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
        # The height goes on in the next round, without the lock on a block that nobody has.
        assert journal.records[-1] == RoundCertRecord(votes=(LOCK,)), f"start {start}"
        assert VoteRecord(vote=LOCK) not in journal.records
        assert isinstance(journal.signer.sign(vote(4), lambda _: None), Refused)
        journal.settle()
        journal.close()
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert isinstance(journal.signer.sign(vote(4, 1), lambda _: None), Signed)
    journal.close()


def test_accepted_a_block_that_is_still_in_the_journal_is_decided_as_before(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[], guard=LOCK)
    append(home, ProposalRecord(proposal=ProposalMessage(signed=proposal(4), compact=COMPACT)))
    write_marks(home, frozenset({Mark.JOURNAL, Mark.FORK}))
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert journal.records[-1] == VoteRecord(vote=LOCK)
    journal.close()


def test_accepted_with_more_blocks_lost_the_guard_is_put_aside(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[], guard=vote(9, block_id=BLOCK))
    write_marks(home, frozenset({Mark.JOURNAL, Mark.FORK}))
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert isinstance(journal.signer.sign(vote(4), lambda _: None), Signed)
    assert (home.data / "guard.old1").exists()
    journal.close()


def test_accepted_one_of_three_keeps_its_guard_and_its_lock(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[], guard=LOCK)
    write_marks(home, frozenset({Mark.JOURNAL, Mark.FORK}))
    state = at_height(ChainState.genesis(make_genesis([KEY, *OTHERS[:2]])), 3)
    journal = open_journal(home, state=state, key=KEY)
    assert journal.records[-1] == VoteRecord(vote=LOCK)
    assert isinstance(journal.signer.sign(vote(4), lambda _: None), Refused)
    assert isinstance(journal.signer.sign(vote(4, 1), lambda _: None), Signed)
    journal.close()


def test_a_decided_height_counts_only_when_all_blocks_below_it_can_be_made_again(tmp_path: Path) -> None:
    # Blocks 4 to 7 are lost, and of what decided them the journal knows the last only.
    home = home_with(tmp_path, journal=[vote(7, block_id=BLOCK)], guard=vote(9, block_id=BLOCK))
    append(home, decided(7))
    write_marks(home, frozenset({Mark.JOURNAL, Mark.BLOCKS, Mark.FORK}))
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert isinstance(journal.signer.sign(vote(4), lambda _: None), Signed)
    assert list(journal.records) == [ForkRecord(height=4)], "what was decided above is given up"
    journal.settle()
    journal.close()
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert isinstance(journal.signer.sign(vote(4, 1), lambda _: None), Signed)
    journal.close()


def test_accepting_takes_back_the_bar_of_an_earlier_repair(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[], guard=LOCK)
    append(home, RejoinRecord(height=4))
    write_marks(home, frozenset({Mark.JOURNAL, Mark.FORK}))
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert isinstance(journal.signer.sign(vote(4, 1), lambda _: None), Signed)
    journal.close()


def test_a_crash_while_a_fork_is_accepted_leaves_it_accepted(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(9)], guard=vote(9))
    write_marks(home, frozenset({Mark.JOURNAL, Mark.FORK}))
    open_journal(home, state=at_height(ALONE, 3), key=KEY).close()
    # The marks are still there, as they are when power fails before the first turn.
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert isinstance(journal.signer.sign(vote(4), lambda _: None), Signed)
    journal.close()


def test_the_only_validator_with_a_whole_journal_asks_when_blocks_are_lost_for_good(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(9)], guard=vote(9))
    with pytest.raises(WrongState, match=f"catenet repair --accept-fork --home {home.root}"):
        open_journal(home, state=at_height(ALONE, 3), key=KEY)
    open_journal(home, state=at_height(ALONE, 8), key=KEY).close()


def test_the_only_validator_makes_again_what_its_journal_decided(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(4), vote(5), vote(6)], guard=vote(6))
    append(home, decided(4), decided(5))
    journal = open_journal(home, state=at_height(ALONE, 3), key=KEY)
    assert isinstance(journal.signer.sign(vote(6, 1), lambda _: None), Signed)
    journal.close()


def decided(height: int) -> CommitRecord:
    compact = Compact(header=b"h", last_commit=b"", evidence=b"", manifest=())
    commit = Commit(height=height, round=0, block_id=BLOCK, signatures=())
    return CommitRecord(height=height, compact=compact, commit=commit)
