"""The blocking client drives the asynchronous one."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from catenet.client.sync import SyncClient
from catenet.types.errors import NotFound
from catenet.types.events import Level
from support.api import MemoryNode, serving, tx_id


@contextmanager
def served() -> Iterator[str]:
    """Serve a node from another thread: the blocking client cannot share a loop with it."""
    started: list[str] = []
    ready = threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        done = asyncio.Event()
        loops.append((asyncio.get_running_loop(), done))
        async with serving(MemoryNode()) as server:
            started.append(server.addresses[0])
            ready.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    ready.wait(10)
    try:
        yield started[0]
    finally:
        loop, done = loops[0]
        loop.call_soon_threadsafe(done.set)
        thread.join(10)


def test_the_verbs_block_and_answer() -> None:
    with served() as target, SyncClient([target], timeout_s=5) as catenet:
        assert catenet.send(b"a=1", Level.COMMITTED).height == 1
        assert catenet.submit([b"b=1", b""]).refused[0].index == 1
        assert catenet.submit_stream(b"n=%d" % n for n in range(10)).transactions == 10
        assert catenet.wait(tx_id(b"a=1")).height == 1
        assert catenet.transaction(tx_id(b"a=1")).tx == b"a=1"
        assert [one.found for one in catenet.transactions([tx_id(b"a=1"), bytes(32)])] == [True, False]
        assert catenet.status().height == 3
        assert catenet.block(1).txs == [b"a=1"]
        assert [block.height for block in catenet.blocks(1, 3)] == [1, 2, 3]
        stream = catenet.blocks()
        assert next(stream).height == 1
        stream.close()
        assert catenet.query("p", b"x").value == b"p/x"
        assert len(catenet.query_many("p", [b"x", b"y"])) == 2
        with pytest.raises(NotFound):
            catenet.block(bytes(32))
