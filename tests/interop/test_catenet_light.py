"""Our light client follows a chain of real CometBFT nodes, serves it, and its receipts verify offline."""

import json
import signal
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from catenet.cli.root import run
from support.cluster import HOST, free_ports
from support.cometbft import RealNode, real_nodes

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CHAIN_ID = "real-net"
TX = b"name=Wei"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Two validators, a transaction, then a change of the powers, and a transaction again."""
    with real_nodes(tmp_path_factory.mktemp("real"), count=2, chain_id=CHAIN_ID) as made:
        for node in made:
            node.start()
        for node in made:
            node.wait_height(2)
        made[0].commit_tx(b"before=1")
        key = made[0].genesis()["validators"]
        assert isinstance(key, list)
        height = int(
            str(made[0].commit_tx(b"val=ed25519!%b!50" % key[0]["pub_key"]["value"].encode())["height"])
        )
        made[0].wait_height(height + 2)
        made[0].commit_tx(TX)
        for node in made:
            node.wait_height(height + 5)
        yield made


def power(node: RealNode, height: int) -> str:
    """Return the power of the first validator of a height, as the node says."""
    members = node.rpc("validators", height=str(height))["validators"]
    assert isinstance(members, list)
    return str(members[0]["voting_power"])


def genesis(nodes: list[RealNode]) -> Path:
    return nodes[0].home / "config" / "genesis.json"


def light(nodes: list[RealNode], folder: Path, *more: object) -> list[str]:
    common = ["light", CHAIN_ID, "--primary", nodes[0].rpc_url, "--witness", nodes[1].rpc_url]
    return [str(one) for one in (*common, "--dir", folder, "--json", *more)]


@pytest.mark.parametrize("kind", [["--sequential"], [], ["--trust-level", "1"]])
def test_a_real_chain_is_followed_over_a_change_of_validators(
    nodes: list[RealNode], tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: list[str]
) -> None:
    assert run(light(nodes, tmp_path, "--genesis", genesis(nodes), "--once", *kind)) == 0
    newest = json.loads(capsys.readouterr().out)
    header = nodes[1].rpc("block", height=str(newest["height"]))["block_id"]
    assert isinstance(header, dict)
    assert newest["hash"] == header["hash"]
    assert [power(nodes[0], height) for height in (1, newest["height"])] == ["10", "50"]


def test_a_hash_that_is_not_the_chains_is_refused(
    nodes: list[RealNode], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(light(nodes, tmp_path, "--trusted-height", 2, "--trusted-hash", "ab" * 32, "--once")) == 4
    assert "check the trusted hash" in capsys.readouterr().err


def test_a_receipt_of_a_real_chain_verifies_offline(
    nodes: list[RealNode], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["tx", "receipt", sha256(TX).hexdigest(), "--rpc", nodes[0].rpc_url]) == 0
    receipt = tmp_path / "r.json"
    receipt.write_text(capsys.readouterr().out)
    assert run(["verify", str(receipt), "--genesis", str(genesis(nodes)), "--json"]) == 0
    proven = json.loads(capsys.readouterr().out)
    assert (proven["text"], proven["result"]["code"]) == (TX.decode(), 0)
    real = nodes[1].rpc("tx", hash=b64encode(sha256(TX).digest()).decode(), prove=True)
    assert (str(proven["height"]), proven["index"]) == (real["height"], real["index"])
    forged = json.loads(receipt.read_text())
    forged["tx"] = b64encode(b"name=Eve").decode()
    receipt.write_text(json.dumps(forged))
    assert run(["verify", str(receipt), "--genesis", str(genesis(nodes))]) == 4
    assert "the proof does not place the transaction" in capsys.readouterr().err


@contextmanager
def serving(arguments: list[str]) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Run `catenet light` as a process until it has verified a header; yields where it serves."""
    address = f"{HOST}:{free_ports(1)}"
    command = [sys.executable, "-m", "catenet", *arguments, "--laddr", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert json.loads(process.stdout.readline())["height"] > 1
            yield f"http://{address}", process
        finally:
            process.kill()


def ask(url: str, method: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{url}/{method}", timeout=20) as answer:
        result: dict[str, object] = json.load(answer)["result"]
    return result


def test_verified_answers_are_those_of_the_real_node(nodes: list[RealNode], tmp_path: Path) -> None:
    node = nodes[0]
    with serving(light(nodes, tmp_path, "--genesis", genesis(nodes))) as (url, process):
        for method in ("header", "commit", "block", "validators"):
            ours, real = ask(url, f"{method}?height=3"), node.rpc(method, height="3")
            for answer in (ours, real):
                answer.pop("canonical", None)
            assert without_priorities(ours) == without_priorities(real), method
        ours = ask(url, f"tx?hash=0x{sha256(TX).hexdigest()}&prove=true")
        real = node.rpc("tx", hash=b64encode(sha256(TX).digest()).decode(), prove=True)
        for name in ("hash", "height", "index", "tx", "proof"):
            assert ours[name] == real[name], name
        sent = ask(url, 'broadcast_tx_commit?tx="late=1"')
        found = ask(url, f"tx?hash=0x{sent['hash']}&prove=true")
        assert found["height"] == sent["height"]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


def without_priorities(answer: object) -> object:
    """Return an answer without what no hash covers."""
    if isinstance(answer, dict):
        return {
            name: without_priorities(value) for name, value in answer.items() if name != "proposer_priority"
        }
    return [without_priorities(value) for value in answer] if isinstance(answer, list) else answer
