"""`blockchain.BlockSyncService`: ranges, order, staying open, and a reader that does not read."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import pytest

from catenet.chain.block import Block
from catenet.chain.commit import Commit
from catenet.wire.seed import blockchain_pb2 as seed
from support.api import MemoryNode, serving

Body = Callable[[MemoryNode, grpc.aio.Channel], Awaitable[None]]


def drive(body: Body) -> None:
    async def main() -> None:
        node = MemoryNode()
        async with (
            serving(node) as server,
            grpc.aio.insecure_channel(server.addresses[0]) as channel,
            asyncio.timeout(10),
        ):
            await body(node, channel)

    asyncio.run(main())


def sync(
    channel: grpc.aio.Channel, start: int, end: int = 0, *, raw: bool = False
) -> grpc.aio.UnaryStreamCall[bytes, bytes]:
    method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
        "/blockchain.BlockSyncService/SyncBlocks"
    )
    request = seed.SyncRequest(start_height=start, end_height=end, raw_blocks=raw)
    return method(request.SerializeToString(), timeout=10)


async def next_block(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> seed.BlockResponse:
    data = await call.read()
    assert isinstance(data, bytes), "the stream ended"
    return seed.BlockResponse.FromString(data)


async def all_blocks(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> list[seed.BlockResponse]:
    return [seed.BlockResponse.FromString(data) async for data in call]


async def refusal(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    return caught.value.code(), caught.value.details() or ""


def test_blocks_come_in_order_up_to_the_end() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        stored = [node.ledger.commit([b"n=%d" % n, b"m=%d" % n]) for n in range(5)]
        answers = await all_blocks(sync(channel, 2, 4))
        assert [answer.height for answer in answers] == [2, 3, 4]
        assert [answer.hash for answer in answers] == [one.block_id.hash for one in stored[1:4]]
        assert list(answers[0].transactions) == [b"n=1", b"m=1"]
        assert not any(answer.block or answer.commit for answer in answers)

    drive(body)


def test_raw_blocks_bring_the_stored_bytes_and_the_commit() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        stored = node.ledger.commit([b"a=1"])
        (answer,) = await all_blocks(sync(channel, 1, 1, raw=True))
        assert (answer.block, list(answer.transactions)) == (stored.raw, [])
        assert Block.decode(answer.block).txs == [b"a=1"]
        assert Commit.decode(answer.commit) == stored.commit

    drive(body)


def test_the_stream_stays_open_for_new_blocks() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        call = sync(channel, 1)
        for height in range(1, 4):
            node.ledger.commit([b"n=%d" % height])
            assert (await next_block(call)).height == height
        call.cancel()

    drive(body)


def test_a_range_ahead_of_the_tip_ends_when_it_is_reached() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.ledger.commit([b"a=1"])
        call = sync(channel, 1, 3)
        assert (await next_block(call)).height == 1
        node.ledger.commit([b"b=1"])
        node.ledger.commit([b"c=1"])
        node.ledger.commit([b"d=1"])
        assert [(await next_block(call)).height for _ in range(2)] == [2, 3]
        assert await call.read() is grpc.aio.EOF

    drive(body)


def test_bad_ranges_are_refused_with_the_tip() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        out_of_range = grpc.StatusCode.OUT_OF_RANGE
        assert await refusal(sync(channel, 0)) == (
            out_of_range,
            "start_height 0 is out of range: heights begin at 1, the tip is 0",
        )
        assert await refusal(sync(channel, 2)) == (
            out_of_range,
            "start_height 2 is out of range: the tip is 0, ask from 1 at most",
        )
        for n in range(4):
            node.ledger.commit([b"n=%d" % n])
        assert (await refusal(sync(channel, 0)))[0] is out_of_range
        assert (await refusal(sync(channel, 6)))[1].startswith("start_height 6 is out of range: the tip is 4")
        assert await refusal(sync(channel, 3, 2)) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "end_height 2 is below start_height 3",
        )
        node.ledger.lowest = 3
        assert await refusal(sync(channel, 2)) == (
            grpc.StatusCode.NOT_FOUND,
            "block 2 is pruned: the lowest height kept is 3",
        )
        assert (await next_block(sync(channel, 3, 3))).height == 3

    drive(body)


def test_a_block_pruned_while_the_caller_reads_ends_the_stream() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        node.ledger.commit([b"a=1"])
        call = sync(channel, 1)
        assert (await next_block(call)).height == 1
        node.ledger.lowest = 3
        node.ledger.commit([b"b=1"])
        node.ledger.commit([b"c=1"])
        code, text = await refusal(call)
        assert (code, text) == (
            grpc.StatusCode.NOT_FOUND,
            "block 2 is not kept here: the lowest height is 3",
        )

    drive(body)


@pytest.mark.slow
def test_a_reader_that_stops_reading_costs_a_bounded_number_of_blocks() -> None:
    async def body(node: MemoryNode, channel: grpc.aio.Channel) -> None:
        blocks, block_bytes = 300, 200_000
        for n in range(blocks):
            node.ledger.commit([n.to_bytes(4, "big") + bytes(block_bytes)])
        node.ledger.reads = 0
        call = sync(channel, 1)
        assert (await next_block(call)).height == 1
        # The server goes on until the windows are full; then the count of reads stands still.
        before, reads = -1, 0
        while reads != before:
            await asyncio.sleep(0.1)
            before, reads = reads, node.ledger.reads
        assert reads * block_bytes <= 12_000_000, f"{reads} blocks were read ahead"
        for height in range(2, blocks + 1):
            assert (await next_block(call)).height == height
        call.cancel()

    drive(body)
