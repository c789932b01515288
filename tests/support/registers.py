"""An application with conditional writes over the key-value one, for histories; and doubles of it with bugs.

    write KEY VALUE ATTEMPT             sets a key
    swap KEY VALUE ATTEMPT              the same; the result tells what was there
    cas KEY VALUE ATTEMPT EXPECTED      sets a key that holds EXPECTED

Every result's data is the value before, empty for none. Values are never empty. ATTEMPT means nothing to the
application: another one makes another transaction. `none` as EXPECTED is a key without a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from catenet.apps.kv import NOT_FOUND, KeyValue
from catenet.types.application import (
    ADMITTED,
    Application,
    BlockOutcome,
    CheckResult,
    CommitResult,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    Query,
    QueryResult,
    TxResult,
)
from catenet.types.ports import StateStore

REFUSED = 2
NO_VALUE = b"none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a transaction wants."""

    verb: bytes
    key: bytes
    value: bytes
    expected: bytes | None = None


def order_of(tx: bytes) -> Order | None:
    match tx.split(b" "):
        case [b"write" | b"swap" as verb, key, value, _] if key and value:
            return Order(verb=verb, key=key, value=value)
        case [b"cas" as verb, key, value, _, expected] if key and value:
            return Order(verb=verb, key=key, value=value, expected=expected)
        case _:
            return None


class Registers(Application):
    """Decides what each transaction writes; the key-value application keeps it."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        self.kv = KeyValue(store)

    def info(self) -> Info:
        return self.kv.info()

    def init_chain(self, request: InitChain) -> InitChainResult:
        return self.kv.init_chain(request)

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        return ADMITTED if order_of(tx) else CheckResult(code=REFUSED, log=f"no order: {tx[:64]!r}")

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        changes: dict[bytes, bytes] = {}
        results: list[TxResult] = []
        writes: list[bytes] = []
        for tx in request.txs:
            order = order_of(tx)
            if order is None:
                results.append(TxResult(code=REFUSED))
                continue
            before = changes[order.key] if order.key in changes else self.store.get(order.key)
            if order.verb != b"cas" or order.expected == (before or NO_VALUE):
                changes[order.key] = order.value
                writes.append(order.key + b"=" + order.value)
            results.append(TxResult(data=before or b""))
        outcome = self.kv.finalize_block(replace(request, txs=writes))
        return replace(outcome, results=tuple(results))

    def commit(self) -> CommitResult:
        return self.kv.commit()

    def query_many(self, requests: Sequence[Query]) -> Sequence[QueryResult]:
        return self.kv.query_many(requests)


class StaleRegisters(Registers):
    """A planted bug: reads are answered from the state before the newest block that changed anything."""

    def __init__(self, store: StateStore) -> None:
        super().__init__(store)
        self._newest: dict[bytes, bytes | None] = {}
        self._before: dict[bytes, bytes | None] = {}

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        orders = [order for order in map(order_of, request.txs) if order is not None]
        self._newest = {order.key: self.store.get(order.key) for order in orders}
        return super().finalize_block(request)

    def commit(self) -> CommitResult:
        if self._newest:
            self._before, self._newest = self._newest, {}
        return super().commit()

    def query_many(self, requests: Sequence[Query]) -> Sequence[QueryResult]:
        return [
            shown(found, self._before.get(request.data)) if request.data in self._before else found
            for request, found in zip(requests, super().query_many(requests), strict=True)
        ]


class EarlyRegisters(Registers):
    """A planted bug: reads see what was admitted here, before it is in a block."""

    def __init__(self, store: StateStore) -> None:
        super().__init__(store)
        self._admitted: dict[bytes, bytes] = {}

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        order = order_of(tx)
        if order is not None:
            self._admitted[order.key] = order.value
        return super().check_tx(tx, recheck=recheck)

    def query_many(self, requests: Sequence[Query]) -> Sequence[QueryResult]:
        return [
            shown(found, self._admitted[request.data]) if request.data in self._admitted else found
            for request, found in zip(requests, super().query_many(requests), strict=True)
        ]


def shown(found: QueryResult, value: bytes | None) -> QueryResult:
    """Return an answer with another value."""
    return replace(found, code=0 if value else NOT_FOUND, value=value or b"")
