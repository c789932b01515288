"""The log's files: how segments begin and end, what is open, what is read from where."""

import os
from pathlib import Path

import pytest

from catenet.storage.frame import SegmentHeader, decode_header
from catenet.storage.log import READERS_MAX, SEGMENT_BYTES, Log, write_segment
from catenet.storage.scan import Position, default_remedy, segment_numbers, segment_path
from catenet.types.errors import Corrupt, WrongState
from support.storage import Disk, abandon, flip


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_new_log_has_one_segment_with_a_header(tmp_path: Path) -> None:
    log = Log.create(tmp_path / "journal", log_id=b"i" * 16)
    assert (log.id, log.start, log.end) == (b"i" * 16, Position(1, 64), Position(1, 64))
    data = segment_path(tmp_path / "journal", 1).read_bytes()
    assert segment_path(tmp_path / "journal", 1).name == "0000000001.seg"
    assert decode_header(data) == SegmentHeader(log_id=b"i" * 16, number=1, first_sequence=1)
    assert len(data) == 64
    assert segment_path(tmp_path / "journal", 1).stat().st_mode & 0o777 == 0o600
    assert log.sync() == Position(1, 64)
    log.close()
    other = Log.create(tmp_path / "other")
    assert len(other.id) == 16
    assert other.id != b"i" * 16
    other.close()
    assert SEGMENT_BYTES == 16 * 1024 * 1024


def test_segments_are_filled_to_the_last_byte_and_not_beyond(tmp_path: Path) -> None:
    # A header of 64 bytes and three frames of 16 + 8 bytes.
    log = Log.create(tmp_path, segment_bytes=64 + 3 * 24)
    positions = [log.append([b"rec%d" % n]) for n in range(4)]
    assert positions == [Position(1, 64), Position(1, 88), Position(1, 112), Position(2, 64)]
    assert segment_path(tmp_path, 1).stat().st_size == 64 + 3 * 24
    header = decode_header(segment_path(tmp_path, 2).read_bytes())
    assert header == SegmentHeader(log_id=log.id, number=2, first_sequence=4)
    log.close()


def test_room_is_written_ahead_and_taken_away_when_the_segment_ends(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=64 + 3 * 24, ahead_bytes=100)
    path = segment_path(tmp_path, 1)
    log.append([b"rec0"])
    assert path.stat().st_size == 88 + 100
    # As long as there is room nothing is added: a sync need not change the size.
    log.append([b"rec1"])
    log.append([b"rec2"])
    assert path.stat().st_size == 88 + 100
    log.append([b"rec3"])
    assert path.stat().st_size == 136
    assert segment_path(tmp_path, 2).stat().st_size == 88 + 100
    abandon(log)
    again = Log.open(tmp_path, segment_bytes=64 + 3 * 24, ahead_bytes=100)
    assert again.end == Position(2, 88)
    again.append([b"rec4"])
    assert segment_path(tmp_path, 2).stat().st_size == 88 + 100
    again.append([b"rec5"])
    again.append([b"x" * 200])
    assert segment_path(tmp_path, 3).stat().st_size == 64 + 16 + 208 + 100
    again.close()


def test_room_is_written_again_when_it_is_used_up(tmp_path: Path) -> None:
    log = Log.create(tmp_path, ahead_bytes=48)
    path = segment_path(tmp_path, 1)
    sizes = []
    for n in range(7):
        log.append([b"rec%d" % n])
        sizes.append(path.stat().st_size)
    # Two more frames of 24 bytes fill the room to its last byte.
    assert sizes == [88 + 48] * 3 + [160 + 48] * 3 + [232 + 48]
    abandon(log)
    without = Log.open(tmp_path)
    assert without.end == Position(1, 232)
    without.append([b"x" * 100])
    assert path.stat().st_size == 232 + 16 + 104
    without.close()


def test_damage_names_the_remedy_also_in_a_log_that_was_just_made(tmp_path: Path) -> None:
    for remedy, said in ((None, "catenet repair --home"), ("ask Wei", "ask Wei")):
        directory = tmp_path / "data" / said[:3]
        log = Log.create(directory, remedy=remedy)
        position = log.append([b"record"])
        flip(segment_path(directory, 1), (position.offset + 20) * 8)
        with pytest.raises(Corrupt, match=said):
            log.read(position)
        log.close()


def test_a_segment_is_synced_before_the_next_one_begins(tmp_path: Path) -> None:
    disk = Disk(fail_at=2)
    log = Log.create(tmp_path, segment_bytes=100, sync=disk)
    log.append([b"one"])
    log.append([b"two"])
    assert disk.syncs == 1
    with pytest.raises(OSError, match="Input/output"):
        log.append([b"three"])
    # A failed end of a segment is a failed write: nothing more is taken.
    assert segment_numbers(tmp_path) == [1, 2]
    with pytest.raises(WrongState, match="a write to it failed"):
        log.append([b"four"])
    log.close()


