"""What rooms need from rooms they do not know. `node/assemble.py` hands the implementations over."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from catenet.chain.commit import BlockID, Commit
from catenet.chain.validators import ValidatorSet
from catenet.types.application import BlockOutcome, QueryResult, TxResult
from catenet.types.effects import TxRefusal
from catenet.types.events import Level
from catenet.types.ids import Address, TxId
from catenet.types.messages import Found, Message, Wanted
from catenet.types.query import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlock:
    """A final block as it is stored."""

    height: int
    block_id: BlockID
    raw: bytes
    commit: Commit
    """The commit that decided it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TxLocation:
    """Where a transaction was committed, and with which code."""

    height: int
    index: int
    code: int
    time_ns: int
    """Time of the block."""


class TxWindow(Protocol):
    """Which transactions are committed (consensus.md 5.6). Reads only."""

    def committed(self, ids: Sequence[TxId]) -> Mapping[TxId, int]:
        """Return the block time in nanoseconds of each id that was ever committed (its newest one)."""
        ...


class BlockReader(Protocol):
    """Final blocks and the commit-consistent index. Reads never block commit."""

    @property
    def lowest(self) -> int:
        """Lowest height kept; 1 before the first block."""
        ...

    @property
    def head(self) -> int:
        """Newest final height; 0 before the first block."""
        ...

    def block(self, height: int) -> StoredBlock | None:
        """Return the block of a height, or None when it is not here."""
        ...

    def height_of(self, block_hash: bytes) -> int | None:
        """Return the height of a block hash, or None."""
        ...

    def locate(self, ids: Sequence[TxId]) -> Mapping[TxId, TxLocation]:
        """Return where transactions were committed; unknown ones are left out."""
        ...

    def outcome(self, height: int) -> BlockOutcome | None:
        """Return what executing a height gave."""
        ...

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Return the validators who sign a height, up to one above the head, or None."""
        ...


class Order(Enum):
    """From which end a search begins."""

    ASCENDING = "asc"
    DESCENDING = "desc"


@dataclass(frozen=True, slots=True, order=True)
class TxPlace:
    """A transaction's place in the chain; places are ordered as the chain is."""

    height: int
    index: int


class EventIndex(Protocol):
    """What transactions and blocks said of themselves. Never behind: a final block can be found at once.

    A page beyond the last one is empty. Raises `InvalidInput` for a query that would look at too many rows.
    """

    def search_txs(
        self, query: Query, *, page: int, per_page: int, order: Order
    ) -> tuple[int, Sequence[TxPlace]]:
        """Return how many transactions match, and one page of them. Pages begin at 1."""
        ...

    def search_blocks(
        self, query: Query, *, page: int, per_page: int, order: Order
    ) -> tuple[int, Sequence[int]]:
        """Return how many blocks match, and one page of their heights. Pages begin at 1."""
        ...


