"""JSON-RPC over a WebSocket: every method, subscriptions, and readers that do not read."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from catenet.chain.block_id import NIL
from catenet.chain.vote import Vote, VoteType
from catenet.rpc.limits import Limits
from catenet.types.desk import RoundView
from support.rpc import Caller, MemoryDesk, WebSocket, fault_of, serving_rpc

Body = Callable[[MemoryDesk, WebSocket], Awaitable[None]]

PARSE, UNKNOWN, INTERNAL, SERVER = -32700, -32601, -32603, -32000


def run(body: Body, *, limits: Limits | None = None) -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        desk.node.ledger.commit([b"first=block"])
        async with serving_rpc(desk=desk, limits=limits) as caller, caller.socket() as socket:
            await body(desk, socket)

    asyncio.run(scenario())


def kind_of(event: dict[str, object]) -> str:
    result = event["result"]
    assert isinstance(result, dict)
    return str(result["data"]["type"]).removeprefix("tendermint/event/")


def value_of(event: dict[str, object]) -> dict[str, object]:
    result = event["result"]
    assert isinstance(result, dict)
    value: dict[str, object] = result["data"]["value"]
    return value


def test_every_method_is_served() -> None:
    async def body(_: MemoryDesk, socket: WebSocket) -> None:
        assert (await socket.call("health", "a"))["result"] == {}
        assert fault_of(await socket.call("nothing")) == (UNKNOWN, "")
        code, data = fault_of(await socket.call("block", height=5))
        assert code == INTERNAL, "as the reference does on a WebSocket"
        assert data.startswith("error converting json params to arguments")
        assert fault_of(await socket.call("block", height="7"))[0] == INTERNAL

    run(body)


@pytest.mark.parametrize(
    "rubbish", [b"\xff\x00\xfe", b"{", "text", "[]", '[{"id": 1, "method": "health"}]', ""]
)
def test_rubbish_is_a_parse_error_and_the_connection_goes_on(rubbish: str | bytes) -> None:
    async def body(_: MemoryDesk, socket: WebSocket) -> None:
        await socket.connection.send(rubbish)
        answer = await socket.receive()
        assert fault_of(answer)[0] == PARSE
        assert "id" not in answer
        assert (await socket.call("health"))["result"] == {}

    run(body)


def test_a_message_above_the_limit_ends_the_connection() -> None:
    async def body(_: MemoryDesk, socket: WebSocket) -> None:
        await socket.connection.send("x" * 3000)
        with pytest.raises(ConnectionClosed) as caught:
            await socket.receive()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009

    run(body, limits=Limits(body_bytes=2000))


def test_a_subscriber_hears_of_each_block_under_its_id() -> None:
    async def body(desk: MemoryDesk, socket: WebSocket) -> None:
        query = "tm.event='NewBlock'"
        assert await socket.call("subscribe", "mine", query=query) == {
            "jsonrpc": "2.0",
            "id": "mine",
            "result": {},
        }
        for number in range(3):
            desk.node.ledger.commit([b"x=%d" % number])
            event = await socket.receive()
            assert event["id"] == "mine"
            result = event["result"]
            assert isinstance(result, dict)
            assert result["query"] == query
            assert result["events"] == {"tm.event": ["NewBlock"]}
            block = value_of(event)["block"]
            assert isinstance(block, dict)
            assert block["header"]["height"] == str(number + 2)

    run(body)


def test_a_block_is_several_events_in_the_order_of_the_reference() -> None:
    async def body(desk: MemoryDesk, socket: WebSocket) -> None:
        kinds = ["NewBlock", "NewBlockHeader", "NewBlockEvents", "Tx"]
        for number, kind in enumerate(kinds):
            await socket.call("subscribe", number, query=f"tm.event = '{kind}'")
        desk.node.ledger.commit([b"a=1", b"b=2"])
        events = [await socket.receive() for _ in range(5)]
        assert [kind_of(event) for event in events] == [*kinds, "Tx"]
        assert [event["id"] for event in events] == [0, 1, 2, 3, 3]
        first, second = value_of(events[3])["TxResult"], value_of(events[4])["TxResult"]
        assert first == {"height": "2", "tx": "YT0x", "result": {"data": b64encode(b"did a=1").decode()}}
        assert isinstance(second, dict)
        assert second["index"] == 1

    run(body)


def test_a_query_may_name_one_transaction() -> None:
    async def body(desk: MemoryDesk, socket: WebSocket) -> None:
        await socket.call("subscribe", query="tm.event='Tx' AND tx.height='3'")
        desk.node.ledger.commit([b"a=1"])
        desk.node.ledger.commit([b"b=2"])
        found = value_of(await socket.receive())["TxResult"]
        assert isinstance(found, dict)
        assert found["tx"] == b64encode(b"b=2").decode()

    run(body)


def test_steps_of_consensus_and_votes_are_events_too() -> None:
    async def body(desk: MemoryDesk, socket: WebSocket) -> None:
        for name in ("NewRound", "NewRoundStep", "Vote"):
            await socket.call("subscribe", name, query=f"tm.event='{name}'")
        assert desk.watcher is not None
        vote = Vote(
            type=VoteType.PREVOTE,
            height=2,
            round=1,
            block_id=NIL,
            time_ns=1_700_000_000 * 10**9,
            address=b"\xab" * 20,
            index=3,
            signature=b"signed",
        )
        desk.watcher.on_vote(vote)
        view = RoundView(height=2, round=1, step="propose", proposer=b"\xcd" * 20, proposer_index=2)
        desk.watcher.on_step(view, new_round=True)
        heard = [await socket.receive() for _ in range(3)]
        assert [event["id"] for event in heard] == ["Vote", "NewRound", "NewRoundStep"]
        assert [kind_of(event) for event in heard] == ["Vote", "NewRound", "RoundState"]
        shown = value_of(heard[0])["Vote"]
        assert isinstance(shown, dict)
        assert (shown["validator_address"], shown["signature"]) == ("AB" * 20, "c2lnbmVk")
        place = {"height": "2", "round": 1}
        proposer = {"address": "CD" * 20, "index": 2}
        assert value_of(heard[1]) == {**place, "step": "RoundStepNewRound", "proposer": proposer}
        assert value_of(heard[2]) == {**place, "step": "RoundStepPropose"}
        await socket.call("unsubscribe_all")
        assert desk.watcher is None

    run(body)


def test_after_unsubscribing_nothing_comes() -> None:
    async def body(desk: MemoryDesk, socket: WebSocket) -> None:
        one, two = "tm.event='NewBlock'", "tm.event='Tx'"
        await socket.call("subscribe", query=one)
        await socket.call("subscribe", query=two)
        assert fault_of(await socket.call("subscribe", query=one)) == (INTERNAL, "already subscribed")
        assert (await socket.call("unsubscribe", query=one))["result"] == {}
        desk.node.ledger.commit([b"a=1"])
        assert kind_of(await socket.receive()) == "Tx"
        assert (await socket.call("unsubscribe_all"))["result"] == {}
        desk.node.ledger.commit([b"b=1"])
        assert (await socket.call("health", 99))["result"] == {}
        for method in ("unsubscribe_all", "unsubscribe"):
            answer = await socket.call(method, query=one)
            assert fault_of(answer) == (INTERNAL, "subscription not found")

    run(body)


def test_bad_queries_and_too_many_are_refused() -> None:
    async def body(_: MemoryDesk, socket: WebSocket) -> None:
        for query in ("", "tm.event", "tm.event='x' OR tm.event='y'", "tm.event=", "'x'"):
            code, data = fault_of(await socket.call("subscribe", query=query))
            assert code == INTERNAL
            assert data.startswith("failed to parse query")
        long = fault_of(await socket.call("subscribe", query="tm.event='" + "x" * 520 + "'"))
        assert long == (INTERNAL, "maximum query length exceeded")
        for number in range(5):
            assert "result" in await socket.call("subscribe", query=f"tm.event='{number}'")
        answer = fault_of(await socket.call("subscribe", query="tm.event='Tx'"))
        assert answer == (INTERNAL, "max_subscriptions_per_client 5 reached")

    run(body)


def test_only_so_many_clients_may_subscribe() -> None:
    async def scenario() -> None:
        limits = Limits(subscription_clients=1)
        async with serving_rpc(limits=limits) as caller, caller.socket() as one, caller.socket() as two:
            assert "result" in await one.call("subscribe", query="tm.event='Tx'")
            refused = fault_of(await two.call("subscribe", query="tm.event='Tx'"))
            assert refused == (INTERNAL, "max_subscription_clients 1 reached")
            await one.connection.close()
            assert "result" in await until_free(two)

    asyncio.run(scenario())


async def until_free(socket: WebSocket) -> dict[str, object]:
    """Subscribe as soon as the server has noticed that another left."""
    async with asyncio.timeout(5):
        while True:
            answer = await socket.call("subscribe", query="tm.event='Tx'")
            if "result" in answer:
                return answer
            await asyncio.sleep(0)


def test_a_slow_subscriber_is_told_and_its_subscription_ends() -> None:
    async def body(desk: MemoryDesk, socket: WebSocket) -> None:
        await socket.call("subscribe", "slow", query="tm.event='Tx'")
        # All of one block is told before the writer has its turn.
        desk.node.ledger.commit([b"k%d=1" % number for number in range(50)])
        heard = []
        while "error" not in (message := await socket.receive()):
            heard.append(message)
        assert 0 < len(heard) < 50
        code, data = fault_of(message)
        assert (code, message["id"]) == (SERVER, "slow")
        assert data == "subscription was canceled (reason: client is not pulling messages fast enough)"
        desk.node.ledger.commit([b"late=1"])
        assert (await socket.call("health", 5))["result"] == {}
        assert "result" in await socket.call("subscribe", query="tm.event='Tx'")

    run(body, limits=Limits(subscription_buffer=10))


def test_a_reader_that_does_not_read_is_cut() -> None:
    async def scenario() -> None:
        limits = Limits(write_s=0.1, socket_bytes=100_000)
        async with serving_rpc(limits=limits) as caller:
            await flood(caller)

    asyncio.run(scenario())


async def flood(caller: Caller) -> None:
    """Ask for much and read nothing, until the server has had enough."""
    host, _, port = caller.address.partition(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1)
    writer.write(
        b"GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    request = b'{"id":1,"method":"genesis"}'
    frame = bytes([0x81, 0x80 | len(request), 0, 0, 0, 0]) + request
    with pytest.raises(ConnectionError):
        await send_until_cut(writer, frame * 500)
    writer.close()


async def send_until_cut(writer: asyncio.StreamWriter, data: bytes) -> None:
    async with asyncio.timeout(10):
        while True:
            writer.write(data)
            await writer.drain()


def test_another_path_is_no_websocket() -> None:
    async def scenario() -> None:
        async with serving_rpc() as caller:
            caller.address += "/elsewhere"
            with pytest.raises(InvalidStatus) as caught:
                async with caller.socket():
                    pass
            assert caught.value.response.status_code == 403

    asyncio.run(scenario())


def test_transactions_of_one_socket_are_taken_side_by_side() -> None:
    async def body(desk: MemoryDesk, socket: WebSocket) -> None:
        desk.node.gate.clear()
        for number in range(20):
            tx = b64encode(b"x=%d" % number).decode()
            await socket.send("broadcast_tx_sync", number, tx=tx)
        async with asyncio.timeout(5):
            await desk.node.entered(20)
        desk.node.gate.set()
        answers = [await socket.receive() for _ in range(20)]
        assert {answer["id"] for answer in answers} == set(range(20))

    run(body)
