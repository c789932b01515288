"""The states of single validators, numbered. Each transition was made once, by the production core.

Of one state several histories may be kept. What they heard from honest validators differs, and one may go on
only where these have signed just that: else an honest validator would seem to have signed two things.
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from catenet.testing.model.canonical import View, canonical, heard, view
from catenet.testing.model.copies import copy
from catenet.testing.model.moves import Crash, Fact, Move
from catenet.testing.model.scene import Scene
from catenet.testing.model.validator import Validator


@dataclass(frozen=True, slots=True)
class _History:
    """One way to a state."""

    number: int
    heard: frozenset[Fact]
    validator: Validator
    """As it was left; only copies of it go on."""


class Automaton:
    """One honest validator as a table that grows while it is asked."""

    def __init__(self, scene: Scene, turn: int) -> None:
        self.scene = scene
        self.turn = turn
        self.views: list[View] = []
        self.events = 0
        self.histories = 0
        self._numbers: dict[Hashable, int] = {}
        self._histories: list[list[_History]] = []
        self._table: dict[tuple[int, Move], int] = {}
        self._number(self.start(), 0)

    @property
    def transitions(self) -> int:
        """How many were made by the core."""
        return len(self._table)

    def start(self) -> Validator:
        """Return the validator before any move."""
        return Validator(self.scene, self.turn)

    def step(self, state: int, move: Move, signed: frozenset[Fact]) -> int:
        """Return the state after a move, given what the others have signed; the same when nothing changed."""
        history = next(one for one in self._histories[state] if one.heard <= signed)
        key = (history.number, move)
        found = self._table.get(key)
        if found is None:
            validator = copy(history.validator)
            before = validator.events
            validator.take(move)
            found = self._table[key] = self._number(validator, before)
        return found

    def crashes(self, state: int, move: Move, signed: frozenset[Fact]) -> Iterator[Crash]:
        """Yield the ways in which the power can fail during a move: at each record boundary."""
        after = self.views[self.step(state, move, signed)]
        for kept in range(after.records - self.views[state].records + 1):
            yield Crash(during=move, kept=kept)
            yield Crash(during=move, kept=kept, guard_ahead=True)

    def _number(self, validator: Validator, events_before: int) -> int:
        self.events += validator.events - events_before
        validator.sent.clear()
        validator.wishes.clear()
        name = canonical(validator)
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.views)
            self.views.append(view(validator))
            self._histories.append([])
        casts = heard(validator)
        known = self._histories[number]
        if not any(one.heard <= casts for one in known):
            # What asks less of the others replaces what asks more.
            known[:] = [one for one in known if not casts <= one.heard]
            known.append(_History(self.histories, casts, validator))
            self.histories += 1
        return number
