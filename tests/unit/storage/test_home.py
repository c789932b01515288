"""The home: one process at a time, key files nobody else reads, journal and guard of one life."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from catenet.storage.guard_file import GuardFile
from catenet.storage.home import Home, read_private, write_file, write_private
from catenet.storage.ledger import Ledger
from catenet.storage.log import Log
from catenet.storage.safety import Found, Mark, open_safety, read_marks, repair_home, write_marks
from catenet.storage.scan import segment_path
from catenet.types.errors import Corrupt, NotFound, WrongState
from support.storage import abandon, chain, flip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    return home


def test_directories_are_private(home: Home) -> None:
    for directory in (home.root, home.config, home.data):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_a_second_process_is_refused_and_told_who_has_the_home(home: Home) -> None:
    code = (
        "import sys; from pathlib import Path; from catenet.storage.home import Home\n"
        "lock = Home(Path(sys.argv[1])).lock(); print('taken', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        with pytest.raises(WrongState, match=f"in use by process {holder.pid}"):
            home.lock()
        holder.kill()
    with home.lock(), pytest.raises(WrongState, match=f"process {os.getpid()}"):
        home.lock()
    home.lock().release()


def test_a_lock_on_no_home_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="catenet init"):
        Home(tmp_path / "nowhere").lock()


def test_key_files_are_private_and_whole(home: Home) -> None:
    old = os.umask(0)
    try:
        write_private(home.validator_key, b"secret")
        write_file(home.genesis, b"{}")
    finally:
        os.umask(old)
    assert home.validator_key.stat().st_mode & 0o777 == 0o600
    assert home.genesis.stat().st_mode & 0o777 == 0o644
    assert read_private(home.validator_key) == b"secret"
    write_private(home.validator_key, b"newer")
    assert read_private(home.validator_key) == b"newer"
    assert sorted(path.name for path in home.config.iterdir()) == ["genesis.json", "priv_validator_key.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_file_that_others_may_touch_is_refused(home: Home, mode: int) -> None:
    write_private(home.node_key, b"secret")
    home.node_key.chmod(mode)
    with pytest.raises(WrongState, match=f"mode {mode:04o}: run chmod 600"):
        read_private(home.node_key)


def test_a_missing_key_file_is_not_found(home: Home) -> None:
    with pytest.raises(NotFound):
        read_private(home.node_key)


def test_a_file_that_cannot_be_finished_leaves_the_one_before(home: Home) -> None:
    write_file(home.genesis, b"before")
    code = (
        "import resource, sys; from pathlib import Path; from catenet.storage.home import write_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try:\n    write_file(Path(sys.argv[1]), bytes(1000))\n"
        "except OSError as error:\n    sys.exit(error.errno)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(home.genesis)], check=False)
    assert done.returncode == errno.EFBIG
    assert home.genesis.read_bytes() == b"before"
    assert [path.name for path in home.config.iterdir()] == ["genesis.json"]


def test_a_first_start_makes_journal_and_guard_of_one_life(home: Home) -> None:
    first = open_safety(home)
    assert first.found is Found.FRESH
    assert first.journal.id == first.guard.log_id
    first.journal.append([b"record"])
    first.guard.write(b"state")
    first.close()
    again = open_safety(home)
    assert again.found is Found.INTACT
    assert [record for _, record in again.journal.records()] == [b"record"]
    assert again.guard.state == b"state"
    again.close()


def test_a_crash_between_guard_and_journal_is_still_a_first_start(home: Home) -> None:
    GuardFile.create(home.guard, bytes(16)).close()
    safety = open_safety(home)
    assert safety.found is Found.FRESH
    safety.close()


def test_a_lost_journal_is_told_and_goes_on_under_the_id_of_the_guard(home: Home) -> None:
    first = open_safety(home)
    first.guard.write(b"signed")
    first.close()
    for path in home.journal.iterdir():
        path.unlink()
    safety = open_safety(home)
    assert safety.found is Found.JOURNAL_LOST
    assert safety.guard.state == b"signed"
    assert safety.journal.id == safety.guard.log_id
    safety.close()


def test_a_journal_of_another_life_counts_as_lost_and_is_put_aside(home: Home) -> None:
    first = open_safety(home)
    first.guard.write(b"signed")
    first.close()
    for path in home.journal.iterdir():
        path.unlink()
    other = Log.create(home.journal)
    other.append([b"foreign"])
    other.close()
    safety = open_safety(home)
    assert safety.found is Found.JOURNAL_LOST
    assert list(safety.journal.records()) == []
    assert (home.data / "journal.old1").is_dir()
    safety.close()


def test_a_lost_guard_is_made_again_beside_its_journal(home: Home) -> None:
    first = open_safety(home)
    first.journal.append([b"vote"])
    first.close()
    home.guard.unlink()
    safety = open_safety(home)
    assert safety.found is Found.GUARD_LOST
    assert safety.guard.state == b""
    assert safety.guard.log_id == safety.journal.id
    safety.close()


def test_a_damaged_journal_is_refused_until_a_repair_that_is_not_forgotten(
    home: Home,
) -> None:
    first = open_safety(home)
    positions = [first.journal.append([b"record %d" % n]) for n in range(5)]
    first.close()
    flip(segment_path(home.journal, 1), (positions[2].offset + 20) * 8)
    with pytest.raises(Corrupt, match=f"catenet repair --home {home.root}"):
        open_safety(home)
    done = repair_home(home)
    assert done.journal is not None
    assert (done.journal.offset, done.journal.kept_groups, done.blocks) == (positions[2].offset, 2, None)
    for _ in range(2):
        safety = open_safety(home)
        assert safety.found is Found.REPAIRED
        assert [record for _, record in safety.journal.records()] == [b"record 0", b"record 1"]
        abandon(safety.journal)
        safety.guard.close()
    repair_home(home)
    safety = open_safety(home)
    assert safety.found is Found.REPAIRED
    assert read_marks(home) == {Mark.JOURNAL}
    safety.close()
    write_marks(home, frozenset())
    safety = open_safety(home)
    assert safety.found is Found.INTACT
    safety.close()


def test_repair_of_an_intact_home_changes_nothing(home: Home) -> None:
    safety = open_safety(home)
    safety.journal.append([b"record"])
    safety.close()
    done = repair_home(home)
    assert (done.journal, done.blocks, done.index_dropped) == (None, None, False)
    assert read_marks(home) == frozenset()
    safety = open_safety(home)
    assert safety.found is Found.INTACT
    safety.close()


@pytest.mark.parametrize("cut", ["whole log", "last block"])
def test_an_index_that_knows_more_than_the_block_log_is_dropped(home: Home, cut: str) -> None:
    ledger = Ledger.open(home.data)
    ends = []
    for block in chain(3):
        ledger.store(block)
        ends.append(segment_path(home.blocks, 1).stat().st_size)
    ledger.flush()
    abandon(ledger._log)
    ledger._tables.abandon()
    if cut == "whole log":
        shutil.rmtree(home.blocks)
    else:
        # Between two groups: the log itself looks whole.
        os.truncate(segment_path(home.blocks, 1), ends[1])
    with pytest.raises(Corrupt, match=f"catenet repair --home {home.root}"):
        Ledger.open(home.data)
    done = repair_home(home)
    assert (done.journal, done.blocks, done.index_dropped) == (None, None, True)
    assert read_marks(home) == {Mark.BLOCKS}
    left = Ledger.open(home.data)
    assert left.head == (0 if cut == "whole log" else 2)
    left.close()


def test_a_key_remembers_the_chains_it_may_have_signed(home: Home) -> None:
    assert not home.has_signed("a-chain")
    for chain_id in ("a-chain", "b-chain", "a-chain"):
        home.note_signing(chain_id)
    assert home.has_signed("a-chain")
    assert home.has_signed("b-chain")
    assert not home.has_signed("a")
    assert home.signed_chains.read_text() == "a-chain\nb-chain\n"
