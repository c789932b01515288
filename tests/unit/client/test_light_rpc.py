"""Light blocks and transactions over CometBFT's JSON-RPC: the raw answers of a real node, and of bad ones."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Coroutine, Mapping
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import pytest

from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.genesis import Genesis
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import PublicKey
from catenet.chain.light import NO_EXPIRY, Terms, check_decided
from catenet.chain.light_fork import make_attack_evidence
from catenet.chain.merkle import prove
from catenet.chain.receipt import verify_receipt
from catenet.client.light import json_rpc, shapes
from catenet.client.light.connect import connect
from catenet.client.light.json_rpc import RpcProvider
from catenet.client.light.provider import GrpcProvider
from catenet.client.light.receipts import fetch_receipt
from catenet.client.light.session import LightClient
from catenet.client.light.store import TrustedStore
from catenet.types.errors import (
    CatenetError,
    InvalidInput,
    NotFound,
    NotVerified,
    PastTip,
    Unavailable,
    WrongState,
)
from support.chain import make_chain
from support.light_nodes import Answers, rpc_server
from support.rpc_json import load_vectors

R = TypeVar("R")
CHAIN = load_vectors("cometbft_v0_38_chain")
HEIGHTS = [int(name) for name in CHAIN.child("heights").names()]
GENESIS = Genesis.from_json(json.dumps(CHAIN.raw("genesis")))
REAL_NOW_NS = GENESIS.genesis_time_ns + 86_400 * 10**9


def at(height: int) -> JsonObject:
    return CHAIN.child("heights").child(str(height))


def real(method: str, params: Mapping[str, object]) -> object:
    """Answer as the node did whose answers are kept."""
    height = int(str(params.get("height", HEIGHTS[-1])))
    if height not in HEIGHTS:
        raise LookupError(
            f"height {height} must be less than or equal to the current blockchain height {HEIGHTS[-1]}"
            if height > HEIGHTS[-1]
            else f"height {height} is not available, lowest height is {HEIGHTS[0]}"
        )
    if method == "genesis":
        return {"genesis": CHAIN.raw("genesis")}
    return at(height).raw(method)


def ask(answers: Answers, work: Callable[[RpcProvider], Coroutine[None, None, R]]) -> R:
    async def body(url: str) -> R:
        node = RpcProvider(url, timeout_s=5)
        try:
            async with asyncio.timeout(10):
                return await work(node)
        finally:
            await node.close()

    with rpc_server(answers) as url:
        return asyncio.run(body(url))


@pytest.mark.parametrize("height", HEIGHTS)
def test_shapes_are_those_of_the_real_node_to_the_letter(height: int) -> None:
    signed = at(height).child("commit").child("signed_header")
    header = shapes.read_header(signed.child("header"))
    commit = shapes.read_commit(signed.child("commit"))
    assert shapes.header_json(header) == signed.raw("header")
    assert shapes.commit_json(commit) == signed.raw("commit")
    assert shapes.block_id_json(commit.block_id) == at(height).child("block").raw("block_id")
    members = at(height).child("validators").children("validators")
    block = shapes.light_block(header, commit, [shapes.read_member(member) for member in members])
    shown = [shapes.validator_json(member) for member in block.validators.validators]
    for one, member in zip(shown, members, strict=True):
        # Priorities are in no hash: a light client does not know them.
        assert {**one, "proposer_priority": member.text("proposer_priority")} == {
            name: member.raw(name) for name in member.names()
        }


def test_light_blocks_of_a_real_node_are_decided() -> None:
    async def work(node: RpcProvider) -> None:
        for height in (0, *HEIGHTS):
            block = await node.light_block(height)
            assert block.height == (height or HEIGHTS[-1])
            check_decided(block, GENESIS.chain_id, PublicKey.verify)
        assert (await node.genesis()).startswith("{")
        assert Genesis.from_json(await node.genesis()) == GENESIS

    ask(real, work)


def test_errors_are_told_apart_by_their_texts() -> None:
    async def work(node: RpcProvider) -> None:
        with pytest.raises(PastTip, match="current blockchain height 135"):
            await node.light_block(136)
        with pytest.raises(NotFound, match="lowest height is 1"):
            await node.light_block(50)

    ask(real, work)


def test_the_real_chain_is_followed(tmp_path: Path) -> None:
    async def work(node: RpcProvider) -> None:
        witness = RpcProvider(node.name, timeout_s=5)
        client = LightClient(
            GENESIS.chain_id,
            node,
            [witness],
            TrustedStore(tmp_path, GENESIS.chain_id),
            NO_EXPIRY,
            clock_ns=lambda: REAL_NOW_NS,
        )
        assert (await client.begin_at_genesis(GENESIS)).height == 1
        for height in (3, 115, 118):
            assert (await client.at(height)).height == height
        # The set that signed 132 is another one, and what is between is not kept.
        with pytest.raises(CatenetError, match="is not available"):
            await client.at(132)
        await witness.close()

    ask(real, work)


def sending(text: bytes) -> Answers:
    return lambda method, params: text if method == "commit" else real(method, params)


def placed(method: str, path: str, new: object) -> Answers:
    """Answer as the real node, but with another value at one place of one method's answer."""

    def answers(asked: str, params: Mapping[str, object]) -> object:
        answer: object = json.loads(json.dumps(real(asked, params)))
        if asked == method:
            *before, last = path.split(".")
            inner = answer
            for name in before:
                inner = inner[int(name)] if isinstance(inner, list) else inner[name]  # type: ignore[index]  # JSON
            inner[last] = new  # type: ignore[index]  # JSON
        return answer

    return answers


