"""The heart: `for event in inbox: for effect in core.handle(event, now): perform(effect)`.

It runs in the event loop's thread. A turn takes a bounded number of events, so that the loop stays
responsive, and ends by handing its records to the writer as one group.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from catenet.node.clock import now
from catenet.types.clock import Instant
from catenet.types.effects import Effect
from catenet.types.events import Event, Received, Refused, Signed
from catenet.types.ids import Address

log = logging.getLogger(__name__)

TURN_EVENTS_MAX = 256
PEER_EVENTS_MAX = 8192
PEER_BYTES_MAX = 16 << 20
"""What one peer's messages may take of the inbox; what comes above is dropped, and G2, D2, G5 recover it."""


class Core(Protocol):
    """The pure machine that decides (`catenet.core.node.Node`)."""

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """Take one event, and say what to do."""
        ...


class Performer(Protocol):
    """What does the effects (`catenet.node.perform.Perform`)."""

    def perform(self, effect: Effect) -> None:
        """Do one effect, or hold it back."""
        ...

    def end_turn(self) -> None:
        """Hand what the turn appended to the writer."""
        ...


class Runtime:
    """Feeds events to the core, one after the other, and its effects to the performer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], Instant] = now) -> None:
        self._loop = loop
        self._clock = clock
        self._inbox: deque[Event] = deque()
        self._answers: deque[Event] = deque()
        self._sizes: dict[Address, deque[int]] = {}
        self._bytes: dict[Address, int] = {}
        self._scheduled = False
        self._stopped = False
        self._core: Core | None = None
        self._performer: Performer | None = None

    def start(self, core: Core, performer: Performer) -> None:
        """Begin to take events."""
        self._core, self._performer = core, performer
        self._schedule()

    def stop(self) -> None:
        """Take no further events; what waits in the inbox is left."""
        self._stopped = True

    def post(self, event: Event) -> None:
        """Queue an event. Only from the event loop's thread."""
        if isinstance(event, Signed | Refused):
            # The answer to `Sign` belongs to the same turn: nothing may come between.
            self._answers.append(event)
        else:
            self._inbox.append(event)
        self._schedule()

    def post_message(self, event: Received, size: int) -> bool:
        """Queue a peer's message of about `size` bytes; False: it was dropped, its peer floods (5.3)."""
        sizes = self._sizes.setdefault(event.peer, deque())
        taken = self._bytes.get(event.peer, 0)
        if len(sizes) >= PEER_EVENTS_MAX or (sizes and taken + size > PEER_BYTES_MAX):
            return False
        sizes.append(size)
        self._bytes[event.peer] = taken + size
        self.post(event)
        return True

    def _next(self) -> Event:
        if self._answers:
            return self._answers.popleft()
        event = self._inbox.popleft()
        # Messages of one peer leave in the order in which they came.
        if isinstance(event, Received) and (sizes := self._sizes.get(event.peer)):
            self._bytes[event.peer] -= sizes.popleft()
        return event

    def _schedule(self) -> None:
        if not self._scheduled and not self._stopped and self._core is not None:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        core, performer = self._core, self._performer
        assert core is not None
        assert performer is not None
        debug = log.isEnabledFor(logging.DEBUG)
        taken = 0
        # A turn does not end between a signature and its record: the guard's slot would go to disk first.
        while not self._stopped and (self._answers or (self._inbox and taken < TURN_EVENTS_MAX)):
            taken += 1
            event = self._next()
            effects = core.handle(event, self._clock())
            if debug:
                log.debug("handled", extra={"input": type(event).__name__, "effects": _names(effects)})
            for effect in effects:
                performer.perform(effect)
        performer.end_turn()
        self._scheduled = False
        if self._inbox or self._answers:
            self._schedule()


def _names(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]
