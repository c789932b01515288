"""The durability law at work: what leaves the node waits here until the records before it are on disk.

Per turn of the loop the records of that turn go to the writer as one group and get a ticket. Effects that
were asked for in the turn are released, in order, when the ticket is durable.
"""

from collections import deque
from collections.abc import Callable, Sequence

from catenet.types.effects import Effect

WriteGroup = Callable[[Sequence[bytes], bytes | None], int]
"""Hands records and the newest guard state to the writer thread; returns the group's ticket."""


class Outbox:
    """Holds effects back until their ticket is durable."""

    def __init__(self) -> None:
        self._write: WriteGroup | None = None
        self._release: Callable[[Sequence[Effect]], None] | None = None
        self._records: list[bytes] = []
        self._guard_state: bytes | None = None
        self._turn: list[Effect] = []
        self._held: deque[tuple[int, list[Effect]]] = deque()
        self.newest = 0
        """The newest ticket."""
        self._durable = 0

    def start(self, *, write: WriteGroup, release: Callable[[Sequence[Effect]], None]) -> None:
        """Connect the writer before, and what does the effects after."""
        self._write, self._release = write, release

    @property
    def waiting(self) -> int:
        """Number of turns whose effects still wait for the disk."""
        return len(self._held)

    def append(self, record: bytes) -> None:
        """Add a record to the group of this turn."""
        self._records.append(record)

    def guard(self, state: bytes) -> None:
        """Have the guard's newest state written with the group of this turn, after its records."""
        self._guard_state = state

    def hold(self, effect: Effect) -> None:
        """Keep an effect until everything appended so far is on disk."""
        self._turn.append(effect)

    def end_turn(self) -> None:
        """Hand the turn's group to the writer; release at once what depends on nothing."""
        assert self._write is not None
        assert self._release is not None
        if self._records or self._guard_state is not None:
            self.newest = self._write(self._records, self._guard_state)
            self._records = []
            self._guard_state = None
        if not self._turn:
            return
        turn, self._turn = self._turn, []
        if self.newest <= self._durable and not self._held:
            self._release(turn)
        else:
            self._held.append((self.newest, turn))

    def on_durable(self, ticket: int) -> None:
        """Release, in order, what waited for tickets up to this one."""
        self._durable = max(self._durable, ticket)
        ready: list[Effect] = []
        while self._held and self._held[0][0] <= self._durable:
            ready.extend(self._held.popleft()[1])
        if ready and self._release is not None:
            self._release(ready)