MEMBER = at(133).child("validators").raw("validators")
assert isinstance(MEMBER, list)
COMMIT = "signed_header.commit."
RUBBISH: dict[str, Answers] = {
    "no JSON": sending(b"<html>"),
    "a list": sending(b"[]"),
    "a result of text": sending(b'{"result": "text"}'),
    "an error without code": sending(b'{"error": {"message": "no"}}'),
    "no header": placed("commit", "signed_header.header", None),
    "a height of text": placed("commit", "signed_header.header.height", "x"),
    "a time of text": placed("commit", "signed_header.header.time", "noon"),
    "parts beyond 32 bits": placed("commit", COMMIT + "block_id.parts.total", 1 << 80),
    "a round beyond 64 bits": placed("commit", COMMIT + "round", 1 << 80),
    "half a hash": placed("commit", COMMIT + "block_id.hash", "AB"),
    "an unknown flag": placed("commit", COMMIT + "signatures.0.block_id_flag", 9),
    "nothing": sending(b"{}"),
    "a power below 0": placed("validators", "validators", [{**MEMBER[0], "voting_power": "-7"}]),
    "a validator twice": placed("validators", "validators", [*MEMBER, MEMBER[0]]),
    "no validators": placed("validators", "validators", []),
    "validators without end": placed("validators", "total", "10001"),
}


