"""What the core wants done. `node/perform.py` does it; the simulator pretends to.

**The law**: nothing leaves the node before every record appended earlier is on disk. Held back by it are
`Send`, `Broadcast`, `Answer`, `Acknowledge` and `CommitBlock`; everything else may be done at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from catenet.chain.block import Block
from catenet.chain.commit import BlockID, Commit
from catenet.chain.state import ChainState
from catenet.chain.vote import Proposal, Vote
from catenet.types.application import BlockOutcome, FinalizeBlock, PrepareProposal, ProcessProposal
from catenet.types.events import Level, TimerKey
from catenet.types.ids import Address, RequestId, Ticket, TxId
from catenet.types.messages import Found, Message, Wanted
from catenet.types.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Append a record to the journal."""

    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Send to one peer. `BatchMessage` and `Skip` travel on BULK, the rest on CONTROL."""

    peer: Address
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """Send to every connected peer, serialised once."""

    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Fire `TimerFired(key)` after `delay_us`; replaces a running timer of the same key."""

    key: TimerKey
    delay_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """Have the guard sign; `Signed` or `Refused` comes back."""

    item: Vote | Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckTxs:
    """Ask the application's `check_txs`; `TxsChecked` comes back."""

    request: RequestId
    txs: Sequence[bytes]
    recheck: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareBlock:
    """Ask the application's `prepare_proposal`; `Prepared` comes back."""

    height: int
    round: int
    request: PrepareProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessBlock:
    """Ask the application's `process_proposal`; `Processed` comes back."""

    request: ProcessProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute:
    """Run the application's `finalize_block` on a decided block; `Finalized` comes back."""

    height: int
    request: FinalizeBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitBlock:
    """Have the application commit, then store block, index and results; `Committed` comes back. Held back."""

    height: int
    block: Block
    raw: bytes
    """The block's proto bytes, as stored and served."""
    block_id: BlockID
    commit: Commit
    outcome: BlockOutcome
    tx_ids: Sequence[TxId]
    state: ChainState
    """The state after this block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Ask a peer for batches and blocks; `FetchReceived` come back, then `FetchEnded`."""

    request: RequestId
    peer: Address
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Answer a peer's fetch; an empty `found` says that nothing of it is here."""

    request: RequestId
    peer: Address
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBlocks:
    """Ask a peer for stored blocks `first..last`; `BlocksReceived` come back, then `BlocksEnded`."""

    request: RequestId
    peer: Address
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TxRefusal:
    """Why a transaction of a submission was refused."""

    index: int
    """Place in the submission, from 0."""
    code: int
    """The application's code; 0 with a reason of ours (too large, duplicate in flight, ...)."""
    reason: str
    codespace: str = ""
    """Where the application's code has its meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """Tell a client of this node how far its submission came. ACCEPTED once, then REPLICATED once."""

    ticket: Ticket
    reached: Level
    refused: tuple[TxRefusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Overload:
    """Refuse a whole submission: a bound is reached."""

    ticket: Ticket
    reason: str
    retry_after_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandoned:
    """A submission that waits for REPLICATED will not get there: its batches expired, or this node left."""

    ticket: Ticket
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Transactions that were accepted here and will not be committed by this node: whoever waits is told."""

    tx_ids: Sequence[TxId]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalise:
    """A peer did what an honest one does not."""

    peer: Address
    reason: str
    disconnect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something an operator would want to read: an event name and its fields."""

    name: str
    fields: Mapping[str, object] = field(default_factory=dict)
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """Stop taking part, stay readable, exit with an error: going on would be wrong."""

    reason: str


Effect = (
    Append
    | Send
    | Broadcast
    | SetTimer
    | Sign
    | CheckTxs
    | PrepareBlock
    | ProcessBlock
    | Execute
    | CommitBlock
    | Fetch
    | Answer
    | RequestBlocks
    | Acknowledge
    | Overload
    | Abandoned
    | Dropped
    | Penalise
    | Notice
    | Halt
)
