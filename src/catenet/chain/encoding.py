"""Canonical protobuf bytes by hand: writers of fields and a strict reader (chain-format.md 1, notation).

Hashes need bytes that never vary, which generated classes do not promise. Only the encoding lives here.
"""

from collections.abc import Collection, Iterator
from functools import lru_cache

ZERO_TIME_NS = -62_135_596_800 * 10**9
"""Go's zero time (year 1), in nanoseconds since 1970: the time of an absent signature."""

VARINT = 0
FIXED64 = 1
BYTES = 2

_SECOND = 10**9
_MASK64 = (1 << 64) - 1
_MIN_SECONDS = -62_135_596_800
_MAX_SECONDS = 253_402_300_799

_TIMES = 2048
"""Newest times kept: one vote's time is in what is signed, in the vote, and in the commit."""

_ONE_BYTE = tuple([bytes((n,)) for n in range(0x80)])
"""Varints of one byte, ready made: nearly all keys and lengths. This runs many times for every vote."""


class DecodeError(ValueError):
    """Bytes that are not the canonical encoding of a value of the expected kind."""


def uvarint(n: int) -> bytes:
    """Return the unsigned varint of `n`; a negative one as its 64-bit two's complement (ten bytes)."""
    if 0 <= n < 0x80:
        return _ONE_BYTE[n]
    if 1 << 28 <= n < 1 << 35:
        # Five bytes: the seconds of a time, and mostly its nanoseconds.
        return bytes(
            (n & 0x7F | 0x80, n >> 7 & 0x7F | 0x80, n >> 14 & 0x7F | 0x80, n >> 21 & 0x7F | 0x80, n >> 28)
        )
    if not -(1 << 63) <= n <= _MASK64:
        raise ValueError(f"{n} does not fit into 64 bits")
    n &= _MASK64
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def delimited(b: bytes) -> bytes:
    """Return `b` behind its length."""
    return uvarint(len(b)) + b


def int_field(number: int, n: int) -> bytes:
    """Return a varint field of a number up to 15, empty when `n` is 0."""
    return _ONE_BYTE[number << 3] + uvarint(n) if n else b""


def bytes_field(number: int, b: bytes) -> bytes:
    """Return a bytes field of a number up to 15, empty when `b` is empty."""
    return message_field(number, b) if b else b""


def message_field(number: int, message: bytes) -> bytes:
    """Return an embedded message of a number up to 15, written even when it is empty."""
    size = len(message)
    return _ONE_BYTE[number << 3 | BYTES] + (_ONE_BYTE[size] if size < 0x80 else uvarint(size)) + message


def sfixed64_field(number: int, n: int) -> bytes:
    """Return a signed 64-bit field of fixed width, empty when `n` is 0."""
    return _ONE_BYTE[number << 3 | FIXED64] + n.to_bytes(8, "little", signed=True) if n else b""


@lru_cache(maxsize=_TIMES)
def time_bytes(ns: int) -> bytes:
    """Return the `Timestamp` message of nanoseconds since 1970."""
    seconds, nanos = divmod(ns, _SECOND)
    return int_field(1, seconds) + int_field(2, nanos)


