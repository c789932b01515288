"""The unmodified crates of tendermint-rs: their RPC client asks everything, their light client follows us."""

import asyncio
import json
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from support.cluster import cluster
from support.cometbft import real_nodes
from support.light_history import QUICK, check_history, commit_of, make_history
from support.light_nodes import Answers, rpc_server
from support.repository import ROOT
from support.rustbuild import clients, without_backtraces

RUN_S = 120
CHAIN = "rust-net"
APP = "app=support.talkative:Kvstore"
"""The crate takes no event `Tx` without events of the application, neither from a real node nor from ours."""

METHODS = {
    "abci_info",
    "abci_query",
    "block",
    "block_by_hash",
    "block_results",
    "block_search",
    "blockchain",
    "broadcast_tx_async",
    "broadcast_tx_commit",
    "broadcast_tx_sync",
    "commit",
    "consensus_params",
    "genesis",
    "genesis_chunked",
    "header",
    "header_by_hash",
    "health",
    "net_info",
    "status",
    "subscribe NewBlock",
    "subscribe Tx",
    "tx",
    "tx proof",
    "tx_search",
    "unsubscribe",
    "validators",
}

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def ask_everything(program: Path, node: str) -> None:
    """Have the crate call every method over HTTP and WebSocket; fails on what does not parse or is wrong."""
    done = subprocess.run(
        [str(program), "calls", node],
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
        env=without_backtraces(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["failures"] == []
    assert set(report["methods"]) >= METHODS


def test_the_rpc_client_parses_every_answer_and_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    program = clients()

    async def scenario() -> None:
        with cluster(tmp_path / "net", count=2, chain_id=CHAIN, settings=[APP], with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            await asyncio.to_thread(ask_everything, program, net.rpc(0))

    asyncio.run(scenario())


def test_a_real_node_passes_the_same_calls(tmp_path: Path) -> None:
    program = clients()
    with real_nodes(tmp_path, count=1, app_state={}) as (node,):
        node.start()
        node.wait_height(2)
        ask_everything(program, node.rpc_url)


def hash_of(node: str, height: int) -> str:
    """Return the hash that a node gives its block of a height."""
    with httpx.Client(base_url=node, timeout=10) as http:
        signed = commit_of(http, height)["signed_header"]
    assert isinstance(signed, dict)
    return str(signed["commit"]["block_id"]["hash"])


def follow(primary: str, witness: str, kind: str, *, trusted: str = "") -> subprocess.Popen[str]:
    """Start the light client; it trusts the primary's first block, or `trusted`, until `report` ends it."""
    command = [str(clients()), "light", primary, witness, trusted or hash_of(primary, 1), kind]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=without_backtraces()
    )


def report(client: subprocess.Popen[str]) -> tuple[dict[int, str], int]:
    """Have a light client verify the head, and end; returns its blocks by height, and its longest trace."""
    said, errors = client.communicate(timeout=RUN_S)
    assert client.returncode == 0, errors
    found = json.loads(said)
    assert found["chain_id"] == CHAIN
    return dict(found["blocks"]), found["longest_trace"]


def check_blocks(http: httpx.Client, blocks: Mapping[int, str], head: int) -> None:
    """Check that verified blocks are the node's own, up to a head."""
    assert max(blocks) >= head
    for height, name in blocks.items():
        signed = commit_of(http, height)["signed_header"]
        assert isinstance(signed, dict)
        assert name == signed["commit"]["block_id"]["hash"]


def test_the_light_client_follows_four_validators_skipping_and_in_sequence(tmp_path: Path) -> None:
    clients()

    async def scenario() -> None:
        with cluster(tmp_path / "net", chain_id=CHAIN, settings=QUICK, with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            primary, witness = net.rpc(0), net.rpc(1)
            with httpx.Client(base_url=primary, timeout=10) as http:
                following = [follow(primary, witness, kind) for kind in ("skipping", "sequential")]
                await make_history(net)
                head = await net.head(0)
                check_history(http, head)
                (skipping, _), (one_by_one, _) = [await asyncio.to_thread(report, one) for one in following]
                check_blocks(http, skipping, head)
                check_blocks(http, one_by_one, head)
                assert sorted(one_by_one) == list(range(2, max(one_by_one) + 1))
                # From the first block to the head at once, which one of the first four has not signed.
                net.kill(3)
                head = await net.head(0) + 5
                await net.wait_height(head, 0)
                for kind, jumps in (("skipping", True), ("strict", False)):
                    blocks, steps = await asyncio.to_thread(report, follow(primary, witness, kind))
                    check_blocks(http, blocks, head)
                    assert (steps == 2) is jumps

    asyncio.run(scenario())


def asked(node: str, method: str, params: Mapping[str, object]) -> object:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = httpx.post(node, json=body, timeout=10).json()
    if "error" in answer:
        raise LookupError(answer["error"]["data"])
    return answer["result"]


def forged(node: str) -> Answers:
    """Answer as a node does, but for the application hash of blocks from 3 on."""

    def answers(method: str, params: Mapping[str, object] | None) -> object:
        found = asked(node, method, params or {})
        if method == "commit" and isinstance(found, dict):
            header = found["signed_header"]["header"]
            if int(header["height"]) > 2:
                header["app_hash"] = "AB" * 32
        return found

    return answers


def forked(node: str, other: str) -> Answers:
    """Answer as a node does about the light blocks 1 and 2, and as one of another network about the rest."""
    asks_about = 0

    def answers(method: str, params: Mapping[str, object] | None) -> object:
        nonlocal asks_about
        if method == "commit":
            # Its sets of validators are asked for after it, that of the next height, too.
            asks_about = int(str((params or {})["height"]))
        early = method != "status" and asks_about <= 2
        return asked(node if early else other, method, params or {})

    return answers


def refusal(primary: str, witness: str, trusted: str) -> str:
    """Return the error that ends a light client."""
    client = follow(primary, witness, "skipping", trusted=trusted)
    said, errors = client.communicate(timeout=RUN_S)
    assert client.returncode == 1, said
    return errors


def test_the_light_client_refuses_forged_blocks_and_other_chains(tmp_path: Path) -> None:
    clients()

    async def scenario() -> None:
        with ExitStack() as stack:
            nets = [
                stack.enter_context(
                    cluster(tmp_path / name, count=2, chain_id=CHAIN, settings=QUICK, with_rpc=True)
                )
                for name in ("net", "other")
            ]
            # One after the other: the block 3 of the second is later than the block 2 of the first.
            for net in nets:
                net.start()
                await net.wait_ready()
                await net.wait_height(5)
            ours, witness, other = nets[0].rpc(0), nets[0].rpc(1), nets[1].rpc(0)
            trusted = hash_of(ours, 1)
            liar = stack.enter_context(rpc_server(forged(ours)))
            fork = stack.enter_context(rpc_server(forked(ours, other)))
            cases = (
                (ours, witness, "AB" * 32, "hash mismatch"),
                (other, witness, trusted, "hash mismatch"),
                (ours, other, trusted, "hash mismatch"),
                (liar, witness, trusted, "invalid commit value: header_hash"),
                # The validators that the last true block names are not those of the next one.
                (fork, witness, trusted, "invalid next validator set"),
                (ours, fork, trusted, "invalid next validator set"),
            )
            for primary, second, name, reason in cases:
                assert reason in await asyncio.to_thread(refusal, primary, second, name)
            # What all of them were changed from is followed.
            following = follow(ours, witness, "skipping", trusted=trusted)
            blocks, _ = await asyncio.to_thread(report, following)
            assert max(blocks) >= 5

    asyncio.run(scenario())