@pytest.fixture(autouse=True)
def few_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the bound on validators quick to meet."""
    monkeypatch.setattr(json_rpc, "VALIDATORS_MAX", 400)


@pytest.mark.parametrize("answers", RUBBISH.values(), ids=RUBBISH)
def test_rubbish_is_refused(answers: Answers) -> None:
    async def work(node: RpcProvider) -> None:
        with pytest.raises(NotVerified, match="does not read"):
            await node.light_block(133)

    ask(answers, work)


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rpc, "ANSWER_BYTES_MAX", 1000)

    async def work(node: RpcProvider) -> None:
        with pytest.raises(NotVerified, match="more than 1000 bytes"):
            await node.light_block(133)

    ask(real, work)


def test_nobody_there_is_unavailable() -> None:
    async def body() -> None:
        node = RpcProvider("http://127.0.0.1:9", timeout_s=2)
        with pytest.raises(Unavailable, match=r"no answer from http://127\.0\.0\.1:9 to commit"):
            await node.light_block()
        await node.close()

    asyncio.run(body())


def test_pages_of_validators_are_put_together() -> None:
    chain = make_chain(130, heights=1)
    block = chain.decided[0].light
    members = [shapes.validator_json(one) for one in block.validators.validators]

    def answers(method: str, params: Mapping[str, object]) -> object:
        if method == "commit":
            header, commit = shapes.header_json(block.header), shapes.commit_json(block.commit)
            return {"signed_header": {"header": header, "commit": commit}, "canonical": True}
        first = (int(str(params["page"])) - 1) * 100
        assert params["per_page"] == "100"
        return {"validators": members[first : first + 100], "total": "130"}

    async def work(node: RpcProvider) -> None:
        found = await node.light_block(1)
        assert found.validators.hash() == block.validators.hash()
        check_decided(found, "test-chain", PublicKey.verify)

    ask(answers, work)


def tx_answers(method: str, params: Mapping[str, object]) -> object:
    """Answer for a block of three transactions, as `tx` and `block_results` do."""
    height = int(str(params.get("height", 1)))
    block = TX_CHAIN.decided[height - 1].light if height <= 2 else None
    match method:
        case "tx":
            assert params["prove"] is True
            if params["hash"] != b64encode(sha256(b"b=2").digest()).decode():
                raise LookupError("tx (AB) not found")
            proof = shapes.proof_json(TX_PROOF)
            return {"height": "1", "index": 1, "tx": b64encode(b"b=2").decode(), "proof": {"proof": proof}}
        case "block_results":
            return {"txs_results": [{"code": 0}, {"code": 4, "data": b64encode(b"no").decode()}, {"code": 0}]}
        case _ if block is None:
            raise LookupError("height 3 must be less than or equal to the current blockchain height 2")
        case "commit":
            header, commit = shapes.header_json(block.header), shapes.commit_json(block.commit)
            return {"signed_header": {"header": header, "commit": commit}, "canonical": True}
        case _:
            members = [shapes.validator_json(one) for one in block.validators.validators]
            return {"validators": members, "total": str(len(members))}


TXS = [b"a=1", b"b=2", b"c=3"]
TX_CHAIN = make_chain(4)
TX_CHAIN.add(TX_CHAIN.build(TXS), results=[(0, b"", 0, 0), (4, b"no", 0, 0), (0, b"", 0, 0)])
TX_CHAIN.grow(1)
TX_PROOF = prove([sha256(tx).digest() for tx in TXS], 1)
NOW_NS = TX_CHAIN.decided[-1].light.time_ns + 10**9


def test_a_receipt_is_made_over_json_rpc() -> None:
    async def work(node: RpcProvider) -> None:
        found = await fetch_receipt(node, sha256(b"b=2").digest(), TX_CHAIN.genesis, now_ns=NOW_NS)
        proven = verify_receipt(found, TX_CHAIN.genesis, PublicKey.verify, now_ns=NOW_NS)
        assert (proven.tx, proven.height, proven.index) == (b"b=2", 1, 1)
        assert proven.outcome is not None
        assert (proven.outcome.code, proven.outcome.data) == (4, b"no")
        with pytest.raises(NotFound, match="not found"):
            await fetch_receipt(node, b"x" * 32, TX_CHAIN.genesis, now_ns=NOW_NS)
        with pytest.raises(NotVerified, match="the validators are not those"):
            await fetch_receipt(node, sha256(b"b=2").digest(), make_chain(3).genesis, now_ns=NOW_NS)

    ask(tx_answers, work)


def test_a_receipt_without_the_next_header_has_no_result() -> None:
    def young(method: str, params: Mapping[str, object]) -> object:
        if params.get("height") == "2":
            raise LookupError("height 2 must be less than or equal to the current blockchain height 1")
        return tx_answers(method, params)

    async def work(node: RpcProvider) -> None:
        found = await fetch_receipt(node, sha256(b"b=2").digest(), TX_CHAIN.genesis, now_ns=NOW_NS, wait_s=0)
        assert found.result is None

    ask(young, work)


def test_evidence_is_handed_in_as_the_rpc_takes_it() -> None:
    taken: list[Mapping[str, object]] = []

    def answers(method: str, params: Mapping[str, object]) -> object:
        assert method == "broadcast_evidence"
        taken.append(params)
        return {"hash": "AB"}

    first, second = (decided.light for decided in make_chain(4, heights=2).decided)
    evidence: LightClientAttackEvidence = make_attack_evidence(
        conflicting=second, trusted=second, common=first
    )
    ask(answers, lambda node: node.report(evidence))
    shown = taken[0]["evidence"]
    assert isinstance(shown, dict)
    assert shown["type"] == "tendermint/LightClientAttackEvidence"
    assert set(shown["value"]) == {
        "ConflictingBlock",
        "CommonHeight",
        "ByzantineValidators",
        "TotalVotingPower",
        "Timestamp",
    }


@pytest.mark.parametrize(
    "url", ["127.0.0.1:26657", "grpc://host", "ftp://host:1", "grpc://host:x", "http://"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match=r"http://127\.0\.0\.1:26657"):
        connect(url)


def test_an_address_says_what_is_spoken_there() -> None:
    async def body() -> None:
        for url, kind in (("http://127.0.0.1:1", RpcProvider), ("grpc://127.0.0.1:1", GrpcProvider)):
            node = connect(url)
            assert isinstance(node, kind)
            assert node.name == url
            await node.close()

    asyncio.run(body())


def test_terms_are_of_the_caller(tmp_path: Path) -> None:
    terms = Terms(trusting_period_ns=1, trust=Fraction(2, 3))

    async def work(node: RpcProvider) -> None:
        store = TrustedStore(tmp_path, GENESIS.chain_id)
        client = LightClient(GENESIS.chain_id, node, [], store, terms, clock_ns=lambda: REAL_NOW_NS)
        with pytest.raises(WrongState, match="older than the trusting period"):
            await client.begin_at_genesis(GENESIS)

    ask(real, work)
