"""The check of an LMDB file that a crash left open: every file of LMDB's passes, and no damage is served."""

import random
from pathlib import Path

import pytest

from catenet.storage.pages import check_pages
from catenet.storage.tables import DATA_FILE, Changes, Tables
from catenet.types.errors import Corrupt
from support.storage import flip

NAMES = ("a", "b")


def some(choices: random.Random) -> Changes:
    """Return puts and deletions of small, large and very large rows."""
    return {
        name: {
            b"%05d" % choices.randrange(choices.choice((30, 3000))) * choices.choice((1, 20)): None
            if choices.random() < 0.3
            else choices.randbytes(choices.choice((1, 60, 900, 3000, 20_000)))
            for _ in range(choices.choice((0, 1, 40, 120)))
        }
        for name in NAMES
    }


def crashed(path: Path, *, commits: int, seed: int) -> None:
    opened = Tables(path, NAMES)
    choices = random.Random(seed)
    for _ in range(commits):
        opened.put(some(choices))
        opened.flush()
    opened.abandon()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_file_that_lmdb_leaves_passes_with_all_its_rows(tmp_path: Path, seed: int) -> None:
    choices = random.Random(seed)
    opened = Tables(tmp_path, NAMES)
    for _ in range(25):
        opened.put(some(choices))
        opened.flush()
        data = memoryview((tmp_path / DATA_FILE).read_bytes())
        assert check_pages(data, lambda key, value: True) == opened.verify()
    opened.abandon()


@pytest.mark.slow
def test_after_a_crash_a_flipped_bit_is_found_or_changes_no_answer(tmp_path: Path) -> None:
    crashed(tmp_path, commits=6, seed=1)
    data = tmp_path / DATA_FILE
    whole = data.read_bytes()
    opened = Tables(tmp_path, NAMES)
    truth = {name: opened.items(name, b"", b"", 1_000_000) for name in NAMES}
    opened.abandon()
    found = 0
    for bit in random.Random(2).sample(range(len(whole) * 8), 200):
        data.write_bytes(whole)
        flip(data, bit)
        try:
            opened = Tables(tmp_path, NAMES)
        except Corrupt as error:
            found += "data.mdb: damaged at byte" in str(error)
            continue
        for name, rows in truth.items():
            assert opened.items(name, b"", b"", 1_000_000) == rows, f"bit {bit}"
            assert opened.get_many(name, [key for key, _ in rows]) == dict(rows), f"bit {bit}"
        opened.abandon()
    assert found > 20


@pytest.mark.parametrize("kept", [0, 1, 100, 4096, 8192, 12_288])
def test_a_file_that_lost_its_end_is_refused(tmp_path: Path, kept: int) -> None:
    crashed(tmp_path, commits=2, seed=3)
    data = tmp_path / DATA_FILE
    data.write_bytes(data.read_bytes()[:kept])
    if kept:
        with pytest.raises(Corrupt, match="damaged at byte"):
            Tables(tmp_path, NAMES)
    else:
        opened = Tables(tmp_path, NAMES)
        assert not opened.verify()
        opened.abandon()
