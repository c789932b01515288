"""The log: a torn end is cut, all other damage is found and named, nothing stale ever passes."""

import random
from pathlib import Path

import pytest

from catenet.storage.log import Log
from catenet.storage.scan import Position, segment_numbers, segment_path
from catenet.types.errors import Corrupt, WrongState
from support.storage import Disk, abandon, contents, flip

GROUPS = [[b"first"], [b"a", b"", b"longer record"], [b"x" * 100], [b"last", b"one"]]


def filled(directory: Path, *, ahead_bytes: int = 0, segment_bytes: int = 1 << 20) -> list[Position]:
    """Write GROUPS and leave the log as a crash would; return where they begin, and where the last ends."""
    log = Log.create(directory, ahead_bytes=ahead_bytes, segment_bytes=segment_bytes)
    positions = [log.append(group) for group in GROUPS]
    positions.append(log.sync())
    abandon(log)
    return positions


def test_groups_come_back_in_order_and_by_position(tmp_path: Path) -> None:
    log = Log.create(tmp_path)
    positions = [log.append(group) for group in GROUPS]
    assert [log.read(position) for position in positions] == GROUPS
    assert list(log.groups()) == list(zip(positions, GROUPS, strict=True))
    assert [record for _, record in log.records()] == [record for group in GROUPS for record in group]
    log.close()
    again = Log.open(tmp_path)
    assert again.id == log.id
    assert [group for _, group in again.groups(positions[2]) if group] == GROUPS[2:]
    again.append([b"more"])
    again.close()
    assert contents(tmp_path) == [*GROUPS, [b"more"]]


@pytest.mark.parametrize("ahead_bytes", [0, 512])
def test_a_tail_torn_at_any_byte_is_cut_and_the_rest_stays(tmp_path: Path, ahead_bytes: int) -> None:
    *_, last, (_, end) = filled(tmp_path, ahead_bytes=ahead_bytes)
    path = segment_path(tmp_path, 1)
    whole = path.read_bytes()
    assert end - last.offset > 30
    for size in range(last.offset, end):
        # What the disk has not got is missing, or still the zeros that were written ahead.
        path.write_bytes(whole[:size] + bytes(ahead_bytes and len(whole) - size))
        groups = contents(tmp_path)
        padding = not whole[size:end].strip(b"\0")
        assert groups == (GROUPS if padding else GROUPS[:-1])
        log = Log.open(tmp_path)
        log.append([b"after"])
        abandon(log)
        assert contents(tmp_path) == [*groups, [b"after"]]


def test_a_torn_middle_of_the_last_group_is_cut_whole(tmp_path: Path) -> None:
    log = Log.create(tmp_path)
    log.append([b"kept"])
    position = log.append([b"\1" * 5000, b"\2" * 5000, b"\3" * 5000])
    abandon(log)
    path = segment_path(tmp_path, 1)
    data = bytearray(path.read_bytes())
    data[4096:8192] = bytes(4096)  # one page did not reach the disk, those around it did
    path.write_bytes(data)
    assert contents(tmp_path) == [[b"kept"]]
    assert path.stat().st_size == position.offset


