"""The bytes of a segment: golden ones, for they are a disk format, and what is refused beside them."""

import struct
import zlib

import pytest

from catenet.storage import frame
from catenet.storage.frame import (
    FRAME_HEAD_BYTES,
    HEADER_BYTES,
    PAYLOAD_BYTES_MAX,
    Checksum,
    SegmentHeader,
    decode_head,
    decode_header,
    encode_frame,
    find_frame,
    frame_at,
    frame_bytes,
    payload_of,
    records_of,
)
from catenet.types.errors import Corrupt

LOG_ID = bytes(range(16))
CHECKSUM = Checksum.of(LOG_ID, 3)
HEADER = SegmentHeader(log_id=LOG_ID, number=3, first_sequence=7)


def resealed(data: bytes) -> bytes:
    """Return a changed header under a checksum that holds."""
    return data[:60] + zlib.crc32(data[:60]).to_bytes(4, "little")


def test_a_header_has_these_bytes() -> None:
    data = HEADER.encode()
    assert data[:60].hex() == (
        "434154454c4f4731000102030405060708090a0b0c0d0e0f03000000000000000700000000000000" + "00" * 20
    )
    assert int.from_bytes(data[60:], "little") == zlib.crc32(data[:60])
    assert len(data) == HEADER_BYTES == 64
    assert decode_header(data) == HEADER
    assert decode_header(data + b"more") == HEADER


def test_another_header_is_refused() -> None:
    data = HEADER.encode()
    assert decode_header(data[:63]) is None
    assert decode_header(b"") is None
    assert decode_header(data[:63] + bytes([data[63] ^ 1])) is None
    # The checksum holds, but these are other files: older and newer names of the format.
    for magic in (b"CATELOG0", b"CATELOG2"):
        assert decode_header(resealed(magic + data[8:])) is None
    assert decode_header(resealed(data)) == HEADER


def test_a_frame_has_these_bytes() -> None:
    payload = payload_of([b"ab", b"", b"c"])
    assert payload.hex() == "02000000" + "6162" + "00000000" + "01000000" + "63"
    data = encode_frame(payload, CHECKSUM, sequence=9, offset=64)
    place = b"".join([n.to_bytes(size, "little") for n, size in ((3, 8), (64, 8), (len(payload), 4), (9, 8))])
    crc = zlib.crc32(payload, zlib.crc32(place, zlib.crc32(LOG_ID)))
    head = (15).to_bytes(4, "little") + crc.to_bytes(4, "little") + (9).to_bytes(8, "little")
    assert data == head + payload + bytes(1)
    assert decode_head(data[:16]) == (15, crc, 9)
    assert frame_at(data, 0, CHECKSUM, base=64, sequence=9) == payload
    assert records_of(payload) == [b"ab", b"", b"c"]
    assert (payload_of([]), records_of(b"")) == (b"", [])
    assert decode_head(data) == decode_head(data[:16])


@pytest.mark.parametrize("records", [[b""], [b"a", b""], [b"", b""], [b"abc"]])
def test_a_group_is_made_of_whole_records(records: list[bytes]) -> None:
    payload = payload_of(records)
    assert records_of(payload) == records
    for wrong in (payload + b"\0", payload + bytes(3), b"\1" + bytes(3) + payload[:-4] + b"\5" + bytes(3)):
        with pytest.raises(Corrupt, match="not made of whole records"):
            records_of(wrong)


@pytest.mark.parametrize(("length", "room"), [(0, 16), (1, 24), (7, 24), (8, 24), (9, 32), (16, 32)])
def test_frames_begin_at_multiples_of_eight(length: int, room: int) -> None:
    assert frame_bytes(length) == room
    data = encode_frame(b"p" * length, CHECKSUM, sequence=1, offset=64)
    assert len(data) == room
    assert data[16:] == (b"p" * length).ljust(room - 16, b"\0")


@pytest.mark.parametrize("size", range(24))
def test_a_cut_frame_is_none(size: int) -> None:
    data = encode_frame(b"12345678", CHECKSUM, sequence=1, offset=64)
    assert frame_at(data[:size], 0, CHECKSUM, base=64) is None
    assert frame_at(data, 0, CHECKSUM, base=64) == b"12345678"


def test_a_frame_passes_only_at_its_place_under_its_number_in_its_log() -> None:
    data = encode_frame(b"payload", CHECKSUM, sequence=5, offset=64)
    assert frame_at(bytes(8) + data, 8, CHECKSUM, base=56, sequence=5) == b"payload"
    assert frame_at(data, 0, CHECKSUM, base=64) == b"payload"
    assert frame_at(data, 0, CHECKSUM, base=64, sequence=4) is None
    assert frame_at(data, 0, CHECKSUM, base=64, sequence=6) is None
    for base in (63, 65, 72, 0):
        assert frame_at(data, 0, CHECKSUM, base=base, sequence=5) is None
    assert frame_at(data, 0, Checksum.of(LOG_ID, 4), base=64) is None
    assert frame_at(data, 0, Checksum.of(LOG_ID[::-1], 3), base=64) is None
    # Zeros behind the payload are part of the frame: anything else was not written by us.
    assert frame_at(data[:-1] + b"\1", 0, CHECKSUM, base=64) is None


