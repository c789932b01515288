"""The key-value application: each transaction sets one key, or changes one validator's power.

Only the rules of its transactions and the bytes of its state live here.

    key=value                     sets a key; any bytes after the first `=` are the value
    val=TYPE!BASE64KEY!POWER      sets a validator's power from two heights later on; power 0 removes it

The rules are those of CometBFT v0.38's own example application, except that a value may hold any bytes: the
first `=` is neither the first nor the last byte, and a transaction without `=` is refused (code 2).
Updates that no validator set could take (an unknown member removed, the last one removed, too much power)
get code 3 and change nothing: CometBFT stops at such an update, and one client could stop the chain.

State: a client's key is stored as it is. Keys of the application itself begin with `=`, which no client's
key can hold.
"""

import struct
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
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
    InitChain,
    InitChainResult,
    Query,
    QueryResult,
    TxResult,
    ValidatorUpdate,
)
from catenet.types.ports import StateStore

KEY_BYTES_MAX = 256
"""Longest key of a transaction."""

POWER_TOTAL_MAX = (2**63 - 1) // 8
"""What the powers of a set may sum up to (CometBFT's MaxTotalVotingPower)."""

INVALID_FORMAT = 2
"""Code of a transaction that does not read as either form."""

REFUSED_UPDATE = 3
"""Code of a validator update that the set could not take."""

NOT_FOUND = 1
"""Code of a query for a key without a value."""

UNKNOWN_PATH = 2
"""Code of a query for a path that does not exist."""

VALIDATOR = b"val="
HASH_KEY = b"=hash"
POWER_PREFIX = b"=power/"
NO_KEY = b"=none"
PATHS = ("", "/store", "/val")
DOMAIN = b"catenet/kv/1"


class KeyValue(Application):
    """The application over a state store. The hash runs over all changes since genesis, in order."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._hash = store.get(HASH_KEY) or b""
        self._powers = _load_powers(store)
        # What the next commit writes: height, changes, hash and powers after it.
        self._height = store.height
        self._changes: dict[bytes, bytes | None] = {}
        self._next_hash = self._hash
        self._next_powers = self._powers

    def info(self) -> Info:
        """Say which height is committed in the store."""
        return Info(
            last_block_height=self._store.height,
            last_block_app_hash=self._hash,
            data="catenet-kv",
            version="1",
            app_version=1,
        )

    def init_chain(self, request: InitChain) -> InitChainResult:
        """Remember the genesis validators; they are stored with the first block."""
        self._powers = {update.public_key: update.power for update in request.validators}
        self._next_powers = self._powers
        self._hash = sha256(DOMAIN + request.chain_id.encode()).digest()
        self._next_hash = self._hash
        return InitChainResult(app_hash=self._hash)

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        """Admit a transaction that reads as one of the two forms."""
        reason = _fault(tx)
        if reason:
            return CheckResult(code=INVALID_FORMAT, log=reason, codespace="kv")
        return ADMITTED

    def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
        """Check a batch; plain `key=value` costs one search."""
        return [
            ADMITTED
            if 0 < tx.find(b"=") <= KEY_BYTES_MAX and tx[:4] != VALIDATOR and tx[-1] != 61  # ord("=")
            else self.check_tx(tx, recheck=recheck)
            for tx in txs
        ]

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Execute a block. The hash changes only when a transaction took effect."""
        changes: dict[bytes, bytes | None] = {}
        results: list[TxResult] = []
        done: list[bytes] = []
        powers = dict(self._powers)
        for tx in request.txs:
            key, separator, value = tx.partition(b"=")
            if separator and key and value and key != b"val" and len(key) <= KEY_BYTES_MAX:
                changes[key] = value
                result = OK
            else:
                result = self._update_validator(tx, powers)
            results.append(result)
            if result is OK:
                done.append(tx)
        updates = self._updates(powers)
        self._height = request.height
        self._next_hash = _running_hash(self._hash, done)
        self._next_powers = powers
        self._changes = changes
        return BlockOutcome(results=tuple(results), app_hash=self._next_hash, validator_updates=updates)

    def commit(self) -> CommitResult:
        """Write the block's changes and its height in one step."""
        changes = self._changes
        first = self._store.height == 0
        if first or self._next_powers != self._powers:
            changes.update({POWER_PREFIX + key: None for key in self._powers})
            changes.update({POWER_PREFIX + key: b"%d" % power for key, power in self._next_powers.items()})
        if first or changes:
            changes[HASH_KEY] = self._next_hash
        self._store.write(self._height, changes.items())
        self._hash, self._powers, self._changes = self._next_hash, self._next_powers, {}
        return CommitResult()

    def query(self, request: Query) -> QueryResult:
        """Read one value: path "" or "/store" with a key, "/val" with a validator's key in base64."""
        return self.query_many([request])[0]

    def query_many(self, requests: Sequence[Query]) -> Sequence[QueryResult]:
        """Read many values in one pass over the store."""
        values = self._store.get_many([_stored_key(request) for request in requests])
        height = self._store.height
        return [_answer(request, value, height) for request, value in zip(requests, values, strict=True)]

    def _update_validator(self, tx: bytes, powers: dict[bytes, int]) -> TxResult:
        reason = _fault(tx)
        if reason:
            return TxResult(code=INVALID_FORMAT, log=reason, codespace="kv")
        update = parse_update(tx)
        key, power = update.public_key, update.power
        known = key in powers
        if power == 0 and (not known or len(powers) == 1):
            what = "the last validator cannot be removed" if known else "no such validator to remove"
            return TxResult(code=REFUSED_UPDATE, log=what, codespace="kv")
        # The set is formed before removals take effect, so what they free does not count.
        trial = {**self._powers, **powers, key: power}
        ceiling = sum(max(value, self._powers.get(member, 0)) for member, value in trial.items())
        if ceiling > POWER_TOTAL_MAX:
            return TxResult(code=REFUSED_UPDATE, log="the powers sum up to too much", codespace="kv")
        if power:
            powers[key] = power
        else:
            del powers[key]
        return OK

    def _updates(self, powers: dict[bytes, int]) -> tuple[ValidatorUpdate, ...]:
        if powers == self._powers:
            return ()
        changed = [(key, power) for key, power in powers.items() if self._powers.get(key) != power]
        changed += [(key, 0) for key in self._powers if key not in powers]
        return tuple(ValidatorUpdate(public_key=key, power=power) for key, power in sorted(changed))


