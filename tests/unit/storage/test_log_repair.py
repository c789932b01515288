"""Repair of a log: the valid prefix stays, the rest is put aside, at each kind of broken chain."""

from pathlib import Path

import pytest

from catenet.storage.frame import SegmentHeader
from catenet.storage.log import Log
from catenet.storage.scan import Position, repair, segment_numbers, segment_path
from catenet.types.errors import Corrupt
from support.storage import abandon, contents, flip


def three_segments(directory: Path) -> list[bytes]:
    """Write three segments of two groups each; return their bytes."""
    log = Log.create(directory, segment_bytes=64 + 2 * 24, log_id=b"i" * 16)
    for n in range(6):
        log.append([b"rec%d" % n])
    abandon(log)
    return [segment_path(directory, number).read_bytes() for number in (1, 2, 3)]


def test_repair_keeps_the_valid_prefix_and_puts_the_rest_aside(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=300)
    records = [bytes([n]) * 50 for n in range(20)]
    positions = [log.append([record]) for record in records]
    log.close()
    assert repair(tmp_path) is None
    target = positions[9]
    flip(segment_path(tmp_path, target.segment), (target.offset + 30) * 8)
    cut = repair(tmp_path)
    assert cut is not None
    assert (cut.file, cut.offset, cut.kept_groups) == (
        segment_path(tmp_path, target.segment),
        target.offset,
        9,
    )
    assert all(path.exists() for path in cut.removed)
    assert repair(tmp_path) is None
    assert contents(tmp_path) == [[record] for record in records[:9]]


def test_repair_of_a_damaged_first_header_keeps_nothing(tmp_path: Path) -> None:
    three_segments(tmp_path)
    flip(segment_path(tmp_path, 1), 5)
    with pytest.raises(Corrupt, match="header"):
        Log.open(tmp_path)
    cut = repair(tmp_path)
    assert cut is not None
    assert cut.kept_groups == 0
    assert segment_numbers(tmp_path) == []


@pytest.mark.parametrize(
    "fault", ["missing", "other log", "later number", "lower number", "other sequence", "cut header"]
)
def test_repair_ends_at_the_first_segment_that_is_not_of_the_chain(tmp_path: Path, fault: str) -> None:
    datas = three_segments(tmp_path)
    path = segment_path(tmp_path, 2)
    body = datas[1][64:]
    match fault:
        case "missing":
            path.unlink()
        case "other log":
            path.write_bytes(SegmentHeader(log_id=b"o" * 16, number=2, first_sequence=3).encode() + body)
        case "later number":
            path.write_bytes(SegmentHeader(log_id=b"i" * 16, number=3, first_sequence=3).encode() + body)
        case "lower number":
            path.write_bytes(SegmentHeader(log_id=b"i" * 16, number=1, first_sequence=3).encode() + body)
        case "other sequence":
            path.write_bytes(SegmentHeader(log_id=b"i" * 16, number=2, first_sequence=4).encode() + body)
        case _:
            path.write_bytes(datas[1][:63])
    cut = repair(tmp_path)
    assert cut is not None
    lost = [3] if fault == "missing" else [3, 2]
    assert (cut.file, cut.offset, cut.kept_groups) == (segment_path(tmp_path, lost[-1]), 0, 2)
    # From the newest down, under names that nothing reads.
    assert cut.removed == tuple([tmp_path / f"{number:010d}.seg.cut" for number in lost])
    assert segment_numbers(tmp_path) == [1]
    assert contents(tmp_path) == [[b"rec0"], [b"rec1"]]
    assert repair(tmp_path) is None


def test_repair_in_the_middle_of_a_segment_keeps_what_is_before(tmp_path: Path) -> None:
    datas = three_segments(tmp_path)
    flip(segment_path(tmp_path, 2), (88 + 20) * 8)
    damaged = segment_path(tmp_path, 2).read_bytes()
    cut = repair(tmp_path)
    assert cut is not None
    assert (cut.file, cut.offset, cut.kept_groups) == (segment_path(tmp_path, 2), 88, 3)
    assert cut.removed == (tmp_path / "0000000003.seg.cut",)
    assert cut.removed[0].read_bytes() == datas[2]
    assert (tmp_path / "0000000002.seg.88.cut").read_bytes() == damaged[88:]
    assert segment_path(tmp_path, 2).read_bytes() == datas[1][:88]
    assert contents(tmp_path) == [[b"rec0"], [b"rec1"], [b"rec2"]]


def test_repair_leaves_a_log_that_a_crash_left_in_peace(tmp_path: Path) -> None:
    datas = three_segments(tmp_path)
    segment_path(tmp_path, 3).write_bytes(datas[2] + bytes(100))
    assert repair(tmp_path) is None
    assert segment_path(tmp_path, 3).read_bytes() == datas[2] + bytes(100)
    assert repair(tmp_path / "none") is None


def test_bytes_behind_the_end_of_a_finished_segment_are_damage(tmp_path: Path) -> None:
    datas = three_segments(tmp_path)
    path = segment_path(tmp_path, 2)
    path.write_bytes(datas[1] + bytes(50))
    assert contents(tmp_path) == [[b"rec%d" % n] for n in range(6)]
    path.write_bytes(datas[1] + bytes(50) + b"\1")
    with pytest.raises(Corrupt, match=r"damaged at byte 112"):
        contents(tmp_path)
    # A finished segment that ends too early lost a group, whatever follows.
    path.write_bytes(datas[1][:88])
    with pytest.raises(Corrupt, match="damaged at byte 88"):
        contents(tmp_path)


def test_everything_before_a_synced_position_must_be_there(tmp_path: Path) -> None:
    three_segments(tmp_path)
    for durable in (Position(3, 112), Position(3, 64), Position(2, 10**6)):
        log = Log.open(tmp_path, durable=durable)
        assert log.end == Position(3, 112)
        abandon(log)
    with pytest.raises(Corrupt, match="damaged at byte 112: a synced record is missing"):
        Log.open(tmp_path, durable=Position(3, 113))
