"""Evidence that a client hands in: proven, gossiped, put into a block, told to subscribers; and refused."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from catenet.chain.block_id import NIL, BlockID, PartSetHeader
from catenet.chain.evidence import DuplicateVoteEvidence, make
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import PublicKey, parse_key_file
from catenet.chain.time import parse_rfc3339
from catenet.chain.validators import Validator, ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.rpc import shapes
from support.cluster import Cluster, cluster

CHAIN = "evidence-net"


async def call(http: httpx.AsyncClient, method: str, **params: object) -> dict[str, object]:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer: dict[str, object] = (await http.post("/", json=request)).json()
    return answer


async def double_vote(
    net: Cluster, http: httpx.AsyncClient, *, index: int, height: int
) -> DuplicateVoteEvidence:
    """Return what would convict a validator that signed for nil and for a block that is none."""
    key = parse_key_file((net.home(index) / "config" / "priv_validator_key.json").read_text())
    found = JsonObject(await call(http, "validators", height=str(height))).child("result")
    members = tuple(
        Validator(
            public_key=PublicKey.from_json(member.child("pub_key")), power=member.integer("voting_power")
        )
        for member in found.children("validators")
    )
    valset = ValidatorSet(validators=members, proposer=members[0])
    header = JsonObject(await call(http, "header", height=str(height))).child("result").child("header")
    time_ns = parse_rfc3339(header.text("time"))
    place = valset.index_of(key.public.address)
    assert place is not None
    other = BlockID(hash=b"\x07" * 32, parts=PartSetHeader(total=1, hash=b"\x08" * 32))
    votes = []
    for block_id in (NIL, other):
        vote = Vote(
            type=VoteType.PRECOMMIT,
            height=height,
            round=0,
            block_id=block_id,
            time_ns=time_ns,
            address=key.public.address,
            index=place,
        )
        votes.append(replace(vote, signature=key.sign(vote.sign_bytes(CHAIN))))
    return make(votes[0], votes[1], valset, time_ns)


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
    evidence = await double_vote(net, http, index=3, height=1)
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
