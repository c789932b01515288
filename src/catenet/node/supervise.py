"""Runs a node until it is told to stop, or something ends that must not.

SIGTERM, Ctrl-C   drain: health NOT_SERVING, calls in flight finish, everything is flushed; exit 0, 130
the same again    end at once; exit 130
a halt            stop taking part, stay readable for a moment, exit 1
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine

log = logging.getLogger(__name__)

DRAIN_S = 5.0
READABLE_S = 2.0
"""After a halt: how long reads are still answered, so that whoever watches sees why."""

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class Supervisor:
    """Waits for the end of a node and says how it came."""

    def __init__(self, stop_core: Callable[[], None] = lambda: None) -> None:
        """`stop_core` is called at a halt: from then on the core takes no event, and signs nothing."""
        self._stop_core = stop_core
        self._ended = asyncio.Event()
        self._reason = ""
        self._signals = 0
        self._interrupted = False

    @property
    def halted(self) -> str:
        """Why the node halted; empty when it did not."""
        return self._reason

    def listen(self) -> None:
        """Take over SIGTERM, SIGINT, and what escapes from callbacks of the event loop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        loop.set_exception_handler(self._escaped)

    def halt(self, reason: str) -> None:
        """End the node: going on would be wrong."""
        self._stop_core()
        if not self._reason:
            self._reason = reason
            log.critical("halted", extra={"reason": reason})
        self._ended.set()

    async def keep(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Run what must not end before the node does: its fault, or its end, halts the node."""
        try:
            await work
        except Exception as error:
            log.critical("part_failed", exc_info=error, extra={"part": name})
            self.halt(f"{name} failed: {type(error).__name__}: {error}")
        else:
            if not self._ended.is_set():
                self.halt(f"{name} ended by itself")

    async def run(self, drain: Callable[[float], Awaitable[None]], stop: Callable[[str], None]) -> int:
        """Wait for the end, drain, `stop` whoever still waits, and return the exit code."""
        await self._ended.wait()
        if self._reason:
            stop(f"this node halted: {self._reason}")
            await asyncio.sleep(READABLE_S)
            await drain(0.5)
            return EXIT_FAILED
        log.info("draining")
        await drain(DRAIN_S)
        stop("this node is shutting down: go on at another one")
        if self.halted:
            return EXIT_FAILED
        return EXIT_INTERRUPTED if self._interrupted else EXIT_OK

    def _signalled(self, number: int) -> None:
        self._signals += 1
        self._interrupted = number == signal.SIGINT
        if self._signals > 1:
            os._exit(EXIT_INTERRUPTED)
        self._ended.set()

    def _escaped(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """A bug in the core or around it: the state of the node is not known any more."""
        error = context.get("exception")
        if isinstance(error, BlockingIOError):
            # gRPC's poller wakes several times for one event; nothing is lost (grpc issue 25364).
            return
        if isinstance(error, BaseException):
            log.critical("escaped", exc_info=error)
        if "handle" not in context:
            # A future or task whose fault nobody read: no callback of ours was cut short.
            return
        self.halt(f"{context.get('message')}: {error!r}")
