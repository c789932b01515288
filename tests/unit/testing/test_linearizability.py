"""The checker of histories: known cases, and against a check that tries every order."""

from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings

from catenet.testing.linearizability import (
    Kind,
    Operation,
    Recorder,
    Value,
    Verdict,
    check,
    from_line,
    read_history,
    to_line,
    write_history,
)
from catenet.types.errors import InvalidInput
from support.histories import explained_by_some_order, histories, near_misses


def read(called: int, returned: int | None, found: Value, key: str = "x") -> Operation:
    return Operation(client=0, key=key, kind=Kind.READ, called=called, returned=returned, found=found)


def write(called: int, returned: int | None, value: str, key: str = "x") -> Operation:
    return Operation(client=1, key=key, kind=Kind.WRITE, called=called, returned=returned, value=value)


def swap(called: int, returned: int | None, value: str, found: Value) -> Operation:
    return Operation(
        client=2, key="x", kind=Kind.SWAP, called=called, returned=returned, value=value, found=found
    )


def cas(called: int, returned: int | None, expected: Value, value: str, found: Value) -> Operation:
    return Operation(
        client=3,
        key="x",
        kind=Kind.CAS,
        called=called,
        returned=returned,
        expected=expected,
        value=value,
        found=found,
    )


GOOD = {
    "nothing at all": [],
    "a read of nothing": [read(0, 1, None)],
    "a read beside a write sees either": [write(0, 9, "a"), read(1, 2, None), read(3, 4, "a")],
    "reads beside each other differ": [write(0, 9, "a"), read(1, 8, "a"), read(1, 8, None)],
    "a write without an answer takes effect late": [write(0, None, "a"), read(1, 2, None), read(3, 4, "a")],
    "a write without an answer never takes effect": [write(0, None, "a"), read(1, 2, None)],
    "a write without an answer is overwritten": [write(0, None, "a"), write(1, 2, "b"), read(3, 4, "b")],
    "swaps form a chain": [
        swap(0, 9, "a", None),
        swap(0, 9, "b", "c"),
        swap(0, 9, "c", "a"),
        read(9, 9, "b"),
    ],
    "a swap without an answer is seen through a later one": [swap(0, None, "a", None), swap(1, 2, "b", "a")],
    "a comparison that fails changes nothing": [write(0, 1, "a"), cas(2, 3, "b", "c", "a"), read(4, 5, "a")],
    "a comparison without an answer needs another": [
        cas(0, None, "a", "b", None),
        write(0, None, "a"),
        read(1, 2, "b"),
    ],
    "touching is beside each other": [write(0, 5, "a"), read(5, 6, None)],
    "keys are apart": [write(0, 1, "a", "x"), read(2, 3, None, "y")],
}

BAD = {
    "a stale read": [write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a")],
    "a read of what was never written": [read(0, 1, "a")],
    "a read before the write is called": [read(0, 1, "a"), write(2, 3, "a")],
    "a value that goes away again": [write(0, 9, "a"), read(1, 2, "a"), read(3, 4, None)],
    "a value that comes again": [write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "b"), read(6, 7, "a")],
    "a write without an answer that takes effect twice": [
        write(0, None, "a"),
        read(1, 2, "a"),
        write(3, 4, "b"),
        read(5, 6, "b"),
        read(7, 8, "a"),
    ],
    "a write without an answer seen before its call": [read(0, 1, "a"), write(2, None, "a")],
    "two swaps that found the same": [swap(0, 9, "a", None), swap(0, 9, "b", None)],
    "a comparison that won and left nothing": [cas(0, 1, None, "a", None), read(2, 3, None)],
    "a comparison that lost and wrote": [write(0, 1, "a"), cas(2, 3, "b", "c", "a"), read(4, 5, "c")],
    "one bad key among good ones": [read(0, 1, None, "w"), read(0, 1, "a", "x"), read(0, 1, None, "y")],
}


