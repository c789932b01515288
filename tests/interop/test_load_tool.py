"""CometBFT's own load tool (test/loadtime/cmd/load) on our WebSocket: what it sends is committed, once."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from catenet.chain.block import Block
from support.cluster import Cluster, cluster
from support.gobuild import built

TOOL = "github.com/cometbft/cometbft/test/loadtime/cmd/load"
SECONDS, RATE, BYTES = 4, 200, 250


def sent(stats: Path) -> int:
    """Return how many transactions the tool says that it sent."""
    rows = [line.split(",") for line in stats.read_text().splitlines()]
    return next(int(row[1]) for row in rows if row[0] == "total_txs")


async def committed(net: Cluster, count: int) -> list[bytes]:
    """Return the transactions of the chain, once there are so many of them."""
    async with asyncio.timeout(30):
        while True:
            blocks = await net.chain(0, await net.head(0))
            txs = [tx for block in blocks for tx in Block.decode(block.raw).txs]
            if len(txs) >= count:
                return txs
            await net.wait_height(len(blocks) + 1, 0)


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("method", ["sync", "async"])
def test_what_the_load_tool_sends_is_committed_once(tmp_path: Path, method: str) -> None:
    tool, stats = built("loadtime", TOOL), tmp_path / "stats.csv"

    async def scenario() -> None:
        with cluster(tmp_path / "net", count=2, chain_id="load-net", with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            socket = net.rpc(0).replace("http", "ws") + "/websocket"
            command = [str(tool), "--connections", "1", "--time", str(SECONDS), "--rate", str(RATE)]
            command += ["--size", str(BYTES), "--broadcast-tx-method", method]
            command += ["--endpoints", socket, "--stats-output", str(stats)]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            count = sent(stats)
            assert count >= RATE * (SECONDS - 1)
            txs = await committed(net, count)
            assert len(txs) == len(set(txs)) == count

    asyncio.run(scenario())
