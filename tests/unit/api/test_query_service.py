"""`catenet.v1.Query`: every method, its bounds, and how an answer is cut."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import pytest
from google.protobuf.message import Message

from catenet.api import query
from catenet.api.limits import Limits
from catenet.chain.block import Block
from catenet.chain.commit import Commit
from catenet.chain.keys import PublicKey
from catenet.chain.light import check_decided
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import Proof
from catenet.chain.results import result_bytes
from catenet.wire.v1 import query_pb2 as pb
from support.api import FAILING, Ledger, MemoryNode, serving, tx_id
from support.chain import make_chain
from support.light_chains import SignedLedger

A = TypeVar("A", bound=Message)


class Caller:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    async def ask(self, name: str, request: Message, answer: type[A]) -> A:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(
            f"/catenet.v1.Query/{name}"
        )
        return answer.FromString(await call(request.SerializeToString(), timeout=5))

    async def refusal(self, name: str, request: Message) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.ask(name, request, pb.StatusResponse)
        return caught.value.code(), caught.value.details() or ""


Body = Callable[[MemoryNode, Caller], Awaitable[None]]


def drive(body: Body, limits: Limits | None = None, ledger: Ledger | None = None) -> None:
    async def main() -> None:
        node = MemoryNode(ledger=ledger or Ledger())
        async with (
            serving(node, limits=limits) as server,
            grpc.aio.insecure_channel(server.addresses[0]) as channel,
            asyncio.timeout(10),
        ):
            await body(node, Caller(channel))

    asyncio.run(main())


def test_status_says_how_the_node_stands() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        before = await caller.ask("Status", pb.StatusRequest(), pb.StatusResponse)
        assert (before.height, before.last_commit_signatures) == (0, 0)
        newest = node.ledger.commit([b"a=1"])
        status = await caller.ask("Status", pb.StatusRequest(), pb.StatusResponse)
        assert (status.height, status.block_hash) == (1, newest.block_id.hash)
        assert (status.chain_id, status.waiting_for) == ("test-chain", "10 more power of 40")
        assert status.software.startswith("catenet/")
        assert status.last_commit_signatures == 3
        (peer,) = status.validators
        assert (peer.name, peer.validator, peer.connected, peer.power) == ("other", True, True, 10)

    drive(body)


def test_a_block_by_height_by_hash_and_the_newest() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        assert (await caller.refusal("GetBlock", pb.GetBlockRequest()))[0] is grpc.StatusCode.OUT_OF_RANGE
        first = node.ledger.commit([b"a=1", b"b=2"])
        second = node.ledger.commit([b"c=3"])
        block = await caller.ask("GetBlock", pb.GetBlockRequest(height=1), pb.Block)
        assert (block.height, block.hash, block.block) == (1, first.block_id.hash, first.raw)
        assert Commit.decode(block.commit) == first.commit
        assert list(block.transaction_ids) == [tx_id(b"a=1"), tx_id(b"b=2")]
        assert block.time_ns == Block.decode(first.raw).header.time_ns
        by_hash = await caller.ask("GetBlock", pb.GetBlockRequest(hash=second.block_id.hash), pb.Block)
        assert by_hash.height == 2
        assert (await caller.ask("GetBlock", pb.GetBlockRequest(height=0), pb.Block)).height == 2
        assert await caller.refusal("GetBlock", pb.GetBlockRequest(height=3)) == (
            grpc.StatusCode.OUT_OF_RANGE,
            "height 3 is out of range: the tip is 2",
        )
        assert await caller.refusal("GetBlock", pb.GetBlockRequest(hash=bytes(32))) == (
            grpc.StatusCode.NOT_FOUND,
            f"no block has the hash {bytes(32).hex()}",
        )
        assert await caller.refusal("GetBlock", pb.GetBlockRequest(hash=b"short")) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "a block hash has 32 bytes, not 5",
        )
        node.ledger.lowest = 2
        assert (await caller.refusal("GetBlock", pb.GetBlockRequest(height=1)))[
            0
        ] is grpc.StatusCode.NOT_FOUND

    drive(body)


def test_ids_are_left_out_where_the_answer_would_be_too_large() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        node.ledger.commit([b"a=1", b"b=2"])
        block = await caller.ask("GetBlock", pb.GetBlockRequest(height=1), pb.Block)
        assert len(block.block) > 0
        assert list(block.transaction_ids) == []

    drive(body, Limits(answer_bytes=64))


def test_blocks_of_a_range_are_cut_to_the_tip_and_to_what_fits() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        for n in range(6):
            node.ledger.commit([bytes([n]) * 1000])

        async def heights(first: int, last: int) -> list[int]:
            request = pb.GetBlocksByHeightRequest(first=first, last=last)
            answer = await caller.ask("GetBlocksByHeight", request, pb.BlocksResponse)
            return [block.height for block in answer.blocks]

        assert await heights(5, 100) == [5, 6]
        assert await heights(2, 3) == [2, 3]
        cut = await heights(1, 6)
        assert cut == list(range(1, len(cut) + 1))
        assert 1 < len(cut) < 6
        for first, last, code in [
            (0, 3, grpc.StatusCode.OUT_OF_RANGE),
            (7, 9, grpc.StatusCode.OUT_OF_RANGE),
            (3, 2, grpc.StatusCode.INVALID_ARGUMENT),
        ]:
            request = pb.GetBlocksByHeightRequest(first=first, last=last)
            assert (await caller.refusal("GetBlocksByHeight", request))[0] is code

    drive(body, Limits(answer_bytes=6000))


def test_a_transaction_with_its_proof() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        txs = [b"a=1", FAILING + b"x", b"c=3"]
        stored = node.ledger.commit(txs)
        request = pb.GetTransactionRequest(id=tx_id(txs[1]), prove=True)
        found = await caller.ask("GetTransaction", request, pb.TransactionResult)
        assert (found.found, found.pending) == (True, False)
        assert (found.height, found.index, found.code, found.log) == (1, 1, 7, "told to fail")
        assert found.transaction == txs[1]
        proof = Proof(
            total=found.proof.total,
            index=found.proof.index,
            leaf_hash=found.proof.leaf_hash,
            aunts=tuple(found.proof.aunts),
        )
        data_hash = Block.decode(stored.raw).header.data_hash
        assert proof.verify(data_hash, tx_id(txs[1]))
        assert not proof.verify(data_hash, tx_id(txs[0]))
        plain = await caller.ask(
            "GetTransaction", pb.GetTransactionRequest(id=tx_id(txs[0])), pb.TransactionResult
        )
        assert plain.data == b"did a=1"
        assert not plain.HasField("proof")

    drive(body)


def test_unknown_pending_and_pruned_transactions() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        node.waiting.add(tx_id(b"w"))
        request = pb.GetTransactionRequest(id=tx_id(b"w"))
        waiting = await caller.ask("GetTransaction", request, pb.TransactionResult)
        assert (waiting.found, waiting.pending) == (False, True)
        request = pb.GetTransactionRequest(id=tx_id(b"u"))
        unknown = await caller.ask("GetTransaction", request, pb.TransactionResult)
        assert (unknown.found, unknown.pending) == (False, False)
        node.ledger.commit([b"a=1"])
        node.ledger.commit([b"b=1"])
        node.ledger.lowest = 2
        request = pb.GetTransactionRequest(id=tx_id(b"a=1"), prove=True)
        pruned = await caller.ask("GetTransaction", request, pb.TransactionResult)
        assert (pruned.found, pruned.height, pruned.transaction) == (True, 1, b"")
        assert not pruned.HasField("proof")
        assert await caller.refusal("GetTransaction", pb.GetTransactionRequest(id=b"x")) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "a transaction id has 32 bytes, not 1",
        )

    drive(body)


def test_transactions_answer_in_the_order_asked() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        txs = [b"n=%d" % n for n in range(20)]
        for n in range(0, 20, 2):
            node.ledger.commit(txs[n : n + 2])
        node.ledger.reads = 0
        ids = [tx_id(tx) for tx in [*reversed(txs), b"unknown"]]
        answer = await caller.ask(
            "GetTransactions", pb.GetTransactionsRequest(ids=ids), pb.TransactionsResponse
        )
        assert [one.id for one in answer.results] == ids
        assert [one.transaction for one in answer.results] == [*reversed(txs), b""]
        assert node.ledger.reads == 10, "one read a block, not one a transaction"

    drive(body)


def test_transactions_are_bounded_in_count_bytes_and_reads() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        txs = [bytes([n]) * 300 for n in range(1, 9)]
        node.ledger.commit(txs[:4])
        node.ledger.commit(txs[4:])

        async def count(ids: list[bytes]) -> int:
            request = pb.GetTransactionsRequest(ids=ids)
            return len((await caller.ask("GetTransactions", request, pb.TransactionsResponse)).results)

        ids = [tx_id(tx) for tx in txs]
        assert await count(ids[:2]) == 2
        assert await count(ids[:4]) == 2, "cut at 1000 bytes"
        assert await count([bytes(32)] * 8) == 8
        code, text = await caller.refusal("GetTransactions", pb.GetTransactionsRequest(ids=[bytes(32)] * 9))
        assert (code, text) == (grpc.StatusCode.INVALID_ARGUMENT, "9 ids in one request; the limit is 8")

    drive(body, Limits(answer_bytes=1000, items=8))


def test_a_look_up_reads_a_bounded_number_of_blocks() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        txs = [bytes([n]) * 2000 for n in range(1, 9)]
        for tx in txs:
            node.ledger.commit([tx])
        node.ledger.reads = 0
        request = pb.GetTransactionsRequest(ids=[tx_id(tx) for tx in txs])
        answer = await caller.ask("GetTransactions", request, pb.TransactionsResponse)
        assert len(answer.results) == node.ledger.reads == 3

    drive(body, Limits(read_bytes=6000))


def test_queries_reach_the_application() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        node.ledger.commit([b"a=1"])
        one = await caller.ask("Query", pb.QueryRequest(path="/key", data=b"a"), pb.QueryResponse)
        assert (one.key, one.value, one.height) == (b"a", b"/key/a", 1)
        request = pb.QueryManyRequest(path="p", data=[b"x", b"", b"z"])
        many = await caller.ask("QueryMany", request, pb.QueryManyResponse)
        assert [result.value for result in many.results] == [b"p/x", b"p/", b"p/z"]
        none = await caller.ask("QueryMany", pb.QueryManyRequest(path="p"), pb.QueryManyResponse)
        assert list(none.results) == []

    drive(body)


def test_query_many_is_bounded_in_count_and_bytes() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        node.value = bytes(400)
        request = pb.QueryManyRequest(path="p", data=[b"x"] * 8)
        assert len((await caller.ask("QueryMany", request, pb.QueryManyResponse)).results) == 2
        node.value = bytes(4000)
        assert len((await caller.ask("QueryMany", request, pb.QueryManyResponse)).results) == 1
        request = pb.QueryManyRequest(path="p", data=[b"x"] * 9)
        assert await caller.refusal("QueryMany", request) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "9 queries in one request; the limit is 8",
        )

    drive(body, Limits(answer_bytes=1000, items=8))


def test_a_read_waits_for_the_height_that_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        request = pb.QueryRequest(path="/key", data=b"a", min_height=2)
        node.ledger.commit([b"a=1"])
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(caller.ask("Query", request, pb.QueryResponse))
            # Answered while the first read waits, which therefore came before the block.
            many = pb.QueryManyRequest(path="p", data=[b"x"], min_height=1)
            assert (await caller.ask("QueryMany", many, pb.QueryManyResponse)).results[0].height == 1
            assert not reading.done()
            node.ledger.commit([b"a=2"])
        assert reading.result().height == 2
        monkeypatch.setattr(query, "HEIGHT_S", 0.02)
        many = pb.QueryManyRequest(path="p", data=[b"x"], min_height=2**63)
        code, text = await caller.refusal("QueryMany", many)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert f"height {2**63} is not here after 0.02 s, the newest is 2" in text
        assert node.confirmations == 0

    drive(body)


def test_a_linearizable_read_is_answered_by_a_node_that_is_confirmed_to_be_current() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        request = pb.QueryRequest(path="/key", data=b"a", linearizable=True)
        many = pb.QueryManyRequest(path="p", data=[b"x"] * 8, linearizable=True)
        await caller.ask("Query", request, pb.QueryResponse)
        await caller.ask("QueryMany", many, pb.QueryManyResponse)
        assert node.confirmations == 2
        node.current = False
        for name, each in (("Query", request), ("QueryMany", many)):
            assert await caller.refusal(name, each) == (grpc.StatusCode.UNAVAILABLE, "not confirmed")

    drive(body)


def test_a_light_block_has_all_that_verifies_a_height() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        for height, found in ((2, 2), (0, 3)):
            request = pb.GetLightBlockRequest(height=height)
            answer = await caller.ask("GetLightBlock", request, pb.LightBlockResponse)
            block = LightBlock.decode(answer.light_block)
            assert block.height == found
            check_decided(block, "test-chain", PublicKey.verify)
        code, text = await caller.refusal("GetLightBlock", pb.GetLightBlockRequest(height=4))
        assert (code, text) == (grpc.StatusCode.OUT_OF_RANGE, "height 4 is out of range: the tip is 3")
        node.ledger.lowest = 2
        code, _ = await caller.refusal("GetLightBlock", pb.GetLightBlockRequest(height=1))
        assert code is grpc.StatusCode.NOT_FOUND

    drive(body, ledger=SignedLedger(make_chain(4, heights=3)))


def test_the_commit_of_a_light_block_is_the_one_that_the_chain_holds() -> None:
    # This node decided height 1 by four votes; the proposer of height 2 had three of them.
    chain = make_chain(4, heights=0)
    first = chain.build()
    three = chain.sign(first, absent=(3,))
    decided = chain.add(first)
    chain.add(chain.build(last_commit=three))

    async def body(node: MemoryNode, caller: Caller) -> None:
        commits = []
        for height in (1, 2):
            request = pb.GetLightBlockRequest(height=height)
            answer = await caller.ask("GetLightBlock", request, pb.LightBlockResponse)
            commits.append(LightBlock.decode(answer.light_block).commit)
        assert commits == [three, chain.decided[1].commit]
        assert decided.commit != three

    drive(body, ledger=SignedLedger(chain))


def test_a_block_whose_validators_are_not_kept_proves_nothing() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        node.ledger.commit([b"a=1"])
        code, text = await caller.refusal("GetLightBlock", pb.GetLightBlockRequest(height=1))
        assert (code, text) == (
            grpc.StatusCode.NOT_FOUND,
            "the validators of height 1 are not kept here",
        )

    drive(body)


def test_a_result_is_proven_by_the_next_header() -> None:
    async def body(node: MemoryNode, caller: Caller) -> None:
        node.ledger.commit([b"a=1", FAILING + b"b", b"c=1"])
        node.ledger.commit([b"d=1"])
        request = pb.GetTransactionRequest(id=tx_id(FAILING + b"b"), prove=True)
        found = await caller.ask("GetTransaction", request, pb.TransactionResult)
        after = await caller.ask("GetBlock", pb.GetBlockRequest(height=2), pb.Block)
        header = Block.decode(after.block).header
        proof = Proof(
            total=found.result_proof.total,
            index=found.result_proof.index,
            leaf_hash=found.result_proof.leaf_hash,
            aunts=tuple(found.result_proof.aunts),
        )
        assert (found.code, proof.total, proof.index) == (7, 3, 1)
        leaf = result_bytes(found.code, found.data, found.gas_wanted, found.gas_used)
        assert proof.verify(header.last_results_hash, leaf)
        assert not proof.verify(header.last_results_hash, result_bytes(0, found.data, 0, 0))

    drive(body, ledger=SignedLedger(make_chain(4)))
