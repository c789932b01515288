"""What a model is bounded by, and what an exploration comes to. Plain values."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """One bounded model: four validators of equal power, one height. All within the bounds is tried."""

    rounds: int = 2
    """Rounds 0 to `rounds - 1`; nobody enters a later one."""
    traitor: int = 0
    """Which validator is byzantine, by turn: 0 proposes in round 0, 1 in round 1."""
    values: int = 2
    """How many different valid blocks the traitor has; besides them an invalid one."""
    crashes: int = 0
    """How many crashes and restarts there are in all, each at any record boundary."""
    budget: int = 2_000_000
    """States of the network after which the search gives up."""
    every_move: bool = False
    """Search from move to move instead of from signature to signature: to check that this loses nothing."""
    single_votes: bool = False
    """Votes come one by one, the book is part of the state: to check that groups of votes lose nothing."""
    completions: int = 50
    """From how many states, evenly spread, a network that delivers must come to a decision."""
    violations_max: int = 1
    """The search ends with this many."""
    only: str = ""
    """The invariant to look at, by its name; empty: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """An invariant that does not hold, and the shortest way there."""

    invariant: str
    what: str
    path: tuple[str, ...]
    """One line a move, as a person reads it."""

    def __str__(self) -> str:
        lines = [f"{number:3}. {line}" for number, line in enumerate(self.path, 1)]
        return "\n".join([f"{self.invariant}: {self.what}", *lines])


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """What was visited, and what was found."""

    config: ModelConfig
    complete: bool
    """Every state within the bounds was visited."""
    states: int
    """Of the network: one local state per honest validator."""
    transitions: int
    depth: int
    """Signatures, decisions and crashes on the longest of the shortest ways."""
    local_states: int
    """Of single validators."""
    local_transitions: int
    """Of single validators: each was made by the production core."""
    events: int
    """Events that the production core handled."""
    signings: int
    """Different sets of things signed, over all honest validators: on each the invariants were checked."""
    decided: int
    """States in which somebody has decided."""
    decided_rounds: tuple[int, ...]
    """Rounds whose precommits decided, over all states."""
    locked: int
    """States in which somebody is locked."""
    completions: int
    """States from which a network that delivers was run to a decision."""
    violations: tuple[Breach, ...]
    seconds: float
    """Of processor time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a search is."""

    states: int
    waiting: int
    """States whose successors are not computed yet."""
    depth: int
    local_states: int


Observer = Callable[[Progress], None]
