"""What happens to the core, from outside. `core.node.Node.handle(event, now)` answers with effects.

Each event is a fact that an adapter, a clock or the application reports. Nothing in here acts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from catenet.chain.vote import Proposal, Vote
from catenet.types.application import BlockOutcome, CheckResult
from catenet.types.ids import Address, RequestId, Ticket
from catenet.types.messages import Found, Message, Wanted


class Level(IntEnum):
    """What a client waits for (consensus.md 5.4). The numbers are those of the wire."""

    REPLICATED = 0
    ACCEPTED = 1
    COMMITTED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerKey:
    """Names a timer. Setting a timer under a key that runs already replaces it."""

    name: str
    height: int = 0
    round: int = 0
    peer: Address = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The journal is replayed, the application is at the journal's height: begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A well-formed message from a proven peer. Signatures inside are not yet verified."""

    peer: Address
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkChanged:
    """The control connection to a peer came up or went down."""

    peer: Address
    up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """A timer ended. Timers of heights or rounds that are over may still fire."""

    key: TimerKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """The guard signed: `item` with its signature; a repeated vote comes back with its first time."""

    item: Vote | Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The guard found a conflict with what was signed before: stay silent in that step."""

    item: Vote | Proposal
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A client of this node hands in transactions; none is empty, their sizes are within the limit."""

    ticket: Ticket
    client: str
    txs: Sequence[bytes]
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class TxsChecked:
    """The application's answer to `CheckTxs`, in order."""

    request: RequestId
    results: Sequence[CheckResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The application's answer to `PrepareBlock`: the transactions of the block, in order."""

    height: int
    round: int
    txs: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """The application's answer to `ProcessBlock`. None: it failed, which is no rejection."""

    height: int
    block_hash: bytes
    accepted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalized:
    """The application executed the block of `height`; nothing is kept yet."""

    height: int
    outcome: BlockOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The application committed `height`, and block, index and results are stored."""

    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequested:
    """A peer asks for batches or blocks; answer with `Answer` under the same request."""

    request: RequestId
    peer: Address
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReceived:
    """One piece of a peer's answer to `Fetch`."""

    request: RequestId
    peer: Address
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchEnded:
    """A peer's answer to `Fetch` is over, complete or not."""

    request: RequestId
    peer: Address
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocksReceived:
    """A run of stored blocks from a peer: heights `first`, `first + 1`, ... Not yet verified."""

    request: RequestId
    peer: Address
    first: int
    blocks: Sequence[bytes]
    commit: bytes
    """Commit of the last block of the run, when the peer sent it along; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocksEnded:
    """A peer's answer to `RequestBlocks` is over."""

    request: RequestId
    peer: Address
    failed: bool


Answered = Finalized | Committed | FetchRequested | FetchReceived | FetchEnded | BlocksReceived | BlocksEnded
"""What the application made of a decided block, and what passes between peers by request."""

Event = (
    Answered
    | Started
    | Received
    | LinkChanged
    | TimerFired
    | Signed
    | Refused
    | Submitted
    | TxsChecked
    | Prepared
    | Processed
)