def parse_update(tx: bytes) -> ValidatorUpdate:
    """Read `val=TYPE!BASE64KEY!POWER`. Raises ValueError with a sentence for the sender."""
    parts = tx.removeprefix(VALIDATOR).split(b"!")
    if len(parts) != 3:
        raise ValueError("a validator update reads val=TYPE!BASE64KEY!POWER")
    key_type, encoded, digits = parts
    if key_type != b"ed25519":
        raise ValueError(f"key type {key_type[:32]!r} is not supported; use ed25519")
    try:
        key = b64decode(encoded, validate=True)
    except (Base64Error, ValueError):
        raise ValueError(f"{encoded[:64]!r} is not base64") from None
    if len(key) != 32:
        raise ValueError(f"an ed25519 key has 32 bytes, not {len(key)}")
    if not digits.isdigit() or len(digits) > 19:
        raise ValueError(f"power {digits[:32]!r} is not a whole number from 0 on")
    return ValidatorUpdate(public_key=key, power=int(digits))


def _fault(tx: bytes) -> str:
    place = tx.find(b"=")
    if place <= 0 or place == len(tx) - 1:
        return "a transaction reads key=value; neither may be empty"
    if place > KEY_BYTES_MAX:
        return f"the key has {place} bytes; at most {KEY_BYTES_MAX} are allowed"
    if tx.startswith(VALIDATOR):
        try:
            parse_update(tx)
        except ValueError as error:
            return str(error)
    return ""


def _running_hash(before: bytes, txs: Sequence[bytes]) -> bytes:
    """Hash of the state after `txs`: lengths first, then bytes, so that no two lists hash alike."""
    if not txs:
        return before
    digest = sha256(struct.pack(f">I{len(txs)}I", len(txs), *map(len, txs)))
    digest.update(b"".join(txs))
    return sha256(DOMAIN + before + digest.digest()).digest()


def _load_powers(store: StateStore) -> dict[bytes, int]:
    powers: dict[bytes, int] = {}
    after = b""
    while items := store.items(POWER_PREFIX, after):
        powers.update({key.removeprefix(POWER_PREFIX): int(value) for key, value in items})
        after = items[-1][0]
    return powers


def _stored_key(request: Query) -> bytes:
    """Return the key to read; `NO_KEY` for what can have no value."""
    data = request.data
    match request.path:
        case "" | "/store" if 0 < len(data) <= KEY_BYTES_MAX and b"=" not in data:
            return data
        case "/val" if len(data) <= KEY_BYTES_MAX:
            try:
                key = b64decode(data, validate=True)
            except (Base64Error, ValueError):
                return NO_KEY
            return POWER_PREFIX + key
        case _:
            return NO_KEY


def _answer(request: Query, value: bytes | None, height: int) -> QueryResult:
    if request.path not in PATHS:
        log = f"unknown path {request.path[:64]!r}; use /store or /val"
        return QueryResult(code=UNKNOWN_PATH, log=log, key=request.data, height=height)
    if value is None:
        return QueryResult(code=NOT_FOUND, log="does not exist", key=request.data, height=height)
    return QueryResult(log="exists", key=request.data, value=value, height=height)
