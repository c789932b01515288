"""The asynchronous client against real servers: its verbs, its errors, and what it does when a node fails."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from random import Random

import grpc
import pytest

from catenet.api.limits import Limits
from catenet.api.server import PublicServer
from catenet.chain.block import Block as StoredBlock
from catenet.client.sdk import Client
from catenet.client.values import BatchReceipt
from catenet.types.errors import (
    Corrupt,
    InvalidInput,
    NotFound,
    Overloaded,
    PastTip,
    Rejected,
    Unavailable,
)
from catenet.types.events import Level
from catenet.types.ports import StoredBlock as FinalBlock
from catenet.wire.grpc_server import Handler
from support.api import FAILING, REFUSED, Ledger, MemoryNode, serving, tx_id


class Network:
    """Nodes in memory over one ledger, each behind its own server."""

    def __init__(self, nodes: Sequence[MemoryNode], servers: Sequence[PublicServer]) -> None:
        self.nodes = nodes
        self.servers = servers
        self.ledger = nodes[0].ledger
        self.targets = [server.addresses[0] for server in servers]


Body = Callable[[Network], Awaitable[None]]


def drive(body: Body, *, nodes: int = 1, limits: Limits | None = None) -> None:
    async def main() -> None:
        ledger = Ledger()
        members = [MemoryNode(ledger=ledger) for _ in range(nodes)]
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(serving(one, limits=limits)) for one in members]
            async with asyncio.timeout(20):
                await body(Network(members, servers))

    asyncio.run(main())


def client(targets: Sequence[str], *, timeout_s: float = 10, attempt_timeout_s: float = 5) -> Client:
    return Client(targets, timeout_s=timeout_s, attempt_timeout_s=attempt_timeout_s, random=Random(1))


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_send_gives_a_receipt() -> None:
    async def body(network: Network) -> None:
        async with client(network.targets) as catenet:
            receipt = await catenet.send(b"a=1", Level.COMMITTED)
            assert (receipt.id, receipt.reached) == (tx_id(b"a=1"), Level.COMMITTED)
            assert (receipt.height, receipt.index, receipt.code, receipt.data) == (1, 0, 0, b"did a=1")
            assert (await catenet.send(b"a=1")).height == 1, "a repeat answers with the first outcome"
            with pytest.raises(InvalidInput, match="the transaction is empty"):
                await catenet.send(b"")
            with pytest.raises(InvalidInput, match="the limit is 262144"):
                await catenet.send(bytes(262_145))
            with pytest.raises(Rejected, match="told to refuse") as caught:
                await catenet.send(REFUSED)
            assert caught.value.code == 3

    drive(body)


def test_send_comes_back_when_the_node_says_so() -> None:
    async def body(network: Network) -> None:
        node = network.nodes[0]
        node.faults += [Overloaded("full", retry_after_s=0.01), Overloaded("full", retry_after_s=0.01)]
        async with client(network.targets) as catenet:
            assert (await catenet.send(b"a=1")).id == tx_id(b"a=1")
            assert len(node.submitted) == 3
            node.faults += [Overloaded("full", retry_after_s=5)]
            with pytest.raises(Overloaded, match="gave up after 1 s") as caught:
                await catenet.send(b"b=1", timeout_s=1)
            assert caught.value.retry_after_s == 5

    drive(body)


def test_a_message_that_gRPC_refuses_for_its_size_is_not_tried_again() -> None:
    async def body(network: Network) -> None:
        async with client(network.targets) as catenet:
            with pytest.raises(Overloaded):
                await catenet.send(bytes(5 * 1024 * 1024))

    drive(body)


def test_calls_go_on_at_the_next_node() -> None:
    async def body(network: Network) -> None:
        async with client([closed_port(), *network.targets]) as catenet:
            assert (await catenet.send(b"a=1", Level.COMMITTED)).height == 1
            assert catenet.target == network.targets[0]
            await network.servers[0].stop(0)
            assert (await catenet.send(b"b=1", Level.COMMITTED)).height == 2
            assert catenet.target == network.targets[1]
            network.nodes[1].faults.append(ZeroDivisionError())
            assert (await catenet.send(b"b=1")).height == 2, "a fault inside a node is another node's chance"

    drive(body, nodes=2)


def test_no_node_at_all_is_unavailable_after_the_timeout() -> None:
    async def body(network: Network) -> None:
        async with client([closed_port(), closed_port()]) as catenet:
            before = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable, match=r"gave up after 0\.3 s"):
                await catenet.status(timeout_s=0.3)
            with pytest.raises(Unavailable, match=r"gave up after 0\.3 s"):
                await catenet.submit([b"a"], timeout_s=0.3)
            assert asyncio.get_running_loop().time() - before < 2

    drive(body)


def test_timeouts_stay_within_what_a_network_recognises() -> None:
    with pytest.raises(InvalidInput, match="at most 1800"):
        Client(["127.0.0.1:1"], timeout_s=1801)
    with pytest.raises(InvalidInput, match="more than 0"):
        Client(["127.0.0.1:1"], timeout_s=0)
    with pytest.raises(InvalidInput, match="at least one target"):
        Client([])


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


def test_wait_looks_until_the_transaction_is_in_a_block() -> None:
    async def body(network: Network) -> None:
        async with client(network.targets) as catenet, asyncio.TaskGroup() as group:
            waiting = group.create_task(catenet.wait(tx_id(b"a=1")))
            await asyncio.sleep(0.03)
            network.ledger.commit([b"a=1"])
            found = await waiting
            assert (found.found, found.height, found.tx) == (True, 1, b"a=1")
            with pytest.raises(Unavailable, match=r"not committed after 0\.05 s; the node does not know it"):
                await catenet.wait(tx_id(b"never"), timeout_s=0.05)
            network.nodes[0].waiting.add(tx_id(b"slow"))
            with pytest.raises(Unavailable, match=r"after 0\.05 s; the node knows it"):
                await catenet.wait(tx_id(b"slow"), timeout_s=0.05)

    drive(body)


def test_long_look_ups_are_put_together_from_cut_answers() -> None:
    async def body(network: Network) -> None:
        txs = [bytes([n]) * 300 for n in range(1, 30)]
        network.ledger.commit(txs)
        async with client(network.targets) as catenet:
            found = await catenet.transactions([tx_id(tx) for tx in txs])
            assert [one.tx for one in found] == txs
            results = await catenet.query_many("p", txs)
            assert [one.key for one in results] == txs
            assert await catenet.transactions([]) == []
            assert await catenet.query_many("p", []) == []
            one = await catenet.query("/key", b"k")
            assert (one.code, one.value, one.height) == (0, b"/key/k", 1)

    drive(body, limits=Limits(answer_bytes=2000))


def test_a_transaction_with_a_proof_that_holds() -> None:
    async def body(network: Network) -> None:
        txs = [b"n=%d" % n for n in range(5)]
        network.ledger.commit(txs)
        async with client(network.targets) as catenet:
            found = await catenet.transaction(tx_id(txs[3]), prove=True)
            block = await catenet.block(found.height)
            assert found.proof is not None
            assert found.proof.verify(StoredBlock.decode(block.raw).header.data_hash, found.id)
            assert not (await catenet.transaction(tx_id(b"unknown"))).found

    drive(body)


def test_a_block_by_height_hash_or_none() -> None:
    async def body(network: Network) -> None:
        async with client(network.targets) as catenet:
            with pytest.raises(PastTip):
                await catenet.block()
            first = network.ledger.commit([b"a=1", b"b=2"])
            network.ledger.commit([b"c=3"])
            block = await catenet.block(1)
            assert (block.height, block.hash, block.txs, block.raw) == (
                1,
                first.block_id.hash,
                [b"a=1", b"b=2"],
                first.raw,
            )
            assert (await catenet.block(first.block_id.hash)).height == 1
            assert (await catenet.block()).height == 2
            with pytest.raises(NotFound):
                await catenet.block(bytes(32))
            with pytest.raises(InvalidInput, match="heights begin at 1"):
                await catenet.block(0)

    drive(body)


def test_status() -> None:
    async def body(network: Network) -> None:
        network.ledger.commit([b"a=1"])
        async with client(network.targets) as catenet:
            status = await catenet.status()
            assert (status.chain_id, status.height, status.last_commit_signatures) == ("test-chain", 1, 3)
            assert status.validators[0].name == "other"

    drive(body)


def test_blocks_of_a_range() -> None:
    async def body(network: Network) -> None:
        for n in range(5):
            network.ledger.commit([b"n=%d" % n])
        async with client(network.targets) as catenet:
            blocks = [block async for block in catenet.blocks(2, 4)]
            assert [(block.height, block.txs) for block in blocks] == [
                (2, [b"n=1"]),
                (3, [b"n=2"]),
                (4, [b"n=3"]),
            ]
            (raw,) = [block async for block in catenet.blocks(3, 3, raw=True)]
            assert raw.txs == StoredBlock.decode(raw.raw).txs == [b"n=2"]
            assert raw.commit
            with pytest.raises(InvalidInput):
                catenet.blocks(0)
            with pytest.raises(InvalidInput):
                catenet.blocks(3, 2)
            with pytest.raises(PastTip, match="the tip is 5"):
                await anext(catenet.blocks(9))
            network.ledger.lowest = 3
            with pytest.raises(NotFound, match="pruned"):
                await anext(catenet.blocks(1))

    drive(body)


def test_every_block_comes_exactly_once_though_nodes_fail() -> None:
    async def body(network: Network) -> None:
        heights: list[int] = []
        hashes: list[bytes] = []
        network.ledger.commit([b"n=0"])
        async with client(network.targets) as catenet, aclosing(catenet.blocks()) as blocks:
            async for block in blocks:
                heights.append(block.height)
                hashes.append(block.hash)
                if block.height == 30:
                    break
                if block.height in (10, 20):
                    # Blocks that are on their way to the client are not asked for again.
                    await network.servers[block.height // 10 - 1].stop(0)
                network.ledger.commit([b"n=%d" % block.height])
        assert heights == list(range(1, 31))
        assert hashes == [one.block_id.hash for n in heights if (one := network.ledger.block(n))]

    drive(body, nodes=3)


def test_a_node_that_lags_is_passed_over() -> None:
    async def body(network: Network) -> None:
        for n in range(3):
            network.ledger.commit([b"n=%d" % n])
        lagging = MemoryNode()
        async with serving(lagging) as server, client([server.addresses[0], *network.targets]) as catenet:
            assert [block.height async for block in catenet.blocks(3, 3)] == [3]
            assert catenet.target == network.targets[0]

    drive(body)


def test_a_block_out_of_order_is_not_handed_on() -> None:
    async def body(network: Network) -> None:
        class Skipping(Ledger):
            @property
            def head(self) -> int:
                return 5

            def block(self, height: int) -> FinalBlock | None:
                return network.ledger.block(height + 1)

        for n in range(6):
            network.ledger.commit([b"n=%d" % n])
        liar = MemoryNode(ledger=Skipping())
        async with serving(liar) as server, client([server.addresses[0], *network.targets]) as catenet:
            assert [block.height async for block in catenet.blocks(2, 4)] == [2, 3, 4]
            assert catenet.target == network.targets[0]
        async with serving(liar) as server, client([server.addresses[0]], timeout_s=0.3) as catenet:
            with pytest.raises(Unavailable, match="sent block 3 instead of 2"):
                await anext(catenet.blocks(2, 4))

    drive(body)


def test_an_answer_that_cannot_be_read_is_corrupt() -> None:
    async def main() -> None:
        server = grpc.aio.server()

        async def garbage(request: bytes, context: object) -> bytes:
            return b"\xff\xff"

        handler: Handler = grpc.unary_unary_rpc_method_handler(garbage)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("catenet.v1.Query", {"Status": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with client([f"127.0.0.1:{port}"]) as catenet:
            with pytest.raises(Corrupt, match=r"no catenet\.v1\.StatusResponse"):
                await catenet.status()
        await server.stop(0)

    asyncio.run(main())
