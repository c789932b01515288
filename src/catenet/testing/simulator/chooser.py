"""The one source of chance. Nothing here knows what is being chosen."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

_SCALE = 1 << 20


class Chooser:
    """Chooses from a seed; every choice is one call of `choose`."""

    def __init__(self, seed: int) -> None:
        self._bits = Random(seed).getrandbits
        self.choices = 0
        """How many choices were made."""

    def choose(self, n: int) -> int:
        """Return a number from 0 to n - 1."""
        self.choices += 1
        assert n > 0, n
        # The same numbers as `Random.randrange`, on every version of Python, for a third of the time.
        bits = n.bit_length()
        number = self._bits(bits)
        while number >= n:
            number = self._bits(bits)
        return number

    def chance(self, p: float) -> bool:
        """Return True with probability `p`."""
        return p > 0 and self.choose(_SCALE) < p * _SCALE

    def between(self, low: int, high: int) -> int:
        """Return a number from `low` to `high`, both included."""
        return low + self.choose(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.choose(len(items))]

    def tail(self, typical: int, longest: int) -> int:
        """Return a delay: mostly around `typical`, one in sixteen anywhere up to `longest`."""
        if self.choose(16) == 0:
            return self.between(typical, max(typical, longest))
        return self.between(typical // 2, typical + typical // 2)
