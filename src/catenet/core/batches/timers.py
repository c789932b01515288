"""The timers of the pool: their names, and which of them run."""

from catenet.types.effects import SetTimer
from catenet.types.events import TimerKey

SEAL = TimerKey(name="batches/seal")
HAVE = TimerKey(name="batches/have")
PUSH = TimerKey(name="batches/push")
AGE = TimerKey(name="batches/age")
FETCH = TimerKey(name="batches/fetch")


class Timers:
    """Timers that run, with the moment at which they end: none is set again for a later moment."""

    def __init__(self) -> None:
        self._ends_us: dict[TimerKey, int] = {}

    def arm(self, key: TimerKey, now_us: int, delay_us: int) -> list[SetTimer]:
        """Let a timer end no later than in `delay_us`."""
        ends_us = now_us + delay_us
        if self._ends_us.get(key, ends_us + 1) <= ends_us:
            return []
        self._ends_us[key] = ends_us
        return [SetTimer(key=key, delay_us=delay_us)]

    def fired(self, key: TimerKey) -> None:
        """A timer ended."""
        self._ends_us.pop(key, None)
