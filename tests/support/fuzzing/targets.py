"""Every reader of bytes, with what it may raise and what must hold of what it accepts."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")

Make = Callable[[Random], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One reader: where its input comes from, and its promises."""

    name: str
    make: Make
    accepts: Callable[[bytes], bool]
    """Read one input; say whether it was taken. Raises nothing but what `run` would find, too."""
    run: Callable[[bytes], bool]
    """Read one input, and check what holds of it when it is accepted. Raises on any broken promise."""
    refuses: bool
    """Whether there are inputs that it refuses."""
    weight: int
    """How often it has its turn, compared with others."""
    peak_bytes: int
    """What it may hold in memory even for a small input."""


def reading(
    name: str,
    make: Make,
    read: Callable[[bytes], T],
    *,
    errors: tuple[type[Exception], ...],
    check: Callable[[bytes, T], None],
    weight: int = 1,
    peak_bytes: int = 4 << 20,
) -> Target:
    """Return a target: `errors` is what its docstring says that it raises; anything else is a fault."""

    def accepts(data: bytes) -> bool:
        try:
            read(data)
        except errors:
            return False
        return True

    def run(data: bytes) -> bool:
        try:
            value = read(data)
        except errors:
            return False
        check(data, value)
        return True

    return Target(
        name=name,
        make=make,
        accepts=accepts,
        run=run,
        refuses=bool(errors),
        weight=weight,
        peak_bytes=peak_bytes,
    )


def anything(data: bytes, value: object) -> None:
    """Promise nothing of an accepted input."""


def same_bytes(encode: Callable[[T], bytes]) -> Callable[[bytes, T], None]:
    """Promise that an accepted input is the one encoding of what was read."""

    def check(data: bytes, value: T) -> None:
        assert encode(value) == data, "accepted, but not canonical"

    return check


def settled(read: Callable[[bytes], T], encode: Callable[[T], bytes]) -> Callable[[bytes, T], None]:
    """Promise that what was read can be written, and that it then reads and writes the same."""

    def check(data: bytes, value: T) -> None:
        once = encode(value)
        again = read(once)
        assert encode(again) == once, "does not come back as it was"

    return check
