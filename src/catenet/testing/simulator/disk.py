"""One node's journal and guard slot: group commit that takes time, and crashes that lose what was not synced.

As in `catenet.storage.writer`: what is queued when the disk comes round is one group, the records first,
then the guard's newest state. So a slot is never durable before the records handed in with it or earlier.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.schedule import Schedule


@dataclass(frozen=True, slots=True)
class _Group:
    records: tuple[bytes, ...]
    guard: bytes | None


class Disk:
    """Survives its node: `records` and `guard` are what a restart finds."""

    def __init__(self, schedule: Schedule, chooser: Chooser, fsync_us: int) -> None:
        self._schedule = schedule
        self._chooser = chooser
        self._fsync_us = fsync_us
        self.records: list[bytes] = []
        self.guard: bytes | None = None
        self._queue: list[_Group] = []
        self._writing: list[_Group] = []
        self._newest = 0
        self._durable = 0
        self._life = 0
        self._on_durable: Callable[[int], None] = lambda _: None

    def open(self, on_durable: Callable[[int], None]) -> None:
        """Begin a life: `on_durable(ticket)` says that all handed in up to this ticket is kept."""
        self._on_durable = on_durable

    def write(self, records: Sequence[bytes], guard: bytes | None) -> int:
        """Queue records and the guard's state; return the ticket."""
        self._queue.append(_Group(tuple(records), guard))
        self._newest += 1
        if not self._writing:
            self._begin()
        return self._newest

    def _begin(self) -> None:
        self._writing, self._queue = self._queue, []
        life = self._life
        self._schedule.after(self._chooser.tail(self._fsync_us, 20 * self._fsync_us), lambda: self._end(life))

    def _end(self, life: int) -> None:
        if life != self._life:
            return
        group, self._writing = self._writing, []
        self._keep(group)
        self._durable += len(group)
        if self._queue:
            self._begin()
        self._on_durable(self._durable)

    def _keep(self, groups: Sequence[_Group]) -> None:
        for group in groups:
            self.records.extend(group.records)
            if group.guard is not None:
                self.guard = group.guard

    def handed_in(self) -> list[bytes]:
        """Return every record that was handed in, durable or not."""
        under_way = [record for group in (*self._writing, *self._queue) for record in group.records]
        return self.records + under_way

    def lose_journal(self) -> None:
        """Lose every record; the guard's slot stays. The node is down."""
        self.records = []

    def wipe(self) -> None:
        """Lose journal and guard. The node is down."""
        self.records, self.guard = [], None

    def crash(self) -> None:
        """Lose power: any prefix of the records being written is kept, the slot at best after all of them."""
        records = [record for group in self._writing for record in group.records]
        states = [group.guard for group in self._writing if group.guard is not None]
        kept = self._chooser.choose(len(records) + 1)
        self.records.extend(records[:kept])
        if kept == len(records) and states and self._chooser.chance(0.5):
            self.guard = states[-1]
        self._life += 1
        self._writing, self._queue = [], []
        self._newest = self._durable = 0
        self._on_durable = lambda _: None
