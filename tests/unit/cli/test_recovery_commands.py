"""The commands for a home that was damaged, lost or moved: what they do, and what they refuse."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.keys import PrivateKey, parse_key_file
from catenet.chain.vote import Vote, VoteType
from catenet.cli.homes import Layout, make_network
from catenet.core.guard import GuardState, export_json, import_json, signed
from catenet.storage.frame import HEADER_BYTES
from catenet.storage.guard_file import GuardFile
from catenet.storage.home import Home
from catenet.storage.safety import Mark, open_safety, read_marks
from catenet.types.records import Record, RejoinRecord, VoteRecord
from catenet.wire.records import decode_record, encode_record
from support.cli import Terminal
from support.repository import ROOT

CHAIN = "recovery"
FAILURE, CHECK_FAILED = 1, 4
BLOCK = BlockID(hash=b"b" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
MakeHome = Callable[[int], Home]


@pytest.fixture
def home_of(tmp_path: Path) -> MakeHome:
    """Return the first home of a network of so many validators, which has signed a precommit of height 7."""

    def make(validators: int) -> Home:
        made = make_network(tmp_path / "net", chain_id=CHAIN, layout=Layout(count=validators))
        home = Home(made.home / made.nodes[0].home)
        write(home, [vote(home, 6), vote(home, 7)])
        home.note_signing(CHAIN)
        return home

    return make


def key_of(home: Home) -> PrivateKey:
    return parse_key_file(home.validator_key.read_text())


def vote(home: Home, height: int, round: int = 0, *, block_id: BlockID = NIL) -> Vote:
    key = key_of(home)
    item = Vote(
        type=VoteType.PRECOMMIT,
        height=height,
        round=round,
        block_id=block_id,
        time_ns=5,
        address=key.public.address,
        index=0,
    )
    return replace(item, signature=key.sign(item.sign_bytes(CHAIN)))


def state_of(item: Vote) -> GuardState:
    return signed(item, sign_bytes=item.sign_bytes(CHAIN), signature=item.signature)[0]


def write(home: Home, votes: list[Vote]) -> None:
    safety = open_safety(home)
    for item in votes:
        safety.journal.append([encode_record(VoteRecord(vote=item))])
        safety.guard.write(state_of(item).encode())
    safety.close()


def records(home: Home) -> list[Record]:
    safety = open_safety(home)
    found = [decode_record(data) for _, data in safety.journal.records()]
    safety.close()
    return found


def guard(home: Home) -> GuardFile:
    return GuardFile.open(home.guard)


def damage_middle(home: Home) -> None:
    path = max(home.journal.glob("*.seg"))
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 20] ^= 1
    path.write_bytes(data)


# rejoin


def test_rejoin_makes_a_lost_home_ask_first(catenet: Terminal, home_of: MakeHome) -> None:
    home = home_of(4)
    shutil.rmtree(home.data)
    assert catenet("rejoin", "--home", home.root, "--json") == 0, catenet.err
    assert json.loads(catenet.out) == {"height": 0, "put_aside": None}
    assert records(home) == [RejoinRecord(height=0)]
    assert home.has_signed(CHAIN)


def test_rejoin_puts_a_damaged_guard_aside_and_keeps_the_journal(
    catenet: Terminal, home_of: MakeHome
) -> None:
    home = home_of(4)
    home.guard.write_bytes(bytes(8192))
    assert catenet("rejoin", "--home", home.root) == 0, catenet.err
    assert "guard.old1" in catenet.out
    assert records(home)[-1] == RejoinRecord(height=0)
    assert len(records(home)) == 3


def test_rejoin_is_refused_where_nobody_decides_without_this_one(
    catenet: Terminal, home_of: MakeHome
) -> None:
    home = home_of(3)
    assert catenet("rejoin", "--home", home.root) == FAILURE
    assert "decide nothing without this one" in catenet.err
    assert "catenet repair --help" in catenet.err
    assert len(records(home)) == 2, "nothing was changed"


def test_no_command_touches_the_home_of_a_running_node(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path
) -> None:
    home = home_of(4)
    (tmp_path / "state.json").write_text("{}")
    with home.lock():
        for command in (
            ("rejoin",),
            ("repair",),
            ("keys", "export-state", "--output", tmp_path / "out.json"),
            ("keys", "import-state", tmp_path / "state.json"),
        ):
            assert catenet(*command, "--home", home.root) == FAILURE
            assert "is in use by process" in catenet.err
    assert not (tmp_path / "out.json").exists()


# repair


def test_repair_beside_others_needs_no_flag_and_refuses_it(catenet: Terminal, home_of: MakeHome) -> None:
    home = home_of(4)
    damage_middle(home)
    assert catenet("repair", "--home", home.root, "--json") == 0, catenet.err
    done = json.loads(catenet.out)
    assert done["journal"]["offset"] == HEADER_BYTES
    assert not done["needs_accept_fork"]
    assert catenet("repair", "--accept-fork", "--home", home.root) == FAILURE
    assert "would only risk a double signature" in catenet.err
    assert read_marks(home) == {Mark.JOURNAL}


@pytest.mark.parametrize("validators", [1, 3])
def test_repair_without_which_nothing_is_committed_asks_for_the_flag(
    catenet: Terminal, home_of: MakeHome, validators: int
) -> None:
    home = home_of(validators)
    damage_middle(home)
    for _ in range(2):
        assert catenet("repair", "--home", home.root) == CHECK_FAILED
        assert f"catenet repair --accept-fork --home {home.root}" in catenet.err
    assert catenet("repair", "--accept-fork", "--home", home.root) == 0, catenet.err
    assert "warning" in catenet.err
    assert read_marks(home) == {Mark.JOURNAL, Mark.FORK}
    assert catenet("repair", "--home", home.root) == 0, "it was accepted before"


# export-state, import-state


def test_an_exported_state_is_cometbft_s_file_and_retires_the_guard(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path
) -> None:
    home, out = home_of(4), tmp_path / "priv_validator_state.json"
    # The journal may be one vote ahead of the guard: what is exported is the newer one.
    safety = open_safety(home)
    safety.journal.append([encode_record(VoteRecord(vote=vote(home, 8, block_id=BLOCK)))])
    safety.close()
    assert catenet("keys", "export-state", "--home", home.root, "--output", out) == 0, catenet.err
    content = json.loads(out.read_text())
    assert (content["height"], content["round"], content["step"]) == ("8", 0, 3)
    assert content["signbytes"] == vote(home, 8, block_id=BLOCK).sign_bytes(CHAIN).hex().upper()
    assert out.stat().st_mode & 0o777 == 0o600
    assert guard(home).retired
    again = tmp_path / "again.json"
    assert catenet("keys", "export-state", "--home", home.root, "--output", again) == 0
    assert again.read_text() == out.read_text()
    assert catenet("keys", "export-state", "--home", home.root, "--output", again) == FAILURE
    assert "is there already" in catenet.err


def test_the_own_state_comes_back_as_it_was(catenet: Terminal, home_of: MakeHome, tmp_path: Path) -> None:
    home, out = home_of(4), tmp_path / "state.json"
    before = guard(home).state
    assert catenet("keys", "export-state", "--home", home.root, "--output", out) == 0
    assert catenet("keys", "import-state", out, "--home", home.root, "--json") == 0, catenet.err
    assert json.loads(catenet.out) == {"height": 7, "round": 0, "step": 3, "signs_above": 0}
    assert not guard(home).retired
    assert guard(home).state == before
    assert all(isinstance(record, VoteRecord) for record in records(home))


def test_a_newer_state_bars_its_height_for_the_lock_there_is_not_known(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path
) -> None:
    home, file = home_of(4), tmp_path / "state.json"
    file.write_text(export_json(state_of(vote(home, 9, 2))))
    assert catenet("keys", "import-state", file, "--home", home.root) == 0, catenet.err
    assert "signs above height 9 only" in catenet.out
    assert records(home)[-1] == RejoinRecord(height=9)
    assert GuardState.decode(guard(home).state).place == (9, 2, 3)


def test_a_moved_key_takes_its_state_to_a_home_without_data(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path
) -> None:
    home, out, moved = home_of(4), tmp_path / "state.json", Home(tmp_path / "moved")
    assert catenet("keys", "export-state", "--home", home.root, "--output", out) == 0
    shutil.copytree(home.config, moved.config)
    assert catenet("keys", "import-state", out, "--home", moved.root) == 0, catenet.err
    assert GuardState.decode(guard(moved).state).place == (7, 0, 3)
    assert records(moved) == [RejoinRecord(height=7)]


def test_what_is_barred_stays_barred_for_the_next_signer(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path
) -> None:
    home, out = home_of(4), tmp_path / "state.json"
    append(home, RejoinRecord(height=20))
    assert catenet("keys", "export-state", "--home", home.root, "--output", out) == 0, catenet.err
    assert import_json(out.read_text()) == GuardState(height=21)


def append(home: Home, record: Record) -> None:
    safety = open_safety(home)
    safety.journal.append([encode_record(record)])
    safety.close()


@pytest.mark.parametrize("loss", ["journal", "both", "waiting"])
def test_a_state_that_is_not_known_is_not_exported(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path, loss: str
) -> None:
    home, out = home_of(4), tmp_path / "state.json"
    match loss:
        case "journal":
            shutil.rmtree(home.journal)
        case "both":
            shutil.rmtree(home.data)
        case _:
            append(home, RejoinRecord(height=0))
    assert catenet("keys", "export-state", "--home", home.root, "--output", out) == FAILURE
    assert "is not known" in catenet.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:-20], "damaged: not JSON"),
        (lambda text: text.replace('"9"', "9"), "damaged: height is 9, not a string"),
        (lambda text: text.replace('"step": 3', '"step": 7'), "damaged: height 9, round 2, step 7 cannot"),
        (lambda text: text.replace('"9"', '"10"'), "its signbytes are not those of height 10"),
        (lambda text: text.replace('"step": 3', '"step": 2'), "its signbytes are not those of height 9"),
    ],
)
def test_a_damaged_state_is_refused_with_what_is_wrong(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path, change: Callable[[str], str], said: str
) -> None:
    home, file = home_of(4), tmp_path / "state.json"
    file.write_text(change(export_json(state_of(vote(home, 9, 2)))))
    refused(catenet, home, file, said)


def test_a_state_that_does_not_fit_this_home_is_refused(
    catenet: Terminal, home_of: MakeHome, tmp_path: Path
) -> None:
    home, file = home_of(4), tmp_path / "state.json"
    file.write_text(export_json(state_of(vote(home, 6))))
    refused(catenet, home, file, "to go back would be to sign twice")
    file.write_text(export_json(state_of(vote(home, 7, block_id=BLOCK))))
    refused(catenet, home, file, "two signers used this key at once")
    other = Home(home.root.parent / "node1")
    file.write_text(export_json(state_of(vote(other, 9))))
    refused(catenet, home, file, "its signature is not by this home's key")
    foreign = vote(home, 9)
    state = signed(foreign, sign_bytes=foreign.sign_bytes("other"), signature=foreign.signature)[0]
    file.write_text(export_json(state))
    refused(catenet, home, file, f"on chain {CHAIN}")


def refused(catenet: Terminal, home: Home, file: Path, said: str) -> None:
    before = home.guard.read_bytes()
    assert catenet("keys", "import-state", file, "--home", home.root) == FAILURE
    assert said in catenet.err
    assert home.guard.read_bytes() == before


# The page that says when to use which.


def test_every_command_of_the_page_exists_with_its_options(catenet: Terminal) -> None:
    page = (ROOT / "docs/howto/recover-a-home.md").read_text()
    lines = re.findall(r"^\$ (catenet .*)$", page, re.M) + re.findall(r"`(catenet [a-z][^`]*)`", page)
    assert len(lines) > 15
    for line in lines:
        words = line.split()[1:]
        names = [word for word in words[:2] if re.fullmatch(r"[a-z][a-z-]*", word)]
        assert catenet(*names, "--help") == 0, line
        for option in re.findall(r"--[a-z-]+", line):
            assert option in catenet.out, line
