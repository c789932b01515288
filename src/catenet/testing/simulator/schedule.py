"""Virtual time: one heap of (time, counter, action). The counter keeps actions of one instant in order."""

from collections.abc import Callable
from heapq import heappop, heappush

Action = Callable[[], None]


class Schedule:
    """What will happen when, in virtual microseconds."""

    def __init__(self) -> None:
        self.now_us = 0
        self._heap: list[tuple[int, int, Action]] = []
        self._counter = 0

    def after(self, delay_us: int, action: Action) -> None:
        """Have an action happen `delay_us` later; 0 is after everything that is due already."""
        assert delay_us >= 0, delay_us
        self._counter += 1
        heappush(self._heap, (self.now_us + delay_us, self._counter, action))

    def step(self) -> bool:
        """Jump to the next action and do it; False when nothing is left."""
        if not self._heap:
            return False
        self.now_us, _, action = heappop(self._heap)
        action()
        return True

    def step_until(self, time_us: int) -> bool:
        """Do the next action when it is due up to this time, else let the time come; False then."""
        if self._heap and self._heap[0][0] <= time_us:
            self.now_us, _, action = heappop(self._heap)
            action()
            return True
        self.now_us = time_us
        return False
