"""The end of serving: long calls learn that the node stops, and leave in good order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from catenet.types.errors import Unavailable

STOPPING = "this node is shutting down: go on at another one"


class Draining(Unavailable):
    """The node stops; what was asked for is to be had at another node."""


class Drain:
    """A switch that is thrown once: it interrupts every long wait that asked for it."""

    def __init__(self) -> None:
        self._on = False
        self._scopes: set[asyncio.Timeout] = set()

    @property
    def started(self) -> bool:
        """Whether the switch is thrown."""
        return self._on

    def start(self) -> None:
        """Interrupt all waits under `interruptible`, and those to come."""
        self._on = True
        now = asyncio.get_running_loop().time()
        for scope in self._scopes:
            if not scope.expired():
                scope.reschedule(now)

    def check(self) -> None:
        """Raise `Draining` when the switch is thrown."""
        if self._on:
            raise Draining(STOPPING)

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """Run a body that may wait for long; it ends with `Draining` when the switch is thrown."""
        self.check()
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._scopes.add(scope)
                try:
                    yield
                finally:
                    self._scopes.discard(scope)
        except TimeoutError:
            if scope.expired():
                raise Draining(STOPPING) from None
            raise
