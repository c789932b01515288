"""Reading a log's files: the chain of segments, the torn end, what is damaged, and the repair of it."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from catenet.storage import frame
from catenet.storage.fault import damaged, fsync_directory
from catenet.storage.frame import HEADER_BYTES, Checksum, SegmentHeader

SUFFIX = ".seg"
CUT_SUFFIX = ".cut"
"""What a repair took away is kept under this name, for people to look at; nothing reads it."""


class Position(NamedTuple):
    """Where a group begins: segment number and byte offset in it. Positions are ordered as groups are."""

    segment: int
    offset: int


def segment_path(directory: Path, number: int) -> Path:
    """Return the file of a segment."""
    return directory / f"{number:010d}{SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """Return the numbers of the segments in a directory, ascending; empty when it holds no log."""
    if not directory.is_dir():
        return []
    return sorted(int(path.stem) for path in directory.glob(f"*{SUFFIX}") if path.stem.isdecimal())


def default_remedy(directory: Path) -> str:
    """Return what an operator does about damage in the log under `HOME/data/NAME`."""
    return f"Stop the node and run: catenet repair --home {directory.absolute().parent.parent}"


class Segment(NamedTuple):
    """What the log knows of a segment file."""

    header: SegmentHeader
    checksum: Checksum


def read_header(directory: Path, number: int, remedy: str) -> Segment:
    """Read the header of a segment. Raises `Corrupt`."""
    path = segment_path(directory, number)
    try:
        with path.open("rb") as file:
            header = frame.decode_header(file.read(HEADER_BYTES))
    except FileNotFoundError:
        raise damaged(path, 0, "the segment is missing", remedy=remedy) from None
    if header is None or header.number != number:
        raise damaged(path, 0, "the segment's header does not check", remedy=remedy)
    return Segment(header, Checksum.of(header.log_id, number))


def read_chain(directory: Path, remedy: str) -> dict[int, Segment]:
    """Read the headers of all segments: one log id, no gap. Raises `Corrupt`."""
    numbers = segment_numbers(directory)
    if not numbers:
        raise damaged(directory, 0, "no segment of the log is here", remedy=remedy)
    segments: dict[int, Segment] = {}
    for number in range(numbers[0], numbers[-1] + 1):
        segment = read_header(directory, number, remedy)
        before = segments.get(number - 1)
        if before and before.header.log_id != segment.header.log_id:
            path = segment_path(directory, number)
            raise damaged(path, 0, "the segment belongs to another log", remedy=remedy)
        segments[number] = segment
    return segments


def scan(data: bytes, segment: Segment, *, begin: int = HEADER_BYTES) -> tuple[int, int]:
    """Return (offset, sequence) of the first place of a segment at which no frame in sequence checks."""
    offset, sequence = begin, segment.header.first_sequence
    while (payload := frame.frame_at(data, offset, segment.checksum, sequence=sequence)) is not None:
        offset += frame.frame_bytes(len(payload))
        sequence += 1
    return offset, sequence


def cut_torn_end(directory: Path, segment: Segment, durable: Position | None, remedy: str) -> tuple[int, int]:
    """Check the last segment, cut what a crash left half written; return its end and next sequence number."""
    path = segment_path(directory, segment.header.number)
    data = path.read_bytes()
    end, sequence = scan(data, segment)
    if durable is not None and Position(segment.header.number, end) < durable:
        raise damaged(path, end, "a synced record is missing or does not check", remedy=remedy)
    if not data[end:].strip(b"\0"):
        return end, sequence
    if durable is None:
        valid = frame.find_frame(data, end + 1, segment.checksum, after=sequence)
        if valid is not None:
            why = f"the record does not check, but a later one at byte {valid} does"
            raise damaged(path, end, why, remedy=remedy)
    truncate(path, end)
    return end, sequence


def read_segment(
    directory: Path,
    segments: Mapping[int, Segment],
    number: int,
    *,
    begin: int,
    stop: int | None,
    remedy: str,
) -> Iterator[tuple[Position, list[bytes]]]:
    """Yield the groups of one segment from byte `begin` to `stop` (None: up to the next segment)."""
    segment = segments[number]
    path = segment_path(directory, number)
    data = path.read_bytes()
    offset = begin
    sequence = segment.header.first_sequence if begin == HEADER_BYTES else None
    while stop is None or offset < stop:
        payload = frame.frame_at(data, offset, segment.checksum, sequence=sequence)
        if payload is None:
            if stop is None and _is_end(data, offset, sequence, segments.get(number + 1)):
                return
            raise damaged(path, offset, "the record does not check", remedy=remedy)
        if sequence is None:
            head = frame.decode_head(data[offset : offset + frame.FRAME_HEAD_BYTES])
            assert head is not None, "the frame just checked"
            sequence = head[2]
        yield Position(number, offset), frame.records_of(payload)
        offset += frame.frame_bytes(len(payload))
        sequence += 1


def _is_end(data: bytes, offset: int, sequence: int | None, after: Segment | None) -> bool:
    """Say whether a finished segment ends here: only zeros follow, and the next one goes on from here."""
    if after is None or data[offset:].strip(b"\0"):
        return False
    return sequence in (None, after.header.first_sequence)


def truncate(path: Path, size: int) -> None:
    """Cut a file, durably."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.ftruncate(descriptor, size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a repair took away from a log."""

    file: Path
    """The segment in which the damage begins."""

    offset: int
    """Where: bytes before it are kept."""

    removed: tuple[Path, ...]
    """Whole segments that were taken away, by the names under which they are kept aside."""

    kept_groups: int
    """How many groups are left in the log."""


def repair(directory: Path) -> Cut | None:
    """Keep the valid prefix of a log; return what was cut, or None when there was no damage.

    The rest is put aside under the suffix `.cut`. What the node may still sign afterwards is decided by the
    rule for a lost journal (consensus.md 4). The log must not be open.
    """
    kept, place, log_id, expected = 0, None, None, None
    for number in (numbers := segment_numbers(directory)):
        data = segment_path(directory, number).read_bytes()
        header = frame.decode_header(data)
        in_chain = (
            header is not None
            and header.number == number
            and expected in (None, (number, header.first_sequence))
            and log_id in (None, header.log_id)
        )
        if header is None or not in_chain:
            place = (number, 0)
            break
        log_id = header.log_id
        end, sequence = scan(data, Segment(header, Checksum.of(header.log_id, number)))
        kept += sequence - header.first_sequence
        expected = (number + 1, sequence)
        if data[end:].strip(b"\0"):
            place = (number, end)
            break
    if place is None:
        return None
    return _put_aside(directory, numbers, place, kept)


def _put_aside(directory: Path, numbers: list[int], place: tuple[int, int], kept: int) -> Cut:
    number, offset = place
    damaged_file = segment_path(directory, number)
    removed: list[Path] = []
    # From the newest down: a crash in between leaves a log that a second repair finishes.
    for later in sorted((n for n in numbers if n > number or (n == number and offset == 0)), reverse=True):
        path = segment_path(directory, later)
        aside = path.with_name(path.name + CUT_SUFFIX)
        path.rename(aside)
        fsync_directory(directory)
        removed.append(aside)
    if offset:
        aside = damaged_file.with_name(f"{damaged_file.name}.{offset}{CUT_SUFFIX}")
        aside.write_bytes(damaged_file.read_bytes()[offset:])
        truncate(damaged_file, offset)
        fsync_directory(directory)
    return Cut(file=damaged_file, offset=offset, removed=tuple(removed), kept_groups=kept)
