"""Searches for transactions and blocks by what they said of themselves (`types.ports.EventIndex`).

All conditions on attributes must hold in one event. A search looks at a bounded number of rows. Where heights
bound the query to few transactions, their outcomes are asked instead of the index: both answer alike.
"""

from collections.abc import Iterator, Sequence
from math import inf
from typing import NamedTuple, Protocol, TypeVar

from catenet.storage import event_rows
from catenet.storage.event_rows import (
    BLOCK_HEIGHT,
    EVENTS,
    PLACE_BYTES,
    TX_HASH,
    TX_HEIGHT,
    Criterion,
    Scope,
    Span,
    criteria,
)
from catenet.storage.index import BlockRow
from catenet.storage.tables import Tables
from catenet.types.application import BlockOutcome
from catenet.types.errors import InvalidInput
from catenet.types.ports import Order, TxPlace
from catenet.types.query import Condition, Number, Operator, Query, number_of

T = TypeVar("T")

ROWS_MAX = 100_000
"""Looked at by one search."""
DIRECT_BLOCKS_MAX = 256
DIRECT_TXS_MAX = 10_000
"""Up to so many, outcomes are read instead of rows."""


class Chain(Protocol):
    """The blocks that are searched."""

    @property
    def lowest(self) -> int:
        """Lowest height kept."""
        ...

    @property
    def head(self) -> int:
        """Newest final height."""
        ...

    @property
    def events_from(self) -> int:
        """Lowest height whose events are indexed."""
        ...

    def row(self, height: int) -> BlockRow | None:
        """Return what the index says of a block."""
        ...

    def outcome(self, height: int) -> BlockOutcome | None:
        """Return what executing a block gave."""
        ...

    def place(self, tx_id: bytes) -> TxPlace | None:
        """Return where a transaction is."""
        ...


class _Heights(NamedTuple):
    """Heights `first` to `last`; none when `last` is the lower one."""

    first: int
    last: int


class EventSearch:
    """Answers searches out of the index. From any thread."""

    def __init__(
        self,
        tables: Tables,
        chain: Chain,
        *,
        rows_max: int = ROWS_MAX,
        direct_blocks_max: int = DIRECT_BLOCKS_MAX,
    ) -> None:
        self._tables = tables
        self._chain = chain
        self._rows_max = rows_max
        self._direct_blocks_max = direct_blocks_max

    def search_txs(
        self, query: Query, *, page: int, per_page: int, order: Order
    ) -> tuple[int, Sequence[TxPlace]]:
        """Return how many transactions match, and one page of them."""
        heights, rest = self._heights(query, TX_HEIGHT)
        ids = [condition for condition in rest if condition.tag == TX_HASH]
        rest = [condition for condition in rest if condition.tag != TX_HASH]
        if ids:
            return _paged(self._by_id(ids, rest, heights), page, per_page, order)
        if not rest:
            return self._by_height(heights, page, per_page, order)
        heights = self._indexed(heights)
        places = [TxPlace(*place) for place in self._matching(rest, heights, Scope.TXS)]
        return _paged(places, page, per_page, order)

    def search_blocks(
        self, query: Query, *, page: int, per_page: int, order: Order
    ) -> tuple[int, Sequence[int]]:
        """Return how many blocks match, and one page of their heights."""
        heights, rest = self._heights(query, BLOCK_HEIGHT)
        if not rest:
            return _paged(range(heights.first, heights.last + 1), page, per_page, order)
        found = self._matching(rest, self._indexed(heights), Scope.BLOCKS)
        return _paged([height for height, _ in found], page, per_page, order)

    def _heights(self, query: Query, tag: str) -> tuple[_Heights, list[Condition]]:
        """Return the heights that a query asks for, and its other conditions."""
        first, last = self._chain.lowest, self._chain.head
        rest = []
        for condition in query.conditions:
            if condition.tag == tag:
                low, high = _bounds(condition)
                first, last = max(first, low), int(min(last, high))
            else:
                rest.append(condition)
        return _Heights(first, last), rest

    def _indexed(self, heights: _Heights) -> _Heights:
        return _Heights(max(heights.first, self._chain.events_from), heights.last)

    def _by_id(self, ids: Sequence[Condition], rest: Sequence[Condition], heights: _Heights) -> list[TxPlace]:
        wanted = {_tx_id(condition) for condition in ids}
        place = self._chain.place(wanted.pop())
        if wanted or place is None or not heights.first <= place.height <= heights.last:
            return []
        if not rest:
            return [place]
        outcome = self._chain.outcome(place.height)
        events = outcome.results[place.index].events if outcome else ()
        return [place] if event_rows.has_match(events, criteria(rest), Scope.TXS) else []

    def _by_height(
        self, heights: _Heights, page: int, per_page: int, order: Order
    ) -> tuple[int, Sequence[TxPlace]]:
        """Count with the sums beside the blocks, and find the page among them, whatever their number."""
        if heights.last < heights.first:
            return 0, []
        before = self._row(heights.first).txs_before
        total = self._row(heights.last).txs_after - before
        picked = range(total)[:: -1 if order is Order.DESCENDING else 1][
            (page - 1) * per_page : page * per_page
        ]
        places: list[TxPlace] = []
        height, row = heights.first, None
        for number in picked:
            sought = before + number
            if row is None or not row.txs_before <= sought < row.txs_after:
                height = self._height_of_tx(sought, heights)
                row = self._row(height)
            places.append(TxPlace(height, sought - row.txs_before))
        return total, places

    def _height_of_tx(self, number: int, heights: _Heights) -> int:
        low, high = heights
        while low < high:
            middle = (low + high) // 2
            if self._row(middle).txs_after > number:
                high = middle
            else:
                low = middle + 1
        return low

    def _row(self, height: int) -> BlockRow:
        row = self._chain.row(height)
        assert row is not None, f"height {height} lies between the lowest and the head and has no row"
        return row

    def _matching(
        self, conditions: Sequence[Condition], heights: _Heights, scope: Scope
    ) -> list[tuple[int, int]]:
        """Return height and index of what has an event that satisfies all conditions, ascending."""
        if heights.last < heights.first:
            return []
        wanted = criteria(conditions)
        if self._is_small(heights):
            return list(self._asked(wanted, heights, scope))
        found: set[bytes] | None = None
        left = self._rows_max
        for each in sorted(wanted, key=_width):
            passed: set[bytes] = set()
            for span in event_rows.spans(each, scope):
                for key, value in self._rows(span, heights):
                    left -= 1
                    if left < 0:
                        raise _too_wide(self._rows_max, scope)
                    place = key[-PLACE_BYTES:]
                    if (found is None or place in found) and event_rows.admits(each, value.decode()):
                        passed.add(place)
            found = passed
            if not found:
                return []
        places = {event_rows.read_place(place) for place in found or ()}
        return sorted(place for place in places if heights.first <= place[0] <= heights.last)

    def _is_small(self, heights: _Heights) -> bool:
        if heights.last - heights.first >= self._direct_blocks_max:
            return False
        txs = self._row(heights.last).txs_after - self._row(heights.first).txs_before
        return txs <= DIRECT_TXS_MAX

    def _asked(
        self, wanted: Sequence[Criterion], heights: _Heights, scope: Scope
    ) -> Iterator[tuple[int, int]]:
        for height in range(heights.first, heights.last + 1):
            outcome = self._chain.outcome(height)
            if outcome is None:
                continue
            said = [result.events for result in outcome.results] if scope is Scope.TXS else [outcome.events]
            for index, events in enumerate(said):
                if events and event_rows.has_match(events, wanted, scope):
                    yield height, index

    def _rows(self, span: Span, heights: _Heights) -> Iterator[tuple[bytes, bytes]]:
        start, end = span.start, span.end
        if span.fixed:
            low, high = (event_rows.place_bytes(at, 0, 0) for at in (heights.first, heights.last + 1))
            start, end = start + low, start + high
        return self._tables.scan(EVENTS, start, end)


