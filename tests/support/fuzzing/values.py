"""Single values on and beside the borders where readers go wrong."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")

INTEGERS = (
    *(0, 1, 2, 3, 4, 5, 19, 20, 21, 31, 32, 33, 127, 128, 255, 256, 4096, 8192, 65535, 65536),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1),
)
LENGTHS = (0, 0, 1, 2, 19, 20, 21, 31, 32, 33, 63, 64, 65, 127, 128, 255, 300)
STRINGS = (
    *("", "a", "test-chain", "other-chain", "x" * 50, "x" * 51, "x" * 255, "x" * 256, "/store", "/val"),
    *("\0", "\n\t\r", "\u202e", "\ud7ff", "\U0010ffff", "<script>", "%s{0}", "../..", "ed25519", "🦀" * 13),
)
NO_STRINGS = (b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80")
"""What no string of protobuf may be: not UTF-8, surrogates, beyond Unicode, overlong."""


def chance(random: Random, one_in: int) -> bool:
    """Say yes once in so many times; 0 is never."""
    return one_in > 0 and random.randrange(one_in) == 0


def integer(random: Random) -> int:
    """Return an unsigned number of 64 bits, mostly near a border."""
    return random.getrandbits(64) if chance(random, 8) else pick(random, INTEGERS)


def some_bytes(random: Random) -> bytes:
    """Return bytes of a telling length."""
    size = pick(random, LENGTHS)
    return (
        bytes([pick(random, (0, 1, 10, 127, 128, 255))]) * size if chance(random, 2) else noise(random, size)
    )


def noise(random: Random, size: int) -> bytes:
    """Return random bytes."""
    return random.getrandbits(8 * size).to_bytes(size, "big") if size else b""


def pick(random: Random, items: Sequence[T]) -> T:
    """Return one of the items."""
    return items[random.randrange(len(items))]
