"""Streams of transactions against real servers: batches, windows, acknowledgements, failures."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from catenet.chain.block import Block as StoredBlock
from catenet.client.values import BatchReceipt
from catenet.types.errors import (
    InvalidInput,
    Overloaded,
    Unavailable,
)
from catenet.types.events import Level
from support.api import FAILING, REFUSED, Ledger
from support.client import Network, client, drive


def test_submit_counts_refusals_by_place_in_the_list() -> None:
    async def body(network: Network) -> None:
        async with client(network.targets) as catenet:
            txs = [b"n=%d" % n + bytes(100) for n in range(3000)]
            txs[7], txs[2500], txs[2600] = b"", REFUSED + b"x", FAILING + b"y"
            result = await catenet.submit(txs, Level.COMMITTED)
            assert [(one.index, one.code) for one in result.refused] == [(7, 0), (2500, 3), (2600, 7)]
            assert result.height == network.ledger.head > 1
            assert len(network.nodes[0].submitted) == network.ledger.head, "one call a batch"
            assert (await catenet.submit([])).refused == ()

    drive(body)


def test_a_stream_batches_and_acknowledges_every_transaction_once() -> None:
    async def body(network: Network) -> None:
        txs = [b"n=%05d" % n + bytes(50) for n in range(10_000)]
        receipts: list[BatchReceipt] = []
        async with client(network.targets) as catenet:
            summary = await catenet.submit_stream(iter(txs), on_ack=receipts.append)
        assert (summary.transactions, summary.refused, summary.resent_batches, summary.failovers) == (
            10_000,
            0,
            0,
            0,
        )
        assert summary.batches == len(receipts) < 20
        covered = sorted((one.first, one.count) for one in receipts)
        assert [first for first, _ in covered] == [0, *running(count for _, count in covered[:-1])]
        assert sum(count for _, count in covered) == 10_000
        assert all(one.seconds >= 0 and one.reached is Level.REPLICATED for one in receipts)
        assert all_txs(network.ledger) == txs

    drive(body)


def running(counts: Iterator[int]) -> Iterator[int]:
    total = 0
    for count in counts:
        total += count
        yield total


def all_txs(ledger: Ledger) -> list[bytes]:
    blocks = [block for height in range(1, ledger.head + 1) if (block := ledger.block(height))]
    return [tx for block in blocks for tx in StoredBlock.decode(block.raw).txs]


def test_an_asynchronous_source_is_sent_without_waiting_for_full_batches() -> None:
    async def body(network: Network) -> None:
        acknowledged = asyncio.Event()

        async def source() -> AsyncIterator[bytes]:
            for n in range(3):
                yield b"n=%d" % n
            await acknowledged.wait()  # Only what is sent already can be acknowledged.
            yield b"last=1"

        receipts: list[BatchReceipt] = []

        def note(receipt: BatchReceipt) -> None:
            receipts.append(receipt)
            acknowledged.set()

        async with client(network.targets) as catenet:
            summary = await catenet.submit_stream(source(), on_ack=note)
        assert [(one.first, one.count) for one in receipts] == [(0, 3), (3, 1)]
        assert (summary.transactions, summary.batches) == (4, 2)

    drive(body)


def test_the_window_bounds_what_is_taken_from_the_source() -> None:
    async def body(network: Network) -> None:
        network.nodes[0].gate.clear()
        taken = 0

        def source() -> Iterator[list[bytes]]:
            nonlocal taken
            for n in range(300):
                taken += 1
                yield [b"n=%d" % n]

        async with client(network.targets) as catenet, asyncio.TaskGroup() as group:
            sending = group.create_task(catenet.submit_batches(source()))
            await network.nodes[0].entered(64)
            assert taken == 65, "64 under way and one waiting"
            network.nodes[0].gate.set()
            assert (await sending).transactions == 300

    drive(body)


def test_faults_of_the_caller_come_out_as_they_are() -> None:
    async def body(network: Network) -> None:
        def broken() -> Iterator[bytes]:
            yield b"a=1"
            raise KeyError("row 2")

        async def broken_later() -> AsyncIterator[bytes]:
            yield b"a=1"
            raise KeyError("row 2")

        def refuse(receipt: BatchReceipt) -> None:
            raise KeyError("row 2")

        async with client(network.targets) as catenet:
            with pytest.raises(KeyError, match="row 2"):
                await catenet.submit_stream(broken())
            with pytest.raises(KeyError, match="row 2"):
                await catenet.submit_stream(broken_later())
            with pytest.raises(KeyError, match="row 2"):
                await catenet.submit_stream([b"a=1"], on_ack=refuse)
            with pytest.raises(InvalidInput, match="the limits are 10000 and"):
                await catenet.submit_batches([[b"x"] * 10_001])
            assert (await catenet.submit_stream([b"b=1"])).transactions == 1

    drive(body)


def test_a_full_node_gets_the_same_batch_again() -> None:
    async def body(network: Network) -> None:
        network.nodes[0].faults += [Overloaded("full", retry_after_s=0.005)] * 3
        async with client(network.targets) as catenet:
            summary = await catenet.submit_stream([b"a=1", b"b=1"])
            assert (summary.batches, summary.resent_batches, summary.failovers) == (1, 1, 0)
            network.nodes[0].faults += [Overloaded("full", retry_after_s=0.2)] * 9
            with pytest.raises(Unavailable, match="had no room for transactions 0 to 0"):
                await catenet.submit_stream([b"c=1"], timeout_s=0.3)

    drive(body)


def test_a_stream_goes_on_at_the_next_node_with_the_same_bytes() -> None:
    async def body(network: Network) -> None:
        first, second = network.nodes
        first.gate.clear()
        txs = [b"n=%d" % n for n in range(400)]
        batches = [txs[n : n + 10] for n in range(0, 400, 10)]
        receipts: list[BatchReceipt] = []
        async with client(network.targets) as catenet, asyncio.TaskGroup() as group:
            sending = group.create_task(catenet.submit_batches(batches, on_ack=receipts.append))
            await first.entered(40)
            await network.servers[0].stop(0)
            summary = await sending
        assert (summary.transactions, summary.resent_batches, summary.failovers) == (400, 40, 1)
        assert [list(sent) for sent, _, _ in second.submitted] == batches, "the order is kept"
        assert sorted(one.sequence for one in receipts) == list(range(1, 41)), "each is acknowledged once"
        assert all_txs(network.ledger) == txs

    drive(body, nodes=2)


def test_a_node_that_answers_nothing_is_left() -> None:
    async def body(network: Network) -> None:
        network.nodes[0].gate.clear()
        async with client(network.targets, attempt_timeout_s=0.2) as catenet:
            summary = await catenet.submit_stream([b"a=1"])
            assert (summary.transactions, summary.failovers) == (1, 1)
            assert catenet.target == network.targets[1]

    drive(body, nodes=2)


def test_a_stream_is_not_left_while_there_is_nothing_to_acknowledge() -> None:
    async def body(network: Network) -> None:
        async def source() -> AsyncIterator[bytes]:
            yield b"a=1"
            await asyncio.sleep(0.15)
            yield b"b=1"

        async with client(network.targets, attempt_timeout_s=0.1) as catenet:
            assert (await catenet.submit_stream(source())).failovers == 0

    drive(body)
