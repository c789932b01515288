"""CometBFT's own Go client (rpc/client/http) calls every method of our JSON-RPC and hears every event."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from support.cluster import cluster
from support.gobuild import built

RUN_S = 90

METHODS = {
    "abci_info",
    "abci_query",
    "block",
    "block_by_hash",
    "block_results",
    "block_search",
    "blockchain",
    "broadcast_evidence",
    "broadcast_tx_async",
    "broadcast_tx_commit",
    "broadcast_tx_sync",
    "check_tx",
    "commit",
    "consensus_params",
    "genesis",
    "genesis_chunked",
    "header",
    "header_by_hash",
    "health",
    "net_info",
    "num_unconfirmed_txs",
    "status",
    "tx",
    "tx_search",
    "unconfirmed_txs",
    "validators",
    "unsubscribe_all",
    *(f"subscribe {kind}" for kind in ("NewBlock", "NewBlockHeader", "NewBlockEvents", "Tx")),
    *(f"subscribe {kind}" for kind in ("Vote", "NewRound", "NewRoundStep")),
}


@pytest.mark.slow
@pytest.mark.e2e
def test_the_go_client_calls_every_method_and_hears_every_event(tmp_path: Path) -> None:
    program = built("gorpc")

    async def scenario() -> None:
        with cluster(tmp_path / "net", count=2, chain_id="go-rpc-net", with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            command = [str(program), net.rpc(0)]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, timeout=RUN_S, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            report = json.loads(done.stdout)
            assert report["failures"] == []
            assert set(report["methods"]) >= METHODS

    asyncio.run(scenario())
