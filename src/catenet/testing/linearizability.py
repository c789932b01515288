"""Checks recorded histories of concurrent clients: does one order of their operations explain all answers.

The model is one register for each key, without a value at first. An operation takes effect at one moment
between its call and its return; one without a return may do so at any moment after its call, or never.
`check` looks for such an order (Wing and Gong's search with Lowe's memory of what was tried), key by key. A
history is linearizable exactly if the part of each key is. Histories are kept as JSON Lines, see `to_line`.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from catenet.types.errors import InvalidInput

Value: TypeAlias = "str | None"
"""What a register holds; None: it has no value yet."""

STEPS_MAX: Final = 1_000_000
"""Moves that one check may try by default; more than a history without much concurrency ever needs."""


class Kind(Enum):
    """What an operation does."""

    READ = "read"
    WRITE = "write"
    SWAP = "swap"
    """Writes, and tells what was there before."""
    CAS = "cas"
    """Writes if the register holds `expected`, and tells what was there before."""


class Verdict(Enum):
    """What a check found."""

    LINEARIZABLE = "linearizable"
    VIOLATED = "violated"
    UNDECIDED = "undecided"
    """The steps were used up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of one client. Times are of any clock that all clients share."""

    client: int
    key: str
    kind: Kind
    called: int
    returned: int | None = None
    """None: the outcome is not known."""
    value: Value = None
    """What is written."""
    expected: Value = None
    """What a CAS wants to find."""
    found: Value = None
    """What was there: the answer of all kinds but WRITE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A key whose operations have no order: the farthest that the search came."""

    key: str
    ordered: int
    """So many operations could be put in order,"""
    holds: Value
    """after which the register holds this,"""
    stuck: tuple[Operation, ...]
    """and none of these, one of which must come next, can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found, over all keys."""

    verdict: Verdict
    operations: int
    unknown: int
    """Operations without a return."""
    steps: int
    faults: tuple[Fault, ...] = ()


def check(history: Iterable[Operation], *, steps_max: int = STEPS_MAX) -> Report:
    """Look for an order of each key's operations. `steps_max` bounds the work of all keys together."""
    by_key: dict[str, list[Operation]] = {}
    operations = unknown = 0
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
        operations += 1
        unknown += operation.returned is None
    steps = 0
    faults: list[Fault] = []
    verdict = Verdict.LINEARIZABLE
    for key in sorted(by_key):
        search = _Search(by_key[key], steps_max - steps)
        try:
            if not search.run():
                faults.append(search.fault(key))
        except _OutOfSteps:
            verdict = Verdict.UNDECIDED
        steps += search.steps
    if faults:
        verdict = Verdict.VIOLATED
    return Report(verdict=verdict, operations=operations, unknown=unknown, steps=steps, faults=tuple(faults))


def applied(operation: Operation, held: Value) -> tuple[bool, Value]:
    """Say whether an operation can take effect on a register, and what the register holds then."""
    if operation.returned is not None and operation.kind is not Kind.WRITE and operation.found != held:
        return False, held
    match operation.kind:
        case Kind.READ:
            return True, held
        case Kind.CAS if held != operation.expected:
            return True, held
        case _:
            return True, operation.value


def noticed(operations: Sequence[Operation]) -> list[Operation]:
    """Leave out operations of unknown outcome that nobody can have noticed: whether they took effect is open.

    Without them an order of the others stays one: whoever came right after such a write found its value, or
    overwrote it whatever it was.
    """
    kept = [one for one in operations if one.returned is not None or one.kind is not Kind.READ]
    while True:
        seen = {one.found for one in kept if one.returned is not None and one.kind is not Kind.WRITE}
        seen |= {one.expected for one in kept if one.kind is Kind.CAS}
        left = [one for one in kept if one.returned is not None or one.value in seen]
        if len(left) == len(kept):
            return kept
        kept = left


def _only_looks(operation: Operation, held: Value) -> bool:
    return operation.kind is Kind.READ or (operation.kind is Kind.CAS and held != operation.expected)


class _OutOfSteps(Exception):
    """The search is given up."""


