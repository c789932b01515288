"""CRC-32 of any stretch of some bytes in time that hardly depends on its length. Pure.

CRC-32 is linear: with the sums of all prefixes, the sum of a stretch is the prefix sum at its end,
corrected by what the difference at its begin becomes when as many zero bytes follow it.
"""

import zlib
from functools import cache

STEP = 8
"""Prefix sums are kept at every so many bytes."""


class RunningSums:
    """Prefix sums of data from a place on."""

    def __init__(self, data: bytes, begin: int) -> None:
        self._data = data
        self._begin = begin
        sums, last = [0], 0
        for at in range(begin, len(data), STEP):
            last = zlib.crc32(data[at : at + STEP], last)
            sums.append(last)
        self._sums = sums

    def crc(self, first: int, end: int, seed: int) -> int:
        """Return `zlib.crc32(data[first:end], seed)`; `first` is not before the place of the beginning."""
        return self._upto(end) ^ _followed_by_zeros(self._upto(first) ^ seed, end - first)

    def _upto(self, end: int) -> int:
        steps, rest = divmod(end - self._begin, STEP)
        return zlib.crc32(self._data[end - rest : end], self._sums[steps])


def _followed_by_zeros(difference: int, count: int) -> int:
    """Return how two sums that differ by `difference` differ after `count` zero bytes."""
    power = 0
    while count:
        if count & 1:
            difference = _times(_zeros(power), difference)
        count >>= 1
        power += 1
    return difference


def _times(matrix: tuple[int, ...], vector: int) -> int:
    total = index = 0
    while vector:
        if vector & 1:
            total ^= matrix[index]
        vector >>= 1
        index += 1
    return total


@cache
def _zeros(power: int) -> tuple[int, ...]:
    """Return the matrix over bits of 2^power zero bytes: what becomes of each bit of a difference."""
    if power == 0:
        nothing = zlib.crc32(b"\0", 0)
        return tuple([zlib.crc32(b"\0", 1 << bit) ^ nothing for bit in range(32)])
    half = _zeros(power - 1)
    return tuple([_times(half, column) for column in half])
