"""The application's side: a small class with ABCI 2.0's verbs, and the values it is given and gives.

`Application` is what users write. Its methods are called in one thread, in ABCI 2.0's order, and never
re-entered. All but `finalize_block` have a default. `finalize_block` must be deterministic: the same
blocks give the same results, application hash and updates on every node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from catenet.chain.params import ConsensusParams


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAttribute:
    """One `key = value` of an event."""

    key: str
    value: str
    index: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a transaction or a block, for subscribers and indexes."""

    type: str
    attributes: tuple[EventAttribute, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TxResult:
    """What executing one transaction gave. Code 0 is success; code, data and gas are hashed on chain."""

    code: int = 0
    data: bytes = b""
    log: str = ""
    info: str = ""
    gas_wanted: int = 0
    gas_used: int = 0
    events: tuple[Event, ...] = ()
    codespace: str = ""


OK = TxResult()
"""The result of a transaction that succeeded and says nothing more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorUpdate:
    """A validator's power from two heights later on; power 0 removes it."""

    public_key: bytes
    power: int
    key_type: str = "ed25519"


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """Where the application stands: asked once at start, to know which blocks it lacks."""

    last_block_height: int = 0
    last_block_app_hash: bytes = b""
    data: str = ""
    version: str = ""
    app_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InitChain:
    """Asked once in the life of a chain, before the first block."""

    time_ns: int
    chain_id: str
    initial_height: int
    app_state: bytes
    """The genesis file's `app_state`, as JSON text."""
    validators: tuple[ValidatorUpdate, ...]
    params: ConsensusParams


@dataclass(frozen=True, slots=True, kw_only=True)
class InitChainResult:
    """The application hash before the first block; validators replace those of the genesis when given."""

    app_hash: bytes = b""
    validators: tuple[ValidatorUpdate, ...] = ()
    params: ConsensusParams | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """Whether a transaction may enter. Code 0 admits it."""

    code: int = 0
    log: str = ""
    data: bytes = b""
    gas_wanted: int = 0
    codespace: str = ""


ADMITTED = CheckResult()
"""The answer to a transaction that may enter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitInfo:
    """Who signed the commit of the height before: (address, power, block id flag), in set order."""

    round: int
    votes: tuple[tuple[bytes, int, int], ...]


class MisbehaviorKind(IntEnum):
    """What a validator did."""

    DUPLICATE_VOTE = 1
    LIGHT_CLIENT_ATTACK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehavior:
    """Evidence in a block, for the application to act on."""

    address: bytes
    power: int
    height: int
    time_ns: int
    total_power: int
    kind: MisbehaviorKind = MisbehaviorKind.DUPLICATE_VOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareProposal:
    """The proposer may reorder, drop and add transactions, within `max_tx_bytes`."""

    max_tx_bytes: int
    txs: Sequence[bytes]
    last_commit: CommitInfo
    misbehavior: tuple[Misbehavior, ...]
    height: int
    time_ns: int
    next_validators_hash: bytes
    proposer_address: bytes
    vote_extensions: tuple[bytes, ...] = ()
    """One for each vote of `last_commit`, in an engine that has them (`types/extensions.py`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessProposal:
    """A proposed block, to accept or to refuse."""

    txs: Sequence[bytes]
    last_commit: CommitInfo
    misbehavior: tuple[Misbehavior, ...]
    hash: bytes
    height: int
    time_ns: int
    next_validators_hash: bytes
    proposer_address: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalizeBlock:
    """A decided block, to execute."""

    txs: Sequence[bytes]
    last_commit: CommitInfo
    misbehavior: tuple[Misbehavior, ...]
    hash: bytes
    height: int
    time_ns: int
    next_validators_hash: bytes
    proposer_address: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockOutcome:
    """What executing a block gave: one result per transaction, in order, and the state after it."""

    results: tuple[TxResult, ...]
    app_hash: bytes
    validator_updates: tuple[ValidatorUpdate, ...] = ()
    param_updates: ConsensusParams | None = None
    """The whole parameters after the update, or None when they stay."""
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """Blocks below `retain_height` are not needed by the application any more (0: keep all)."""

    retain_height: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A read of committed state."""

    data: bytes
    path: str = ""
    height: int = 0
    prove: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryResult:
    """The answer to a read. Code 0 is found; `height` is the height of the state that answered."""

    code: int = 0
    log: str = ""
    key: bytes = b""
    value: bytes = b""
    height: int = 0
    index: int = 0
    codespace: str = ""


class Application:
    """A replicated, deterministic application. Subclass it and write `finalize_block`."""

    def info(self) -> Info:
        """Say which height the application has committed."""
        return Info()

    def init_chain(self, request: InitChain) -> InitChainResult:
        """Start from the genesis state."""
        return InitChainResult()

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        """Say whether a transaction may enter."""
        return ADMITTED

    def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
        """Check a whole batch, in order. The default asks `check_tx` for each."""
        return [self.check_tx(tx, recheck=recheck) for tx in txs]

    def prepare_proposal(self, request: PrepareProposal) -> Sequence[bytes]:
        """Choose the transactions of a block that this node proposes. The default takes them as they are."""
        return request.txs

    def process_proposal(self, request: ProcessProposal) -> bool:
        """Accept or refuse a proposed block; deterministic."""
        return True

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        """Execute a decided block; deterministic. Keep the changes until `commit`."""
        raise NotImplementedError

    def commit(self) -> CommitResult:
        """Keep what the last `finalize_block` changed."""
        return CommitResult()

    def query(self, request: Query) -> QueryResult:
        """Read committed state."""
        return QueryResult(code=1, log="this application answers no queries")

    def query_many(self, requests: Sequence[Query]) -> Sequence[QueryResult]:
        """Read many values at once. The default asks `query` for each."""
        return [self.query(request) for request in requests]