def test_what_was_appended_is_synced_and_named(tmp_path: Path) -> None:
    disk = Disk()
    log = Log.create(tmp_path, sync=disk)
    log.append([b"one"])
    before = descriptors()
    assert log.sync() == log.end == Position(1, 88)
    assert (disk.syncs, descriptors()) == (1, before)
    log.stop()
    with pytest.raises(WrongState):
        log.sync()
    log.close()
    # A stopped log is not marked as ended.
    assert segment_path(tmp_path, 1).stat().st_size == 88


def test_closing_marks_the_end_once_and_gives_all_descriptors_back(tmp_path: Path) -> None:
    before = descriptors()
    log = Log.create(tmp_path, segment_bytes=100)
    positions = [log.append([b"rec%d" % n]) for n in range(4)]
    assert [log.read(position) for position in positions] == [[b"rec%d" % n] for n in range(4)]
    end = log.end
    log.close()
    assert descriptors() == before
    log.close()
    # The mark did not fit behind the last group.
    assert segment_numbers(tmp_path)[-1] == end.segment + 1
    with pytest.raises(WrongState, match="closed"):
        log.append([b"late"])
    with pytest.raises(WrongState, match="closed"):
        log.sync()
    again = Log.open(tmp_path, segment_bytes=100)
    assert [group for _, group in again.groups()] == [[b"rec%d" % n] for n in range(4)] + [[]]
    again.close()
    assert descriptors() == before


def test_old_segments_are_kept_open_for_reading_within_a_bound(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=100)
    positions = [log.append([b"rec%d" % n]) for n in range(READERS_MAX + 4)]
    before = descriptors()
    for round in range(2):
        for n, position in enumerate(positions):
            assert log.read(position) == [b"rec%d" % n], round
        assert descriptors() == before + READERS_MAX
    log.drop_before(positions[-1])
    assert descriptors() == before
    log.close()


def test_groups_begin_in_the_middle_of_any_segment(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=64 + 3 * 24)
    positions = [log.append([b"rec%d" % n]) for n in range(8)]
    for n, start in enumerate(positions):
        assert [group for _, group in log.groups(start)] == [[b"rec%d" % m] for m in range(n, 8)]
        assert [position for position, _ in log.groups(start)] == positions[n:]
    assert list(log.groups(log.end)) == []
    assert list(log.groups(Position(log.end.segment, log.end.offset + 8))) == []
    assert list(log.groups(Position(log.end.segment + 1, 64))) == []
    assert list(log.records()) == [(position, b"rec%d" % n) for n, position in enumerate(positions)]
    log.close()


def test_reading_between_two_groups_is_damage_and_not_a_guess(tmp_path: Path) -> None:
    log = Log.create(tmp_path)
    first = log.append([b"one"])
    log.append([b"two"])
    path = str(segment_path(tmp_path, 1))
    for offset in (first.offset + 8, log.end.offset, log.end.offset + 1000):
        with pytest.raises(Corrupt, match=f"{path}: damaged at byte {offset}: the record does not check"):
            log.read(Position(1, offset))
    with pytest.raises(WrongState, match="segment 2 is not kept"):
        log.read(Position(2, 64))
    log.close()


def test_numbers_go_on_after_dropping_and_a_restart(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=64 + 2 * 24)
    positions = [log.append([b"rec%d" % n]) for n in range(6)]
    log.drop_before(positions[0])
    assert segment_numbers(tmp_path) == [1, 2, 3]
    log.drop_before(positions[3])
    assert segment_numbers(tmp_path) == [2, 3]
    assert log.start == Position(2, 64)
    abandon(log)
    again = Log.open(tmp_path, segment_bytes=64 + 2 * 24)
    assert (again.start, again.end) == (Position(2, 64), log.end)
    assert again.append([b"rec6"]) == Position(4, 64)
    header = decode_header(segment_path(tmp_path, 4).read_bytes())
    assert header is not None
    assert header.first_sequence == 7
    again.close()


def test_a_log_that_is_not_there_is_damage_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match=r"damaged at byte 0: no segment of the log is here\. ask Wei"):
        Log.open(tmp_path / "none", remedy="ask Wei")
    home = tmp_path / "home"
    assert default_remedy(home / "data" / "journal").endswith(f"catenet repair --home {home}")
    (tmp_path / "stray.seg").write_bytes(b"")
    assert segment_numbers(tmp_path) == []
    assert segment_numbers(tmp_path / "none") == []


def test_a_segment_under_another_number_is_found(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=100)
    for n in range(3):
        log.append([b"rec%d" % n])
    log.close()
    for other in (3, 1):
        segment_path(tmp_path, 2).write_bytes(segment_path(tmp_path, other).read_bytes())
        with pytest.raises(Corrupt, match=r"02\.seg: damaged at byte 0: the segment's header does not check"):
            Log.open(tmp_path)


def test_a_segment_file_is_made_under_another_name_first(tmp_path: Path) -> None:
    (tmp_path / "0000000007.new").write_bytes(b"longer than a header, left by a crash" * 5)
    write_segment(tmp_path, SegmentHeader(log_id=b"i" * 16, number=7, first_sequence=70))
    assert [path.name for path in tmp_path.iterdir()] == ["0000000007.seg"]
    data = segment_path(tmp_path, 7).read_bytes()
    assert decode_header(data) == SegmentHeader(log_id=b"i" * 16, number=7, first_sequence=70)
    assert len(data) == 64
