"""Tables and application state: one answer, in memory or in LMDB; nothing damaged is served."""

import random
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.storage.state import TableState, open_state
from catenet.storage.tables import DATA_FILE, Tables, destroy
from catenet.types.errors import Corrupt, WrongState
from support.apps import MemoryState
from support.storage import flip


@contextmanager
def tables(path: Path, *, map_bytes: int = 1 << 20) -> Iterator[Tables]:
    opened = Tables(path, ("a", "b"), map_bytes=map_bytes)
    try:
        yield opened
    finally:
        opened.abandon()


def test_rows_are_seen_before_during_and_after_a_commit(tmp_path: Path) -> None:
    with tables(tmp_path / "t") as opened:
        opened.put({"a": {b"k": b"1", b"gone": b"x"}, "b": {b"k": b"other"}})
        assert opened.get("a", b"k") == b"1"
        opened.freeze()
        opened.put({"a": {b"gone": None, b"new": b"2"}})
        assert opened.get_many("a", [b"k", b"gone", b"new", b"never"]) == {b"k": b"1", b"new": b"2"}
        opened.commit()
        assert opened.get_many("a", [b"k", b"gone", b"new"]) == {b"k": b"1", b"new": b"2"}
        assert opened.pending_rows == 2
        opened.flush()
        assert opened.pending_rows == 0
        assert opened.get_many("a", [b"k", b"gone", b"new"]) == {b"k": b"1", b"new": b"2"}
        assert opened.get("b", b"k") == b"other"


def test_a_crash_falls_back_to_the_newest_commit(tmp_path: Path) -> None:
    with tables(tmp_path / "t") as opened:
        opened.put({"a": {b"kept": b"1"}})
        opened.flush()
        opened.put({"a": {b"kept": b"2", b"lost": b"1"}})
    with tables(tmp_path / "t") as opened:
        assert opened.get_many("a", [b"kept", b"lost"]) == {b"kept": b"1"}


def test_the_map_grows_under_readers(tmp_path: Path) -> None:
    stop = threading.Event()
    with tables(tmp_path / "t", map_bytes=1 << 18) as opened:
        opened.put({"a": {b"fixed": b"value"}})
        opened.flush()
        wrong: list[bytes | None] = []

        def read() -> None:
            while not stop.is_set():
                value = opened.get("a", b"fixed")
                if value != b"value":
                    wrong.append(value)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for n in range(20):
                opened.put({"b": {b"%d-%d" % (n, i): bytes(1000) for i in range(100)}})
                opened.flush()
        finally:
            stop.set()
            reader.join()
        assert wrong == []
        assert opened.verify() == 2001
        assert opened.get("b", b"19-99") == bytes(1000)