def read_uvarint(data: bytes, pos: int) -> tuple[int, int]:
    """Return the minimal varint at `pos` and the position behind it."""
    end = len(data)
    value = shift = 0
    while True:
        if pos >= end:
            raise DecodeError("truncated varint")
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise DecodeError("varint of more than ten bytes")
    if value > _MASK64:
        raise DecodeError("varint beyond 64 bits")
    if byte == 0 and shift:
        raise DecodeError("overlong varint")
    return value, pos


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, value) of each field; varints and fixed64 are unsigned.

    Raises `DecodeError` on truncation, overlong varints, and wire types that the format does not use.
    """
    pos, end = 0, len(data)
    while pos < end:
        # Here and below: a varint of one byte, as nearly all are, costs no call.
        key = data[pos]
        if key < 0x80:
            pos += 1
        else:
            key, pos = read_uvarint(data, pos)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise DecodeError(f"field number {number}")
        if wire_type == BYTES:
            if pos < end and data[pos] < 0x80:
                size, pos = data[pos], pos + 1
            else:
                size, pos = read_uvarint(data, pos)
            if size > end - pos:
                raise DecodeError(f"truncated field {number}: {size} bytes announced, {end - pos} left")
            yield number, wire_type, data[pos : pos + size]
            pos += size
        elif wire_type == VARINT:
            if pos < end and data[pos] < 0x80:
                value, pos = data[pos], pos + 1
            else:
                value, pos = read_uvarint(data, pos)
            yield number, wire_type, value
        elif wire_type == FIXED64:
            if end - pos < 8:
                raise DecodeError(f"truncated field {number}")
            yield number, wire_type, int.from_bytes(data[pos : pos + 8], "little")
            pos += 8
        else:
            raise DecodeError(f"wire type {wire_type} of field {number}")


class Message:
    """The fields of one message, checked against what may stand in it. Missing ones read as defaults."""

    __slots__ = ("_ints", "_pieces", "_repeated")

    def __init__(
        self,
        data: bytes,
        *,
        ints: Collection[int] = (),
        pieces: Collection[int] = (),
        repeated: int = 0,
    ) -> None:
        """Read `data`: varint fields `ints`, bytes fields `pieces`, and one field that may repeat."""
        self._ints: dict[int, int] = {}
        self._pieces: dict[int, bytes] = {}
        self._repeated: list[bytes] = []
        last = 0
        for number, wire_type, value in fields(data):
            if number < last or (number == last and number != repeated):
                raise DecodeError(f"field {number} twice or out of order")
            last = number
            if wire_type == VARINT and isinstance(value, int) and number in ints:
                self._ints[number] = value
            elif wire_type == BYTES and isinstance(value, bytes) and number == repeated:
                self._repeated.append(value)
            elif wire_type == BYTES and isinstance(value, bytes) and number in pieces:
                self._pieces[number] = value
            else:
                raise DecodeError(f"unexpected field {number} of wire type {wire_type}")

    def unsigned(self, number: int, bits: int = 64) -> int:
        """Return an unsigned integer of at most `bits` bits."""
        value = self._ints.get(number, 0)
        if value >> bits:
            raise DecodeError(f"field {number}: {value} does not fit into {bits} bits")
        return value

    def signed(self, number: int, bits: int = 64) -> int:
        """Return a signed integer of at most `bits` bits."""
        value = self._ints.get(number, 0)
        if value >> 63:
            value -= 1 << 64
        if not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise DecodeError(f"field {number}: {value} does not fit into {bits} bits")
        return value

    def piece(self, number: int) -> bytes:
        """Return a bytes field, empty when it is missing."""
        return self._pieces.get(number, b"")

    def text(self, number: int) -> str:
        """Return a string field."""
        try:
            return self.piece(number).decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"field {number} is not UTF-8") from error

    def message(self, number: int) -> bytes:
        """Return an embedded message, which must be there."""
        piece = self._pieces.get(number)
        if piece is None:
            raise DecodeError(f"field {number} is missing")
        return piece

    def repeated(self) -> list[bytes]:
        """Return the values of the repeated field, in order."""
        return self._repeated


@lru_cache(maxsize=_TIMES)
def read_time(data: bytes) -> int:
    """Return the nanoseconds since 1970 of a `Timestamp` message, within the years 1 to 9999."""
    message = Message(data, ints=(1, 2))
    seconds, nanos = message.signed(1), message.signed(2)
    if not _MIN_SECONDS <= seconds <= _MAX_SECONDS or not 0 <= nanos < _SECOND:
        raise DecodeError(f"time {seconds} s {nanos} ns is out of range")
    return seconds * _SECOND + nanos


def require_canonical(data: bytes, encoded: bytes) -> None:
    """Raise `DecodeError` unless `data` is the one encoding of the value that was read from it."""
    if data != encoded:
        raise DecodeError("not the canonical encoding")
