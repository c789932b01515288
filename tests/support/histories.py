"""Small random histories, and a check of them by trying everything."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, permutations

from hypothesis import strategies as st

from catenet.testing.linearizability import Kind, Operation, Value, applied

VALUES = st.sampled_from([None, "a", "b", "c"])
TIMES = st.integers(0, 12)


@st.composite
def operations(draw: st.DrawFn, *, keys: Sequence[str] = ("x",)) -> Operation:
    """Any operation, sensible or not; about one in five has no return."""
    kind = draw(st.sampled_from(Kind))
    called = draw(TIMES)
    returned = None if draw(st.integers(0, 4)) == 0 else called + draw(TIMES)
    return Operation(
        client=draw(st.integers(0, 3)),
        key=draw(st.sampled_from(keys)),
        kind=kind,
        called=called,
        returned=returned,
        value=None if kind is Kind.READ else draw(VALUES),
        expected=draw(VALUES) if kind is Kind.CAS else None,
        found=None if kind is Kind.WRITE or returned is None else draw(VALUES),
    )


def histories(*, most: int, keys: Sequence[str] = ("x",)) -> st.SearchStrategy[list[Operation]]:
    """Lists of such operations."""
    return st.lists(operations(keys=keys), max_size=most)


@st.composite
def near_misses(draw: st.DrawFn, *, most: int) -> list[Operation]:
    """What a register did, with calls and returns around each moment; then one answer may be changed."""
    held: Value = None
    history: list[Operation] = []
    for moment in range(0, 3 * draw(st.integers(1, most)), 3):
        one = draw(operations())
        lost = one.returned is None
        if not lost:
            one = replace(one, found=None if one.kind is Kind.WRITE else held)
        if not lost or draw(st.booleans()):
            held = applied(one, held)[1]
        returned = None if lost else moment + draw(st.integers(0, 5))
        history.append(replace(one, called=moment - draw(st.integers(0, 5)), returned=returned))
    answered = [place for place, one in enumerate(history) if one.returned is not None]
    if draw(st.booleans()) and answered:
        place = draw(st.sampled_from(answered))
        if history[place].kind is not Kind.WRITE:
            history[place] = replace(history[place], found=draw(VALUES))
    return history


def explained_by_some_order(history: Sequence[Operation]) -> bool:
    """Try every order of the returned operations with every choice of the others, by the definition alone."""
    returned = [one for one in history if one.returned is not None]
    others = [one for one in history if one.returned is None]
    return any(
        explains(order)
        for count in range(len(others) + 1)
        for chosen in combinations(others, count)
        for order in permutations([*returned, *chosen])
    )


def explains(order: Sequence[Operation]) -> bool:
    """Say whether operations of one key, in this order, keep to real time and to the register."""
    held: Value = None
    for place, operation in enumerate(order):
        for later in order[place + 1 :]:
            if later.returned is not None and later.returned < operation.called:
                return False
        fits, held = applied(operation, held)
        if not fits:
            return False
    return True