class StateStore(Protocol):
    """Where an application keeps its state: ordered bytes to bytes, committed in one step with a height."""

    @property
    def height(self) -> int:
        """The committed height; 0 before the first commit."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """Return a committed value."""
        ...

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return committed values, in order."""
        ...

    def items(self, prefix: bytes, after: bytes = b"", limit: int = 100) -> Sequence[tuple[bytes, bytes]]:
        """Return committed items whose key starts with `prefix`, after key `after`, ascending."""
        ...

    def write(self, height: int, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Commit changes (None deletes) and the height in one step."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedTx:
    """The final outcome of one transaction."""

    id: TxId
    location: TxLocation
    result: TxResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOutcome:
    """The answer to a submission."""

    reached: Level
    refused: tuple[TxRefusal, ...] = ()
    committed: tuple[CommittedTx, ...] = ()
    """For COMMITTED: one per transaction that was not refused, in order of submission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerView:
    """What this node knows of another validator."""

    address: Address
    name: str
    connected: bool
    height: int
    power: int
    last_seen_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """What `status` says."""

    chain_id: str
    node_id: str
    name: str
    address: Address
    height: int
    block_hash: bytes
    app_hash: bytes
    block_time_ns: int
    lowest_height: int
    catching_up: bool
    round: int
    step: str
    validators: tuple[PeerView, ...]
    power_total: int
    power_connected: int
    waiting_for: str
    pending_txs: int
    home: str
    uptime_ms: int


class Gateway(Protocol):
    """The node, as its public services see it."""

    async def submit(self, txs: Sequence[bytes], level: Level, *, client: str) -> SubmitOutcome:
        """Hand in transactions and wait for `level`. Raises `Overloaded`, `InvalidInput`, `Unavailable`."""
        ...

    async def query(self, requests: Sequence[tuple[str, bytes]]) -> Sequence[QueryResult]:
        """Ask the application's committed state: (path, data) each."""
        ...

    def status(self) -> NodeStatus:
        """Say how the node stands."""
        ...

    def pending(self, tx_id: TxId) -> bool:
        """Say whether a transaction is known here and not yet committed."""
        ...

    @property
    def reader(self) -> BlockReader:
        """The final blocks."""
        ...

    async def wait_height(self, height: int) -> None:
        """Return when the block of `height` is final here."""
        ...

    async def confirm_current(self) -> None:
        """Return when all that was final anywhere at the call is final here. Raises `Unavailable`."""
        ...

    def heights(self, after: int) -> AsyncIterator[int]:
        """Yield each final height above `after`, in order, as it comes."""
        ...


class EvidenceIntake(Protocol):
    """The node, as it takes evidence from clients (`broadcast_evidence`). The gateway is one."""

    def submit_evidence(self, wrapped: bytes) -> bytes:
        """Take one `Evidence`, a double vote or an attack on light clients; return its hash.

        It goes to all validators and into a block. Evidence that is known already is taken again. Raises
        `InvalidInput` for what proves nothing or has expired, `Unavailable` when the node stops.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRun:
    """Consecutive stored blocks from `first` on."""

    first: int
    blocks: Sequence[bytes]
    commit: bytes
    """Commit of the last block, or empty."""


class PeerHandler(Protocol):
    """The node, as its peer connections see it. Called in the event loop, never blocking."""

    def on_messages(self, peer: Address, messages: Sequence[Message], size: int) -> None:
        """Take what a proven peer sent in one frame of `size` bytes."""
        ...

    def on_link(self, peer: Address, *, up: bool) -> None:
        """Learn that the control connection to a peer came up (proven) or went down."""
        ...

    async def on_fetch(self, peer: Address, wanted: Wanted) -> Sequence[Found]:
        """Answer a peer's `Fetch`; what is not here is left out."""
        ...

    def pledge(self) -> int:
        """Return the newest height committed here, or maybe precommitted. Raises `Unavailable`."""
        ...

    @property
    def reader(self) -> BlockReader:
        """The final blocks, for peers that sync."""
        ...


class PeerNetwork(Protocol):
    """The connections to other nodes, as the node sees them."""

    def send(self, peer: Address, messages: Sequence[Message]) -> None:
        """Queue one frame (BULK when it holds batches or skips); a full one keeps the newest Status."""
        ...

    def broadcast(self, messages: Sequence[Message]) -> None:
        """Queue one frame to every connected peer; it is serialised once."""
        ...

    def fetch(self, peer: Address, wanted: Wanted, *, timeout_s: float) -> AsyncIterator[Found]:
        """Ask a peer for batches and blocks. Raises `Unavailable` when it cannot answer."""
        ...

    def blocks(self, peer: Address, first: int, last: int, *, timeout_s: float) -> AsyncIterator[BlockRun]:
        """Ask a peer for stored blocks. Raises `Unavailable`, `NotFound` (below the peer's lowest height)."""
        ...

    def disconnect(self, peer: Address, *, ban_s: float) -> None:
        """Cut a misbehaving peer and refuse it for `ban_s` seconds."""
        ...
