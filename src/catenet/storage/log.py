"""The one append-only, checksummed, segmented log: journal and block store are two instances of it.

What is appended is a *group* of records; a group is there as a whole or not at all. Only the last segment may
have a torn end: it is cut when nothing valid follows. All other damage raises `Corrupt`, naming file,
offset and the repair command (consensus.md 4). A log is used by one appending thread; `read` and `sync`
may come from others.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from catenet.storage import frame
from catenet.storage.fault import damaged, fsync_directory, make_directory, naming, pwrite_all
from catenet.storage.frame import HEADER_BYTES, Checksum, SegmentHeader
from catenet.storage.scan import (
    Position,
    Segment,
    cut_torn_end,
    default_remedy,
    read_chain,
    read_segment,
    segment_numbers,
    segment_path,
)
from catenet.types.errors import WrongState

SEGMENT_BYTES = 16 << 20
UNFINISHED = ".new"
READERS_MAX = 16
"""How many old segments are kept open for reading."""


def write_segment(directory: Path, header: SegmentHeader) -> None:
    """Create a segment that no crash can leave half made: file first, then its name, then the directory."""
    path = segment_path(directory, header.number)
    unfinished = path.with_suffix(UNFINISHED)
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with naming(unfinished):
            pwrite_all(descriptor, header.encode(), 0)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    unfinished.rename(path)
    fsync_directory(directory)


class Log:
    """An open log. Made by `Log.create` or `Log.open`."""

    def __init__(
        self,
        directory: Path,
        segments: dict[int, Segment],
        *,
        sequence: int,
        end: Position,
        remedy: str,
        segment_bytes: int = SEGMENT_BYTES,
        ahead_bytes: int = 0,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self.directory = directory
        self.id = segments[end.segment].header.log_id
        self.remedy = remedy
        self._segments = segments
        self._sequence = sequence
        self._end = end
        self._segment_bytes = segment_bytes
        self._ahead_bytes = ahead_bytes
        self._sync = sync
        self._lock = threading.Lock()
        self._descriptor = os.open(segment_path(directory, end.segment), os.O_RDWR)
        self._prepared = os.fstat(self._descriptor).st_size
        self._readers: dict[int, int] = {}
        self._failed = False

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        log_id: bytes | None = None,
        remedy: str | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        ahead_bytes: int = 0,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> "Log":
        """Start an empty log; its 16-byte id is random if not given. Raises `WrongState` if one is there."""
        if segment_numbers(directory):
            raise WrongState(f"{directory} holds a log already")
        make_directory(directory)
        header = SegmentHeader(log_id=log_id or os.urandom(16), number=1, first_sequence=1)
        write_segment(directory, header)
        return cls(
            directory,
            {1: Segment(header, Checksum.of(header.log_id, 1))},
            sequence=1,
            end=Position(1, HEADER_BYTES),
            remedy=remedy or default_remedy(directory),
            segment_bytes=segment_bytes,
            ahead_bytes=ahead_bytes,
            sync=sync,
        )

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        durable: Position | None = None,
        remedy: str | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        ahead_bytes: int = 0,
        sync: Callable[[int], None] = os.fdatasync,
    ) -> "Log":
        """Open a log, check its chain of segments and its last segment, and cut a torn end.

        `durable` is for a log that is not synced group by group: everything before that position was
        synced, so that damage there is `Corrupt`, while everything from the first damage behind it is cut.
        Without it every group was synced before the next was written. `ahead_bytes`: how much room is
        written with zeros ahead of the end, so that a sync needs no change of the file's size. Damage in
        older segments is found by `records` and `read`. Raises `Corrupt`.
        """
        remedy = remedy or default_remedy(directory)
        segments = read_chain(directory, remedy)
        last = max(segments)
        end, sequence = cut_torn_end(directory, segments[last], durable, remedy)
        for unfinished in directory.glob(f"*{UNFINISHED}"):
            unfinished.unlink()
        return cls(
            directory,
            segments,
            sequence=sequence,
            end=Position(last, end),
            remedy=remedy,
            segment_bytes=segment_bytes,
            ahead_bytes=ahead_bytes,
            sync=sync,
        )

    @property
    def end(self) -> Position:
        """Where the next group goes, at the earliest."""
        return self._end

    @property
    def start(self) -> Position:
        """Where the oldest kept group is."""
        return Position(min(self._segments), HEADER_BYTES)

    def append(self, records: Sequence[bytes]) -> Position:
        """Write a group, not yet durable. Raises OSError, after which the log is unusable for ever."""
        payload = frame.payload_of(records)
        with self._lock:
            self._require_usable()
            try:
                with naming(self.directory):
                    if self._end.offset + frame.frame_bytes(len(payload)) > self._segment_bytes:
                        self._roll()
                    return self._write(payload)
            except OSError:
                self._failed = True
                raise

    def sync(self) -> Position:
        """Make everything appended so far durable and return where it ends.

        Raises OSError, after which the log is unusable for ever: what a failed sync left behind is unknown.
        """
        with self._lock:
            self._require_usable()
            end = self._end
            descriptor = os.dup(self._descriptor)
        try:
            with naming(self.directory):
                self._sync(descriptor)
        except OSError:
            self._failed = True
            raise
        finally:
            os.close(descriptor)
        return end

    def read(self, position: Position) -> list[bytes]:
        """Return the records of the group at `position`. Raises `Corrupt`."""
        segment = self._segments.get(position.segment)
        if segment is None:
            raise WrongState(f"{self.directory}: segment {position.segment} is not kept any more")
        path = segment_path(self.directory, position.segment)
        with self._lock:
            descriptor = os.dup(self._reader(position.segment))
        try:
            head = os.pread(descriptor, frame.FRAME_HEAD_BYTES, position.offset)
            parsed = frame.decode_head(head)
            size = frame.frame_bytes(parsed[0]) if parsed else 0
            data = os.pread(descriptor, size, position.offset)
        finally:
            os.close(descriptor)
        payload = frame.frame_at(data, 0, segment.checksum, base=position.offset)
        if payload is None:
            raise damaged(path, position.offset, "the record does not check", remedy=self.remedy)
        return frame.records_of(payload)

    def groups(self, start: Position | None = None) -> Iterator[tuple[Position, list[bytes]]]:
        """Yield every group from `start` (default: the oldest) on, in order. Raises `Corrupt` at damage."""
        first = start or self.start
        end, segments = self._end, self._segments
        for number in sorted(segments):
            if first.segment <= number <= end.segment:
                begin = first.offset if number == first.segment else HEADER_BYTES
                stop = end.offset if number == end.segment else None
                yield from read_segment(
                    self.directory, segments, number, begin=begin, stop=stop, remedy=self.remedy
                )

    def records(self) -> Iterator[tuple[Position, bytes]]:
        """Yield every record with the position of its group, in order. Raises `Corrupt` at damage."""
        for position, group in self.groups():
            for record in group:
                yield position, record

    def drop_before(self, position: Position) -> None:
        """Delete the segments that lie wholly before `position`; the last one always stays."""
        with self._lock:
            keep = min(position.segment, self._end.segment)
            for number in sorted(self._segments):
                if number < keep:
                    # One by one from the oldest, each durable: no crash can leave a gap.
                    self._segments = {n: s for n, s in self._segments.items() if n > number}
                    if number in self._readers:
                        os.close(self._readers.pop(number))
                    segment_path(self.directory, number).unlink()
                    fsync_directory(self.directory)

    def stop(self) -> None:
        """Take nothing more, for ever: what depends on the log failed elsewhere."""
        self._failed = True

    def close(self) -> None:
        """Mark the end, so that damage to the last group is told from a torn write, and close the files."""
        if self._descriptor < 0:
            return
        if not self._failed:
            self.append(())
            self.sync()
        with self._lock:
            for descriptor in (self._descriptor, *self._readers.values()):
                os.close(descriptor)
            self._readers.clear()
            self._descriptor = -1

    def _require_usable(self) -> None:
        if self._failed or self._descriptor < 0:
            raise WrongState(f"{self.directory}: the log is closed, or a write to it failed")

    def _write(self, payload: bytes) -> Position:
        number, offset = self._end
        checksum = self._segments[number].checksum
        data = frame.encode_frame(payload, checksum, sequence=self._sequence, offset=offset)
        end = offset + len(data)
        if end > self._prepared:
            data += bytes(self._ahead_bytes)
            self._prepared = end + self._ahead_bytes
        pwrite_all(self._descriptor, data, offset)
        self._sequence += 1
        self._end = Position(number, end)
        return Position(number, offset)

    def _roll(self) -> None:
        """Finish the last segment, durable and without room left over, and begin the next."""
        os.ftruncate(self._descriptor, self._end.offset)
        self._sync(self._descriptor)
        number = self._end.segment + 1
        header = SegmentHeader(log_id=self.id, number=number, first_sequence=self._sequence)
        write_segment(self.directory, header)
        os.close(self._descriptor)
        self._descriptor = os.open(segment_path(self.directory, number), os.O_RDWR)
        self._prepared = HEADER_BYTES
        self._segments = {**self._segments, number: Segment(header, Checksum.of(self.id, number))}
        self._end = Position(number, HEADER_BYTES)

    def _reader(self, number: int) -> int:
        """Return a descriptor to read a segment with; the lock is held."""
        if number == self._end.segment:
            return self._descriptor
        if number not in self._readers:
            if len(self._readers) >= READERS_MAX:
                os.close(self._readers.pop(next(iter(self._readers))))
            self._readers[number] = os.open(segment_path(self.directory, number), os.O_RDONLY)
        return self._readers[number]