def _bounds(condition: Condition) -> tuple[int, float]:
    """Return the lowest and the highest whole number that pass a condition on a height."""
    operand = condition.operand
    if condition.operator is Operator.EXISTS:
        return 0, inf
    if isinstance(operand, str) and condition.operator is Operator.EQUAL:
        operand = number_of(operand) if operand.isascii() and operand.isdigit() else None
    elif not isinstance(operand, Number):
        text = f"{condition.tag} {condition.operator.value}: a height is compared with numbers only"
        raise InvalidInput(f"{text}; write {condition.tag} = 15, or <, <=, >, >=")
    if not isinstance(operand, Number):
        return 1, 0
    # More digits than any height has.
    whole = int(operand.whole or "0") if operand.length < 20 else 10**20
    is_whole = not operand.fraction
    match condition.operator:
        case Operator.EQUAL:
            return (whole, whole) if is_whole else (1, 0)
        case Operator.LESS:
            return 0, whole - 1 if is_whole else whole
        case Operator.LESS_EQUAL:
            return 0, whole
        case Operator.GREATER:
            return whole + 1, inf
        case _:
            return whole if is_whole else whole + 1, inf


def _tx_id(condition: Condition) -> bytes:
    if condition.operator is not Operator.EQUAL or not isinstance(condition.operand, str):
        raise InvalidInput(f"tx.hash {condition.operator.value}: write tx.hash = 'the hash in hex'")
    try:
        return bytes.fromhex(condition.operand)
    except ValueError:
        raise InvalidInput(f"tx.hash = '{condition.operand}' is not hex; write its 64 hex digits") from None


def _width(criterion: Criterion) -> int:
    """Order criteria by how many rows they probably look at."""
    operand = criterion[0].operand
    if criterion[0].operator is Operator.EQUAL and isinstance(operand, str | Number):
        return 0
    if isinstance(operand, Number):
        return 1 if len(criterion) > 1 else 2
    return 3


def _too_wide(rows_max: int, scope: Scope) -> InvalidInput:
    tag = TX_HEIGHT if scope is Scope.TXS else BLOCK_HEIGHT
    text = f"the query would look at more than {rows_max} indexed values"
    return InvalidInput(
        f"{text}; bound the heights: {tag} >= 1000 AND {tag} <= {1000 + DIRECT_BLOCKS_MAX - 1}"
    )


def _paged(found: Sequence[T], page: int, per_page: int, order: Order) -> tuple[int, Sequence[T]]:
    ordered = found if order is Order.ASCENDING else found[::-1]
    return len(found), ordered[(page - 1) * per_page : page * per_page]
