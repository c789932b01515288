"""When to try again: exponential with full jitter, lest many nodes come back in step. No waiting here."""

from random import Random

FIRST_S = 0.05


class Backoff:
    """The pauses between attempts to reach one peer."""

    def __init__(self, *, random: Random, cap_s: float) -> None:
        self._random = random
        self._cap_s = cap_s
        self._attempt = 0

    def next_s(self) -> float:
        """Return the next pause: between nothing and a bound that doubles up to the cap."""
        bound_s = min(self._cap_s, FIRST_S * (1 << min(self._attempt, 30)))
        self._attempt += 1
        return bound_s * self._random.random()

    def reset(self) -> None:
        """Begin anew: the peer was reached."""
        self._attempt = 0
