"""The query language of events (chain-format.md 2.3): parsing a query, and asking it of an event. Pure.

    query     := condition { AND condition }
    condition := tag ( = | < | <= | > | >= ) value | tag CONTAINS 'text' | tag EXISTS
    value     := 'text' | 12 | 12.5 | DATE 2026-11-23 | TIME 2026-11-23T10:00:00Z      order takes no 'text'

Numbers are compared as decimal text, digit by digit: exactly, however long they are.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import NamedTuple

from catenet.chain.time import parse_rfc3339
from catenet.types.errors import InvalidInput

QUERY_BYTES_MAX = 512


class Operator(Enum):
    """What a condition asks of a value."""

    EQUAL = "="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    CONTAINS = "CONTAINS"
    EXISTS = "EXISTS"


class Number(NamedTuple):
    """A decimal number, ordered as its value is: without leading zeros, nor trailing ones of the fraction."""

    length: int
    whole: str
    fraction: str


@dataclass(frozen=True, slots=True)
class Day:
    """`DATE y-m-d`."""

    days: int


@dataclass(frozen=True, slots=True)
class Moment:
    """`TIME rfc3339`, in nanoseconds since 1970."""

    ns: int


Operand = str | Number | Day | Moment

_NUMBER = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def number_of(text: str) -> Number | None:
    """Return the number that a value begins with (`8atom` is 8), or None."""
    found = _NUMBER.match(text)
    if found is None:
        return None
    whole, fraction = found[1].lstrip("0"), (found[2] or "").rstrip("0")
    return Number(len(whole), whole, fraction)


def day_of(text: str) -> Day | None:
    """Return the day that a value is, or None."""
    try:
        return Day(date.fromisoformat(text).toordinal()) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def moment_of(text: str) -> Moment | None:
    """Return the time that a value is, or None."""
    try:
        return Moment(parse_rfc3339(text))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: some value of the tag must pass."""

    tag: str
    operator: Operator
    operand: Operand | None = None
    """None with EXISTS only."""

    def passes(self, value: str) -> bool:
        """Say whether one value passes."""
        match self.operand:
            case None:
                return True
            case str(text):
                return text in value if self.operator is Operator.CONTAINS else text == value
            case Number() as bound:
                number = number_of(value)
                return number is not None and self._stands(number < bound, number == bound)
            case Day(days):
                day = day_of(value)
                return day is not None and self._stands(day.days < days, day.days == days)
            case Moment(ns):
                moment = moment_of(value)
                return moment is not None and self._stands(moment.ns < ns, moment.ns == ns)

    def matches(self, events: Mapping[str, Sequence[str]]) -> bool:
        """Say whether any value of the tag passes; a tag that is an event's type has the empty value."""
        if "." in self.tag and any(map(self.passes, events.get(self.tag, ()))):
            return True
        return self.passes("") and any(key.rpartition(".")[0] == self.tag for key in events)

    def _stands(self, below: bool, same: bool) -> bool:
        match self.operator:
            case Operator.EQUAL:
                return same
            case Operator.LESS:
                return below
            case Operator.LESS_EQUAL:
                return below or same
            case Operator.GREATER:
                return not (below or same)
            case _:
                return not below


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query: all of its conditions must hold."""

    text: str
    """As it was sent."""
    conditions: tuple[Condition, ...]

    def matches(self, events: Mapping[str, Sequence[str]]) -> bool:
        """Say whether the values of an event (`type.attribute` to values) satisfy the query."""
        return all(condition.matches(events) for condition in self.conditions)


_TIME_CHARACTERS = "-T:+Z0123456789"
_DAY_CHARACTERS = "-0123456789"
_YEARS = range(1900, 3000)
_NOT_SPACE = "\x1c\x1d\x1e\x1f"
"""What Python calls space and the language does not."""


class _Kind(Enum):
    TAG = "a tag"
    OPERATOR = "an operator"
    VALUE = "a value"
    AND = "AND"
    END = "the end"


class _Token(NamedTuple):
    kind: _Kind
    at: int
    text: str
    operator: Operator | None = None
    operand: Operand | None = None


class _Scanner:
    """Cuts a query into tokens."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def next(self) -> _Token:
        """Return the next token. Raises `InvalidInput`."""
        text = self._text
        while self._at < len(text) and text[self._at].isspace() and text[self._at] not in _NOT_SPACE:
            self._at += 1
        start = self._at
        if start == len(text):
            return _Token(_Kind.END, start, "")
        first = text[start]
        if first in "0123456789":
            return self._number(start)
        if first == "_" or first.isalpha() or first.isdecimal():
            return self._word(start)
        if first == "'":
            return self._quoted(start)
        if first in "<>=":
            self._at += 2 if first != "=" and text[start + 1 : start + 2] == "=" else 1
            sign = text[start : self._at]
            return _Token(_Kind.OPERATOR, start, sign, operator=Operator(sign))
        raise self.fault(start, f"{first!r} cannot stand here", "put text between single quotes")

    def fault(self, at: int, what: str, remedy: str) -> InvalidInput:
        """Return what is wrong with the query, where, and what to do."""
        return InvalidInput(f"query {self._text!r}, offset {at}: {what}; {remedy}")

    def _run(self, allowed: Callable[[str], bool]) -> str:
        start = self._at
        while self._at < len(self._text) and allowed(self._text[self._at]):
            self._at += 1
        return self._text[start : self._at]

    def _number(self, start: int) -> _Token:
        self._run("0123456789".__contains__)
        if self._text[self._at : self._at + 1] == ".":
            self._at += 1
            self._run("0123456789".__contains__)
        text = self._text[start : self._at]
        return _Token(_Kind.VALUE, start, text, operand=number_of(text))

    def _quoted(self, start: int) -> _Token:
        end = self._text.find("'", start + 1)
        if end < 0:
            raise self.fault(start, "the quote is not closed", "end the text with a single quote")
        self._at = end + 1
        inside = self._text[start + 1 : end]
        return _Token(_Kind.VALUE, start, f"'{inside}'", operand=inside)

    def _word(self, start: int) -> _Token:
        word = self._run(lambda each: each in "._-" or each.isalpha() or each.isdecimal())
        is_spaced = self._text[self._at : self._at + 1] == " "
        if word in ("TIME", "DATE") and is_spaced:
            self._at += 1
            return self._time(start) if word == "TIME" else self._day(start)
        if word == "AND":
            return _Token(_Kind.AND, start, word)
        if word in ("EXISTS", "CONTAINS"):
            return _Token(_Kind.OPERATOR, start, word, operator=Operator(word))
        return _Token(_Kind.TAG, start, word)

    def _time(self, start: int) -> _Token:
        text = self._run(_TIME_CHARACTERS.__contains__)
        moment = moment_of(text)
        if moment is None or int(text[:4]) not in _YEARS:
            raise self.fault(start, f"{text!r} is no time", "write TIME 2026-11-23T10:00:00Z")
        return _Token(_Kind.VALUE, start, text, operand=moment)

    def _day(self, start: int) -> _Token:
        text = self._run(_DAY_CHARACTERS.__contains__)
        day = day_of(text)
        if day is None or int(text[:4]) not in _YEARS:
            raise self.fault(start, f"{text!r} is no date", "write DATE 2026-11-23")
        return _Token(_Kind.VALUE, start, text, operand=day)


