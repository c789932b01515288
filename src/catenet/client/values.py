"""What the client answers: plain values, nothing that does anything."""

from collections.abc import Sequence
from dataclasses import dataclass

from catenet.chain.merkle import Proof
from catenet.types.effects import TxRefusal
from catenet.types.events import Level
from catenet.types.ids import Address, TxId


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """How far one transaction came."""

    id: TxId
    reached: Level
    """What it was handed in for: `ACCEPTED`, `REPLICATED` or `COMMITTED`."""
    height: int = 0
    """The block it is in; 0 when no block holds it yet."""
    index: int = 0
    """Place in the block, from 0."""
    code: int = 0
    """What executing it gave; 0 is success, and also: not executed yet."""
    log: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitResult:
    """How far a list of transactions came."""

    reached: Level
    height: int = 0
    """For `COMMITTED`: the highest block that holds one of them; else 0."""
    refused: tuple[TxRefusal, ...] = ()
    """Refused ones, and for `COMMITTED` those executed with a code but 0; `index` counts in the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReceipt:
    """One batch of a stream of transactions is acknowledged."""

    sequence: int
    """Number of the batch in its stream, from 1."""
    first: int
    """Place of its first transaction in the whole stream, from 0."""
    count: int
    """How many transactions it has: they are `first .. first + count - 1`."""
    reached: Level
    height: int
    """For `COMMITTED`: the highest block that holds one of them; else 0."""
    refused: tuple[TxRefusal, ...]
    """As in `SubmitResult`; `index` counts in the batch."""
    seconds: float
    """From the first sending to this acknowledgement, retries included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """The end of a stream of transactions: all are acknowledged."""

    transactions: int
    batches: int
    refused: int
    resent_batches: int
    """Batches that were sent more than once."""
    failovers: int
    """How often the stream was opened again after its node failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What a node knows of a transaction."""

    id: TxId
    found: bool
    """It is in a final block; the fields below `pending` say where."""
    pending: bool
    """It is known to the node and not yet in a block."""
    height: int = 0
    index: int = 0
    code: int = 0
    log: str = ""
    data: bytes = b""
    tx: bytes = b""
    """The transaction itself."""
    proof: Proof | None = None
    """When asked for: `proof.verify(header.data_hash, id)` of its block."""
    gas_wanted: int = 0
    gas_used: int = 0
    result_proof: Proof | None = None
    """When asked for: that code, data and gas are under `last_results_hash` of the next header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A final block."""

    height: int
    hash: bytes
    txs: Sequence[bytes]
    """The transactions, in the order they were executed."""
    raw: bytes = b""
    """Stored block, for `catenet.chain.block.Block.decode`; empty when not asked for."""
    commit: bytes = b""
    """What decided it, for `catenet.chain.commit.Commit.decode`; empty when not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorStatus:
    """What a node knows of a validator."""

    address: Address
    name: str
    connected: bool
    height: int
    power: int
    last_seen_ms: int
    """Since the last word of it; -1: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How a node stands."""

    chain_id: str
    node_id: str
    name: str
    address: Address
    software: str
    height: int
    """Newest final block; 0: none yet."""
    block_hash: bytes
    app_hash: bytes
    block_time_ns: int
    lowest_height: int
    catching_up: bool
    round: int
    step: str
    validators: tuple[ValidatorStatus, ...]
    power_total: int
    power_connected: int
    waiting_for: str
    """One sentence: what the node waits for."""
    pending_txs: int
    home: str
    uptime_ms: int
    last_commit_signatures: int
    """How many validators signed the newest final block."""
