"""Searches run beside the event loop, one at a time: a long one keeps nobody else waiting."""

import asyncio
import threading
from collections.abc import Sequence

from catenet.types.ports import Order, TxPlace
from catenet.types.query import Query
from support.rpc import Caller, MemoryDesk, serving_rpc

WAIT_S = 10.0


class SlowIndex:
    """An index whose searches end when the test says so."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Semaphore(0)
        self.running = 0
        self.running_max = 0

    def search_txs(
        self, query: Query, *, page: int, per_page: int, order: Order
    ) -> tuple[int, Sequence[TxPlace]]:
        self.running += 1
        self.running_max = max(self.running_max, self.running)
        self.begun.release()
        assert self.go_on.wait(WAIT_S)
        self.running -= 1
        return 1, [TxPlace(1, 0)]

    def search_blocks(
        self, query: Query, *, page: int, per_page: int, order: Order
    ) -> tuple[int, Sequence[int]]:
        return 0, []


def test_a_long_search_keeps_nobody_else_waiting_and_the_next_one_waits_for_it() -> None:
    async def scenario() -> None:
        desk, index = MemoryDesk(), SlowIndex()
        desk.node.ledger.commit([b"key=value"])
        async with serving_rpc(desk=desk, index=index) as caller:
            async with asyncio.TaskGroup() as tasks:
                searches = [tasks.create_task(search(caller)) for _ in range(3)]
                assert await asyncio.to_thread(index.begun.acquire, timeout=WAIT_S)
                for _ in range(5):
                    assert (await caller.post("health"))["result"] == {}
                assert not any(task.done() for task in searches)
                index.go_on.set()
            assert [task.result()["total_count"] for task in searches] == ["1"] * 3
            assert index.running_max == 1

    asyncio.run(scenario())


async def search(caller: Caller) -> dict[str, object]:
    return await caller.result("tx_search", query="a.b EXISTS")
