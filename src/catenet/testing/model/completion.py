"""From a state of the model on, a network that delivers: the height must be decided.

The traitor is silent from here on. Nothing is lost, timers run for as long as they say, every message arrives
after one delay: so the three honest validators must decide, and the same, in as many rounds as it takes.
"""

import heapq
from collections.abc import Sequence
from dataclasses import replace

from catenet.core.consensus.io import FoundCompactBlock, Input, Want
from catenet.testing.model.scene import NOW
from catenet.testing.model.validator import Validator
from catenet.types.events import Received, TimerFired, TimerKey

DELAY_US = 10_000
PATIENCE_US = 120_000_000
EVENTS_MAX = 20_000


def complete(validators: Sequence[Validator]) -> str | None:
    """Return why the height is not decided from where these validators are, or None. They are used up."""
    return _World(validators).run()


class _World:
    """A heap of what will happen to the validators."""

    def __init__(self, validators: Sequence[Validator]) -> None:
        self.validators = validators
        self.by_address = {validator.address: validator for validator in validators}
        self.now_us = NOW.mono_us
        self.count = 0
        self.heap: list[tuple[int, int, Validator, Input]] = []
        self.timers: dict[tuple[int, TimerKey], int] = {}

    def run(self) -> str | None:
        for validator in self.validators:
            validator.sent.clear()
            validator.wishes.clear()
            self._arm(validator)
            if validator.building is not None:
                validator.take_built()
                self._collect(validator)
        for _ in range(EVENTS_MAX):
            if all(validator.decided is not None for validator in self.validators):
                break
            if not self.heap or self.heap[0][0] > NOW.mono_us + PATIENCE_US:
                break
            self.now_us, number, validator, event = heapq.heappop(self.heap)
            if isinstance(event, TimerFired):
                if self.timers.get((validator.turn, event.key)) != number:
                    continue
                validator.armed.pop(event.key, None)
            self._give(validator, event)
        return self._fault()

    def _fault(self) -> str | None:
        decided = [validator.decided for validator in self.validators]
        problems = [problem for validator in self.validators for problem in validator.problems]
        if problems:
            return problems[0]
        if None in decided or len(set(decided)) > 1:
            told = [f"v{one.turn}: {one.decided or one.machine.waits_for()}" for one in self.validators]
            return f"after {(self.now_us - NOW.mono_us) // 1_000_000} s: " + "; ".join(told)
        return None

    def _give(self, validator: Validator, event: Input) -> None:
        elapsed_us = self.now_us - NOW.mono_us
        validator.now = replace(NOW, mono_us=self.now_us, wall_ns=NOW.wall_ns + elapsed_us * 1000)
        validator.give_and_release(event)
        if validator.building is not None:
            validator.take_built()
        self._collect(validator)

    def _collect(self, validator: Validator) -> None:
        for peer, message in validator.sent:
            for other in self.validators:
                if other is not validator and peer in (None, other.address):
                    self._at(DELAY_US, other, Received(peer=validator.address, message=message))
        for wish in validator.wishes:
            if isinstance(wish, Want):
                self._answer(validator, wish)
        validator.sent.clear()
        validator.wishes.clear()
        self._arm(validator)

    def _answer(self, validator: Validator, want: Want) -> None:
        """The first source is asked; the traitor does not answer."""
        source = self.by_address.get(want.sources[0]) if want.sources else None
        if source is None:
            return
        for name in want.block_hashes:
            for compact in source.compacts(name):
                self._at(2 * DELAY_US, validator, FoundCompactBlock(peer=source.address, compact=compact))

    def _arm(self, validator: Validator) -> None:
        for key, delay_us in validator.armed.items():
            if delay_us >= 0:
                validator.armed[key] = -1
                self.timers[validator.turn, key] = self._at(delay_us, validator, TimerFired(key=key))

    def _at(self, delay_us: int, validator: Validator, event: Input) -> int:
        self.count += 1
        heapq.heappush(self.heap, (self.now_us + delay_us, self.count, validator, event))
        return self.count
