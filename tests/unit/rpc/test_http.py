"""JSON-RPC over HTTP: requests, batches, URIs, and everything that a client can get wrong."""

from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from catenet.rpc.limits import Limits
from support.rpc import Caller, MemoryDesk, based, fault_of, run_served

PARSE, REQUEST, UNKNOWN, PARAMS, INTERNAL = -32700, -32600, -32601, -32602, -32603


@pytest.mark.parametrize("request_id", [0, -1, 123456789012, "a uuid", "", 1.5])
def test_an_id_comes_back_unchanged(request_id: object) -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        answer = await caller.post("health", request_id=request_id)
        assert answer == {"jsonrpc": "2.0", "id": request_id, "result": {}}

    run_served(body)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "nonsense",
        "[{]",
        '"text"',
        "17",
        "[1]",
        '{"id": true, "method": "health"}',
        '{"id": 1, "method": 2}',
        '{"id": {}, "method": "health"}',
        "[" * 5000,
        "\x00\xff",
    ],
)
def test_what_is_no_request_is_a_parse_error_without_an_id(text: str) -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        answer = await caller.http.post("/", content=text.encode("latin-1"))
        assert answer.status_code == 500
        found = answer.json()
        assert found["error"]["code"] == PARSE
        assert "id" not in found

    run_served(body)


def test_a_notification_gets_no_answer() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        requests: list[object] = [{"method": "health"}, {"id": None, "method": "health"}, []]
        for request in requests:
            answer = await caller.http.post("/", json=request)
            assert (answer.status_code, answer.content) == (200, b"")

    run_served(body)


def test_a_batch_is_answered_in_order_and_without_its_notifications() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        requests = [{"id": 1, "method": "health"}, {"method": "health"}, {"id": "x", "method": "nothing"}]
        answers = (await caller.http.post("/", json=requests)).json()
        assert [answer["id"] for answer in answers] == [1, "x"]
        assert answers[1]["error"]["code"] == UNKNOWN
        alone = (await caller.http.post("/", json=[{"id": 1, "method": "health"}])).json()
        assert alone["id"] == 1, "the reference answers a batch of one with an object"

    run_served(body)


def test_a_batch_above_the_limit_is_refused_whole() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        answer = await caller.http.post("/", json=[{"id": 1, "method": "health"}] * 11)
        text = "batch request exceeds maximum (10) allowed number of requests"
        assert fault_of(answer.json()) == (REQUEST, text)

    run_served(body)


def test_a_body_above_the_limit_is_refused() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        answer = await caller.http.post("/", content=b"x" * 2001)
        assert answer.status_code == 400
        text = "error reading request body: http: request body too large"
        assert fault_of(answer.json()) == (REQUEST, text)

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 1000

        answer = await caller.http.post("/", content=pieces())
        assert answer.status_code == 400, "a body of unknown length is cut where the limit is"

    run_served(body, limits=Limits(body_bytes=2000))


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"height": 5}, PARAMS),
        ({"height": "five"}, PARAMS),
        ({"height": ""}, PARAMS),
        ({"height": "99999999999999999999"}, PARAMS),
        ({"height": True}, PARAMS),
        ({"height": {}}, PARAMS),
        ([], PARAMS),
        (["1", "2"], PARAMS),
        ("1", PARAMS),
        (7, PARAMS),
        ({"height": "0"}, INTERNAL),
        ({"height": "-1"}, INTERNAL),
    ],
)
def test_a_bad_height_is_refused(params: object, code: int) -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        assert (await caller.error("block", params))[0] == code

    run_served(body)


@pytest.mark.parametrize("params", [None, {}, {"height": None}, [None], {"other": "1"}])
def test_no_height_is_the_newest_block(params: object) -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        answer = await caller.post("header", params)
        found = answer["result"]
        assert isinstance(found, dict)
        assert found["header"]["height"] == "2"

    run_served(body)


