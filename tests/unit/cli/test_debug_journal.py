"""`catenet debug journal`: what a journal holds, with places; a damaged one up to the damage; read only."""

import json
from pathlib import Path

import pytest

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.vote import Vote, VoteType
from catenet.storage.home import Home
from catenet.storage.safety import open_safety
from catenet.types.batch import Compact
from catenet.types.records import PolkaRecord, Record, RejoinRecord, VoteRecord
from catenet.wire.records import encode_record
from support.chain import make_keys
from support.cli import Terminal

FAILURE, CHECK_FAILED = 1, 4
(KEY,) = make_keys(1)
BLOCK = BlockID(hash=b"b" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))


def vote(height: int, *, type: VoteType = VoteType.PRECOMMIT, block_id: BlockID = NIL) -> Vote:
    return Vote(
        type=type,
        height=height,
        round=0,
        block_id=block_id,
        time_ns=5,
        address=KEY.public.address,
        index=0,
        signature=b"s" * 64,
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.create()
    for height in (6, 7):
        append(home, VoteRecord(vote=vote(height)))
    return home


def append(home: Home, record: Record) -> None:
    safety = open_safety(home)
    safety.journal.append([encode_record(record)])
    safety.close()


def test_the_journal_is_shown_with_file_and_offset_for_people_and_programs(
    catenet: Terminal, home: Home
) -> None:
    compact = Compact(header=b"h", last_commit=b"", evidence=b"", manifest=())
    prevote = vote(8, type=VoteType.PREVOTE, block_id=BLOCK)
    append(home, PolkaRecord(votes=(prevote,), compact=compact))
    append(home, RejoinRecord(height=0))
    before = {path: path.read_bytes() for path in home.data.rglob("*") if path.is_file()}
    assert catenet("debug", "journal", "--home", home.root) == 0
    lines = catenet.out.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:4] == ["0000000001.seg:64", "precommit", "6/0", "nil"]
    assert "waits for the others' heights" in lines[3]
    assert catenet("debug", "journal", "--home", home.root, "--json", "--height", 8) == 0
    (polka,) = map(json.loads, catenet.out.splitlines())
    assert (polka["kind"], polka["height"], polka["round"]) == ("polka", 8, 0)
    (shown,) = polka["votes"]
    assert shown["address"] == KEY.public.address.hex().upper()
    assert shown["block"]["hash"] == BLOCK.hash.hex().upper()
    assert shown["signature"] == prevote.signature.hex().upper()
    assert {path: path.read_bytes() for path in home.data.rglob("*") if path.is_file()} == before


def test_a_damaged_journal_is_shown_up_to_the_damage(catenet: Terminal, home: Home) -> None:
    path = max(home.journal.glob("*.seg"))
    assert catenet("debug", "journal", "--home", home.root, "--json") == 0
    second = json.loads(catenet.out.splitlines()[1])["offset"]
    data = bytearray(path.read_bytes())
    data[second + 20] ^= 1
    path.write_bytes(data)
    assert catenet("debug", "journal", "--home", home.root) == CHECK_FAILED
    assert len(catenet.out.splitlines()) == 1
    assert f"{path} at byte {second}: the record does not check" in catenet.err
    assert f"catenet repair --home {home.root}" in catenet.err
    assert path.read_bytes() == bytes(data)


def test_a_torn_end_is_told_from_damage(catenet: Terminal, home: Home) -> None:
    path = max(home.journal.glob("*.seg"))
    data = path.read_bytes().rstrip(b"\0")
    path.write_bytes(data[:-30])
    assert catenet("debug", "journal", "--home", home.root) == 0
    assert "was not written to its end; a crash leaves it so" in catenet.err


def test_a_folder_that_is_no_home_is_named(catenet: Terminal, tmp_path: Path) -> None:
    assert catenet("debug", "journal", "--home", tmp_path / "nowhere") == FAILURE
    assert "is no home of a node, or has never run" in catenet.err
