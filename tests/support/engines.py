"""One application under several engines: what each of them made of the same transactions.

The application is examples/03-under-cometbft/transfers.py, the transactions follow from a seed.
"""

import asyncio
import base64
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from catenet.client.sdk import Client
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.types.application import TxResult
from catenet.types.events import Level
from support.cluster import HOST, Cluster, cluster, free_ports
from support.cometbft import RealNode
from support.repository import ROOT

EXAMPLE = ROOT / "examples" / "03-under-cometbft"
APP = "transfers:Transfers"
NAMES = tuple(f"{letter}{vowel}n" for letter in "abcdefghij" for vowel in "aeiou")
STOP_S = 15.0
CHUNK = 100

Result = tuple[int, bytes, str, int, int, str, tuple[tuple[str, tuple[tuple[str, str], ...]], ...]]
"""Code, data, log, gas wanted and used, codespace, events: all that a client can see of a result."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an engine made of the transactions."""

    txs: list[bytes]
    results: list[Result]
    app_hash: bytes
    answers: list[tuple[int, bytes, str]]
    """Code, value and log of a query for each account, and for one that does not exist."""


def transactions(count: int, seed: int = 1) -> list[bytes]:
    """Return payments between accounts; some fail, each in one of the ways there are."""
    chance = random.Random(seed)
    txs = []
    for number in range(count):
        if number < len(NAMES) or chance.random() < 0.05:
            txs.append(f"{number} open {NAMES[number % len(NAMES)]} {chance.randrange(200)}".encode())
        else:
            payer, payee = chance.choice(NAMES), chance.choice((*NAMES, "nobody"))
            txs.append(f"{number} pay {payer} {payee} {chance.randrange(60)}".encode())
    return txs


@contextmanager
def served(folder: Path, app: str = APP, *, port: int = 0, cwd: Path = EXAMPLE) -> Iterator["Served"]:
    """Run `catenet abci serve` on a state in a folder."""
    made = Served(folder, app, port or free_ports(1), cwd)
    try:
        made.start()
        yield made
    except BaseException:
        print(made.tail())
        raise
    finally:
        made.close()


class Served:
    """A process of `catenet abci serve`, at one port over restarts."""

    def __init__(self, folder: Path, app: str, port: int, cwd: Path) -> None:
        self.folder, self.app, self.port, self._cwd = folder, app, port, cwd
        self._lives = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lives += 1
        command = [sys.executable, "-m", "catenet", "abci", "serve", self.app, "--address", self.address]
        command += ["--home", str(self.folder), "--with-parent", str(os.getpid())]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_serving(self, *, within_s: float = 30.0) -> None:
        """Wait until this life serves."""
        deadline = time.monotonic() + within_s
        while self.log().count(" serving ") < self._lives:
            assert time.monotonic() < deadline, self.tail()
            assert self.running, self.tail()
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_S)

    def exit_code(self, *, within_s: float) -> int:
        assert self._process is not None
        return self._process.wait(within_s)

    def close(self) -> None:
        if self.running:
            self.kill()

    @property
    def log_path(self) -> Path:
        return self.folder / "serve.log"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self) -> str:
        return f"--- {self.folder.name} ---\n" + "\n".join(self.log().splitlines()[-25:])


# Our node.


def on_our_node(folder: Path, setting: str, txs: Sequence[bytes], *, count: int = 1) -> Seen:
    """Send the transactions to the first node of a network of ours; return what its home then holds."""
    with cluster(folder, count=count, settings=[setting]) as net:
        return asyncio.run(_sent_to_ours(net, txs))


async def _sent_to_ours(net: Cluster, txs: Sequence[bytes]) -> Seen:
    net.start()
    await net.wait_ready()
    async with Client(net.targets[:1], timeout_s=120.0) as client:
        for first in range(0, len(txs), CHUNK):
            await client.submit(txs[first : first + CHUNK], Level.COMMITTED)
        found = await client.query_many("", [name.encode() for name in (*NAMES, "nobody")])
    assert net.stop() == [0] * net.count, net.tails()
    seen = [_of_home(Home(net.home(index))) for index in range(net.count)]
    for other in seen[1:]:
        assert other == seen[0]
    return Seen(*seen[0], [(one.code, one.value, one.log) for one in found])


def _of_home(home: Home) -> tuple[list[bytes], list[Result], bytes]:
    from catenet.chain.block import Block

    ledger = Ledger.open(home.data)
    try:
        txs: list[bytes] = []
        results: list[Result] = []
        app_hash = b""
        for height in range(1, ledger.head + 1):
            stored, outcome = ledger.block(height), ledger.outcome(height)
            assert stored is not None
            assert outcome is not None
            block = Block.decode(stored.raw)
            txs += block.txs
            results += [_of_result(result) for result in outcome.results]
            app_hash = outcome.app_hash
        return txs, results, app_hash
    finally:
        ledger.close()


def _of_result(result: TxResult) -> Result:
    events = tuple(
        (event.type, tuple((one.key, one.value) for one in event.attributes)) for event in result.events
    )
    return (
        result.code,
        result.data,
        result.log,
        result.gas_wanted,
        result.gas_used,
        result.codespace,
        events,
    )


# CometBFT.


def on_real_nodes(nodes: Sequence[RealNode], txs: Sequence[bytes]) -> Seen:
    """Send the transactions to the first of real nodes that run; return what its RPC then says."""
    node = nodes[0]
    node.wait_height(1)
    for tx in txs:
        answer = node.rpc("broadcast_tx_sync", tx=base64.b64encode(tx).decode())
        assert answer["code"] == 0, answer
    node.wait(
        lambda: int(str(node.rpc("num_unconfirmed_txs")["total"])) == 0, within_s=90, what="an empty mempool"
    )
    # The state after a block is in the header of the next one.
    head = node.height() + 1
    for one in nodes:
        one.wait_height(head)
    found = [(one.query(name.encode())) for one in nodes[:1] for name in (*NAMES, "nobody")]
    seen = [_of_rpc(one, head) for one in nodes]
    for other in seen[1:]:
        assert other == seen[0]
    answers = [
        (int(str(one.get("code", 0))), base64.b64decode(str(one["value"] or "")), str(one["log"]))
        for one in found
    ]
    return Seen(*seen[0], answers)


def _of_rpc(node: RealNode, head: int) -> tuple[list[bytes], list[Result], bytes]:
    txs: list[bytes] = []
    results: list[Result] = []
    for height in range(1, head):
        block = node.rpc("block", height=str(height))["block"]
        assert isinstance(block, dict)
        txs += [base64.b64decode(tx) for tx in block["data"]["txs"]]
        raw = node.rpc("block_results", height=str(height))["txs_results"] or []
        assert isinstance(raw, list)
        results += [_of_json(one) for one in raw]
    header = node.rpc("header", height=str(head))["header"]
    assert isinstance(header, dict)
    return txs, results, bytes.fromhex(header["app_hash"])


def _of_json(result: dict[str, object]) -> Result:
    events = result["events"] or []
    assert isinstance(events, list)
    return (
        int(str(result["code"])),
        base64.b64decode(str(result["data"] or "")),
        str(result["log"]),
        int(str(result["gas_wanted"])),
        int(str(result["gas_used"])),
        str(result["codespace"]),
        tuple(
            (event["type"], tuple((one["key"], one["value"]) for one in event["attributes"]))
            for event in events
        ),
    )
