"""The unmodified light client of CometBFT follows our network: skipping, and block by block."""

import asyncio
from pathlib import Path

import httpx
import pytest

from support.cluster import cluster
from support.go_light import LightClient, light_client
from support.light_history import QUICK, check_history, commit_of, make_history

CHAIN = "light-net"


def follow(light: LightClient, http: httpx.Client, head: int, step: int) -> None:
    """Ask for verified commits up to the head; each is the node's own."""
    for height in range(1, head, step):
        ours = commit_of(http, height)
        assert light.ask("commit", height=str(height))["signed_header"] == ours["signed_header"]
    newest = light.ask("commit")["signed_header"]
    assert isinstance(newest, dict)
    assert int(newest["header"]["height"]) >= head, "it follows while blocks are made"


def pass_through(light: LightClient) -> dict[str, object]:
    """Ask for all that it passes on, verified where it can; returns what it said of a transaction."""
    for method in ("health", "status", "genesis", "abci_info", "num_unconfirmed_txs"):
        light.ask(method)
    for method in ("block", "header", "block_results", "consensus_params"):
        light.ask(method, height="3")
    assert light.ask("validators", height="3", page="1", per_page="2")["count"] == "2"
    return light.ask("broadcast_tx_commit", tx='"light=client"')


@pytest.mark.slow
@pytest.mark.e2e
def test_the_light_client_follows_four_validators_skipping_and_in_sequence(tmp_path: Path) -> None:
    async def scenario() -> None:
        with cluster(tmp_path / "net", chain_id=CHAIN, settings=QUICK, with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            primary, witness = net.rpc(0), net.rpc(1)
            skipping = light_client(tmp_path / "skipping", CHAIN, primary=primary, witness=witness)
            sequential = light_client(
                tmp_path / "sequential", CHAIN, primary=primary, witness=witness, options=["--sequential"]
            )
            with skipping as fast, sequential as slow, httpx.Client(base_url=primary, timeout=10) as http:
                await make_history(net)
                head = await net.head(0)
                check_history(http, head)
                await asyncio.to_thread(follow, fast, http, head, 7)
                await asyncio.to_thread(follow, slow, http, head, 1)
                done = await asyncio.to_thread(pass_through, fast)
                # A witness that is one block behind is given 30 s, and an answer may take no more than 10.
                await net.wait_height(int(str(done["height"])), 1)
                hash_of_it = f"0x{done['hash']}"
                found = await asyncio.to_thread(lambda: fast.ask("tx", hash=hash_of_it, prove="true"))
                assert found["height"] == done["height"]
                # It passes on only headers that it has verified one by one.
                await asyncio.to_thread(lambda: slow.ask("blockchain", minHeight="1", maxHeight="5"))
                assert fast.errors() == slow.errors() == []

    asyncio.run(scenario())
