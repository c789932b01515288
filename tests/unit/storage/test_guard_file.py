"""The guard's slots: the newest durable state survives torn writes, rot of one slot, and failed syncs."""

import os
import random
import zlib
from pathlib import Path

import pytest

from catenet.storage.guard_file import SLOT_BYTES, STATE_BYTES_MAX, GuardFile, Slot, decode_slot
from catenet.types.errors import Corrupt, WrongState
from support.storage import Disk, flip

LOG_ID = bytes(range(16))


def test_states_survive_and_alternate_between_the_slots(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    guard = GuardFile.create(path, LOG_ID)
    assert (guard.state, guard.log_id, guard.retired, guard.damaged_slot) == (b"", LOG_ID, False, False)
    before = path.read_bytes()
    for n in range(1, 6):
        guard.write(b"state %d" % n)
        after = path.read_bytes()
        changed = [
            slot for slot in (0, SLOT_BYTES) if before[slot:][:SLOT_BYTES] != after[slot:][:SLOT_BYTES]
        ]
        assert changed == [(n - 1) % 2 * SLOT_BYTES]
        before = after
        again = GuardFile.open(path)
        assert again.state == b"state %d" % n
        again.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == 2 * SLOT_BYTES
    guard.close()


def test_a_write_torn_at_any_byte_leaves_the_state_before_or_after_it(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    guard = GuardFile.create(path, LOG_ID)
    guard.write(b"old" * 20)
    before = path.read_bytes()
    guard.write(b"new" * 30)
    after = path.read_bytes()
    guard.close()
    start = SLOT_BYTES
    seen = set()
    for torn in [*range(0, 120), *range(120, SLOT_BYTES - 8, 397), *range(SLOT_BYTES - 8, SLOT_BYTES + 1)]:
        path.write_bytes(before[:start] + after[start : start + torn] + before[start + torn :])
        guard = GuardFile.open(path)
        seen.add(guard.state)
        guard.write(b"next")
        guard.close()
        again = GuardFile.open(path)
        assert again.state == b"next"
        again.close()
    assert seen == {b"old" * 20, b"new" * 30}


def test_any_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    guard = GuardFile.create(path, LOG_ID)
    guard.write(b"older")
    guard.write(b"newest")
    guard.close()
    whole = path.read_bytes()
    for bit in random.Random(2).sample(range(len(whole) * 8), 60):
        path.write_bytes(whole)
        flip(path, bit)
        guard = GuardFile.open(path)
        assert guard.damaged_slot
        # The second write went to the second slot: damage there falls back to the first, and is told.
        assert guard.state == (b"newest" if bit < SLOT_BYTES * 8 else b"older")
        guard.close()


def test_two_bad_slots_are_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    GuardFile.create(path, LOG_ID).close()
    flip(path, 100)
    flip(path, (SLOT_BYTES + 100) * 8)
    with pytest.raises(Corrupt, match="neither slot"):
        GuardFile.open(path)
    path.write_bytes(b"")
    with pytest.raises(Corrupt):
        GuardFile.open(path)


def test_a_retired_guard_signs_nothing_whichever_slot_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    guard = GuardFile.create(path, LOG_ID)
    guard.write(b"last")
    guard.retire()
    guard.close()
    whole = path.read_bytes()
    for bit in (100, (SLOT_BYTES + 100) * 8):
        path.write_bytes(whole)
        flip(path, bit)
        guard = GuardFile.open(path)
        assert (guard.retired, guard.state) == (True, b"last")
        with pytest.raises(WrongState, match="exported"):
            guard.write(b"again")
        guard.close()
    imported = GuardFile.create(path, LOG_ID, state=b"imported")
    imported.write(b"goes on")
    imported.close()
    assert not path.with_name("guard.new").exists()


def test_a_state_that_comes_back_lets_a_retired_guard_sign_again(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    guard = GuardFile.create(path, LOG_ID)
    guard.retire()
    guard.restore(b"came back")
    assert (guard.retired, guard.state) == (False, b"came back")
    guard.close()
    again = GuardFile.open(path)
    assert (again.retired, again.state) == (False, b"came back")
    again.write(b"goes on")
    assert again.state == b"goes on"
    again.close()


def test_a_failed_sync_is_never_tried_again(tmp_path: Path) -> None:
    disk = Disk(fail_at=2)
    guard = GuardFile.create(tmp_path / "guard", LOG_ID, sync=disk)
    guard.write(b"one")
    with pytest.raises(OSError, match=r"Input/output.*/guard"):
        guard.write(b"two")
    with pytest.raises(WrongState):
        guard.write(b"three")
    assert guard.state == b"one"
    assert disk.syncs == 2
    guard.close()


def test_the_size_of_a_state_is_limited(tmp_path: Path) -> None:
    guard = GuardFile.create(tmp_path / "guard", LOG_ID)
    guard.write(b"s" * STATE_BYTES_MAX)
    with pytest.raises(ValueError, match="limit"):
        guard.write(b"s" * (STATE_BYTES_MAX + 1))
    guard.close()
    again = GuardFile.open(tmp_path / "guard")
    assert again.state == b"s" * STATE_BYTES_MAX
    again.close()


def sealed(body: bytes) -> bytes:
    """Return a slot's body under a checksum that holds."""
    return body + zlib.crc32(body).to_bytes(4, "little")


def test_a_slot_has_these_bytes() -> None:
    data = Slot(log_id=LOG_ID, counter=5, retired=True, state=b"state").encode()
    assert len(data) == 4096
    head = "4341544547524431" + LOG_ID.hex() + "0500000000000000" + "01000000" + "05000000"
    assert data[:45].hex() == head + b"state".hex()
    assert data[45:-4] == bytes(4096 - 45 - 4)
    assert int.from_bytes(data[-4:], "little") == zlib.crc32(data[:-4])
    slot = decode_slot(data)
    assert slot is not None
    assert (slot.log_id, slot.counter, slot.retired, slot.state) == (LOG_ID, 5, True, b"state")
    assert STATE_BYTES_MAX == 4096 - 40 - 4


def test_bytes_that_are_no_slot_are_refused_although_their_checksum_holds() -> None:
    data = Slot(log_id=LOG_ID, counter=5, retired=False, state=b"state").encode()
    assert decode_slot(sealed(data[:-4])) is not None
    for magic in (b"CATEGRD0", b"CATEGRD2"):
        assert decode_slot(sealed(magic + data[8:-4])) is None
    longest = data[:36] + STATE_BYTES_MAX.to_bytes(4, "little") + data[40:-4]
    assert decode_slot(sealed(longest)) is not None
    too_long = data[:36] + (STATE_BYTES_MAX + 1).to_bytes(4, "little") + data[40:-4]
    assert decode_slot(sealed(too_long)) is None
    assert decode_slot(sealed(data[:-5])) is None
    assert decode_slot(sealed(data[:-4] + b"\0")) is None
    assert decode_slot(b"") is None


def test_the_newest_slot_counts_wherever_it_stands(tmp_path: Path) -> None:
    older = Slot(log_id=LOG_ID, counter=8, retired=False, state=b"older").encode()
    newer = Slot(log_id=LOG_ID, counter=9, retired=False, state=b"newer").encode()
    path = tmp_path / "guard"
    for first, second in ((older, newer), (newer, older)):
        path.write_bytes(first + second)
        guard = GuardFile.open(path)
        assert guard.state == b"newer"
        guard.write(b"next")
        guard.close()
        data = path.read_bytes()
        assert newer in (data[:SLOT_BYTES], data[SLOT_BYTES:])
        slots = [decode_slot(data[:SLOT_BYTES]), decode_slot(data[SLOT_BYTES:])]
        assert sorted([slot.counter for slot in slots if slot is not None]) == [9, 10]


def test_a_new_guard_file_has_two_slots_and_the_next_write_goes_to_the_older(tmp_path: Path) -> None:
    path = tmp_path / "new" / "guard"
    GuardFile.create(path, LOG_ID, state=b"imported").close()
    data = path.read_bytes()
    slots = [decode_slot(data[:SLOT_BYTES]), decode_slot(data[SLOT_BYTES:])]
    assert [slot and (slot.counter, slot.retired, slot.state) for slot in slots] == [
        (1, False, b"imported"),
        (2, False, b"imported"),
    ]
    path.with_name("guard.new").write_bytes(b"left over by a crash, and longer than a guard file" * 500)
    GuardFile.create(path, LOG_ID, state=b"s" * STATE_BYTES_MAX).close()
    assert path.stat().st_size == 2 * SLOT_BYTES
    with pytest.raises(ValueError, match=f"{STATE_BYTES_MAX + 1} bytes is over the limit"):
        GuardFile.create(path, LOG_ID, state=b"s" * (STATE_BYTES_MAX + 1))
    again = GuardFile.open(path)
    assert again.state == b"s" * STATE_BYTES_MAX
    again.close()


def test_a_closed_guard_file_holds_no_descriptor_and_takes_nothing(tmp_path: Path) -> None:
    guard = GuardFile.create(tmp_path / "guard", LOG_ID)
    open_before = len(os.listdir("/proc/self/fd"))
    guard.close()
    assert len(os.listdir("/proc/self/fd")) == open_before - 1
    guard.close()
    with pytest.raises(WrongState, match="closed"):
        guard.write(b"late")
    with pytest.raises(WrongState, match="closed"):
        guard.retire()


def test_damage_is_named_with_file_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    path.write_bytes(bytes(2 * SLOT_BYTES))
    with pytest.raises(Corrupt, match=r"guard.* damaged at byte 0: neither slot checks.*catenet rejoin"):
        GuardFile.open(path)
    with pytest.raises(FileNotFoundError):
        GuardFile.open(tmp_path / "none")
