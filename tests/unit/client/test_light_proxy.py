"""The proxy: what it answers is verified, in the RPC's shapes; what cannot be is refused with the reason."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from catenet.client.light import shapes
from catenet.client.light.json_rpc import RpcProvider
from catenet.client.light.proxy import app
from catenet.types.errors import Unavailable
from support.chain import SECOND_NS, make_chain
from support.light_nodes import ChainNode, Watch, chain_answers, rpc_server, with_txs
from support.rpc_json import load_vectors

CHAIN = make_chain(4, heights=3)
with_txs(CHAIN, [b"a=1", b"b=2"])
CHAIN.grow(1)
HEAD = 5
NOW_NS = CHAIN.decided[-1].light.time_ns + SECOND_NS
TX_ID = sha256(b"b=2").digest()

Json = dict[str, object]
Body = Callable[[httpx.AsyncClient], Awaitable[None]]


def drive(folder: Path, body: Body, primary: ChainNode | RpcProvider | None = None) -> None:
    async def main() -> None:
        node = primary or ChainNode("primary", CHAIN)
        client = Watch(folder, node, ChainNode("witness", CHAIN), now_ns=NOW_NS).client
        await client.begin_at_genesis(CHAIN.genesis)
        transport = httpx.ASGITransport(app(client))
        async with asyncio.timeout(10), httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            await body(http)
        await client.close()

    asyncio.run(main())


async def post(http: httpx.AsyncClient, method: str, **params: object) -> Json:
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer: Json = (await http.post("/", json=request)).json()
    assert answer["id"] == 7
    return answer


async def result(http: httpx.AsyncClient, method: str, **params: object) -> Json:
    answer = await post(http, method, **params)
    found = answer.get("result")
    assert isinstance(found, dict), answer
    return found


async def refusal(http: httpx.AsyncClient, method: str, **params: object) -> tuple[object, str]:
    error = (await post(http, method, **params))["error"]
    assert isinstance(error, dict)
    return error["code"], error["data"]


def test_headers_commits_and_validators_are_verified(tmp_path: Path) -> None:
    async def body(http: httpx.AsyncClient) -> None:
        block = CHAIN.decided[2].light
        header = shapes.header_json(block.header)
        assert await result(http, "header", height="3") == {"header": header}
        assert await result(http, "commit", height=3) == {
            "signed_header": {"header": header, "commit": shapes.commit_json(block.commit)},
            "canonical": False,
        }
        newest = await result(http, "commit")
        signed = newest["signed_header"]
        assert isinstance(signed, dict)
        assert signed["header"]["height"] == str(HEAD)
        found = await result(http, "validators", height="3", page="2", per_page="3")
        assert (found["count"], found["total"], found["block_height"]) == ("1", "4", "3")
        status = await result(http, "status")
        sync = status["sync_info"]
        assert isinstance(sync, dict)
        assert (sync["latest_block_height"], sync["earliest_block_height"]) == ("5", "1")
        assert sync["latest_block_hash"] == CHAIN.decided[-1].light.hash().hex().upper()
        assert await result(http, "health") == {}

    drive(tmp_path, body)


def test_a_transaction_comes_with_its_proof_and_result(tmp_path: Path) -> None:
    async def body(http: httpx.AsyncClient) -> None:
        found = await result(http, "tx", hash=b64encode(TX_ID).decode(), prove=True)
        assert (found["height"], found["index"]) == ("4", 1)
        assert found["tx"] == b64encode(b"b=2").decode()
        outcome = found["tx_result"]
        assert isinstance(outcome, dict)
        assert (outcome["code"], outcome["data"]) == (0, b64encode(b"did b=2").decode())
        by_uri = (await http.get(f"/tx?hash=0x{TX_ID.hex()}&prove=true")).json()
        assert (by_uri["id"], by_uri["result"]) == (-1, found)

    drive(tmp_path, body)


def test_what_cannot_be_verified_is_refused(tmp_path: Path) -> None:
    async def body(http: httpx.AsyncClient) -> None:
        code, text = await refusal(http, "abci_query", path="/store", data="61", prove=True)
        assert (code, text.split(":")[0]) == (-32602, "abci_query is refused")
        assert await refusal(http, "net_info") == (
            -32601,
            "net_info is not served: what it answers cannot be verified",
        )
        assert await refusal(http, "tx", hash="short") == (
            -32602,
            "hash 'short' is no transaction hash: 32 bytes, in base64, or as 0x... in a URI",
        )
        assert (await refusal(http, "tx", hash=b64encode(b"x" * 32).decode()))[0] == -32603
        assert await refusal(http, "commit", height="9") == (-32603, "height 9 is out of range: the tip is 5")
        assert await refusal(http, "commit", height="-1") == (-32602, "height -1 is below 1")
        assert await refusal(http, "commit", height="one") == (-32602, "height 'one' is no number")
        assert (await refusal(http, "validators", page="9"))[0] == -32602
        # This primary has no JSON-RPC: what only that gives is not there.
        for method in ("block", "broadcast_tx_sync"):
            code, text = await refusal(http, method, tx="YQ==")
            assert "needs a primary with JSON-RPC" in text
        response = await http.get("/commit?height=99")
        assert (response.status_code, response.json()["error"]["code"]) == (500, -32603)

    drive(tmp_path, body)


def test_bad_requests_are_answered(tmp_path: Path) -> None:
    async def body(http: httpx.AsyncClient) -> None:
        for content, code in (
            (b"{", -32700),
            (b"7", -32600),
            (b"[]", -32600),
            (b'{"id":1}', -32600),
            (b'{"id":1,"method":"health","params":[1]}', -32602),
            (json.dumps([{"method": "health"}] * 101).encode(), -32600),
        ):
            answer = (await http.post("/", content=content)).json()
            assert answer["error"]["code"] == code, content
        both = await http.post("/", json=[{"id": 1, "method": "health"}, {"id": "b", "method": "nothing"}])
        assert [one["id"] for one in both.json()] == [1, "b"]
        assert (await http.post("/", content=b" " * (5 << 20))).status_code == 413

    drive(tmp_path, body)


node_answers = chain_answers(CHAIN)


def test_a_block_is_checked_part_by_part(tmp_path: Path) -> None:
    wrong: list[tuple[str, object, str]] = [
        ("data", {"txs": [b64encode(b"b=3000").decode()]}, "the transactions are not those"),
        ("last_commit", shapes.commit_json(CHAIN.decided[1].commit), "the last commit is not"),
        ("header", shapes.header_json(CHAIN.decided[1].light.header), "the header is another one"),
        ("evidence", {"evidence": [{"type": "x"}]}, "it holds evidence, which is not verified"),
        ("paid", True, "'paid' has no place in a block"),
        ("data", None, "data is missing"),
    ]
    lies: list[tuple[str, object, str]] = []

    def answers(method: str, params: Mapping[str, object]) -> object:
        answer = node_answers(method, params)
        if method == "block" and lies:
            assert isinstance(answer, dict)
            answer["block"][lies[0][0]] = lies[0][1]
        return answer

    async def body(http: httpx.AsyncClient) -> None:
        found = await result(http, "block", height="4")
        assert found["block_id"] == shapes.block_id_json(CHAIN.decided[3].block_id)
        for lie in wrong:
            lies[:] = [lie]
            code, text = await refusal(http, "block", height="4")
            assert code == -32603
            assert lie[2] in text

    with rpc_server(answers) as url:
        drive(tmp_path, body, RpcProvider(url, timeout_s=5))


def test_transactions_are_passed_on(tmp_path: Path) -> None:
    async def body(http: httpx.AsyncClient) -> None:
        assert await result(http, "broadcast_tx_sync", tx="YT0x") == {
            "method": "broadcast_tx_sync",
            "tx": "YT0x",
        }
        for uri in ('/broadcast_tx_commit?tx="a=1"', "/broadcast_tx_commit?tx=0x613d31"):
            assert (await http.get(uri)).json()["result"]["tx"] == "YT0x"

    with rpc_server(node_answers) as url:
        drive(tmp_path, body, RpcProvider(url, timeout_s=5))


def test_a_primary_that_is_gone_is_an_error_of_the_answer(tmp_path: Path) -> None:
    primary = ChainNode("primary", CHAIN)

    async def body(http: httpx.AsyncClient) -> None:
        primary.dead = Unavailable("nobody is there")
        code, text = await refusal(http, "commit", height="4")
        assert (code, "no witness confirms header 4" in text) == (-32603, True)

    drive(tmp_path, body, primary)


@pytest.mark.parametrize("height", ["1", "4"])
def test_the_block_of_a_real_node_is_taken_apart(tmp_path: Path, height: str) -> None:
    vectors = load_vectors("cometbft_v0_38_chain").child("heights").child(height)
    block = vectors.child("block").child("block")
    assert shapes.header_json(shapes.read_header(block.child("header"))) == block.raw("header")
    assert shapes.commit_json(shapes.read_commit(block.child("last_commit"))) == block.raw("last_commit")
