"""Batches of transactions: their sizes, and what a slow or fast source does to them."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from random import Random

from catenet.client.batching import BATCH_BYTES, BATCH_TXS, Collector, batched
from catenet.client.nodes import PAUSE_S_MAX, RETRIES_PER_S, RETRY_BURST, Pauses, RetryBudget


def test_batches_keep_order_and_bounds() -> None:
    random = Random(7)
    txs = [bytes(random.choice((1, 10, 300, 5000, 200_000))) for _ in range(3000)]
    batches = list(batched(txs))
    assert [tx for batch in batches for tx in batch] == txs
    for batch in batches:
        assert len(batch) <= BATCH_TXS
        assert len(batch) == 1 or sum(map(len, batch)) <= BATCH_BYTES
    for one, following in pairwise(batches):
        full = len(one) == BATCH_TXS or sum(map(len, one)) + len(following[0]) > BATCH_BYTES
        assert full, "no batch ends early"
    assert list(batched([])) == []


def collect(count: int, size: int) -> list[list[bytes]]:
    async def source() -> AsyncIterator[bytes]:
        for n in range(count):
            yield n.to_bytes(4, "big") + bytes(size - 4)

    async def main() -> list[list[bytes]]:
        collector = Collector()
        async with asyncio.TaskGroup() as group:
            group.create_task(collector.collect(source()))
            return [batch async for batch in collector.batches()]

    return asyncio.run(main())


def test_a_fast_source_fills_batches() -> None:
    batches = collect(5000, 100)
    numbers = [int.from_bytes(tx[:4], "big") for batch in batches for tx in batch]
    assert numbers == list(range(5000))
    assert all(sum(map(len, batch)) < BATCH_BYTES + 100 and len(batch) <= BATCH_TXS for batch in batches)
    assert len(batches) == 4
    assert collect(0, 4) == []


def test_pauses_grow_with_full_jitter_up_to_the_cap() -> None:
    pauses = Pauses(Random(1))
    first = [Pauses(Random(seed)).next_s() for seed in range(200)]
    assert max(first) <= 0.05
    assert min(first) < 0.005, "full jitter reaches down to nothing"
    late = [pauses.next_s() for _ in range(400)]
    assert 1.9 < max(late) <= PAUSE_S_MAX
    pauses.reset()
    assert pauses.next_s() <= 0.05
    assert all(1 <= pauses.spread_s(1) <= 2 for _ in range(100))


def test_retries_beyond_the_budget_wait_for_their_turn() -> None:
    budget = RetryBudget()
    assert [budget.delay_s(100.0) for _ in range(RETRY_BURST)] == [0.0] * RETRY_BURST
    assert budget.delay_s(100.0) == 1 / RETRIES_PER_S
    assert budget.delay_s(100.0) == 2 / RETRIES_PER_S
    assert budget.delay_s(200.0) == 0.0
