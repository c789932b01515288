"""`explore(config)`: all honest validators together, breadth first, from signature to signature."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import pairwise

from catenet.testing.model.automaton import Automaton
from catenet.testing.model.canonical import View, view
from catenet.testing.model.completion import complete
from catenet.testing.model.config import Breach, Exploration, ModelConfig, Observer, Progress
from catenet.testing.model.invariants import broken
from catenet.testing.model.moves import Crash, Move, describe
from catenet.testing.model.scene import Scene
from catenet.testing.model.turns import Turn, Turns

State = tuple[int, ...]
"""A number of a local state for each honest validator."""

PROGRESS_EVERY = 20_000


def explore(config: ModelConfig, observe: Observer | None = None) -> Exploration:
    """Visit every state of a model, or as many as the budget allows. A breach is told by a shortest path."""
    return Search(config).run(observe)


class Search:
    """One exploration."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.scene = Scene(config)
        self.automata = [Automaton(self.scene, turn) for turn in self.scene.honest]
        self._turns = [Turns(automaton) for automaton in self.automata]
        self._origin: dict[State, tuple[State, int] | None] = {}
        """How each state was reached first: from which, by whose turn."""
        self._checked: set[tuple[object, ...]] = set()
        self._breaches: list[Breach] = []
        self._decided = self._locked = self._transitions = self._deepest = 0
        self._rounds: set[int] = set()

    def run(self, observe: Observer | None = None) -> Exploration:
        """Search, then see that the height can be decided from states that were found."""
        begun = time.process_time()
        complete_space = self._search(observe)
        completions = self._complete()
        return Exploration(
            config=self.config,
            complete=complete_space,
            states=len(self._origin),
            transitions=self._transitions,
            depth=self._deepest,
            local_states=sum([len(automaton.views) for automaton in self.automata]),
            local_transitions=sum([automaton.transitions for automaton in self.automata]),
            events=sum([automaton.events for automaton in self.automata]),
            signings=len(self._checked),
            decided=self._decided,
            decided_rounds=tuple(sorted(self._rounds)),
            locked=self._locked,
            completions=completions,
            violations=tuple(self._breaches),
            seconds=time.process_time() - begun,
        )

    def _search(self, observe: Observer | None) -> bool:
        start = tuple([0 for _ in self.automata])
        waiting: deque[tuple[State, int]] = deque([(start, 0)])
        self._visit(start, None)
        while waiting:
            state, depth = waiting.popleft()
            self._deepest = max(self._deepest, depth)
            for place, following in self._successors(state):
                self._transitions += 1
                if following in self._origin:
                    continue
                self._visit(following, (state, place))
                waiting.append((following, depth + 1))
                if observe is not None and len(self._origin) % PROGRESS_EVERY == 0:
                    observe(self._progress(len(waiting), depth))
            if len(self._breaches) >= self.config.violations_max or len(self._origin) >= self.config.budget:
                break
        return not waiting

    def _progress(self, waiting: int, depth: int) -> Progress:
        local = sum([len(automaton.views) for automaton in self.automata])
        return Progress(states=len(self._origin), waiting=waiting, depth=depth, local_states=local)

    def views(self, state: State) -> list[View]:
        """Return what each validator of a state looks like."""
        return [automaton.views[number] for automaton, number in zip(self.automata, state, strict=True)]

    def _successors(self, state: State) -> Iterator[tuple[int, State]]:
        for place in range(len(state)):
            for target, _ in self._turns_of(state, place):
                yield place, (*state[:place], target, *state[place + 1 :])

    def _turns_of(self, state: State, place: int) -> Sequence[Turn]:
        views = self.views(state)
        may_crash = sum([view.crashes for view in views]) < self.config.crashes
        others = tuple([view.facts for index, view in enumerate(views) if index != place])
        return self._turns[place].of(state[place], others, may_crash=may_crash)

    def _visit(self, state: State, origin: tuple[State, int] | None) -> None:
        self._origin[state] = origin
        views = self.views(state)
        self._locked += any(view.locked for view in views)
        self._rounds.update([view.decided_round for view in views if view.decided is not None])
        self._decided += any(view.decided is not None for view in views)
        key = tuple([(view.facts, view.decided, view.decided_round, view.problems) for view in views])
        if key in self._checked:
            return
        self._checked.add(key)
        for invariant, what in broken(self.scene, views):
            asked = self.config.only in ("", invariant)
            if asked and len(self._breaches) < self.config.violations_max:
                lines = tuple(self.lines(self.path(state)))
                self._breaches.append(Breach(invariant=invariant, what=what, path=lines))

    def signings(self) -> set[tuple[object, ...]]:
        """Return what was signed and decided, over all states that were visited."""
        return {tuple([(view.facts, view.decided) for view in self.views(state)]) for state in self._origin}

    def visited(self) -> Sequence[State]:
        """Return all states, nearest first."""
        return tuple(self._origin)

    def way(self, state: State) -> list[State]:
        """Return the states on a shortest way to a state, the start first."""
        found = [state]
        while (origin := self._origin[found[-1]]) is not None:
            found.append(origin[0])
        return found[::-1]

    def path(self, state: State) -> list[tuple[int, tuple[Move, ...]]]:
        """Return a shortest way to a state: whose turn, and its moves."""
        way = self.way(state)
        found: list[tuple[int, tuple[Move, ...]]] = []
        for before, after in pairwise(way):
            place = next(index for index in range(len(before)) if before[index] != after[index])
            found.append((place, dict(self._turns_of(before, place))[after[place]]))
        return found

    def lines(self, path: Sequence[tuple[int, tuple[Move, ...]]]) -> Iterator[str]:
        """Tell a way to a state as a person reads it: each move, and what it made the validator sign."""
        validators = [automaton.start() for automaton in self.automata]
        for place, moves in path:
            for move in moves:
                before = view(validators[place])
                validators[place].take(move)
                after = view(validators[place])
                yield f"v{after.turn} {describe(move)}{_outcome(before, after, move)}"

    def _complete(self) -> int:
        """Run a delivering network from states evenly spread over all that were visited."""
        if not self.config.completions or self._breaches:
            return 0
        states = list(self._origin)
        stride = max(1, len(states) // self.config.completions)
        chosen = states[::stride][: self.config.completions]
        for count, state in enumerate(chosen):
            path = self.path(state)
            validators = [automaton.start() for automaton in self.automata]
            for place, moves in path:
                for move in moves:
                    validators[place].take(move)
            fault = complete(validators)
            if fault is not None:
                lines = tuple(self.lines(path))
                self._breaches.append(Breach(invariant="the height is decided", what=fault, path=lines))
                return count
        return len(chosen)


def _outcome(before: View, after: View, move: Move) -> str:
    told = sorted([str(fact) for fact in after.facts - before.facts])
    if after.decided is not None and before.decided is None:
        told.append(f"decides {after.decided}")
    told.extend([problem for problem in after.problems if problem not in before.problems])
    if after.round != before.round and after.decided is None and not isinstance(move, Crash):
        told.insert(0, f"enters round {after.round}")
    return f" -> {'; '.join(told)}" if told else ""
