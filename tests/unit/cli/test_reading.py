"""Commands against a real public server in another process."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from support.cli import Terminal, serving_node

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    with serving_node() as address:
        yield address


def test_the_newest_block_and_each_height(catenet: Terminal, node: str) -> None:
    assert catenet("block", "1", "--node", node, "--json") == 0
    block = json.loads(catenet.out)
    assert (block["height"], [tx["text"] for tx in block["transactions"]]) == (1, ["name=Wei", "name=Ada"])
    assert block["transactions"][0]["id"] == sha256(b"name=Wei").hexdigest().upper()
    assert catenet("block", block["hash"], "--node", node) == 0
    assert "name=Ada" in catenet.out
    assert catenet("block", "99999", "--node", node) in (1, 4)
    assert catenet("block", "--node", node) == 0


def test_a_transaction_is_sent_looked_up_and_waited_for(catenet: Terminal, node: str) -> None:
    assert catenet("tx", "send", "a=1", "--level", "committed", "--node", node, "--json") == 0
    sent = json.loads(catenet.out)
    assert sent["id"] == sha256(b"a=1").hexdigest().upper()
    assert sent["height"] > 2
    for command in ("get", "wait"):
        assert catenet("tx", command, sent["id"], "--node", node, "--json") == 0
        found = json.loads(catenet.out)
        assert (found["state"], found["height"], found["text"]) == ("committed", sent["height"], "a=1")
    assert catenet("tx", "get", "00" * 32, "--node", node) == 1
    assert catenet.out == ""
    assert catenet("tx", "wait", "00" * 32, "--node", node, "--timeout", "200ms") == 5
    assert catenet.out == ""
    assert "not committed in 200 ms" in catenet.err


def test_a_refused_transaction_is_code_5(catenet: Terminal, node: str) -> None:
    assert catenet("tx", "send", "refuse:this", "--node", node) == 5
    assert catenet.out == ""
    assert "'refuse:this' is refused: " in catenet.err


def test_a_transaction_that_failed_in_its_block_is_code_5(catenet: Terminal, node: str) -> None:
    assert catenet("tx", "send", "fail:x=1", "--level", "committed", "--node", node) == 5
    assert "code 7 told to fail" in catenet.out + catenet.err


def test_status_is_data_on_stdout(catenet: Terminal, node: str) -> None:
    assert catenet("status", "--node", node, "--json") in (0, 4)
    assert json.loads(catenet.out)["chain_id"] == "test-chain"
    assert catenet("status", "--node", node) in (0, 4)
    assert "chain" in catenet.out


def test_an_import_arrives_whole_and_forgets_its_position(
    catenet: Terminal, node: str, tmp_path: Path
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("n,name\n" + "".join(f"{n},x{n}\n" for n in range(1000)))
    template = "import/{n}"
    assert catenet("import", file, "--key-template", template, "--batch", 64, "--node", node, "--json") == 0
    summary = json.loads(catenet.out)
    assert (summary["transactions"], summary["refused"]) == (1000, 0)
    tx = b'import/999={"n":999,"name":"x999"}'
    assert catenet("tx", "wait", sha256(tx).hexdigest(), "--node", node) == 0
    assert list((tmp_path / "xdg_state_home").rglob("*.json")) == []


def test_an_import_that_sent_nothing_leaves_no_position(catenet: Terminal, node: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,a\n1,2\n")
    assert catenet("import", file, "--node", node) == 1
    assert catenet.err.startswith(f"error: {file}: the first line must name the columns")
    assert list((tmp_path / "xdg_state_home").rglob("*.json")) == []


def test_refused_rows_are_counted_and_named(catenet: Terminal, node: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("key\nok1\nrefuse:1\nok2\n")
    assert catenet("import", file, "--key-template", "{key}", "--node", node, "--json") == 5
    summary = json.loads(catenet.out)
    assert summary["refused"] == 1
    assert [refusal["row"] for refusal in summary["refusals"]] == [2]


def test_a_query_says_which_state_it_wants(catenet: Terminal, node: str) -> None:
    asked = ("query", "name", "--linearizable", "--min-height", 1, "--node", node, "--json")
    assert catenet(*asked) == 0
    assert json.loads(catenet.out)["height"] >= 1
