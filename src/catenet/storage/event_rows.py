"""The rows of the event index: which key an indexed attribute has, and where a condition looks. Pure.

row := the value's text
key := kind | sha256(tag)[:16] | value | height u64 BE | index u32 BE | event u32 BE
value of a number := digits before the point u32 BE | digits, the first 64 | 0: ordered as numbers are
value of any other text := sha256(text)[:16]

The last 16 bytes name one event: conditions of a query must hold in the same one. An event of a block has
index 0. What is not marked `index`, has no type or no key, or a tag of the chain has no row.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from catenet.types.application import BlockOutcome, Event
from catenet.types.query import Condition, Number, Operator, number_of

Criterion = tuple[Condition, ...]
"""What one value must satisfy: a condition, or all bounds that a query sets for the numbers of one tag."""

EVENTS = "events"
PLACE_BYTES = 16
TX_HEIGHT, TX_HASH, BLOCK_HEIGHT = "tx.height", "tx.hash", "block.height"

_DIGITS_KEPT = 64
_DIGEST_BYTES = 16
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")


class Scope(Enum):
    """Whose events: each scope has its own rows. The values are the kinds of text and of numbers."""

    TXS = (b"t", b"n")
    BLOCKS = (b"T", b"N")

    @property
    def reserved(self) -> frozenset[str]:
        """The tags that the chain itself answers for."""
        return frozenset((TX_HEIGHT, TX_HASH)) if self is Scope.TXS else frozenset((BLOCK_HEIGHT,))


class Span(NamedTuple):
    """Keys from `start` on, before `end`; `fixed` when all have one value: then heights follow in order."""

    start: bytes
    end: bytes
    fixed: bool


def attributes(event: Event, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield tag and value of each indexed attribute."""
    if not event.type:
        return
    for attribute in event.attributes:
        tag = f"{event.type}.{attribute.key}"
        if attribute.index and attribute.key and tag not in scope.reserved:
            yield tag, attribute.value


def event_rows(height: int, outcome: BlockOutcome) -> dict[bytes, bytes | None]:
    """Return the rows of one block."""
    rows: dict[bytes, bytes | None] = {}
    # An application without events pays for one look at each result.
    said = [(index, result) for index, result in enumerate(outcome.results) if result.events]
    for index, result in said:
        _add(rows, Scope.TXS, height, index, result.events)
    _add(rows, Scope.BLOCKS, height, 0, outcome.events)
    return rows


def _add(
    rows: dict[bytes, bytes | None], scope: Scope, height: int, index: int, events: Sequence[Event]
) -> None:
    for number, event in enumerate(events):
        for tag, value in attributes(event, scope):
            key = _value_prefix(scope, tag, value) + place_bytes(height, index, number)
            rows[key] = value.encode()


def place_bytes(height: int, index: int, event: int) -> bytes:
    """Return the end of a key."""
    return height.to_bytes(8, "big") + index.to_bytes(4, "big") + event.to_bytes(4, "big")


def read_place(place: bytes) -> tuple[int, int]:
    """Return height and index of the end of a key."""
    return int.from_bytes(place[:8], "big"), int.from_bytes(place[8:12], "big")


def criteria(conditions: Iterable[Condition]) -> list[Criterion]:
    """Return what is asked of one value each: bounds on the numbers of one tag are a range."""
    ranges: dict[str, list[Condition]] = {}
    others: list[Criterion] = []
    for condition in conditions:
        if isinstance(condition.operand, Number) and condition.operator is not Operator.EQUAL:
            ranges.setdefault(condition.tag, []).append(condition)
        else:
            others.append((condition,))
    return [*others, *map(tuple, ranges.values())]


def admits(criterion: Criterion, value: str) -> bool:
    """Say whether one value satisfies a search, where a number must be the whole value."""
    for condition in criterion:
        if isinstance(condition.operand, Number) and not _NUMBER.fullmatch(value):
            return False
        if not condition.passes(value):
            return False
    return True


def has_match(events: Iterable[Event], wanted: Sequence[Criterion], scope: Scope) -> bool:
    """Say whether one event satisfies all criteria: the same as the rows say, without the rows."""
    for event in events:
        values = list(attributes(event, scope))
        if all(any(tag == each[0].tag and admits(each, value) for tag, value in values) for each in wanted):
            return True
    return False


def spans(criterion: Criterion, scope: Scope) -> list[Span]:
    """Return where rows lie that may satisfy a criterion; `admits` says of each whether it does."""
    condition = criterion[0]
    texts, numbers = (kind + _tag_digest(condition.tag) for kind in scope.value)
    operand, operator = condition.operand, condition.operator
    if isinstance(operand, str) and operator is Operator.EQUAL:
        return [_all_of(_value_prefix(scope, condition.tag, operand), fixed=True)]
    if isinstance(operand, Number):
        bounds = [
            _numbers(numbers, each.operator, numbers + _ordered(each.operand))
            for each in criterion
            if isinstance(each.operand, Number)
        ]
        start, end = max([bound.start for bound in bounds]), min([bound.end for bound in bounds])
        return [Span(start, end, bounds[0].fixed)]
    if operand is None or isinstance(operand, str):
        return [_all_of(texts), _all_of(numbers)]
    # No date and no time is a number.
    return [_all_of(texts)]


def _numbers(kind: bytes, operator: Operator, bound: bytes) -> Span:
    # Digits that are cut make neighbours equal: the bound itself always belongs to the span.
    match operator:
        case Operator.EQUAL:
            return _all_of(bound, fixed=True)
        case Operator.LESS | Operator.LESS_EQUAL:
            return Span(kind, _after(bound), fixed=False)
        case _:
            return Span(bound, _after(kind), fixed=False)


def _all_of(prefix: bytes, *, fixed: bool = False) -> Span:
    return Span(prefix, _after(prefix), fixed)


def _after(prefix: bytes) -> bytes:
    """Return the first key above all that begin with `prefix`; the kinds see to it that there is one."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes((kept[-1] + 1,))


def _value_prefix(scope: Scope, tag: str, value: str) -> bytes:
    text_kind, number_kind = scope.value
    number = number_of(value) if _NUMBER.fullmatch(value) else None
    if number is None:
        return text_kind + _tag_digest(tag) + sha256(value.encode()).digest()[:_DIGEST_BYTES]
    return number_kind + _tag_digest(tag) + _ordered(number)


def _ordered(number: Number) -> bytes:
    digits = (number.whole + number.fraction)[:_DIGITS_KEPT]
    return number.length.to_bytes(4, "big") + digits.encode() + b"\0"


@lru_cache(maxsize=1024)
def _tag_digest(tag: str) -> bytes:
    return sha256(tag.encode()).digest()[:_DIGEST_BYTES]
