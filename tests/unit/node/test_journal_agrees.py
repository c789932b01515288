"""Journal and guard at start: what one lost is taken from the other, or nothing is signed there again."""

import shutil
from pathlib import Path

import pytest

from catenet.chain.commit import NIL
from catenet.chain.vote import Vote, VoteType
from catenet.core.guard import GuardState, signed
from catenet.node.journal import open_journal
from catenet.storage.home import Home
from catenet.storage.safety import open_safety
from catenet.types.errors import Corrupt
from catenet.types.events import Refused, Signed
from catenet.types.records import RejoinRecord, VoteRecord
from catenet.wire.records import encode_record
from support.chain import make_keys

CHAIN = "test-chain"
(KEY,) = make_keys(1)


def vote(height: int, round: int = 0) -> Vote:
    item = Vote(
        type=VoteType.PRECOMMIT,
        height=height,
        round=round,
        block_id=NIL,
        time_ns=5,
        address=KEY.public.address,
        index=0,
    )
    return guarded(item)[1]


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
        journal = open_journal(home, chain_id=CHAIN, key=KEY)
        assert list(journal.records) == [VoteRecord(vote=vote(3)), VoteRecord(vote=vote(4))]
        assert journal.kept_records == []
        journal.close()


def test_a_guard_that_is_older_than_the_journal_is_raised(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(3), vote(4)], guard=vote(3))
    journal = open_journal(home, chain_id=CHAIN, key=KEY)
    kept: list[bytes] = []
    assert isinstance(journal.signer.sign(vote(3, 1), kept.append), Refused)
    assert isinstance(journal.signer.sign(vote(4, 1), kept.append), Signed)
    assert len(kept) == 1
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
    journal = open_journal(home, chain_id=CHAIN, key=KEY)
    kept: list[bytes] = []
    assert journal.kept_records == [RejoinRecord(height=4)]
    assert isinstance(journal.signer.sign(vote(4, 9), kept.append), Refused)
    assert isinstance(journal.signer.sign(vote(5), kept.append), Signed)
    journal.close()


def test_a_record_of_another_version_is_refused_with_the_place_of_its_file(tmp_path: Path) -> None:
    home = home_with(tmp_path, journal=[vote(4)], guard=vote(4))
    safety = open_safety(home)
    safety.journal.append([b"\xff\xff"])
    safety.journal.sync()
    safety.close()
    with pytest.raises(Corrupt, match=rf"{home.journal} at .*segment=1, offset=\d+.*does not parse"):
        open_journal(home, chain_id=CHAIN, key=KEY)
