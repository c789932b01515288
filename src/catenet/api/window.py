"""A bound on what is under way at once: so many items and so many bytes."""

import asyncio


class Window:
    """Admits items while both bounds hold; one item alone is admitted whatever its size."""

    def __init__(self, *, count: int, size: int) -> None:
        self._count_max = count
        self._size_max = size
        self._freed = asyncio.Event()
        self.count = 0
        """Items under way."""
        self.size = 0
        """Their bytes."""

    async def acquire(self, size: int) -> None:
        """Wait until an item of `size` bytes fits, and count it in."""
        while self.count and (self.count >= self._count_max or self.size + size > self._size_max):
            self._freed.clear()
            await self._freed.wait()
        self.count += 1
        self.size += size

    def release(self, size: int) -> None:
        """Count an item of `size` bytes out."""
        self.count -= 1
        self.size -= size
        self._freed.set()
