"""What one reading of an input may cost: CPU, memory, and that it ends at all."""

import resource
import signal
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SPACE_BYTES = 1 << 30
"""How much the process may grow while inputs are read: an input that wants more fails, not the machine."""

STUCK_S = 20.0
CPU_S = 1.0
"""One input; the largest that are made have some 100 KiB."""

PEAK_PER_BYTE = 400
"""What one input may hold in Python objects for each of its bytes, besides a constant."""


class Costly(AssertionError):
    """An input cost more than its size explains."""


@contextmanager
def bounded_space() -> Iterator[None]:
    """Limit the address space of this process for the length of the body."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + SPACE_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def ends() -> Iterator[None]:
    """Interrupt a body that does not end; only in the main thread."""

    def stuck(number: int, frame: FrameType | None) -> None:
        raise Costly(f"no end after {STUCK_S} s")

    former = signal.signal(signal.SIGALRM, stuck)
    signal.setitimer(signal.ITIMER_REAL, STUCK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


@contextmanager
def cheap(size: int, *, peak_bytes: int, traced: bool) -> Iterator[None]:
    """Raise `Costly` when the body takes more CPU, or (`traced`, slower) more memory than an input may."""
    if traced:
        tracemalloc.start()
    begun = time.thread_time()
    try:
        yield
    finally:
        used = time.thread_time() - begun
        peak = tracemalloc.get_traced_memory()[1] if traced else 0
        if traced:
            tracemalloc.stop()
    # Tracing slows the body down, so that only memory is judged then.
    if not traced and used > CPU_S:
        raise Costly(f"{used:.2f} s of CPU for {size} bytes")
    if peak > peak_bytes + PEAK_PER_BYTE * size:
        raise Costly(f"{peak} bytes of memory for {size} bytes")
