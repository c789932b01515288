"""Sums of stretches, and the search for a frame among bytes that were made to look like many."""

import struct
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.storage import frame
from catenet.storage.frame import Checksum, encode_frame, find_frame
from catenet.storage.running import RunningSums

CHECKSUM = Checksum.of(b"0123456789abcdef", 1)
CPU_S = 10.0
"""Five times what it takes; the square of the length took four times as long as this."""


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 2**32 - 1), st.data())
def test_a_stretch_has_the_sum_that_zlib_gives(data: bytes, seed: int, draw: st.DataObject) -> None:
    begin = draw.draw(st.integers(0, len(data)))
    first = draw.draw(st.integers(begin, len(data)))
    end = draw.draw(st.integers(first, len(data)))
    assert RunningSums(data, begin).crc(first, end, seed) == zlib.crc32(data[first:end], seed)


def heads(size: int, *, length: int) -> bytes:
    """Return bytes of which every sixteenth could begin a frame."""
    return b"".join(
        [struct.pack("<IIQ", min(length, size - at - 16), 1, 5 + at % 1000) for at in range(0, size, 16)]
    )


@pytest.mark.slow
def test_bytes_made_to_look_like_frames_do_not_hold_up_a_start() -> None:
    fake = heads(1 << 20, length=1 << 20)
    begun = time.thread_time()
    assert find_frame(fake, 0, CHECKSUM, after=2) is None
    assert time.thread_time() - begun < CPU_S


@pytest.mark.slow
@pytest.mark.parametrize("padding", range(8))
def test_a_real_frame_is_found_behind_bytes_made_to_look_like_frames(padding: int) -> None:
    fake = heads(256 << 10, length=4096)
    assert len(fake) // 16 * 4096 > frame.DIRECT_BYTES, "the table is in use at the end"
    real = encode_frame(b"x" * (64 + padding), CHECKSUM, sequence=9, offset=len(fake))
    assert find_frame(fake + real + bytes(64), 0, CHECKSUM, after=2) == len(fake)
    assert find_frame(fake + real[:-9] + b"y" + real[-8:], 0, CHECKSUM, after=2) is None
