"""What clients of the chain format ask of a node: the port between the JSON-RPC and `node/`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from catenet.chain.genesis import Genesis
from catenet.chain.keys import PublicKey
from catenet.chain.params import ConsensusParams
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote
from catenet.types.application import CheckResult, Info, Query, QueryResult
from catenet.types.ids import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A proven connection to another node."""

    name: str
    address: Address
    host: str
    """Where the configuration says that it listens; empty when it is not known."""
    port: int
    dialled_here: bool
    """Whether this node opened the connection."""
    last_seen_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTxs:
    """Transactions that are admitted and not yet in a block."""

    txs: Sequence[bytes]
    """The first of them, oldest batch first."""
    count: int
    """Of all of them."""
    bytes: int
    """Of the batches that hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What of a node never changes while it runs."""

    public_key: PublicKey
    """Of its votes."""
    peer_address: str
    """Where it listens for other nodes: `host:port`."""
    genesis: Genesis


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundView:
    """Where consensus stands."""

    height: int
    round: int
    step: str
    """propose, prevote or precommit."""
    proposer: Address
    proposer_index: int


class Watcher(Protocol):
    """Who wants to hear of each step of consensus. Called in the event loop, never blocking."""

    def on_vote(self, vote: Vote) -> None:
        """A vote of the current height was verified and counted."""
        ...

    def on_step(self, view: RoundView, *, new_round: bool) -> None:
        """Another step has begun, maybe of another round or height."""
        ...


class ChainDesk(Protocol):
    """What clients of the chain format may ask of a node, beside what its `Gateway` answers."""

    @property
    def facts(self) -> NodeFacts:
        """What never changes."""
        ...

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Return who signs a height, with its priorities; up to one above the head."""
        ...

    def params_at(self, height: int) -> ConsensusParams | None:
        """Return the parameters in force at a height; up to one above the head."""
        ...

    def links(self) -> Sequence[LinkView]:
        """Return the connections that are up."""
        ...

    def pending_txs(self, limit: int) -> PendingTxs:
        """Return what waits for a block here."""
        ...

    async def info(self) -> Info:
        """Ask the application where it stands."""
        ...

    async def ask(self, query: Query) -> QueryResult:
        """Ask the application's committed state."""
        ...

    async def check(self, tx: bytes) -> CheckResult:
        """Ask the application about a transaction that goes nowhere."""
        ...

    def watch(self, watcher: Watcher | None) -> None:
        """Tell a watcher from now on, instead of the one before; None: nobody."""
        ...