def test_heights_out_of_range_are_refused_in_the_words_that_light_clients_match() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        desk.node.ledger.lowest = 2
        for method in ("block", "header", "commit", "block_results"):
            too_high = "height 3 must be less than or equal to the current blockchain height 2"
            assert await caller.error(method, {"height": "3"}) == (INTERNAL, too_high)
            too_low = "height 1 is not available, lowest height is 2"
            assert await caller.error(method, {"height": "1"}) == (INTERNAL, too_low)
        for method in ("validators", "consensus_params"):
            found = await caller.result(method, height="3")
            assert found["block_height"] == "3", "the height after the newest one is known"
            too_high = "height 4 must be less than or equal to the current blockchain height 3"
            assert await caller.error(method, {"height": "4"}) == (INTERNAL, too_high)

    run_served(body)


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("tx", "hash", "not base64!"),
        ("tx", "hash", 5),
        ("header_by_hash", "hash", "zz"),
        ("header_by_hash", "hash", "ab cd"),
        ("block_by_hash", "hash", "@@@"),
        ("broadcast_tx_sync", "tx", {"bytes": "YQ=="}),
        ("tx", "prove", "yes"),
        ("abci_query", "path", 3),
        ("genesis_chunked", "chunk", "-1"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_named(method: str, name: str, value: object) -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        code, data = await caller.error(method, {name: value})
        assert code == PARAMS
        assert data.startswith("error converting json params to arguments: ")
        assert name in data

    run_served(body)


def test_hashes_that_nothing_has_give_empty_answers_or_say_so() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        assert await caller.result("header_by_hash", hash="AB" * 32) == {"header": None}
        empty = {"block_id": {"hash": "", "parts": {"total": 0, "hash": ""}}, "block": None}
        assert await caller.result("block_by_hash", hash=based(bytes(32))) == empty
        code, data = await caller.error("tx", {"hash": based(b"\xab")})
        assert (code, data) == (INTERNAL, "tx (AB) not found")

    run_served(body)


def test_an_unknown_method_is_refused_and_subscriptions_need_a_websocket() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        for method in ("", "nothing", "subscribe", "unsubscribe", "unsubscribe_all", "dial_peers"):
            assert await caller.error(method) == (UNKNOWN, "")

    run_served(body)


def test_a_uri_has_its_own_forms_and_status_codes() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        get = caller.http.get
        name = sha256(b"key0=value").hexdigest()
        for uri in (
            "/block?height=1",
            '/block?height="1"',
            f"/tx?hash=0x{name}",
            f"/tx?hash=0X{name}&prove=true",
        ):
            answer = await get(uri)
            assert answer.status_code == 200, answer.text
            assert answer.json()["id"] == -1
        await get('/abci_query?path="/store"&data=0x6b&prove=true')
        await get('/abci_query?data="k"')
        assert [(query.path, query.data, query.prove) for query in desk.asked] == [
            ("/store", b"k", True),
            ("", b"k", False),
        ]
        for uri in (
            "/block?height=0x01",
            "/block?height=one",
            "/tx?hash=plain",
            "/tx?hash=0xzz",
            "/tx?prove=2",
        ):
            answer = await get(uri)
            assert answer.status_code == 500
            assert answer.json()["error"]["code"] == PARAMS
            assert answer.json()["id"] == -1
        answer = await get("/block?height=9")
        assert (answer.status_code, answer.json()["error"]["code"]) == (500, INTERNAL)
        assert (await get("/nothing")).status_code == 404
        assert (await get("/subscribe?query=x")).status_code == 404
        assert (await caller.http.delete("/")).status_code == 405

    run_served(body)


def test_a_transaction_in_a_uri_is_text_in_quotes_or_hex() -> None:
    async def body(desk: MemoryDesk, caller: Caller) -> None:
        await caller.http.get('/broadcast_tx_sync?tx="a=b"')
        await caller.http.get("/broadcast_tx_sync?tx=0x633d64")
        await caller.http.post("/broadcast_tx_sync", data={"tx": '"e=f"'})
        assert [txs for txs, _, _ in desk.node.submitted] == [[b"a=b"], [b"c=d"], [b"e=f"]]

    run_served(body)


def test_the_listing_names_every_method_that_http_serves() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        page = (await caller.http.get("/")).text
        assert f"//{caller.address}/block?height=_" in page
        assert f"//{caller.address}/status<" in page
        assert "subscribe" not in page

    run_served(body)


def test_a_token_is_asked_for_when_there_is_one() -> None:
    async def body(_: MemoryDesk, caller: Caller) -> None:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic secret"}):
            answer = await caller.http.get("/health", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        answer = await caller.http.get("/health", headers={"authorization": "Bearer secret"})
        assert answer.status_code == 200

    run_served(body, token="secret")
