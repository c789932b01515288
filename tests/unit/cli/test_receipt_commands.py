"""`catenet tx receipt`, `catenet verify` and `catenet light --once` against a node in another process."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from support.cli import TESTS, Terminal
from support.repository import ROOT

pytestmark = pytest.mark.slow
TX = sha256(b"name=Ada").hexdigest()
CHAIN_ID = "test-chain"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("light")


@pytest.fixture(scope="module")
def node(home: Path) -> Iterator[str]:
    """A node with a signed chain of six blocks; its genesis is in `home`."""
    command = [sys.executable, "-m", "support.light_chains", str(home / "genesis.json")]
    with subprocess.Popen(
        command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
        server.communicate(timeout=20)


@pytest.fixture(scope="module")
def receipt(home: Path, node: str) -> Path:
    path = home / "r.json"
    command = [sys.executable, "-m", "catenet", "tx", "receipt", TX, "--node", node]
    done = subprocess.run(
        [*command, "--genesis", home / "genesis.json"], capture_output=True, check=True, timeout=60
    )
    assert b"block 5  index 1  code 0  signed by 4 of 4  3 headers from the genesis" in done.stderr
    path.write_bytes(done.stdout)
    return path


def test_a_receipt_verifies_without_a_network(
    catenet: Terminal, home: Path, receipt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*arguments: object, **more: object) -> None:
        raise AssertionError("verify opened a socket")

    monkeypatch.setattr(socket, "socket", no_network)
    assert catenet("verify", receipt, "--genesis", home / "genesis.json", "--json") == 0
    proven = json.loads(catenet.out)
    assert (proven["verified"], proven["text"], proven["id"]) == (True, "name=Ada", TX.upper())
    assert (proven["height"], proven["index"], proven["headers"]) == (5, 1, 3)
    assert proven["result"] == {"code": 0, "data_hex": b"did name=Ada".hex(), "gas_wanted": 0, "gas_used": 0}
    assert catenet("verify", receipt, "--genesis", home / "genesis.json") == 0
    assert "block 5  index 1  code 0  signed by 4 of 4" in catenet.out


def test_a_forged_receipt_is_code_4_with_its_reason(catenet: Terminal, home: Path, receipt: Path) -> None:
    forged = home / "forged.json"
    forged.write_text(receipt.read_text().replace('"code": 0', '"code": 1'))
    assert catenet("verify", forged, "--genesis", home / "genesis.json") == 4
    assert catenet.out == ""
    assert catenet.err == f"error: {forged} proves nothing: header 6 does not hold this result\n"
    forged.write_text("{}")
    assert catenet("verify", forged, "--genesis", home / "genesis.json") == 4
    assert "the receipt does not read: format is missing" in catenet.err
    assert catenet("verify", receipt, "--genesis", receipt) == 1
    assert "genesis: genesis_time is missing" in catenet.err


def test_a_receipt_of_what_is_not_there_is_refused(catenet: Terminal, home: Path, node: str) -> None:
    arguments = ("--node", node, "--genesis", home / "genesis.json")
    assert catenet("tx", "receipt", "00" * 32, *arguments) == 1
    assert "is in no block that" in catenet.err
    assert catenet("tx", "receipt", "zz", *arguments) == 2
    assert catenet("tx", "receipt", TX, "--rpc", "http://127.0.0.1:9", "--timeout", "1s") == 3
    assert "is the node running?" in catenet.err


def light(node: str, folder: Path) -> tuple[object, ...]:
    url = f"grpc://{node}"
    return ("light", CHAIN_ID, "--primary", url, "--witness", url, "--dir", folder, "--once", "--json")


def test_a_chain_is_followed_from_its_genesis(catenet: Terminal, home: Path, node: str) -> None:
    arguments = light(node, home / "first")
    assert catenet(*arguments) == 2
    assert "nothing is trusted yet" in catenet.err
    assert catenet(*arguments, "--genesis", home / "genesis.json") == 0
    found = json.loads(catenet.out)
    assert (found["height"], found["validators"]) == (6, 4)
    assert catenet(*arguments) == 0, "what is trusted was kept"
    hash_ = found["hash"]
    again = light(node, home / "second")
    assert catenet(*again, "--trusted-height", 6, "--trusted-hash", hash_, "--sequential") == 0
    period = ("--trusting-period", "1s")
    assert catenet(*light(node, home / "fourth"), "--genesis", home / "genesis.json", *period) == 1
    assert "the genesis is older than the trusting period; name a newer height" in catenet.err
    assert catenet(*light(node, home / "third"), "--trusted-height", 5, "--trusted-hash", hash_) == 4
    assert "check the trusted hash" in catenet.err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--laddr", "0.0.0.0:8888"), "is no address of this machine alone"),
        (("--laddr", "nowhere"), "is no address of this machine alone"),
        (("--trusted-height", "5", "--once"), "both are needed"),
        (("--trusted-hash", "zz", "--once"), "both are needed"),
        (("--trust-level", "1/4", "--once"), "not within 1/3 to 1"),
        (("--trust-level", "much", "--once"), "write for example 1/3 or 2/3"),
        (("--primary", "ftp://x", "--once"), "is no node's address"),
    ],
)
def test_what_makes_no_sense_is_code_2(
    catenet: Terminal, tmp_path: Path, arguments: tuple[str, ...], reason: str
) -> None:
    command = ("light", CHAIN_ID, "--primary", "grpc://127.0.0.1:1", "--dir", tmp_path)
    assert catenet(*command, *arguments) == 2
    assert reason in catenet.err


def test_the_example_proves_a_transaction(home: Path, node: str) -> None:
    example = ROOT / "examples" / "04-verify-without-trust" / "prove.py"
    url = f"grpc://{node}"
    command = [sys.executable, str(example), TX, str(home / "genesis.json"), url, url]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "b'name=Ada' is in block 5 at index 1; its code is 0\n"
