"""Making a failing schedule small: fewer faults, fewer nodes, duller choices, until nothing can be left out.

A schedule is its configuration and the choices that were made in it. A candidate counts when it breaks the
same invariant. First the configuration is calmed, then choices are set to 0, the dullest, in ever smaller
pieces (delta debugging).
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from catenet.testing.mutants.hunt import invariant_of
from catenet.testing.simulator.chooser import Chooser, replayed
from catenet.testing.simulator.config import DEFAULTS, SimulationConfig, Violation, with_changes
from catenet.testing.simulator.run import run
from catenet.testing.simulator.story import Story
from catenet.types.errors import InvalidInput

VERSION = 1
"""Of the file that a found schedule is kept in."""

CALMER: Sequence[Mapping[str, object]] = (
    {"validators": 4},
    {"traitors": ()},
    {"total_crash": False},
    {"lock_crashes": 0},
    {"aimed_crashes": 0},
    {"crashes": 0},
    {"lost_journals": 0},
    {"restored_backups": 0},
    {"disk_failures": 0},
    {"clock_steps": 0},
    {"clock_drift_ppm": 0},
    {"clock_skew_us": 0},
    {"rejections": 0.0},
    {"power_changes": 0.0},
    {"powers": ()},
    {"partition_every_us": 0},
    {"broken_links": 0},
    {"duplication": 0.0},
    {"loss": 0.0},
    {"submissions": 2},
    {"chaos_us": 1_000_000},
    {"chaos_us": 2_000_000},
)
"""What may be left out of a configuration, the weightiest first."""

SEEDS_TRIED = 4
"""How many seeds a calmer configuration is tried with: the same numbers mean other things in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A schedule that breaks an invariant."""

    seed: int
    config: SimulationConfig
    choices: Sequence[int]
    """What was chosen, in order; all after them are 0."""
    fault: str
    runs: int = 0
    """How many runs the search has cost."""

    @property
    def invariant(self) -> str:
        """The invariant that is broken."""
        return invariant_of(self.fault)

    @property
    def size(self) -> int:
        """How many choices are not the dullest one."""
        return sum(choice != 0 for choice in self.choices)

    def to_json(self) -> str:
        """Return the text of a file that keeps it as a regression test."""
        config = {name: value for name, value in asdict(self.config).items() if value != DEFAULTS[name]}
        content = {
            "version": VERSION,
            "seed": self.seed,
            "fault": self.fault,
            "config": config,
            "choices": list(self.choices),
        }
        return json.dumps(content) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Found":
        """Read what `to_json` wrote. Raises `InvalidInput` with what is wrong."""
        try:
            content = json.loads(text)
            version, given = content["version"], dict(content["config"])
            choices = [int(choice) for choice in content["choices"]]
            seed, fault = int(content["seed"]), str(content["fault"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"not a found schedule: {error!r}") from None
        if version != VERSION:
            raise InvalidInput(f"a found schedule of version {version!r}; this program reads {VERSION}")
        changes = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items()}
        config = with_changes(SimulationConfig(), changes)
        return cls(seed=seed, config=config, choices=choices, fault=fault)


def replay(found: Found, *, story: Story | None = None) -> Found | None:
    """Run a found schedule again; None when nothing is broken any more."""
    return _attempt(found.seed, found.config, Chooser(replayed(found.choices), record=True), story)


def find(seed: int, config: SimulationConfig, *, story: Story | None = None) -> Found | None:
    """Run a seed and keep its choices; None when nothing is broken."""
    return _attempt(seed, config, Chooser(seed, record=True), story)


def _attempt(seed: int, config: SimulationConfig, chooser: Chooser, story: Story | None) -> Found | None:
    try:
        run(seed, config, chooser=chooser, story=story)
    except Violation as violation:
        assert chooser.made is not None
        return Found(seed=seed, config=config, choices=chooser.made, fault=str(violation))
    return None


class Shrink:
    """One search for a smaller schedule that breaks the same invariant."""

    def __init__(
        self, found: Found, *, runs: int, on_step: Callable[[Found], None] = lambda found: None
    ) -> None:
        """`runs` bounds how many schedules are tried."""
        self._best = found
        self._runs_max = runs
        self._runs = 0
        self._on_step = on_step

    def run(self) -> Found:
        """Return the smallest schedule that was found."""
        self._calm()
        self._dull()
        return replace(self._best, runs=self._runs)

    def _better(self, made: Found | None) -> bool:
        """Take a candidate's run; say whether it breaks the same invariant and is kept."""
        self._runs += 1
        if made is None or made.invariant != self._best.invariant:
            return False
        self._best = made
        self._on_step(made)
        return True

    def _calm(self) -> None:
        """Leave out of the configuration what the fault does not need; another seed may do instead."""
        for change in CALMER:
            config = with_changes(self._best.config, change)
            if config == self._best.config or config.chaos_us > self._best.config.chaos_us:
                continue
            first = self._best.seed
            for seed in range(first, first + SEEDS_TRIED):
                if self._runs >= self._runs_max or self._better(find(seed, config)):
                    break

    def _dull(self) -> None:
        """Set choices to 0 in pieces, from halves down to single ones."""
        size = max(1, len(self._best.choices) // 2)
        while size >= 1:
            for start in _starts(len(self._best.choices), size):
                choices = list(self._best.choices)
                if self._runs >= self._runs_max:
                    return
                if any(choices[start : start + size]):
                    choices[start : start + size] = [0] * len(choices[start : start + size])
                    self._better(replay(replace(self._best, choices=choices)))
            size //= 2


def _starts(length: int, size: int) -> Iterator[int]:
    """Yield where pieces begin, the last one first: late choices are the easiest to leave out."""
    yield from reversed(range(0, length, size))
