"""Reading a log without touching it, a damaged one up to the damage: what `debug` shows. Nothing is cut."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from catenet.storage import frame
from catenet.storage.frame import HEADER_BYTES, Checksum
from catenet.storage.scan import segment_numbers, segment_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group of records, as it was written."""

    file: Path
    offset: int
    records: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Where the log cannot be read on."""

    file: Path
    offset: int
    reason: str
    is_torn: bool
    """A half written end, as a crash leaves it: nothing that was durable lies behind it."""


def groups(directory: Path) -> Iterator[Group | Stop]:
    """Yield the groups of a log in order, and a `Stop` where its chain breaks before its end."""
    numbers = segment_numbers(directory)
    log_id: bytes | None = None
    expected: tuple[int, int] | None = None
    for number in numbers:
        path = segment_path(directory, number)
        data = path.read_bytes()
        header = frame.decode_header(data)
        if header is None or header.number != number:
            yield Stop(file=path, offset=0, reason="the segment's header does not check", is_torn=False)
            return
        if log_id not in (None, header.log_id):
            yield Stop(file=path, offset=0, reason="the segment belongs to another log", is_torn=False)
            return
        if expected not in (None, (number, header.first_sequence)):
            yield Stop(file=path, offset=0, reason="segments before this one are missing", is_torn=False)
            return
        log_id, checksum = header.log_id, Checksum.of(header.log_id, number)
        offset, sequence = HEADER_BYTES, header.first_sequence
        while (payload := frame.frame_at(data, offset, checksum, sequence=sequence)) is not None:
            yield Group(file=path, offset=offset, records=frame.records_of(payload))
            offset += frame.frame_bytes(len(payload))
            sequence += 1
        if data[offset:].strip(b"\0"):
            is_last = number == numbers[-1]
            is_torn = is_last and frame.find_frame(data, offset + 1, checksum, after=sequence) is None
            why = "a record was not written to its end" if is_torn else "the record does not check"
            yield Stop(file=path, offset=offset, reason=why, is_torn=is_torn)
            return
        expected = (number + 1, sequence)