class _Search:
    """The search for an order of one key's operations: depth first, no position is visited twice."""

    def __init__(self, operations: Sequence[Operation], steps_max: int) -> None:
        kept = noticed(operations)
        self._known = sorted([one for one in kept if one.returned is not None], key=lambda one: one.called)
        self._open = [one for one in kept if one.returned is None]
        self._all = [*self._known, *self._open]
        # The known ones that are not in order yet, as a chain by time of call; the last index is its head.
        count = len(self._known)
        self._next = [*range(1, count + 1), 0]
        self._previous = [count, *range(count)]
        self._left = count
        self._ordered = 0
        self._done = 0
        self._held: Value = None
        self._seen: set[tuple[int, Value]] = set()
        self._steps_max = steps_max
        self.steps = 0
        self._farthest: tuple[int, Value, list[int]] = (-1, None, [])

    def run(self) -> bool:
        """Say whether there is an order. Raises `_OutOfSteps`."""
        path: list[tuple[int, Value]] = []
        choices: list[Iterator[int]] = [iter(self._candidates())]
        while self._left:
            index = next(choices[-1], None)
            if index is None:
                choices.pop()
                if not path:
                    return False
                self._undo(*path.pop())
                continue
            before = self._held
            if self._do(index):
                path.append((index, before))
                choices.append(iter(self._candidates()))
        return True

    def fault(self, key: str) -> Fault:
        """Say how far the search came."""
        ordered, holds, stuck = self._farthest
        return Fault(key=key, ordered=ordered, holds=holds, stuck=tuple([self._all[i] for i in stuck]))

    def _candidates(self) -> list[int]:
        """Return what may come next: what nothing that is left returned before."""
        found: list[int] = []
        until: int | None = None
        index = self._next[-1]
        while index < len(self._known):
            operation = self._known[index]
            if until is not None and operation.called > until:
                break
            if _only_looks(operation, self._held) and operation.found == self._held:
                # If there is an order at all, there is one with it in this place.
                return [index]
            found.append(index)
            assert operation.returned is not None
            until = operation.returned if until is None else min(until, operation.returned)
            index = self._next[index]
        # Those of unknown outcome come last: most did nothing. What would change nothing here need not come.
        for number, operation in enumerate(self._open, len(self._known)):
            begun = until is None or operation.called <= until
            if begun and not self._done >> number & 1 and applied(operation, self._held)[1] != self._held:
                found.append(number)
        if self._ordered > self._farthest[0]:
            self._farthest = (self._ordered, self._held, found)
        return found

    def _do(self, index: int) -> bool:
        """Put one operation next; False: it does not fit, or this was tried."""
        self.steps += 1
        if self.steps > self._steps_max:
            raise _OutOfSteps
        fits, held = applied(self._all[index], self._held)
        position = (self._done | 1 << index, held)
        if not fits or position in self._seen:
            return False
        self._seen.add(position)
        self._done, self._held = position
        self._ordered += 1
        if index < len(self._known):
            self._left -= 1
            self._next[self._previous[index]] = self._next[index]
            self._previous[self._next[index]] = self._previous[index]
        return True

    def _undo(self, index: int, held: Value) -> None:
        self._done ^= 1 << index
        self._held = held
        self._ordered -= 1
        if index < len(self._known):
            self._left += 1
            self._next[self._previous[index]] = self._previous[self._next[index]] = index


class Recorder:
    """Records what clients do, as they do it: `call`, and then `answer` or `withdraw`."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._operations: dict[int, Operation] = {}
        self._next = 0

    def call(self, client: int, key: str, kind: Kind, *, value: Value = None, expected: Value = None) -> int:
        """Note, before it is sent, what a client asks for; return the number for its answer."""
        self._next += 1
        self._operations[self._next] = Operation(
            client=client, key=key, kind=kind, value=value, expected=expected, called=self._clock()
        )
        return self._next

    def answer(self, number: int, found: Value = None) -> None:
        """Note the answer. A call that is never answered stays one of unknown outcome."""
        self._operations[number] = replace(self._operations[number], returned=self._clock(), found=found)

    def withdraw(self, number: int) -> None:
        """Forget a call that surely had no effect, say because it was refused."""
        del self._operations[number]

    @property
    def history(self) -> list[Operation]:
        """What was recorded, in order of the calls."""
        return list(self._operations.values())


def to_line(operation: Operation) -> str:
    """Return an operation as a line of a history file.

    `client`, `key`, `op` (read, write, swap, cas), `call` and `return` (nanoseconds; null: unknown outcome);
    `value` and `expected` where the operation has them; `found` where it has an answer (null: no value).
    """
    line: dict[str, object] = {
        "client": operation.client,
        "key": operation.key,
        "op": operation.kind.value,
        "call": operation.called,
        "return": operation.returned,
    }
    if operation.kind is not Kind.READ:
        line["value"] = operation.value
    if operation.kind is Kind.CAS:
        line["expected"] = operation.expected
    if operation.kind is not Kind.WRITE and operation.returned is not None:
        line["found"] = operation.found
    return json.dumps(line)


def from_line(line: str) -> Operation:
    """Read what `to_line` gave. Raises `InvalidInput`."""
    try:
        raw: object = json.loads(line)
        if not isinstance(raw, Mapping):
            raise TypeError("no object")
        returned = raw["return"]
        return Operation(
            client=int(raw["client"]),
            key=str(raw["key"]),
            kind=Kind(raw["op"]),
            called=int(raw["call"]),
            returned=None if returned is None else int(returned),
            value=_value(raw.get("value")),
            expected=_value(raw.get("expected")),
            found=_value(raw.get("found")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"no operation of a history: {line[:100]!r} ({error})") from None


def _value(raw: object) -> Value:
    if raw is None or isinstance(raw, str):
        return raw
    raise TypeError(f"value {raw!r} is neither text nor null")


def write_history(path: Path, history: Iterable[Operation]) -> None:
    """Write a history file: JSON Lines."""
    path.write_text("".join([to_line(one) + "\n" for one in history]), encoding="utf-8")


def read_history(path: Path) -> list[Operation]:
    """Read a history file. Raises `InvalidInput`."""
    return [from_line(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
