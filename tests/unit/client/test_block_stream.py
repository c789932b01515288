"""Blocks in order, each exactly once, whatever the nodes do."""

from contextlib import aclosing

import pytest

from catenet.chain.block import Block as StoredBlock
from catenet.types.errors import (
    InvalidInput,
    NotFound,
    PastTip,
    Unavailable,
)
from catenet.types.ports import StoredBlock as FinalBlock
from support.api import Ledger, MemoryNode, serving
from support.client import Network, client, drive


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