@pytest.mark.slow
def test_a_flipped_bit_is_found_or_cuts_only_the_last_group(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segment_path(tmp_path, 1)
    whole = path.read_bytes()
    cut, found = 0, list[str]()
    for bit in range(0, len(whole) * 8, 7):
        path.write_bytes(whole)
        flip(path, bit)
        try:
            assert contents(tmp_path) == GROUPS[:-1]
            cut += 1
        except Corrupt as error:
            found.append(str(error))
    assert all(str(path) in text and "catenet repair --home" in text for text in found)
    assert len(found) + cut > len(whole)
    assert 0 < cut <= 2 * (16 + 16)


def test_after_a_clean_close_even_the_last_group_is_told_from_a_torn_write(tmp_path: Path) -> None:
    log = Log.create(tmp_path)
    for group in GROUPS:
        log.append(group)
    end = log.end.offset
    log.close()
    path = segment_path(tmp_path, 1)
    whole = path.read_bytes()
    for bit in random.Random(1).sample(range(end * 8), 100):
        path.write_bytes(whole)
        flip(path, bit)
        with pytest.raises(Corrupt):
            contents(tmp_path)


def test_damage_names_the_offset_of_the_record(tmp_path: Path) -> None:
    positions = filled(tmp_path)
    flip(segment_path(tmp_path, 1), (positions[1].offset + 20) * 8)
    with pytest.raises(Corrupt, match=f"damaged at byte {positions[1].offset}: .* later one at byte"):
        Log.open(tmp_path)


def test_stale_bytes_in_prepared_space_never_pass(tmp_path: Path) -> None:
    """Frames of the same log from another segment, of another place, and of another log."""
    filled(tmp_path / "other")
    positions = filled(tmp_path / "log", ahead_bytes=4096)
    path = segment_path(tmp_path / "log", 1)
    whole = path.read_bytes()
    end = positions[-1].offset
    room = len(whole) - end
    foreign = segment_path(tmp_path / "other", 1).read_bytes()[64:]
    for stale in (whole[positions[1].offset : end], foreign, foreign[:40]):
        path.write_bytes(whole[:end] + stale.ljust(room, b"\0"))
        assert contents(tmp_path / "log") == GROUPS
    # The same segment number and offset, of another log: only the id tells them apart.
    path.write_bytes(whole[: positions[0].offset] + foreign)
    assert contents(tmp_path / "log") == []


def test_segments_roll_and_are_dropped_from_the_oldest(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=400)
    records = [bytes([n]) * 50 for n in range(40)]
    positions = [log.append([record]) for record in records]
    log.sync()
    assert log.end.segment > 5
    assert all(segment_path(tmp_path, n).stat().st_size <= 400 for n in segment_numbers(tmp_path))
    assert log.read(positions[3]) == [records[3]]
    middle = positions[20]
    log.drop_before(middle)
    assert segment_numbers(tmp_path)[0] == middle.segment
    kept = [record for _, record in log.records()]
    assert kept == records[-len(kept) :]
    assert records[20] in kept
    with pytest.raises(WrongState, match="not kept"):
        log.read(positions[0])
    log.drop_before(Position(10**6, 0))
    assert segment_numbers(tmp_path) == [log.end.segment]
    log.close()
    assert contents(tmp_path)[-1] == [records[-1]]


def test_a_group_larger_than_a_segment_fits(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=1000)
    log.append([b"small"])
    position = log.append([b"y" * 5000])
    log.append([b"small again"])
    assert position == Position(2, 64)
    assert log.read(position) == [b"y" * 5000]
    log.close()
    assert len(contents(tmp_path)) == 3


def test_damage_in_an_older_segment_is_found_when_it_is_read(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=300)
    positions = [log.append([bytes([n]) * 50]) for n in range(20)]
    log.close()
    target = positions[2]
    flip(segment_path(tmp_path, target.segment), (target.offset + 30) * 8)
    log = Log.open(tmp_path, segment_bytes=300)
    with pytest.raises(Corrupt, match=f"{target.segment:010d}"):
        log.read(target)
    with pytest.raises(Corrupt, match=f"damaged at byte {target.offset}"):
        list(log.groups())
    log.close()


def test_a_missing_or_shortened_segment_is_found(tmp_path: Path) -> None:
    log = Log.create(tmp_path, segment_bytes=300)
    for n in range(20):
        log.append([bytes([n]) * 50])
    log.close()
    third = segment_path(tmp_path, 3)
    data = third.read_bytes()
    third.unlink()
    with pytest.raises(Corrupt, match=r"0000000003\.seg: damaged at byte 0: the segment is missing"):
        contents(tmp_path)
    third.write_bytes(data[:64])
    with pytest.raises(Corrupt):
        contents(tmp_path)
    third.write_bytes(data)
    assert len(contents(tmp_path)) == 20


@pytest.mark.parametrize("other", [b"h" * 16, b"j" * 16])
@pytest.mark.parametrize(("dropped", "number"), [(0, 2), (0, 4), (0, 6), (2, 4), (2, 5), (3, 6)])
def test_a_segment_of_another_log_is_found(tmp_path: Path, other: bytes, dropped: int, number: int) -> None:
    for name, log_id in (("a", b"i" * 16), ("b", other)):
        log = Log.create(tmp_path / name, segment_bytes=64 + 2 * 24, log_id=log_id)
        positions = [log.append([b"r%02d" % n]) for n in range(12)]
        log.drop_before(positions[2 * dropped])
        abandon(log)
    foreign = segment_path(tmp_path / "a", number)
    foreign.write_bytes(segment_path(tmp_path / "b", number).read_bytes())
    assert segment_numbers(tmp_path / "a") == [*range(dropped + 1, 7)]
    why = "damaged at byte 0: the segment belongs to another log"
    with pytest.raises(Corrupt, match=f"{number:010d}.seg: {why}"):
        contents(tmp_path / "a")


def test_a_segment_that_a_crash_left_unfinished_is_ignored(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "0000000002.new").write_bytes(b"half a header")
    assert contents(tmp_path) == GROUPS
    assert segment_numbers(tmp_path) == [1]
    assert not list(tmp_path.glob("*.new"))


def test_of_an_unsynced_log_damage_is_cut_only_beyond_what_was_synced(tmp_path: Path) -> None:
    log = Log.create(tmp_path)
    positions = [log.append(group) for group in GROUPS]
    abandon(log)
    path = segment_path(tmp_path, 1)
    flip(path, (positions[1].offset + 20) * 8)
    damaged = path.read_bytes()
    with pytest.raises(Corrupt):  # group by group, a valid one behind a damaged one is no torn write
        Log.open(tmp_path)
    with pytest.raises(Corrupt, match="synced"):
        Log.open(tmp_path, durable=positions[2])
    assert path.read_bytes() == damaged
    log = Log.open(tmp_path, durable=positions[1])
    assert [group for _, group in log.groups()] == GROUPS[:1]
    abandon(log)
    path.write_bytes(damaged[: positions[1].offset])
    with pytest.raises(Corrupt, match="missing"):
        Log.open(tmp_path, durable=positions[2])


def test_after_a_failed_sync_the_log_takes_nothing_more(tmp_path: Path) -> None:
    disk = Disk(fail_at=2)
    log = Log.create(tmp_path, sync=disk)
    log.append([b"one"])
    log.sync()
    log.append([b"two"])
    with pytest.raises(OSError, match=f"Input/output.*{tmp_path}"):
        log.sync()
    with pytest.raises(WrongState):
        log.sync()
    with pytest.raises(WrongState):
        log.append([b"three"])
    log.close()
    assert disk.syncs == 2


def test_an_existing_log_is_never_created_over(tmp_path: Path) -> None:
    filled(tmp_path)
    with pytest.raises(WrongState, match="holds a log"):
        Log.create(tmp_path)
