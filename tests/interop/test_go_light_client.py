"""The unmodified light client of CometBFT follows our network: skipping, and block by block."""

import asyncio
from base64 import b64encode
from pathlib import Path

import httpx
import pytest

from catenet.chain.keys import parse_key_file
from support.cluster import Cluster, cluster
from support.go_light import LightClient, light_client

CHAIN = "light-net"
SETTINGS = ("consensus.heartbeat_interval_ms=100", "consensus.min_block_interval_ms=20")


def commit_of(http: httpx.Client, height: int) -> dict[str, object]:
    found: dict[str, object] = http.get(f"/commit?height={height}").json()["result"]
    return found


def power_change(net: Cluster, index: int, power: int) -> str:
    """Return a transaction that changes a validator's power, as a URI has it."""
    key = parse_key_file((net.home(index) / "config" / "priv_validator_key.json").read_text()).public
    return f'"val=ed25519!{b64encode(key.data).decode()}!{power}"'


async def make_history(net: Cluster, light: LightClient) -> None:
    """Change the set of validators through the light client, and commit some blocks without one of them."""
    await asyncio.to_thread(light.ask, "broadcast_tx_commit", tx=power_change(net, 2, 17))
    net.kill(3)
    head = await net.head(0)
    await net.wait_height(head + 5, 0)
    net.start(3)
    await net.wait_height(head + 15, 0)


def check_history(http: httpx.Client, head: int) -> None:
    """Check that the chain holds what the light client is to get over."""
    commits = [commit_of(http, height)["signed_header"] for height in range(1, head + 1)]
    hashes = {one["header"]["validators_hash"] for one in commits if isinstance(one, dict)}
    absent = [
        entry
        for one in commits
        if isinstance(one, dict)
        for entry in one["commit"]["signatures"]
        if entry["block_id_flag"] == 1
    ]
    assert len(hashes) > 1, "the set of validators changed"
    assert absent, "a commit has an absent vote"


def follow(light: LightClient, http: httpx.Client, head: int, step: int) -> None:
    """Ask for verified commits up to the head; each is the node's own."""
    for height in range(1, head, step):
        ours = commit_of(http, height)
        assert light.ask("commit", height=str(height))["signed_header"] == ours["signed_header"]
    newest = light.ask("commit")["signed_header"]
    assert isinstance(newest, dict)
    assert int(newest["header"]["height"]) >= head, "it follows while blocks are made"


def pass_through(light: LightClient) -> None:
    """Ask for all that it passes on, verified where it can."""
    for method in ("health", "status", "genesis", "abci_info", "num_unconfirmed_txs"):
        light.ask(method)
    for method in ("block", "header", "block_results", "consensus_params"):
        light.ask(method, height="3")
    assert light.ask("validators", height="3", page="1", per_page="2")["count"] == "2"
    done = light.ask("broadcast_tx_commit", tx='"light=client"')
    found = light.ask("tx", hash=f"0x{done['hash']}", prove="true")
    assert found["height"] == done["height"]


@pytest.mark.slow
@pytest.mark.e2e
def test_the_light_client_follows_four_validators_skipping_and_in_sequence(tmp_path: Path) -> None:
    async def scenario() -> None:
        with cluster(tmp_path / "net", chain_id=CHAIN, settings=SETTINGS, with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            primary, witness = net.rpc(0), net.rpc(1)
            skipping = light_client(tmp_path / "skipping", CHAIN, primary=primary, witness=witness)
            sequential = light_client(
                tmp_path / "sequential", CHAIN, primary=primary, witness=witness, options=["--sequential"]
            )
            with skipping as fast, sequential as slow, httpx.Client(base_url=primary, timeout=10) as http:
                await make_history(net, fast)
                head = await net.head(0)
                check_history(http, head)
                await asyncio.to_thread(follow, fast, http, head, 7)
                await asyncio.to_thread(follow, slow, http, head, 1)
                await asyncio.to_thread(pass_through, fast)
                # It passes on only headers that it has verified one by one.
                await asyncio.to_thread(lambda: slow.ask("blockchain", minHeight="1", maxHeight="5"))
                assert fast.errors() == slow.errors() == []

    asyncio.run(scenario())
