"""Transactions into batches: as large as is useful, as late as is bearable."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

BATCH_BYTES: Final = 128 * 1024
BATCH_TXS: Final = 2000
LINGER_S: Final = 0.005
"""How long a transaction waits for others to share its batch."""


def batched(txs: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield batches of at most `BATCH_BYTES` (or one larger transaction) and `BATCH_TXS`."""
    batch: list[bytes] = []
    room = BATCH_BYTES
    for tx in txs:
        room -= len(tx)
        if batch and (room < 0 or len(batch) >= BATCH_TXS):
            yield batch
            batch, room = [], BATCH_BYTES - len(tx)
        batch.append(tx)
    if batch:
        yield batch


class Collector:
    """Collects transactions that come one by one into batches; a full batch holds their source back."""

    def __init__(self) -> None:
        self._txs: list[bytes] = []
        self._room = BATCH_BYTES
        self._closed = False
        self._changed = asyncio.Event()
        self._taken = asyncio.Event()

    async def collect(self, txs: AsyncIterable[bytes]) -> None:
        """Take all transactions of a source; runs beside `batches`."""
        try:
            async for tx in txs:
                while self._full():
                    self._taken.clear()
                    await self._taken.wait()
                self._txs.append(tx)
                self._room -= len(tx)
                if len(self._txs) == 1 or self._full():
                    self._changed.set()
        finally:
            self._closed = True
            self._changed.set()

    async def batches(self) -> AsyncIterator[list[bytes]]:
        """Yield a batch when it is full or its first transaction waited `LINGER_S`."""
        while True:
            await self._until_changed(lambda: bool(self._txs) or self._closed)
            if not self._txs:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._until_changed(lambda: self._full() or self._closed)
            txs, self._txs, self._room = self._txs, [], BATCH_BYTES
            self._taken.set()
            yield txs

    def _full(self) -> bool:
        return self._room <= 0 or len(self._txs) >= BATCH_TXS

    async def _until_changed(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()
