"""The one thread in which the application lives. Nothing else runs there, and it is never re-entered.

The event loop hands calls over and gets their answers back in its own thread, in order.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class AppWorker:
    """Runs the application's calls one after the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="application")

    def run(
        self, call: Callable[[], T], *, done: Callable[[T], None], failed: Callable[[BaseException], None]
    ) -> None:
        """Run `call` in the application's thread; `done` or `failed` follows in the event loop."""

        def settle(future: "Future[T]") -> None:
            error = future.exception()
            if error is not None:
                failed(error)
            else:
                done(future.result())

        def back(future: "Future[T]") -> None:
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(settle, future)

        self._pool.submit(call).add_done_callback(back)

    async def ask(self, call: Callable[[], T]) -> T:
        """Run `call` in the application's thread and wait for its answer."""
        return await self._loop.run_in_executor(self._pool, call)

    def close(self) -> None:
        """Wait for the calls under way, then end the thread."""
        self._pool.shutdown(wait=True)
