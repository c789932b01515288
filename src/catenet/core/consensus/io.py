"""What goes into the consensus machine and comes out, beside `types.events` and `types.effects`.

Only values live here. `core/node.py` turns them into the inputs and outputs of the other machines.
"""

from collections.abc import Callable
from dataclasses import dataclass

from catenet.chain.commit import BlockID, Commit
from catenet.chain.state import ChainState
from catenet.chain.vote import Vote
from catenet.types.assembly import Assembled, BlockAssembler, Broken, Missing
from catenet.types.batch import Compact
from catenet.types.effects import Append, Broadcast, Halt, Notice, Penalise, Send, SetTimer, Sign
from catenet.types.events import LinkChanged, Received, Refused, Signed, Started, TimerFired
from catenet.types.ids import Address, Digest

__all__ = [
    "Accuse",
    "AppVerdict",
    "Assembled",
    "BatchArrived",
    "Behind",
    "BlockAssembler",
    "Broken",
    "BuildBlock",
    "Built",
    "CannotJudge",
    "CheckBlock",
    "ConsensusConfig",
    "Decided",
    "Due",
    "Executed",
    "FoundCompactBlock",
    "FoundDecided",
    "HeaderCheck",
    "Input",
    "Leave",
    "Missing",
    "Output",
    "Reenter",
    "SpeculativeFetch",
    "Want",
]


@dataclass(frozen=True, slots=True)
class CannotJudge:
    """History that a rule needs is not here (E2): the block stays PENDING."""

    reason: str


HeaderCheck = Callable[[Assembled], str | CannotJudge | None]
"""Judges a rebuilt block by the deterministic rules of consensus.md 2.4, duplicates and evidence included.

Answers None when all rules hold, else the broken one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusConfig:
    """What an operator may tune. None of it is part of the chain. All durations in microseconds."""

    propose_us: int = 1_000_000
    prevote_us: int = 250_000
    precommit_us: int = 250_000
    round_cap_us: int = 10_000_000
    """No timer of a round is longer (2.3)."""
    resend_us: int = 500_000
    """Between two Status while there is work (G1); with more than 20 validators at least one second."""
    idle_status_us: int = 5_000_000
    min_block_interval_us: int = 20_000
    """Kept by the proposer (2.7); above 20 validators at least 200 ms; at most a quarter of `propose_us`."""
    proof_delay_us: int = 200_000
    heartbeat_us: int = 10_000_000
    """A block at least this often (2.7 f); 0: never for that reason."""
    commit_grace_us: int = 0
    """How long a proposer waits for precommits that are missing in the last commit (2.6)."""
    dead_proposer_shortcut: bool = True
    first_signature_wait_us: int = 30_000_000


# Inputs.


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The answer to `BuildBlock`."""

    height: int
    round: int
    compact: Compact
    block_id: BlockID


@dataclass(frozen=True, slots=True, kw_only=True)
class AppVerdict:
    """The answer to `CheckBlock`. None: the application failed, which is no rejection."""

    height: int
    block_hash: bytes
    accepted: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchArrived:
    """Batches came: what was missing may be here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCompactBlock:
    """A peer's answer to `Want` for a block hash."""

    peer: Address
    compact: Compact


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDecided:
    """A peer's answer to `Want` by a holder of the decided block."""

    peer: Address
    compact: Compact
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The block of `height` is executed and the application committed it: the next height may be proposed."""

    height: int
    state: ChainState
    """After the block."""
    proof_wanted: bool
    """The block carried transactions, evidence or updates: a header should prove its results (2.7 c)."""
    updates_pending: bool
    """A validator or parameter update is not yet in force (2.7 d)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Batches or evidence wait for a block at `height` (2.7 b, e)."""

    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reenter:
    """Block sync has caught up: take part again at `state.height`."""

    state: ChainState
    last_commit: Commit | None
    """The commit of the height before; None before the first height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Block sync takes over: no votes and no timers until `Reenter`."""


Input = (
    Started
    | Received
    | LinkChanged
    | TimerFired
    | Signed
    | Refused
    | Built
    | AppVerdict
    | BatchArrived
    | FoundCompactBlock
    | FoundDecided
    | Executed
    | Due
    | Reenter
    | Leave
)


# Outputs.


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildBlock:
    """Make a block to propose; `Built` comes back."""

    height: int
    round: int
    last_commit: Commit
    """To be the block's `last_commit`; `EMPTY_COMMIT` at the first height."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckBlock:
    """Ask the application's opinion, once, on a block whose header rules hold; `AppVerdict` comes back."""

    height: int
    block_hash: bytes
    assembled: Assembled


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What is missing at this moment, the whole of it (G5). Comes again, sources turned, while it is."""

    digests: tuple[Digest, ...]
    block_hashes: tuple[bytes, ...]
    height: int
    """The height of the blocks."""
    sources: tuple[Address, ...]
    """Connected peers, in the order in which to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The block of the height is final: execute it; `Executed` comes back. Its `CommitRecord` is appended."""

    assembled: Assembled
    commit: Commit
    compact: Compact


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuse:
    """One validator signed both votes (E1). Both are verified."""

    vote_a: Vote
    vote_b: Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """Validators with at least a third of the power say they are at `height`, three or more above ours (G9).

    Start block sync, and tell by `Leave`. Repeated while it holds.
    """

    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculativeFetch:
    """A single peer claims to be ahead and nothing moves here (G9).

    Fetch the next blocks from it by block sync while this machine still votes: a verified commit is proof.
    """

    peer: Address
    height: int
    """The height it claims to be at."""


Output = (
    Append
    | Send
    | Broadcast
    | SetTimer
    | Sign
    | Penalise
    | Notice
    | Halt
    | BuildBlock
    | CheckBlock
    | Want
    | Decided
    | Accuse
    | Behind
    | SpeculativeFetch
)