@pytest.mark.parametrize("name", GOOD)
def test_linearizable(name: str) -> None:
    assert check(GOOD[name]).verdict is Verdict.LINEARIZABLE


@pytest.mark.parametrize("name", BAD)
def test_violated(name: str) -> None:
    report = check(BAD[name])
    assert report.verdict is Verdict.VIOLATED
    assert [fault.key for fault in report.faults] == ["x"]


@given(history=histories(most=6) | near_misses(most=6))
@settings(max_examples=200, deadline=None)
@pytest.mark.slow
def test_the_search_agrees_with_trying_every_order(history: list[Operation]) -> None:
    linearizable = check(history).verdict is Verdict.LINEARIZABLE
    assert linearizable is explained_by_some_order(history)


def test_a_fault_says_how_far_it_went() -> None:
    stale = read(4, 5, "a")
    (fault,) = check([write(0, 1, "a"), write(2, 3, "b"), stale]).faults
    assert (fault.ordered, fault.holds, fault.stuck) == (2, "b", (stale,))


def test_a_search_that_takes_too_long_is_undecided() -> None:
    crowd = [*[write(0, 99, f"v{number}") for number in range(12)], read(100, 101, "never written")]
    report = check(crowd, steps_max=500)
    assert report.verdict is Verdict.UNDECIDED
    assert report.steps == 501


@pytest.mark.slow
def test_ten_thousand_operations_are_checked_without_going_astray() -> None:
    # Five clients beside each other, each step overlapping the next; every tenth answer is lost.
    history, held = [], None
    for step in range(10_000):
        lost = step % 10 == 9
        value = f"v{step}"
        returned = None if lost else 10 * step + 45
        if step % 2:
            history.append(swap(10 * step, returned, value, None if lost else held))
            held = value
        else:
            history.append(read(10 * step, returned, held))
    report = check(history)
    assert report.verdict is Verdict.LINEARIZABLE
    assert report.steps < 3 * len(history)


def test_a_recorder_keeps_calls_answers_and_what_stayed_open() -> None:
    ticks = count(1)
    recorder = Recorder(clock=lambda: next(ticks))
    first = recorder.call(1, "x", Kind.CAS, value="a", expected="b")
    second = recorder.call(2, "x", Kind.WRITE, value="c")
    third = recorder.call(3, "y", Kind.READ)
    recorder.answer(third, "old")
    recorder.withdraw(first)
    one, other = recorder.history
    assert second != third
    assert one == Operation(client=2, key="x", kind=Kind.WRITE, value="c", called=2)
    assert other == Operation(client=3, key="y", kind=Kind.READ, called=3, returned=4, found="old")


@given(history=histories(most=8, keys=("x", "ü=\n")))
@settings(max_examples=25)
def test_histories_survive_their_file_format(history: list[Operation]) -> None:
    lines = [to_line(one) for one in history]
    assert [from_line(line) for line in lines] == history
    assert not any("\n" in line for line in lines)


def test_a_history_file_is_json_lines(tmp_path: Path) -> None:
    history = [cas(1, 2, None, "a", "b"), write(3, None, "c")]
    write_history(tmp_path / "history.jsonl", history)
    assert (tmp_path / "history.jsonl").read_text() == (
        '{"client": 3, "key": "x", "op": "cas", "call": 1, "return": 2, "value": "a", "expected": null, '
        '"found": "b"}\n'
        '{"client": 1, "key": "x", "op": "write", "call": 3, "return": null, "value": "c"}\n'
    )
    assert read_history(tmp_path / "history.jsonl") == history


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        '{"client": 1, "key": "x", "op": "push", "call": 1, "return": 2}',
        '{"client": 1, "key": "x", "op": "read", "call": 1, "return": 2, "found": 7}',
        '{"client": 1, "key": "x", "op": "read", "call": null, "return": 2}',
    ],
)
def test_a_line_that_is_no_operation_is_refused(line: str) -> None:
    with pytest.raises(InvalidInput, match="no operation of a history"):
        from_line(line)
