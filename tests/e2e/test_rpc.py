"""The JSON-RPC of real nodes: what one of them answers while the network makes blocks, and how it ends."""

import asyncio
import json
import socket
import time
from base64 import b64encode
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from support.cluster import Cluster, cluster

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

IDLE = 1_000
EVERY = ("health", "status", "genesis", "net_info", "abci_info", "num_unconfirmed_txs", "unconfirmed_txs")
OF_A_HEIGHT = ("block", "header", "commit", "validators", "block_results", "consensus_params")
STEADY = ("consensus.heartbeat_interval_ms=100",)


async def result(http: httpx.AsyncClient, method: str, **params: object) -> dict[str, object]:
    answer = await http.post("/", json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    found = answer.json()
    assert "error" not in found, found
    value: dict[str, object] = found["result"]
    return value


def test_four_nodes_answer_alike_and_stop_in_good_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        with cluster(tmp_path / "net", with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            tx = b64encode(b"name=Wei").decode()
            async with httpx.AsyncClient(base_url=net.rpc(0), timeout=30) as http:
                done = await result(http, "broadcast_tx_commit", tx=tx)
                height = str(done["height"])
                for method in EVERY:
                    await result(http, method)
                links = await result(http, "net_info")
                assert links["n_peers"] == "3"
                above = str(int(height) + 1)
                assert (await result(http, "validators", height=above))["total"] == "4"
                await search(http, height)
                query = await result(http, "abci_query", path="/store", data=b"name".hex())
                response = query["response"]
                assert isinstance(response, dict)
                assert response["value"] == b64encode(b"Wei").decode()
            await net.wait_height(int(height))
            answers = [await of_height(url, height) for url in map(net.rpc, range(4))]
            assert answers.count(answers[0]) == 4
            assert net.stop() == [0, 0, 0, 0]

    asyncio.run(scenario())


async def search(http: httpx.AsyncClient, height: str) -> None:
    """Find transactions and blocks, page by page and from both ends."""
    for number in range(4):
        await result(http, "broadcast_tx_commit", tx=b64encode(b"number=%d" % number).decode())
    query = f"tx.height >= {height}"
    every = await result(http, "tx_search", query=query, per_page="100")
    assert every["total_count"] == "5"
    txs = every["txs"]
    assert isinstance(txs, list)
    pages: list[object] = []
    for page in ("1", "2", "3"):
        found = await result(http, "tx_search", query=query, page=page, per_page="2", order_by="desc")
        part = found["txs"]
        assert isinstance(part, list)
        pages += part
    assert pages == txs[::-1]
    newest_first = (await result(http, "block_search", query=f"block.height >= {height}"))["blocks"]
    assert isinstance(newest_first, list)
    heights = [int(one["block"]["header"]["height"]) for one in newest_first]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == int(height)
    for params in ({"page": "4", "per_page": "2"}, {"order_by": "up"}):
        request = {"id": 1, "method": "tx_search", "params": {"query": query, **params}}
        assert (await http.post("/", json=request)).json()["error"]["code"] == -32603


async def of_height(url: str, height: str) -> list[dict[str, object]]:
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        found = [await result(http, method, height=height) for method in OF_A_HEIGHT]
    for one in found:
        # Which precommits a node saw of the newest height is its own.
        if "signed_header" in one:
            signed = one["signed_header"]
            assert isinstance(signed, dict)
            del signed["commit"]
    return found


def test_a_thousand_idle_sockets_and_rubbish_do_not_slow_the_chain(tmp_path: Path) -> None:
    async def scenario() -> None:
        with cluster(tmp_path / "net", count=1, with_rpc=True, settings=STEADY) as net:
            net.start()
            await net.wait_ready()
            before = await block_rate(net, 20)
            host, _, port = net.network.nodes[0].rpc.partition(":")
            with ExitStack() as idle:
                for _ in range(IDLE):
                    idle.enter_context(socket.create_connection((host, int(port)), timeout=5))
                async with asyncio.TaskGroup() as tasks:
                    noise = tasks.create_task(rubbish(net.rpc(0)))
                    during = await block_rate(net, 20)
                    noise.cancel()
            assert during > 0.7 * before, f"{before:.1f} blocks/s before, {during:.1f} during"
            async with httpx.AsyncClient(base_url=net.rpc(0), timeout=30) as http:
                assert await result(http, "health") == {}
            assert net.stop() == [0]

    asyncio.run(scenario())


async def block_rate(net: Cluster, blocks: int) -> float:
    """Return how many blocks a second the chain makes, over so many of them."""
    first = await net.head(0)
    began = time.monotonic()
    await net.wait_height(first + blocks, 0)
    return blocks / (time.monotonic() - began)


async def rubbish(url: str) -> None:
    """Say what no client should, over HTTP and a WebSocket, a hundred times a second."""
    address = url.replace("http", "ws") + "/websocket"
    async with httpx.AsyncClient(base_url=url, timeout=30) as http, connect(address) as websocket:
        while True:
            await http.post("/", content=b"{" * 1000)
            await http.post("/", content=json.dumps([{"id": 1, "method": "block"}] * 100))
            await http.get("/block?height=rubbish")
            await websocket.send(b"\xff\xfe\x00rubbish")
            assert "error" in json.loads(await websocket.recv())
            await asyncio.sleep(0.01)
