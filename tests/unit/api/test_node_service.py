"""`blockchain.Node` over a real server: what each method answers, and how it refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import grpc
import pytest

from catenet.api.limits import Limits
from catenet.types.errors import Overloaded, Unavailable
from catenet.types.events import Level
from catenet.wire.seed import blockchain_pb2 as seed
from support.api import FAILING, REFUSED, MemoryNode, serving, tx_id

Body = Callable[[MemoryNode, grpc.aio.Channel], Awaitable[None]]


def drive(body: Body, limits: Limits | None = None) -> None:
    async def main() -> None:
        node = MemoryNode()
        async with (
            serving(node, limits=limits) as server,
            grpc.aio.insecure_channel(server.addresses[0]) as channel,
            asyncio.timeout(10),
        ):
            await body(node, channel)

    asyncio.run(main())


async def unary(channel: grpc.aio.Channel, method: str, request: bytes) -> bytes:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/blockchain.Node/{method}")
    return await call(request, timeout=5)


async def broadcast(
    channel: grpc.aio.Channel, data: bytes, level: seed.AckLevel = seed.REPLICATED
) -> seed.Ack:
    request = seed.Transaction(data=data, level=level)
    return seed.Ack.FromString(await unary(channel, "BroadcastTransaction", request.SerializeToString()))


def batch(
    sequence: int, txs: Sequence[bytes], level: seed.AckLevel = seed.REPLICATED
) -> seed.TransactionBatch:
    return seed.TransactionBatch(sequence=sequence, transactions=txs, level=level)


def open_batches(channel: grpc.aio.Channel) -> grpc.aio.StreamStreamCall[bytes, bytes]:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
        "/blockchain.Node/SubmitBatches"
    )
    return method(timeout=10)


async def acks(call: grpc.aio.StreamStreamCall[bytes, bytes]) -> AsyncIterator[seed.BatchAck]:
    while isinstance(data := await call.read(), bytes):
        yield seed.BatchAck.FromString(data)


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


def test_latest_block_is_the_newest_with_its_transactions_in_order() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        assert await refusal(unary(channel, "GetLatestBlock", b"")) == (
            grpc.StatusCode.UNAVAILABLE,
            "no block yet",
        )
        node.ledger.commit([b"a=1"])
        newest = node.ledger.commit([b"b=2", b"c=3"])
        answer = seed.BlockResponse.FromString(await unary(channel, "GetLatestBlock", b""))
        assert (answer.height, answer.hash) == (2, newest.block_id.hash)
        assert list(answer.transactions) == [b"b=2", b"c=3"]
        assert not answer.block
        assert not answer.commit

    drive(body)


def test_broadcast_waits_for_the_level_and_a_retry_answers_with_the_first_outcome() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        ack = await broadcast(channel, b"a=1", seed.COMMITTED)
        assert (ack.success, ack.id, ack.height, ack.index, ack.code) == (True, tx_id(b"a=1"), 1, 0, 0)
        assert ack.data == b"did a=1"
        again = await broadcast(channel, b"a=1")
        assert (again.success, again.id, again.height, again.index) == (True, tx_id(b"a=1"), 1, 0)
        failing = await broadcast(channel, FAILING + b"x", seed.COMMITTED)
        assert (failing.success, failing.code, failing.log) == (True, 7, "told to fail")
        levels = [(level, client) for _, level, client in node.submitted]
        assert levels == [
            (Level.COMMITTED, "ipv4:127.0.0.1"),
            (Level.REPLICATED, "ipv4:127.0.0.1"),
            (Level.COMMITTED, "ipv4:127.0.0.1"),
        ]

    drive(body)


def test_broadcast_refuses_with_a_reason() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        code, text = await refusal(broadcast(channel, b""))
        assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, "the transaction is empty")
        assert (await broadcast(channel, bytes(262_144))).success
        code, text = await refusal(broadcast(channel, bytes(262_145)))
        assert (code, text) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "the transaction has 262145 bytes; the limit is 262144",
        )
        code, text = await refusal(unary(channel, "BroadcastTransaction", b"\x0a\x01a\x50\x09"))
        assert (code, text) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "level 9 is unknown; the levels are 0 REPLICATED, 1 ACCEPTED, 2 COMMITTED",
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await broadcast(channel, REFUSED + b"x")
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert caught.value.details() == "told to refuse"
        assert ("catenet-code", "3") in list(caught.value.trailing_metadata() or ())
        node.faults.append(Overloaded("full", retry_after_s=0.25))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await broadcast(channel, b"a=1")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ("retry-after-ms", "250") in list(caught.value.trailing_metadata() or ())

    drive(body)


def test_broadcast_that_waits_too_long_says_that_the_outcome_is_open() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.gate.clear()
        code, text = await refusal(broadcast(channel, b"a=1", seed.COMMITTED))
        assert code is grpc.StatusCode.UNAVAILABLE
        assert text.startswith("not COMMITTED within 0.02 s: the outcome is open")

    drive(body, Limits(submit_s=0.02))


def test_a_bug_in_the_node_shows_no_detail() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.faults.append(ZeroDivisionError("secret"))
        assert await refusal(broadcast(channel, b"a=1")) == (grpc.StatusCode.INTERNAL, "internal error")
        assert (await broadcast(channel, b"a=1")).success

    drive(body)


def test_broadcast_transactions_sums_up_and_waits_while_the_node_is_full() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        method: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
            "/blockchain.Node/BroadcastTransactions"
        )
        node.faults.append(Overloaded("full", retry_after_s=0.001))
        call = method(timeout=5)
        await call.write(batch(1, [b"a=1", b"b=2"], seed.COMMITTED).SerializeToString())
        await call.write(batch(2, [b"", REFUSED, b"c=3"], seed.COMMITTED).SerializeToString())
        await call.write(batch(3, []).SerializeToString())
        await call.done_writing()
        summary = seed.BatchSummary.FromString(await call)
        assert (summary.accepted, summary.refused) == (3, 2)
        assert [(ack.sequence, ack.height) for ack in summary.acks] == [(1, 1), (2, 2), (3, 0)]
        assert [(one.index, one.code, one.reason) for one in summary.acks[1].refused] == [
            (0, 0, "the transaction is empty"),
            (1, 3, "told to refuse"),
        ]
        assert len(node.submitted) == 3, "the first batch was tried again, the empty one never"

    drive(body)


def test_a_summary_with_many_refusals_keeps_its_counts() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        method: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(
            "/blockchain.Node/BroadcastTransactions"
        )
        call = method(timeout=5)
        for sequence in range(1, 5):
            await call.write(batch(sequence, [b""] * 5).SerializeToString())
        await call.done_writing()
        summary = seed.BatchSummary.FromString(await call)
        assert (summary.accepted, summary.refused) == (0, 20)
        assert len(summary.acks) == 2

    drive(body, Limits(summary_bytes=400))


def test_batches_are_acknowledged_in_order_of_completion() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.gate.clear()
        call = open_batches(channel)
        await call.write(batch(1, [b"a=1"], seed.COMMITTED).SerializeToString())
        await call.write(batch(2, [b""], seed.COMMITTED).SerializeToString())
        reader = acks(call)
        first = await anext(reader)
        assert (first.sequence, first.refused[0].reason) == (2, "the transaction is empty")
        node.gate.set()
        second = await anext(reader)
        assert (second.sequence, second.reached, second.height) == (1, seed.COMMITTED, 1)
        await call.done_writing()
        assert [ack async for ack in reader] == []
        assert await call.code() is grpc.StatusCode.OK

    drive(body)


def test_places_in_an_acknowledgement_are_those_of_the_batch() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        call = open_batches(channel)
        txs = [b"", b"a=1", REFUSED + b"x", b"b=2", bytes(262_145), FAILING + b"y"]
        await call.write(batch(1, txs, seed.COMMITTED).SerializeToString())
        ack = await anext(acks(call))
        assert {(one.index, one.code) for one in ack.refused} == {(0, 0), (2, 3), (4, 0), (5, 7)}
        assert [tx for tx in node.submitted[0][0]] == [b"a=1", REFUSED + b"x", b"b=2", FAILING + b"y"]
        call.cancel()

    drive(body)


def test_an_overloaded_node_says_when_to_come_back_and_the_stream_goes_on() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.faults.append(Overloaded("full", retry_after_s=0.0301))
        call = open_batches(channel)
        reader = acks(call)
        await call.write(batch(1, [b"a=1"]).SerializeToString())
        assert (await anext(reader)).retry_after_ms == 31
        await call.write(batch(1, [b"a=1"]).SerializeToString())
        ack = await anext(reader)
        assert (ack.sequence, ack.retry_after_ms) == (1, 0)
        call.cancel()

    drive(body)


@pytest.mark.parametrize(
    ("limits", "txs", "text"),
    [
        (Limits(batch_txs=3), [b"a"] * 4, "batch 9 has 4 transactions; the limit is 3"),
        (Limits(batch_bytes=64), [bytes(70)], "batch 9 has 74 bytes; the limit is 64"),
    ],
)
def test_too_large_a_batch_ends_the_stream(limits: Limits, txs: list[bytes], text: str) -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        call = open_batches(channel)
        await call.write(batch(9, txs).SerializeToString())
        assert await refusal(anext(acks(call))) == (grpc.StatusCode.INVALID_ARGUMENT, text)
        assert not node.submitted
        call = open_batches(channel)
        await call.write(batch(9, txs[:-1]).SerializeToString())
        assert (await anext(acks(call))).sequence == 9, "one less is within the limit"
        call.cancel()

    drive(body, limits)


def test_a_fault_of_the_node_ends_the_stream_with_its_status() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.faults.append(Unavailable("halted"))
        call = open_batches(channel)
        await call.write(batch(1, [b"a=1"]).SerializeToString())
        assert await refusal(anext(acks(call))) == (grpc.StatusCode.UNAVAILABLE, "halted")

    drive(body)


def test_no_more_than_the_window_is_in_processing() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.gate.clear()
        call = open_batches(channel)
        for sequence in range(1, 9):
            await call.write(batch(sequence, [b"n=%d" % sequence]).SerializeToString())
        await node.entered(3)
        assert node.in_flight_max == 3
        node.gate.set()
        await call.done_writing()
        assert sorted([ack.sequence async for ack in acks(call)]) == list(range(1, 9))
        assert node.in_flight_max == 3

    drive(body, Limits(stream_batches=3))


def test_the_window_counts_bytes_as_well() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.gate.clear()
        call = open_batches(channel)
        for sequence in range(1, 5):
            await call.write(batch(sequence, [bytes([sequence]) * 600]).SerializeToString())
        await node.entered(1)
        node.gate.set()
        await call.done_writing()
        assert sorted([ack.sequence async for ack in acks(call)]) == [1, 2, 3, 4]
        assert node.in_flight_max == 1, "two batches are beyond 1000 bytes"

    drive(body, Limits(stream_bytes=1000))