def test_any_flipped_bit_of_a_closed_file_is_found_at_the_next_open(tmp_path: Path) -> None:
    path = tmp_path / "t"
    opened = Tables(path, ("a", "b"))
    opened.put({"a": {b"%04d" % n: b"value %d" % n for n in range(300)}})
    opened.close()
    data = path / DATA_FILE
    whole, mark = data.read_bytes(), (path / "CLEAN").read_text()
    for bit in random.Random(4).sample(range(len(whole) * 8), 60):
        data.write_bytes(whole)
        (path / "CLEAN").write_text(mark)
        flip(data, bit)
        with pytest.raises(Corrupt, match=r"data\.mdb"):
            Tables(path, ("a", "b"))
    data.write_bytes(whole)
    for bit in range(len(mark) * 8):
        (path / "CLEAN").write_text(mark)
        flip(path / "CLEAN", bit)
        with pytest.raises(Corrupt, match=r"data\.mdb"):
            Tables(path, ("a", "b"))
    (path / "CLEAN").write_text(mark)
    data.unlink()
    with pytest.raises(Corrupt):
        Tables(path, ("a", "b"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Have every write beyond a size fail, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_when_the_state_is_opened_costs_no_state(tmp_path: Path) -> None:
    state, _ = open_state(tmp_path)
    state.write(1, [(b"k", b"1")])
    state.close()
    (tmp_path / "lock.mdb").unlink()
    with files_of_at_most(100), pytest.raises(OSError, match="File too large"):
        open_state(tmp_path)
    state, was_reset = open_state(tmp_path)
    assert (state.height, state.get(b"k"), was_reset) == (1, b"1", False)
    state.close()


def test_a_mark_that_was_not_written_to_its_end_costs_no_row(tmp_path: Path) -> None:
    path = tmp_path / "t"
    opened = Tables(path, ("a",))
    opened.put({"a": {b"k": b"1"}})
    opened.flush()
    # The disk takes a few bytes of a new file: what a crash in the middle of the write leaves, too.
    with files_of_at_most(5), pytest.raises(OSError, match="File too large"):
        opened.close()
    with tables(path) as again:
        assert again.get("a", b"k") == b"1"


def test_a_flipped_value_is_never_served_and_makes_the_next_open_refuse(tmp_path: Path) -> None:
    path = tmp_path / "t"
    data = path / DATA_FILE
    with tables(path) as opened:
        opened.put({"a": {b"key": b"a value to be found"}})
        opened.flush()
        flip(data, (data.read_bytes().index(b"a value to be found") + 3) * 8)
        with pytest.raises(Corrupt, match="does not check"):
            opened.get("a", b"key")
        with pytest.raises(Corrupt):
            opened.items("a", b"", b"", 10)
        with pytest.raises(Corrupt):
            opened.verify()
    with pytest.raises(Corrupt):
        Tables(path, ("a", "b"))
    destroy(path)
    with tables(path) as opened:
        assert opened.get("a", b"key") is None


KEYS = st.binary(min_size=1, max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.dictionaries(KEYS, st.none() | st.binary(max_size=4), max_size=6)),
        st.tuples(st.sampled_from(["flush", "freeze", "reopen"]), st.just({})),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, database=None, derandomize=True)
@given(steps=STEPS, prefix=st.binary(max_size=1), after=st.binary(max_size=2), limit=st.integers(0, 5))
def test_state_answers_as_a_plain_dictionary_does(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, dict[bytes, bytes | None]]],
    prefix: bytes,
    after: bytes,
    limit: int,
) -> None:
    path = tmp_path_factory.mktemp("state") / "app"
    model = MemoryState()
    state, _ = open_state(path)
    for action, changes in steps:
        match action:
            case "write":
                model.write(model.height + 1, changes.items())
                state.write(model.height, changes.items())
            case "flush":
                assert state.flush() == model.height
            case "freeze":
                state._tables.freeze()
            case _:
                state.close()
                state, was_reset = open_state(path)
                assert not was_reset
        assert state.height == model.height
        assert state.items(prefix, after, limit) == model.items(prefix, after, limit)
        assert state.items(b"") == model.items(b"")
        keys = [*changes, b"zzzz"]
        assert list(state.get_many(keys)) == list(model.get_many(keys))
    state.close()


def test_height_and_changes_are_one_step(tmp_path: Path) -> None:
    state, _ = open_state(tmp_path / "app")
    state.write(1, [(b"k", b"1")])
    state.flush()
    state.write(2, [(b"k", b"2")])
    assert (state.height, state.flushed) == (2, 1)
    state._tables.abandon()
    state, was_reset = open_state(tmp_path / "app")
    assert (state.height, state.get(b"k"), was_reset) == (1, b"1", False)
    state.close()


def test_writes_that_cannot_be_stored_change_nothing(tmp_path: Path) -> None:
    state, _ = open_state(tmp_path / "app")
    state.write(5, [(b"k", b"1")])
    for height, key in ((6, b""), (6, b"x" * 512), (5, b"k"), (4, b"k")):
        with pytest.raises(WrongState):
            state.write(height, [(b"k", b"2"), (key, b"2")])
    assert (state.height, state.get(b"k")) == (5, b"1")
    state.write(6, [(b"x" * 511, b"long")])
    state.close()


def test_many_changes_flush_by_themselves(tmp_path: Path) -> None:
    state, _ = open_state(tmp_path / "app", pending_rows_max=50)
    for height in range(1, 11):
        state.write(height, [(b"%d-%d" % (height, n), b"v") for n in range(10)])
    assert state.flushed >= 5
    state._tables.abandon()


def test_damaged_state_is_thrown_away_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "app"
    state, was_reset = open_state(path)
    assert not was_reset
    state.write(1, [(b"k", b"1")])
    state.close()
    flip(path / DATA_FILE, 8 * 5000)
    state, was_reset = open_state(path)
    assert was_reset
    assert isinstance(state, TableState)
    assert (state.height, state.get(b"k")) == (0, None)
    state.close()
