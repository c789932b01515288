"""The one thread that makes the journal and the guard's slots durable, by group commit (consensus.md 4).

Whatever is queued when the thread comes round is one group: one write and one sync of the journal, then the
newest guard slot of the group, then `on_durable`. So a slot is never durable before the records that were
handed in with it or earlier, and no signature is released before its slot. A failure is final: nothing is
tried again.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catenet.storage.guard_file import GuardFile
from catenet.storage.log import Log
from catenet.storage.scan import Position
from catenet.types.errors import Overloaded, Unavailable

QUEUE_BYTES_MAX = 256 << 20
GROUP_BYTES_MAX = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    records: Sequence[bytes]
    size: int
    guard_state: bytes | None
    keep_from: int | None


class Writer:
    """Takes records from the event loop and says when they are durable.

    `on_durable(ticket)` is called in the writer's thread, with rising tickets: everything handed in under
    that ticket and before is durable. `on_failure(error)` is called there once, and nothing after it.
    """

    def __init__(
        self,
        journal: Log,
        guard: GuardFile,
        on_durable: Callable[[int], None],
        on_failure: Callable[[OSError], None],
        *,
        queue_bytes_max: int = QUEUE_BYTES_MAX,
        group_bytes_max: int = GROUP_BYTES_MAX,
    ) -> None:
        self._journal = journal
        self._guard = guard
        self._on_durable = on_durable
        self._on_failure = on_failure
        self._queue_bytes_max = queue_bytes_max
        self._group_bytes_max = group_bytes_max
        self._queue: deque[_Request] = deque()
        self._queued_bytes = 0
        self._wake = threading.Condition()
        self._newest = 0
        self._taken = 0
        self._starts: deque[tuple[int, Position]] = deque()
        self._closing = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes handed in and not yet durable: a measure for back-pressure."""
        return self._queued_bytes

    def write(self, records: Sequence[bytes], guard_state: bytes | None = None) -> int:
        """Queue records, in order, and with them a guard state; return the ticket. Never waits.

        Raises `Unavailable` after a failure or `close`, `Overloaded` when the queue is full.
        """
        return self._queue_up(records, guard_state, None)

    def trim(self, keep_from: int) -> int:
        """Delete the segments in which nothing handed in under ticket `keep_from` or later lies.

        What was in the journal when it was opened counts as older than every ticket.
        """
        return self._queue_up((), None, keep_from)

    def close(self) -> None:
        """Write what is queued, then end the thread. Neither journal nor guard file is closed."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _queue_up(self, records: Sequence[bytes], guard_state: bytes | None, keep_from: int | None) -> int:
        size = sum(map(len, records))
        with self._wake:
            if self._error is not None or self._closing:
                raise Unavailable(f"the journal takes no more records: {self._error or 'it is closed'}")
            if self._queue and self._queued_bytes + size > self._queue_bytes_max:
                raise Overloaded(f"{self._queued_bytes} bytes wait for the journal's disk already")
            self._queue.append(
                _Request(records=records, size=size, guard_state=guard_state, keep_from=keep_from)
            )
            self._queued_bytes += size
            self._newest += 1
            self._wake.notify()
            return self._newest

    def _run(self) -> None:
        failure = OSError("the journal's thread ended by a fault of its own")
        clean = False
        try:
            while group := self._next_group():
                self._make_durable(group)
            clean = True
        except OSError as error:
            failure = error
        finally:
            if not clean:
                self._journal.stop()
                with self._wake:
                    self._error = failure
                    self._queue.clear()
                self._on_failure(failure)

    def _next_group(self) -> list[_Request]:
        """Wait for requests and take as many as fit a group; empty when closed and drained."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            group: list[_Request] = []
            size = 0
            while self._queue and (not group or size + self._queue[0].size <= self._group_bytes_max):
                group.append(self._queue.popleft())
                size += group[-1].size
            return group

    def _make_durable(self, group: Sequence[_Request]) -> None:
        first = self._taken + 1
        self._taken += len(group)
        records = [record for request in group for record in request.records]
        if records:
            position = self._journal.append(records)
            self._journal.sync()
            if not self._starts or self._starts[-1][1].segment != position.segment:
                self._starts.append((first, position))
        # Only the newest slot of a group is needed: it refuses all that the ones before it would refuse.
        states = [request.guard_state for request in group if request.guard_state is not None]
        if states:
            self._guard.write(states[-1])
        self._on_durable(self._taken)
        keep_from = max((request.keep_from for request in group if request.keep_from is not None), default=0)
        if keep_from:
            self._drop_before(keep_from)
        with self._wake:
            self._queued_bytes -= sum(request.size for request in group)

    def _drop_before(self, keep_from: int) -> None:
        """Drop the segments before the one that holds ticket `keep_from`, once that ticket is durable."""
        keep_from = min(keep_from, self._taken)
        while len(self._starts) > 1 and self._starts[1][0] <= keep_from:
            self._starts.popleft()
        if self._starts and self._starts[0][0] <= keep_from:
            self._journal.drop_before(self._starts[0][1])
