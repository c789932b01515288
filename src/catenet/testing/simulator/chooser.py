"""The one source of chance: a seed, a list of choices made before, or Hypothesis.

Nothing here knows what is being chosen. 0 is always the dullest choice: nothing lost, no delay, the first.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

Source = Callable[[int], int]
"""Given n, a number from 0 to n - 1."""

_SCALE = 1 << 20


def seeded(seed: int) -> Source:
    """Return the source of a seed: equal seeds give equal numbers on every machine."""
    bits_of = Random(seed).getrandbits

    def source(n: int) -> int:
        assert n > 0, n
        # The same numbers as `Random.randrange`, on every version of Python, for a third of the time.
        bits = n.bit_length()
        number = bits_of(bits)
        while number >= n:
            number = bits_of(bits)
        return number

    return source


def replayed(choices: Sequence[int]) -> Source:
    """Return a source that repeats choices; one that does not fit, and all after the last, are 0."""
    left = iter(choices)

    def source(n: int) -> int:
        choice = next(left, 0)
        return choice if choice < n else 0

    return source


class Chooser:
    """Makes choices from one source; every choice is one call of `choose`."""

    def __init__(self, source: int | Source, *, record: bool = False) -> None:
        """`source`: a seed, or a function such as `replayed` gives. `record` keeps what was chosen."""
        self._source = seeded(source) if isinstance(source, int) else source
        self.choices = 0
        """How many choices were made."""
        self.made: list[int] | None = [] if record else None
        """The choices, in order, when they are recorded."""

    def choose(self, n: int) -> int:
        """Return a number from 0 to n - 1."""
        self.choices += 1
        choice = self._source(n)
        if self.made is not None:
            self.made.append(choice)
        return choice

    def chance(self, p: float) -> bool:
        """Return True with probability `p`."""
        return p > 0 and self.choose(_SCALE) >= (1 - p) * _SCALE

    def between(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included."""
        return low + self.choose(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.choose(len(items))]

    def tail(self, typical: int, longest: int) -> int:
        """Return a delay: mostly around `typical`, one in sixteen anywhere up to `longest`."""
        if self.choose(16) == 15:
            return self.between(typical, max(typical, longest))
        return self.between(typical // 2, typical + typical // 2)