def parse(text: str) -> Query:
    """Parse a query of up to 512 bytes. Raises `InvalidInput`: what is wrong, where, and what to do."""
    size = len(text.encode(errors="surrogatepass"))
    if size > QUERY_BYTES_MAX:
        raise InvalidInput(
            f"the query has {size} bytes: at most {QUERY_BYTES_MAX} are possible; ask for less"
        )
    scanner = _Scanner(text)
    conditions = [_condition(scanner)]
    while (token := scanner.next()).kind is not _Kind.END:
        if token.kind is not _Kind.AND:
            raise scanner.fault(token.at, f"got {token.text!r}, wanted AND", "join conditions with AND")
        conditions.append(_condition(scanner))
    return Query(text, tuple(conditions))


def _condition(scanner: _Scanner) -> Condition:
    tag = _require(scanner, _Kind.TAG, "a tag", "begin a condition with a tag such as tx.height")
    sign = _require(scanner, _Kind.OPERATOR, "an operator", "use =, <, <=, >, >=, CONTAINS or EXISTS")
    operator = sign.operator
    assert operator is not None
    if operator is Operator.EXISTS:
        return Condition(tag.text, operator)
    kinds: tuple[type[Operand], ...]
    if operator is Operator.CONTAINS:
        wanted, kinds = "text", (str,)
    elif operator is Operator.EQUAL:
        wanted, kinds = "a value", (str, Number, Day, Moment)
    else:
        wanted, kinds = "a number, DATE or TIME", (Number, Day, Moment)
    remedy = "write 'text', 12.5, DATE 2026-11-23 or TIME 2026-11-23T10:00:00Z as it fits"
    value = _require(scanner, _Kind.VALUE, wanted, remedy)
    if not isinstance(value.operand, kinds):
        raise scanner.fault(value.at, f"{sign.text} got {value.text}, wanted {wanted}", remedy)
    return Condition(tag.text, operator, value.operand)


def _require(scanner: _Scanner, kind: _Kind, wanted: str, remedy: str) -> _Token:
    token = scanner.next()
    if token.kind is not kind:
        got = repr(token.text) if token.text else "the end"
        raise scanner.fault(token.at, f"got {got}, wanted {wanted}", remedy)
    return token
