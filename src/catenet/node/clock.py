"""Where the clocks are read. Everything below is given an `Instant`."""

import time

from catenet.types.clock import Instant


def now() -> Instant:
    """Return this moment by the machine's two clocks."""
    return Instant(mono_us=time.monotonic_ns() // 1000, wall_ns=time.time_ns())
