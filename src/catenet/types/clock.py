"""The two times a machine is given with every event. Reading a clock happens outside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment, as seen by this node."""

    mono_us: int
    """Monotonic microseconds since an arbitrary start: for durations and timers."""

    wall_ns: int
    """Nanoseconds since 1970 UTC by the node's own clock: for the time in votes, which others check."""
