"""The application's thread: one call after the other, each takes time; a crash forgets all that wait."""

from collections.abc import Callable
from typing import TypeVar

from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.schedule import Schedule

T = TypeVar("T")


class Worker:
    """Runs calls in order, in virtual time."""

    def __init__(self, schedule: Schedule, chooser: Chooser, call_us: int) -> None:
        self._schedule = schedule
        self._chooser = chooser
        self.call_us = call_us
        """How long one call typically takes."""
        self._free_us = 0
        self._life = 0

    def run(self, call: Callable[[], T], done: Callable[[T], None]) -> None:
        """Have a call made when its turn comes; `done` takes its answer, unless there was a crash before."""
        life = self._life
        start_us = max(self._free_us, self._schedule.now_us)
        self._free_us = start_us + self._chooser.tail(self.call_us, 20 * self.call_us)

        def finish() -> None:
            if life == self._life:
                done(call())

        self._schedule.after(self._free_us - self._schedule.now_us, finish)

    def crash(self) -> None:
        """Forget all calls."""
        self._life += 1
        self._free_us = 0
