"""How the node stands: what `status` says. Reads the core and the connections; changes nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from catenet.core.node import Node
from catenet.network.peers import Peers
from catenet.types.clock import Instant
from catenet.types.ids import Address
from catenet.types.messages import Status
from catenet.types.ports import BlockReader, NodeStatus, PeerView


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who this node is, for people."""

    chain_id: str
    node_id: str
    name: str
    address: Address
    home: str
    names: Mapping[Address, str]
    """Names of the validators that the genesis or the configuration knows."""


class View:
    """Builds `NodeStatus`; remembers what peers last said of their height."""

    def __init__(
        self, identity: Identity, core: Node, peers: Peers, reader: BlockReader, clock: Callable[[], Instant]
    ) -> None:
        self._identity = identity
        self._core = core
        self._peers = peers
        self._reader = reader
        self._clock = clock
        self._started_us = clock().mono_us
        self._heights: dict[Address, int] = {}

    def heard(self, peer: Address, status: Status) -> None:
        """Note a peer's height."""
        self._heights[peer] = status.height - 1

    def status(self) -> NodeStatus:
        """Say how the node stands at this moment."""
        core, identity, now_us = self._core, self._identity, self._clock().mono_us
        state, consensus = core.state, core.consensus
        validators = tuple(
            self._peer(member.address, member.power, now_us) for member in state.validators.validators
        )
        return NodeStatus(
            chain_id=identity.chain_id,
            node_id=identity.node_id,
            name=identity.name,
            address=identity.address,
            height=self._reader.head,
            block_hash=state.last_block_id.hash,
            app_hash=state.app_hash,
            block_time_ns=state.last_time_ns,
            lowest_height=self._reader.lowest,
            catching_up=core.syncing,
            round=consensus.round,
            step=consensus.step,
            validators=validators,
            power_total=state.validators.total_power,
            power_connected=sum(view.power for view in validators if view.connected),
            waiting_for=self._waiting_for(validators),
            pending_txs=core.pending_count,
            home=identity.home,
            uptime_ms=(now_us - self._started_us) // 1000,
        )

    def _peer(self, address: Address, power: int, now_us: int) -> PeerView:
        me = address == self._identity.address
        seen_us = self._peers.last_seen_us.get(address)
        return PeerView(
            address=address,
            name=self._identity.names.get(address, address.hex()[:8].upper()),
            connected=me or address in self._peers.connected,
            height=self._reader.head if me else self._heights.get(address, 0),
            power=power,
            last_seen_ms=0 if me else -1 if seen_us is None else (now_us - seen_us) // 1000,
        )

    def _waiting_for(self, validators: tuple[PeerView, ...]) -> str:
        total = sum(view.power for view in validators)
        reached = sum(view.power for view in validators if view.connected)
        if 3 * reached <= 2 * total:
            missing = ", ".join(view.name for view in validators if not view.connected)
            count = sum(view.connected for view in validators)
            return (
                f"a quorum: {count} of {len(validators)} validators reachable ({reached} of {total} power, "
                f"more than {2 * total // 3} needed); missing: {missing}"
            )
        if self._core.syncing:
            return "blocks from the other validators: this node is behind"
        return self._core.consensus.waits_for()
