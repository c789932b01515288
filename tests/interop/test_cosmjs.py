"""The JavaScript client that most of that world uses, unmodified, works against our JSON-RPC.

Needs Node 18 or newer and npm, which fetches the client as package-lock.json pins it. Without them the test
is skipped; CATENET_REQUIRE_NODE=1 makes it fail instead.
"""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from support.cluster import cluster
from support.cosmjs import installed

RUN_S = 90

METHODS = {
    "abciInfo", "abciQuery", "block", "blockResults", "blockSearch", "blockSearchAll", "blockchain",
    "broadcastTxAsync", "broadcastTxCommit", "broadcastTxSync", "commit", "genesis", "health",
    "numUnconfirmedTxs", "status", "tx", "txSearch", "txSearchAll", "validators", "validatorsAll",
    "subscribeNewBlock", "subscribeNewBlockHeader", "subscribeTx",
}  # fmt: skip
"""All public methods of its `Comet38Client`, but `connect`, `create` and `disconnect`."""


@pytest.mark.slow
@pytest.mark.e2e
def test_cosmjs_calls_every_method_and_hears_every_event(tmp_path: Path) -> None:
    place = installed()

    async def scenario() -> None:
        with cluster(tmp_path / "net", count=2, chain_id="cosmjs-net", with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            command = ["node", "run.mjs", net.rpc(0)]
            done = await asyncio.to_thread(
                subprocess.run, command, cwd=place, capture_output=True, text=True, timeout=RUN_S, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            report = json.loads(done.stdout)
            assert report["failures"] == []
            assert set(report["methods"]) >= METHODS

    asyncio.run(scenario())
