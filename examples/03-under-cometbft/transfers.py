"""Transfers: `1 open ann 100` makes an account, `2 pay ann bob 5` moves money. For any engine."""

from hashlib import sha256

from catenet.types.application import (
    ADMITTED,
    Application,
    BlockOutcome,
    CheckResult,
    CommitResult,
    Event,
    EventAttribute,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    Query,
    QueryResult,
    TxResult,
)
from catenet.types.ports import StateStore

HASH_KEY = b"#hash"
"""No account has this name: names are letters."""

START = sha256(b"transfers").digest()
"""The hash before the first transaction. An engine may take an empty hash for a missing one."""

MALFORMED, NO_ACCOUNT, TOO_LITTLE, EXISTS = 1, 2, 3, 4
"""What a code of a result means."""


def parse(tx: bytes) -> tuple[str, list[str], int]:
    """Read `NUMBER open NAME AMOUNT` or `NUMBER pay NAME NAME AMOUNT`. Raises ValueError."""
    # The number only tells two payments of one kind apart: a chain takes each transaction once.
    number, verb, *names, amount = tx.decode("ascii").split(" ")
    wanted = {"open": 1, "pay": 2}.get(verb)
    if len(names) != wanted or not all(name.isalpha() for name in names):
        raise ValueError("expected NUMBER open NAME AMOUNT, or NUMBER pay NAME NAME AMOUNT")
    if not (number.isdigit() and amount.isdigit()) or len(amount) > 12:
        raise ValueError("number and amount are digits, the amount at most twelve")
    return verb, names, int(amount)


class Transfers(Application):
    """Balances by name. The hash runs over all transactions that took effect, in order."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._height = store.height
        self._changes: dict[bytes, bytes] = {}

    def info(self) -> Info:
        """Say what is committed: an engine replays what comes after."""
        return Info(
            version="1",
            app_version=1,
            last_block_height=self._store.height,
            last_block_app_hash=self._store.get(HASH_KEY) or START,
        )

    def init_chain(self, request: InitChain) -> InitChainResult:
        """Start empty."""
        return InitChainResult(app_hash=START)

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        """Keep out what can never be executed."""
        try:
            parse(tx)
        except ValueError as error:
            return CheckResult(code=MALFORMED, log=str(error), codespace="transfers")
        return ADMITTED

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Execute a block. Changes stay in memory until `commit`."""
        self._height, self._changes = request.height, {}
        results = tuple(self._execute(tx) for tx in request.txs)
        return BlockOutcome(results=results, app_hash=self._get(HASH_KEY) or START)

    def _execute(self, tx: bytes) -> TxResult:
        try:
            verb, names, amount = parse(tx)
            paid = self._open(*names, amount) if verb == "open" else self._pay(*names, amount)
        except ValueError as error:
            # A proposer may put anything into a block: what check_tx keeps out is answered here too.
            return TxResult(code=MALFORMED, log=str(error), codespace="transfers")
        if isinstance(paid, TxResult):
            return paid
        self._changes[HASH_KEY] = sha256((self._get(HASH_KEY) or START) + tx).digest()
        attributes = [EventAttribute(key="verb", value=verb), EventAttribute(key="amount", value=str(amount))]
        attributes += [EventAttribute(key="name", value=name) for name in names]
        return TxResult(
            data=b"%d" % paid,
            gas_wanted=len(tx),
            gas_used=len(names),
            events=(Event(type="transfer", attributes=tuple(attributes)),),
        )

    def _open(self, name: str, amount: int) -> int | TxResult:
        if self._get(name.encode()) is not None:
            return TxResult(code=EXISTS, log=f"{name} has an account", codespace="transfers")
        self._changes[name.encode()] = b"%d" % amount
        return amount

    def _pay(self, payer: str, payee: str, amount: int) -> int | TxResult:
        have, other = self._get(payer.encode()), self._get(payee.encode())
        if have is None or other is None:
            missing = payer if have is None else payee
            return TxResult(code=NO_ACCOUNT, log=f"{missing} has no account", codespace="transfers")
        left = int(have) - amount
        if left < 0:
            return TxResult(code=TOO_LITTLE, log=f"{-left} too little", codespace="transfers")
        self._changes[payer.encode()] = b"%d" % left
        self._changes[payee.encode()] = b"%d" % (int(self._get(payee.encode()) or 0) + amount)
        return left

    def _get(self, key: bytes) -> bytes | None:
        """Return a value as it is after the transactions so far."""
        return self._changes.get(key) or self._store.get(key)

    def commit(self) -> CommitResult:
        """Write the block's changes and its height in one step."""
        self._store.write(self._height, self._changes.items())
        self._changes = {}
        return CommitResult()

    def query(self, request: Query) -> QueryResult:
        """Return one balance."""
        value = self._store.get(request.data) if request.data.isalpha() else None
        if value is None:
            return QueryResult(code=NO_ACCOUNT, log="no account", key=request.data)
        return QueryResult(key=request.data, value=value, height=self._store.height)
