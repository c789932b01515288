"""The commands for an index: made again it answers as before, cut it forgets events only."""

import json
from pathlib import Path

import pytest

from catenet.cli.homes import Layout, make_network
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.storage.tables import DATA_FILE
from catenet.types.ports import Order
from catenet.types.query import parse
from support.cli import Terminal
from support.storage import chain, flip, speaking

COUNT = 6


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = make_network(tmp_path / "net", chain_id="indexed", layout=Layout(count=1))
    home = Home(made.home / made.nodes[0].home)
    ledger = Ledger.open(home.data)
    for block in chain(COUNT):
        ledger.store(speaking(block))
    ledger.close()
    return home


def heights(home: Home, query: str = "seen.height>0") -> list[int]:
    ledger = Ledger.open(home.data)
    try:
        return list(ledger.events.search_blocks(parse(query), page=1, per_page=99, order=Order.ASCENDING)[1])
    finally:
        ledger.close()


def test_pruned_events_come_back_with_the_index(home: Home, catenet: Terminal) -> None:
    catenet("index", "prune", "--home", str(home.root), "--below", "4", "--json")
    assert json.loads(catenet.out) == {"lowest": 1, "head": COUNT, "events_from": 4, "was_damaged": False}
    assert heights(home) == [4, 5, 6]
    assert heights(home, "block.height>0") == [1, 2, 3, 4, 5, 6]
    catenet("index", "rebuild", "--home", str(home.root))
    assert catenet.out == "blocks 1 to 6 are indexed, their events from 1 on\n"
    assert heights(home) == [1, 2, 3, 4, 5, 6]


def test_a_damaged_index_is_made_again(home: Home, catenet: Terminal) -> None:
    flip(home.data / "index" / DATA_FILE, 8 * 5000)
    catenet("index", "rebuild", "--home", str(home.root))
    assert catenet.code == 0
    assert "was damaged" in catenet.err
    assert heights(home) == [1, 2, 3, 4, 5, 6]


def test_a_running_node_and_a_strange_folder_are_refused(
    home: Home, catenet: Terminal, tmp_path: Path
) -> None:
    with home.lock():
        catenet("index", "rebuild", "--home", str(home.root))
    assert (catenet.code, catenet.out) == (1, "")
    assert heights(home) == [1, 2, 3, 4, 5, 6]
    catenet("index", "prune", "--home", str(tmp_path / "nowhere"), "--below", "3")
    assert catenet.code == 1
    assert "is no home of a node, or has never run" in catenet.err
