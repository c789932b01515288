"""What clients of the chain format ask of this node (`types.desk.ChainDesk`). Changes nothing."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import islice

from catenet.chain.block import split_txs
from catenet.chain.params import ConsensusParams
from catenet.chain.validators import ValidatorSet
from catenet.core.node import Node
from catenet.network.peers import Peers
from catenet.node.config import PeerConfig
from catenet.node.watching import WatchedCore
from catenet.node.worker import AppWorker
from catenet.storage.ledger import Ledger
from catenet.types.application import Application, CheckResult, Info, Query, QueryResult
from catenet.types.clock import Instant
from catenet.types.desk import LinkView, NodeFacts, PendingTxs, Watcher
from catenet.types.ids import Address
from catenet.types.records import BatchRecord


class NodeDesk:
    """Answers out of ledger, core, connections and application."""

    def __init__(
        self,
        *,
        facts: NodeFacts,
        ledger: Ledger,
        core: Node,
        watched: WatchedCore,
        peers: Peers,
        known: Sequence[PeerConfig],
        app: Application,
        worker: AppWorker,
        clock: Callable[[], Instant],
    ) -> None:
        self._facts = facts
        self._ledger = ledger
        self._core = core
        self._watched = watched
        self._peers = peers
        self._known: dict[Address, PeerConfig] = {bytes.fromhex(peer.address): peer for peer in known}
        self._app = app
        self._worker = worker
        self._clock = clock

    @property
    def facts(self) -> NodeFacts:
        """What never changes."""
        return self._facts

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Return who signs a height, with its priorities; up to one above the head."""
        found = self._ledger.validators_at(height)
        if found is None and not self._ledger.head and height == self._core.state.height:
            return self._core.state.validators
        return found

    def params_at(self, height: int) -> ConsensusParams | None:
        """Return the parameters in force at a height; up to one above the head."""
        before = self._ledger.state_at(height - 1)
        if before is not None:
            return before.params
        # The first height here: nothing before it is kept.
        outcome, after = self._ledger.outcome(height), self._ledger.state_at(height)
        if outcome is not None and after is not None:
            return after.params if outcome.param_updates is None else self._facts.genesis.params
        if not self._ledger.head and height == self._core.state.height:
            return self._core.state.params
        return None

    def links(self) -> Sequence[LinkView]:
        """Return the connections that are up."""
        return [self._link(address) for address in sorted(self._peers.connected)]

    def pending_txs(self, limit: int) -> PendingTxs:
        """Return what waits for a block here."""
        count = self._core.pending_count
        if not count:
            return PendingTxs(txs=(), count=0, bytes=0)
        payloads = [r.batch.payload for r in self._core.live_records() if isinstance(r, BatchRecord)]
        waiting = (
            tx for payload in payloads for tx in split_txs(payload) if self._core.pending(sha256(tx).digest())
        )
        return PendingTxs(txs=list(islice(waiting, limit)), count=count, bytes=sum(map(len, payloads)))

    async def info(self) -> Info:
        """Ask the application where it stands."""
        return await self._worker.ask(self._app.info)

    async def ask(self, query: Query) -> QueryResult:
        """Ask the application's committed state."""
        return await self._worker.ask(lambda: self._app.query(query))

    async def check(self, tx: bytes) -> CheckResult:
        """Ask the application about a transaction that goes nowhere."""
        return await self._worker.ask(lambda: self._app.check_tx(tx, recheck=False))

    def watch(self, watcher: Watcher | None) -> None:
        """Tell a watcher from now on, instead of the one before; None: nobody."""
        self._watched.watch(watcher)

    def _link(self, address: Address) -> LinkView:
        known, seen_us = self._known.get(address), self._peers.last_seen_us.get(address)
        now_us = self._clock().mono_us
        return LinkView(
            name=known.name if known else address.hex()[:8].upper(),
            address=address,
            host=known.host if known else "",
            port=known.port if known else 0,
            dialled_here=self._peers.dialled_here(address),
            last_seen_ms=-1 if seen_us is None else (now_us - seen_us) // 1000,
        )
