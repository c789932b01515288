"""The bytes of a segment: a header, then frames. Pure: no file is touched here.

A frame is what one write put there: all records of a group under one checksum, so that a torn write leaves
nothing that looks whole. The checksum covers the log's random id, the segment's number, the frame's offset
and its sequence number: bytes left over from another place or time never pass, and nobody outside can
forge them.

    segment := header[64] frame*
    frame   := length u32 | crc u32 | sequence u64 | payload | zeros up to a multiple of 8
    header  := magic[8] | log id[16] | segment u64 | first sequence u64 | zeros[20] | crc u32
    payload := (record length u32 | record)*        all integers little endian; length counts the payload
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from catenet.storage.running import RunningSums
from catenet.types.errors import Corrupt

MAGIC = b"CATELOG1"
HEADER_BYTES = 64
FRAME_HEAD_BYTES = 16
ALIGNMENT = 8
PAYLOAD_BYTES_MAX = 1 << 30
DIRECT_BYTES = 16 << 20
"""So much is summed directly in the search for a frame."""


_HEADER = struct.Struct("<8s16sQQ20x")
_HEAD = struct.Struct("<IIQ")
_LENGTH = struct.Struct("<I")
_PLACE = struct.Struct("<QQIQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """Who a segment belongs to, and where it stands in its log."""

    log_id: bytes
    """16 random bytes, common to all segments of a log (and to the guard file beside a journal)."""

    number: int
    """From 1, without gaps."""

    first_sequence: int
    """Sequence number of the first frame in this segment."""

    def encode(self) -> bytes:
        """Return the 64 bytes."""
        body = _HEADER.pack(MAGIC, self.log_id, self.number, self.first_sequence)
        return body + zlib.crc32(body).to_bytes(4, "little")


def decode_header(data: bytes) -> SegmentHeader | None:
    """Return the header at the start of a segment, or None when it does not check."""
    size = _HEADER.size
    if len(data) < HEADER_BYTES or zlib.crc32(data[:size]) != int.from_bytes(
        data[size:HEADER_BYTES], "little"
    ):
        return None
    magic, log_id, number, first_sequence = _HEADER.unpack_from(data)
    if magic != MAGIC:
        return None
    return SegmentHeader(log_id=log_id, number=number, first_sequence=first_sequence)


@dataclass(frozen=True, slots=True)
class Checksum:
    """The checksum of frames in one segment of one log."""

    seed: int
    number: int

    @classmethod
    def of(cls, log_id: bytes, number: int) -> "Checksum":
        """Return the checksum for segment `number` of the log with this id."""
        return cls(zlib.crc32(log_id), number)

    def __call__(self, payload: bytes, *, sequence: int, offset: int) -> int:
        """Return the checksum of a frame with this payload at this place."""
        return zlib.crc32(payload, self.before(len(payload), sequence=sequence, offset=offset))

    def before(self, length: int, *, sequence: int, offset: int) -> int:
        """Return the sum so far, before the payload of a frame."""
        return zlib.crc32(_PLACE.pack(self.number, offset, length, sequence), self.seed)


def payload_of(records: Sequence[bytes]) -> bytes:
    """Join the records of one group."""
    parts: list[bytes] = []
    for record in records:
        parts.append(_LENGTH.pack(len(record)))
        parts.append(record)
    return b"".join(parts)


def records_of(payload: bytes) -> list[bytes]:
    """Split the payload of a frame that checked. Raises `Corrupt` when another version wrote it."""
    records: list[bytes] = []
    at, size = 0, len(payload)
    while at <= size - _LENGTH.size:
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size
        records.append(payload[at : at + length])
        at += length
    if at != size:
        raise Corrupt(f"a group of {size} bytes whose checksum holds is not made of whole records")
    return records


def encode_frame(payload: bytes, checksum: Checksum, *, sequence: int, offset: int) -> bytes:
    """Return the frame for `payload` at `offset` of its segment, padded to a multiple of 8."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a group of {len(payload)} bytes is over the limit of {PAYLOAD_BYTES_MAX}")
    head = _HEAD.pack(len(payload), checksum(payload, sequence=sequence, offset=offset), sequence)
    return head + payload + bytes(-len(payload) % ALIGNMENT)


def decode_head(head: bytes) -> tuple[int, int, int] | None:
    """Return (length, crc, sequence) of 16 bytes, or None when no frame can start with them."""
    if len(head) < FRAME_HEAD_BYTES:
        return None
    length, crc, sequence = _HEAD.unpack_from(head)
    return None if length > PAYLOAD_BYTES_MAX or sequence == 0 else (length, crc, sequence)


def frame_bytes(length: int) -> int:
    """Return how much room a frame with a payload of `length` bytes takes."""
    return FRAME_HEAD_BYTES + length + (-length % ALIGNMENT)


def frame_at(
    data: bytes, at: int, checksum: Checksum, *, base: int = 0, sequence: int | None = None
) -> bytes | None:
    """Return the payload of the frame at `data[at:]`, or None when none checks there.

    `base`: the offset in the segment at which `data` begins. With `sequence`, only a frame with that number
    passes; without, any whose checksum holds.
    """
    head = decode_head(data[at : at + FRAME_HEAD_BYTES])
    if head is None or (sequence is not None and head[2] != sequence):
        return None
    length, crc, found = head
    start = at + FRAME_HEAD_BYTES
    padded = data[start : start + length + (-length % ALIGNMENT)]
    payload = padded[:length]
    if len(payload) != length or padded[length:].strip(b"\0"):
        return None
    return payload if checksum(payload, sequence=found, offset=base + at) == crc else None


def find_frame(data: bytes, offset: int, checksum: Checksum, *, after: int) -> int | None:
    """Return the offset of the first valid frame from `offset` on with a number above `after`, or None.

    Every place where a frame may start is tried; the numbers that can stand there are few, so that hardly any
    place costs a checksum. But records hold what clients sent: bytes that look like heads of long frames, one
    behind the other, would cost the square of their length. After `DIRECT_BYTES` sums come from a table.
    """
    end = len(data.rstrip(b"\0"))
    offset += -offset % ALIGNMENT
    highest = after + 1 + max(0, end - offset) // FRAME_HEAD_BYTES
    left, sums = DIRECT_BYTES, None
    for place in range(offset, end, ALIGNMENT):
        head = decode_head(data[place : place + FRAME_HEAD_BYTES])
        if head is None or not after < head[2] <= highest:
            continue
        length, crc, sequence = head
        first = place + FRAME_HEAD_BYTES
        if first + length > len(data):
            continue
        if left <= 0:
            sums = sums or RunningSums(data, offset)
            seed = checksum.before(length, sequence=sequence, offset=place)
            if sums.crc(first, first + length, seed) != crc:
                continue
        left -= length
        if frame_at(data, place, checksum) is not None:
            return place
    return None
