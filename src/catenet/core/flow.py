"""Flow control by token bucket, in integers: no clock, no drift (communication.md 3)."""

_MICRO = 1_000_000


class TokenBucket:
    """Refills with `rate` tokens a second up to `capacity`. Time comes in as monotonic microseconds."""

    __slots__ = ("_capacity", "_level", "_now_us", "_rate")

    def __init__(self, rate: int, capacity: int, now_us: int = 0) -> None:
        """Start full. `rate` and `capacity` are at least 1."""
        if rate < 1 or capacity < 1:
            raise ValueError(f"rate {rate} and capacity {capacity} must be at least 1")
        self._rate = rate
        # Counted in millionths of a token, so that a microsecond refills a whole number of them.
        self._capacity = capacity * _MICRO
        self._level = self._capacity
        self._now_us = now_us

    def take(self, count: int, now_us: int) -> int:
        """Take `count` tokens: 0, or the microseconds after which they will be there, and nothing is taken.

        More than the capacity is granted when the bucket is full, at the price of a debt: a large request
        waits its time but is not refused for ever.
        """
        self._refill(now_us)
        cost = count * _MICRO
        needed = min(cost, self._capacity)
        if self._level >= needed:
            self._level -= cost
            return 0
        return -(-(needed - self._level) // self._rate)

    def available(self, now_us: int) -> int:
        """Return the whole tokens in the bucket; negative while a debt lasts."""
        self._refill(now_us)
        return self._level // _MICRO

    def _refill(self, now_us: int) -> None:
        if now_us > self._now_us:
            self._level = min(self._capacity, self._level + (now_us - self._now_us) * self._rate)
            self._now_us = now_us
