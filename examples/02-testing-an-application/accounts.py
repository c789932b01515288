"""Accounts: `ann+5` pays in, `ann-3` takes out, nothing goes below zero. State is in the node's store."""

from hashlib import sha256

from catenet.types.application import (
    ADMITTED,
    OK,
    Application,
    BlockOutcome,
    CheckResult,
    CommitResult,
    FinalizeBlock,
    Info,
    Query,
    QueryResult,
    TxResult,
)
from catenet.types.ports import StateStore

HASH_KEY = b"#hash"
"""No account has this name: names are letters."""

AMOUNT_DIGITS_MAX = 18


def parse(tx: bytes) -> tuple[bytes, int]:
    """Read `NAME+AMOUNT` or `NAME-AMOUNT`. Raises ValueError."""
    for sign in (b"+", b"-"):
        name, found, digits = tx.partition(sign)
        if found and name.isalpha() and digits.isdigit() and len(digits) <= AMOUNT_DIGITS_MAX:
            return name, int(sign + digits)
    raise ValueError(f"{tx[:40]!r} is not NAME+AMOUNT or NAME-AMOUNT")


class Accounts(Application):
    """Balances by name. The hash runs over all balances that ever changed, in order."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._height = store.height
        self._changes: dict[bytes, bytes] = {}

    def info(self) -> Info:
        """Say which height the store holds: the node replays what comes after."""
        last = self._store.get(HASH_KEY) or b""
        return Info(last_block_height=self._store.height, last_block_app_hash=last)

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        """Keep out what can never be executed."""
        try:
            parse(tx)
        except ValueError as error:
            return CheckResult(code=2, log=str(error))
        return ADMITTED

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Execute a block. Changes stay in memory until `commit`."""
        self._height, self._changes = request.height, {}
        results = tuple(self._execute(tx) for tx in request.txs)
        digest = sha256(self._store.get(HASH_KEY) or b"")
        for name, balance in self._changes.items():
            digest.update(b"%d:%b=%b;" % (len(name), name, balance))
        self._changes[HASH_KEY] = digest.digest()
        return BlockOutcome(results=results, app_hash=digest.digest())

    def _execute(self, tx: bytes) -> TxResult:
        try:
            name, amount = parse(tx)
        except ValueError as error:
            # A proposer may put anything into a block: what check_tx keeps out is answered here too.
            return TxResult(code=2, log=str(error))
        balance = self._balance(name) + amount
        if balance < 0:
            return TxResult(code=1, log=f"{-balance} too little")
        self._changes[name] = b"%d" % balance
        return OK

    def _balance(self, name: bytes) -> int:
        return int(self._changes.get(name) or self._store.get(name) or 0)

    def commit(self) -> CommitResult:
        """Write the block's changes and its height in one step."""
        self._store.write(self._height, self._changes.items())
        return CommitResult()

    def query(self, request: Query) -> QueryResult:
        """Return one balance."""
        value = self._store.get(request.data) or b"0"
        return QueryResult(key=request.data, value=value, height=self._store.height)
