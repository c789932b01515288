"""Runs of stored blocks that fit gRPC's messages (S1)."""

import asyncio

import pytest

from catenet.network.runs import runs
from catenet.types.errors import InvalidInput, NotFound, PastTip
from catenet.types.ports import BlockRun
from catenet.wire.convert import decode_run, encode_run
from catenet.wire.grpc_server import MESSAGE_BYTES_MAX
from support.network import Blocks

RUN_MAX = 8 * 1024 * 1024


def collect(reader: Blocks, first: int, last: int, bytes_max: int = RUN_MAX) -> list[BlockRun]:
    async def body() -> list[BlockRun]:
        return [run async for run in runs(reader, first=first, last=last, bytes_max=bytes_max, follow=False)]

    return asyncio.run(body())


@pytest.mark.parametrize("size", [10, 1000, 700_000, pytest.param(3 * 1024 * 1024, marks=pytest.mark.slow)])
def test_all_blocks_come_in_order_and_every_message_fits(size: int) -> None:
    reader = Blocks(raws=[bytes([n]) * size for n in range(5)], lowest=4)
    got: list[bytes] = []
    for run in collect(reader, 4, 8, bytes_max=10**9):
        assert len(encode_run(run)) <= MESSAGE_BYTES_MAX
        assert decode_run(encode_run(run)).first == 4 + len(got)
        got += run.blocks
    assert got == reader.raws


def test_a_call_ends_after_its_bytes() -> None:
    reader = Blocks(raws=[bytes(1024 * 1024)] * 20)
    assert sum([len(run.blocks) for run in collect(reader, 1, 20)]) == 8
    assert sum([len(run.blocks) for run in collect(reader, 1, 20, bytes_max=1)]) == 1


def test_heights_out_of_reach_are_told_apart() -> None:
    reader = Blocks(raws=[b"x"] * 3, lowest=5)
    with pytest.raises(NotFound, match="lowest height kept is 5"):
        collect(reader, 4, 6)
    with pytest.raises(PastTip, match="the head, which is 7"):
        collect(reader, 8, 9)
    for first, last in ((0, 1), (6, 5)):
        with pytest.raises(InvalidInput):
            collect(reader, first, last)
    assert [run.first for run in collect(reader, 7, 0)] == [7]


def test_following_goes_on_with_new_blocks() -> None:
    reader = Blocks(raws=[b"a"])

    async def body() -> list[int]:
        seen = []
        async for run in runs(reader, first=1, last=2, bytes_max=1, follow=True):
            seen.append(run.first)
            reader.raws = [b"a", b"b"]
        return seen

    assert asyncio.run(body()) == [1, 2]
