"""From one signature to the next: the moves of one validator in between, which nobody else can see."""

from collections import deque
from collections.abc import Iterator

from catenet.core.consensus.timers import PRECOMMIT, PREVOTE
from catenet.testing.model.alphabet import possible
from catenet.testing.model.automaton import Automaton
from catenet.testing.model.canonical import View
from catenet.testing.model.moves import Crash, Fact, Move, Timer

Turn = tuple[int, tuple[Move, ...]]
"""Where a validator comes to, and by which moves."""


class Turns:
    """The turns of one validator, each found once."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        self._every_move = automaton.scene.config.every_move
        self._found: dict[tuple[int, tuple[frozenset[Fact], ...], bool], tuple[Turn, ...]] = {}

    def of(self, state: int, others: tuple[frozenset[Fact], ...], *, may_crash: bool) -> tuple[Turn, ...]:
        """Return the turns from a state, given what the other honest validators have signed."""
        key = (state, others, may_crash)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = tuple(self._search(*key))
        return found

    def _search(self, start: int, others: tuple[frozenset[Fact], ...], may_crash: bool) -> Iterator[Turn]:
        automaton = self._automaton
        signed = frozenset().union(*others)
        seen = {start}
        waiting: deque[tuple[int, tuple[Move, ...], Move | None]] = deque([(start, (), None)])
        while waiting:
            state, path, due = waiting.popleft()
            before = automaton.views[state]
            for move in self._moves(state, others, signed, may_crash):
                if due is not None and move != due:
                    continue
                target = automaton.step(state, move, signed)
                if target in seen:
                    continue
                seen.add(target)
                if self._every_move or _is_seen(before, automaton.views[target]):
                    yield target, (*path, move)
                else:
                    waiting.append((target, (*path, move), _due(before, automaton.views[target])))

    def _moves(
        self,
        state: int,
        others: tuple[frozenset[Fact], ...],
        signed: frozenset[Fact],
        may_crash: bool,
    ) -> Iterator[Move]:
        moves = possible(self._automaton.scene, self._automaton.views[state], others)
        yield from moves
        if may_crash and self._automaton.views[state].decided is None:
            yield Crash()
            for move in moves:
                yield from self._automaton.crashes(state, move, signed)


def _due(before: View, after: View) -> Move | None:
    """Return the timer that must end next, when a move did nothing but set it: it could come just before."""
    if (before.round, before.step, before.polkas) != (after.round, after.step, after.polkas):
        return None
    if after.waits_for_prevotes and not before.waits_for_prevotes:
        return Timer(PREVOTE, after.round)
    if after.waits_for_precommits and not before.waits_for_precommits:
        return Timer(PRECOMMIT, after.round)
    return None


def _is_seen(before: View, after: View) -> bool:
    """Whether others can notice: something was signed or decided, or a crash was used up."""
    return (before.facts, before.decided, before.problems, before.crashes) != (
        after.facts,
        after.decided,
        after.problems,
        after.crashes,
    )
