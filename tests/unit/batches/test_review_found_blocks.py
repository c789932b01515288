"""D7: an answer to a fetch brings in only the block that was asked for, whole and unaltered."""

from dataclasses import replace

import pytest

from catenet.chain.block import Block
from catenet.types.assembly import Assembled
from support.batches import Net, make_compact, settled


def a_block() -> Assembled:
    net = settled()
    candidate = net.choose(1)
    original = net[1].pool.assemble(make_compact(candidate.segments, candidate.txs))
    assert isinstance(original, Assembled)
    return original


def test_a_block_that_was_not_asked_for_leaves_nothing_behind() -> None:
    net, original = Net(), a_block()
    pool = net[0].pool
    assert pool.on_found_block(7, original.block_id.hash, original.raw, net.now) == (None, [])
    assert pool.pending_count == 0
    assert pool.live_records() == Net()[0].pool.live_records()


@pytest.mark.parametrize("kind", ["transactions", "header"])
def test_a_block_with_other_content_than_its_name_leaves_nothing_behind(kind: str) -> None:
    net, original = Net(), a_block()
    pool, name = net[0].pool, original.block_id.hash
    pool.want((), (name,), 1, [], net.now)
    block = original.block
    forged = (
        replace(block, txs=[b"made=up"] * 3)
        if kind == "transactions"
        else replace(block, header=replace(block.header, height=9))
    )
    assert isinstance(forged, Block)
    assert pool.on_found_block(7, name, forged.encode(), net.now) == (None, [])
    assert pool.pending_count == 0
    # The true one is still wanted.
    taken, outputs = pool.on_found_block(7, name, original.raw, net.now)
    assert taken is not None
    assert outputs
