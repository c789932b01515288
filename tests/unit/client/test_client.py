"""The asynchronous client against real servers: its verbs, its errors, and the next node when one fails."""

import asyncio
from pathlib import Path

import grpc
import pytest

from catenet.api.limits import Limits
from catenet.api.server import Listener, PublicServer
from catenet.chain.block import Block as StoredBlock
from catenet.client.sdk import Client
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
from catenet.wire.grpc_server import Handler
from support.api import REFUSED, MemoryNode, tx_id
from support.certificates import certificate
from support.client import Network, client, closed_port, drive


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


def test_a_linearizable_read_goes_on_to_a_node_that_can_be_confirmed() -> None:
    async def body(network: Network) -> None:
        network.ledger.commit([b"a=1"])
        network.nodes[0].current = False
        async with client(network.targets) as catenet:
            assert (await catenet.query("/key", b"k", min_height=1)).height == 1
            assert catenet.target == network.targets[0]
            assert (await catenet.query("/key", b"k", linearizable=True)).height == 1
            await catenet.query_many("p", [b"x"], linearizable=True, min_height=1)
            assert catenet.target == network.targets[1]
            assert [node.confirmations for node in network.nodes] == [1, 2]

    drive(body, nodes=2)


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


def test_over_tls_with_the_authority_of_the_nodes(tmp_path: Path) -> None:
    async def main() -> None:
        files = certificate(tmp_path, "node")
        (tmp_path / "other").mkdir()
        other = certificate(tmp_path / "other", "other")
        server = PublicServer(MemoryNode(), [Listener(address="127.0.0.1:0", tls=files)])
        await server.start()
        async with Client(server.addresses, tls_ca=files.certificate, timeout_s=5) as catenet:
            assert (await catenet.send(b"a=1", Level.COMMITTED)).height == 1
        for wrong in (other.certificate, None):
            async with Client(server.addresses, timeout_s=0.3, tls_ca=wrong) as catenet:
                with pytest.raises(Unavailable):
                    await catenet.status()
        with pytest.raises(InvalidInput, match="cannot read"):
            Client(server.addresses, tls_ca=tmp_path / "none.crt")
        await server.stop(0)

    asyncio.run(main())