def test_no_frame_begins_with_these_heads() -> None:
    assert decode_head(bytes(16)) is None
    assert decode_head(bytes(15)) is None
    assert decode_head((1).to_bytes(4, "little") + bytes(12)) is None
    tail = bytes(4) + (1).to_bytes(8, "little")
    assert decode_head(PAYLOAD_BYTES_MAX.to_bytes(4, "little") + tail) == (PAYLOAD_BYTES_MAX, 0, 1)
    assert decode_head((PAYLOAD_BYTES_MAX + 1).to_bytes(4, "little") + tail) is None
    assert PAYLOAD_BYTES_MAX == 1 << 30


def test_a_group_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame, "PAYLOAD_BYTES_MAX", 10)
    assert encode_frame(b"1234567890", CHECKSUM, sequence=1, offset=64)
    with pytest.raises(ValueError, match="11 bytes is over the limit of 10"):
        encode_frame(b"12345678901", CHECKSUM, sequence=1, offset=64)


class Counting:
    """A checksum that counts how often it is asked."""

    before = CHECKSUM.before

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, payload: bytes, *, sequence: int, offset: int) -> int:
        self.asked.append(offset)
        return CHECKSUM(payload, sequence=sequence, offset=offset)


def segment(*frames: tuple[int, bytes], gap: int = 0) -> bytes:
    """Return a segment of frames (number, payload), the first one behind a gap."""
    data = bytes(64 + gap)
    for sequence, payload in frames:
        data += encode_frame(payload, CHECKSUM, sequence=sequence, offset=len(data))
    return data


def test_a_valid_frame_behind_damage_is_found() -> None:
    data = segment((5, b"five"), (6, b"six"), gap=40)
    assert find_frame(data, 65, CHECKSUM, after=4) == 104
    assert find_frame(data, 104, CHECKSUM, after=4) == 104
    assert find_frame(data, 105, CHECKSUM, after=4) == 128
    assert find_frame(data + bytes(500), 105, CHECKSUM, after=5) == 128
    assert find_frame(data, 129, CHECKSUM, after=4) is None
    assert find_frame(bytes(500), 0, CHECKSUM, after=0) is None
    assert find_frame(b"", 64, CHECKSUM, after=0) is None


def test_only_a_later_number_counts_as_behind_the_damage() -> None:
    data = segment((5, b"five"))
    assert find_frame(data, 64, CHECKSUM, after=5) is None
    assert find_frame(data, 64, CHECKSUM, after=4) == 64
    # The smallest frame has 16 bytes, so in the 36 bytes from here on no number is that much higher.
    far = segment((9, b"nine"), gap=16)
    assert find_frame(far, 64, CHECKSUM, after=6) == 80
    assert find_frame(far, 64, CHECKSUM, after=5) is None


def test_finding_costs_few_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    data = segment((2, b"two"), gap=8)
    # Bytes that could be a head, but for their number.
    for number in (1, 2**40):
        junk = (3).to_bytes(4, "little") + bytes(4) + number.to_bytes(8, "little")
        data += junk
    assert find_frame(data, 64, counting, after=2) is None  # type: ignore[arg-type]  # it is called alike
    assert counting.asked == []
    assert find_frame(data, 64, counting, after=1) == 72  # type: ignore[arg-type]  # it is called alike
    assert counting.asked == [72]
    assert FRAME_HEAD_BYTES == 16


@pytest.mark.parametrize(("direct_bytes", "direct"), [(0, 0), (1, 1), (16, 2), (17, 3), (31, 4), (1000, 32)])
def test_sums_come_from_a_table_after_so_many_bytes(
    monkeypatch: pytest.MonkeyPatch, direct_bytes: int, direct: int
) -> None:
    """Behind 32 heads of frames of 8 bytes that are none stands a head that leads too far, then a frame."""
    monkeypatch.setattr(frame, "DIRECT_BYTES", direct_bytes)
    sums = [n if n % 2 else 2**32 - 1 - n for n in range(32)]
    fakes = b"".join([struct.pack("<IIQ", 8, crc, 5 + n % 4) for n, crc in enumerate(sums)])
    begin = bytes(64 + 512 + 16)
    real = len(begin)
    too_far = struct.pack("<IIQ", 80, 1, 5)
    payload = b"a real one, of forty bytes with its tail"
    data = begin[:64] + fakes + too_far + encode_frame(payload, CHECKSUM, sequence=9, offset=real)
    counting = Counting()
    assert find_frame(data, 64, counting, after=2) == real  # type: ignore[arg-type]  # it is called alike
    assert counting.asked == [*range(64, 64 + 16 * direct, 16), real]
    assert find_frame(data[:-7] + b"!" + data[-6:], 64, CHECKSUM, after=2) is None
