"""The guard's slots: the newest durable state survives torn writes, rot of one slot, and failed syncs."""

import random
from pathlib import Path

import pytest

from catenet.storage.guard_file import SLOT_BYTES, STATE_BYTES_MAX, GuardFile
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
