"""Evidence that a client hands in: proven, gossiped, put into a block, told to subscribers; and refused."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from catenet.chain.json_fields import JsonObject
from catenet.rpc import shapes
from support.accusing import call, double_vote
from support.cluster import Cluster, cluster

CHAIN = "evidence-net"


@pytest.mark.slow
@pytest.mark.e2e
def test_evidence_of_a_client_comes_into_a_block_and_forged_evidence_does_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        with cluster(tmp_path / "net", chain_id=CHAIN, with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            async with httpx.AsyncClient(base_url=net.rpc(0), timeout=30) as http:
                await hand_in(net, http)

    asyncio.run(scenario())


async def hand_in(net: Cluster, http: httpx.AsyncClient) -> None:
    evidence = await double_vote(http, net.home(3), chain_id=CHAIN, height=1)
    forged = replace(evidence, vote_b=replace(evidence.vote_b, signature=bytes(64)))
    refused = await call(http, "broadcast_evidence", evidence=shapes.evidence(forged))
    assert "a signature is wrong" in str(refused["error"])
    unknown = {"type": "tendermint/OtherEvidence", "value": {}}
    refused = await call(http, "broadcast_evidence", evidence=unknown)
    assert "known are" in str(refused["error"])
    async with connect(net.rpc(1).replace("http", "ws") + "/websocket") as socket:
        query = {"query": "tm.event='NewEvidence'"}
        await socket.send(json.dumps({"id": 1, "method": "subscribe", "params": query}))
        assert json.loads(await socket.recv())["result"] == {}
        taken = await call(http, "broadcast_evidence", evidence=shapes.evidence(evidence))
        assert taken["result"] == {"hash": shapes.based(evidence.hash())}
        async with asyncio.timeout(20):
            event = json.loads(await socket.recv())["result"]["data"]["value"]
    assert event["evidence"] == shapes.evidence(evidence)
    # The event came from another node, which may have been first.
    await net.wait_height(int(event["height"]), 0)
    block = JsonObject(await call(http, "block", height=event["height"])).child("result").child("block")
    assert block.child("evidence").items("evidence") == [shapes.evidence(evidence)]
