"""The author's kit: simulated validators that run your application, under faults that you choose.

    network = SimulatedNetwork(Counter)
    network.submit(b"one").wait()
    network.partition({0, 1}, {2, 3})
    ...
    network.check()

The validators are the production core; clock, network and disks are pretended. All time is virtual, and the
same seed gives the same run. What an application may not do ends the call that moves the clock with a
`Violation`. With pytest, the fixture `catenet_network` (see `plugin`) makes networks.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from catenet.chain.block import Block
from catenet.client.values import Receipt
from catenet.node.application import Factory, make_application
from catenet.node.handshake import shake_hands
from catenet.testing.simulator.chain_store import MemoryState
from catenet.testing.simulator.config import Violation
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.run import make_genesis
from catenet.testing.simulator.town import CALM, Town
from catenet.testing.submission import NotReached, Submission, Submissions
from catenet.testing.watch import ApplicationFailed, Divergence, Watch, Watched
from catenet.types.application import Application, BlockOutcome, Query, QueryResult
from catenet.types.errors import Corrupt, InvalidInput, NotFound, PastTip, Unavailable
from catenet.types.events import Level, Submitted
from catenet.types.ids import TxId
from catenet.types.ports import StateStore, StoredBlock

T = TypeVar("T")

STORY_LINES = 60
"""How many of the last lines of a network's story are kept."""


class SimulatedNetwork:
    """Simulated nodes, each with its own instance of the application. Nodes are numbered from 0."""

    def __init__(
        self,
        application: Factory,
        *,
        powers: Sequence[int] = (10, 10, 10, 10),
        seed: int = 1,
        app_state: str = "{}",
    ) -> None:
        """Start the network.

        `application`: a subclass of `Application`, or a function that makes one; if it takes an argument,
        that is its state store. `powers`: the voting power of each node; with 0 it runs and is no validator
        yet. `seed`: decides all chance. `app_state`: the genesis file's JSON text for `init_chain`.
        """
        self.seed = seed
        self._application = application
        self._story: deque[str] = deque(maxlen=STORY_LINES)
        self._told = 0
        self._final = 0
        self._groups = [0] * len(powers)
        config = replace(CALM, validators=len(powers), powers=tuple(powers))
        genesis = make_genesis(config)
        self._watch = Watch(proposed=self._proposed, committed=self._committed)
        self._apps: dict[int, Watched] = {}
        self._submissions = Submissions(lambda txs: self._town.monitor.promised(txs))
        self._town = Town(
            seed=seed,
            config=config,
            genesis=replace(genesis, app_state=app_state),
            clients=self._submissions,
            application=self._make_application,
        )
        self.restart()

    # Clients.

    def submit(self, tx: bytes, *, node: int = 0) -> Submission:
        """Hand a transaction in at a node. Raises `Unavailable` when it is down, `InvalidInput` if empty."""
        if not tx:
            raise InvalidInput("the transaction is empty; a transaction has at least 1 byte")
        host = self._running(node)
        submission = Submission(tx=tx, node=node, life=host.life, network=self)
        ticket = self._submissions.enter(submission)
        self._town.monitor.submitted([tx])
        self._guard(
            lambda: host.submit(Submitted(ticket=ticket, client="test", txs=(tx,), level=Level.REPLICATED))
        )
        return submission

    def query(self, path: str, data: bytes, *, node: int = 0) -> QueryResult:
        """Ask a node's application for committed state. Raises `Unavailable` when the node is down."""
        self._running(node)
        return self._guard(lambda: self._apps[node].query(Query(path=path, data=data)))

    def receipt(self, tx_id: TxId, *, node: int = 0) -> Receipt | None:
        """Return where a transaction is final at a node, or, while that is down, at any other; else None."""
        hosts = self._town.hosts
        for host in [hosts[node]] if hosts[node].alive else hosts:
            place = host.chain.locate([tx_id]).get(tx_id)
            if place is not None:
                outcome = host.chain.outcome(place.height)
                assert outcome is not None
                result = outcome.results[place.index]
                return Receipt(
                    id=tx_id,
                    reached=Level.COMMITTED,
                    height=place.height,
                    index=place.index,
                    code=result.code,
                    log=result.log,
                    data=result.data,
                )
        return None

    # Time.

    @property
    def seconds(self) -> float:
        """Virtual time since the start."""
        return self._town.schedule.now_us / 1e6

    def run(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._guard(lambda: self._town.reach(lambda: False, round(seconds * 1e6)))

    def run_until(self, reached: Callable[[], bool], *, seconds: float = 60) -> None:
        """Go on until something holds. Raises `NotReached` after so many virtual seconds."""
        if not self._guard(lambda: self._town.reach(reached, round(seconds * 1e6))):
            raise NotReached(
                "what was waited for is not there", f"after {seconds:g} virtual seconds: {self._state()}"
            )

    def settle(self, *, seconds: float = 60) -> None:
        """Go on until all running nodes have the same blocks, and all that they took is in them.

        A transaction whose node crashed before any other had it may be lost; nobody was promised it.
        Raises `NotReached`, as during a partition.
        """
        self.run_until(self._settled, seconds=seconds)

    def recover(self, *, seconds: float = 60) -> None:
        """Heal, restart all that are down, and settle. Slow applications and wrong clocks stay."""
        self.heal()
        self.restart()
        self.settle(seconds=seconds)

    # Faults.

    def partition(self, *groups: Iterable[int]) -> None:
        """Cut all links between groups of nodes; those that are in none are a group of their own."""
        numbers = [0] * len(self._groups)
        for number, group in enumerate(groups, start=1):
            for node in group:
                numbers[self._known(node)] = number
        self._split(numbers)
        self._tell(f"partition {self._sides()}")

    def lose(self, share: float) -> None:
        """Lose this share of all messages, from 0 to 1, until `heal`."""
        self._town.network.lose(share)
        self._tell(f"{share:.0%} of all messages are lost")

    def heal(self) -> None:
        """End the partition and the loss of messages. Nodes that are down stay down."""
        self._town.network.lose(0)
        self._split([0] * len(self._groups))
        self._tell("no partition, no loss")

    def crash(self, *nodes: int) -> None:
        """Cut the power of nodes: what was not yet synced to their disks is lost, at least in part."""
        for node in nodes:
            self._running(node).crash()
            self._tell(f"node {node} crashes")

    def restart(self, *nodes: int) -> None:
        """Start nodes (all that are down, if none is named) from their disks, with new applications."""
        hosts = self._town.hosts
        for node in nodes or [host.index for host in hosts if not host.alive]:
            if not hosts[self._known(node)].alive:
                self._tell(f"node {node} starts")
                self._guard(partial(self._start, hosts[node]))

    def slow(self, node: int, *, seconds: float) -> None:
        """Let each call of a node's application take about so long (else a millisecond)."""
        self._town.hosts[self._known(node)].slow_down(round(seconds * 1e6))
        self._tell(f"a call of the application takes {seconds:g} s at node {node}")

    def skew(self, node: int, *, seconds: float) -> None:
        """Set a node's clock: ahead of true time, or behind it when negative."""
        self._town.hosts[self._known(node)].set_clock(round(seconds * 1e6))
        self._tell(f"the clock of node {node} is off by {seconds:+g} s")

    # What is there.

    @property
    def heights(self) -> list[int]:
        """The newest final height of each node; 0 before the first block."""
        return self._town.heights

    def block(self, height: int, *, node: int = 0) -> Block:
        """Return a final block, as a node has it. Raises `PastTip`, `NotFound`."""
        return Block.decode(self._stored(height, node).raw)

    def outcome(self, height: int, *, node: int = 0) -> BlockOutcome:
        """Return what executing a block gave at a node. Raises `PastTip`, `NotFound`."""
        self._stored(height, node)
        outcome = self._town.hosts[node].chain.outcome(height)
        assert outcome is not None
        return outcome

    @property
    def public_keys(self) -> list[bytes]:
        """The vote key of each node, for validator updates."""
        return [host.key.public.data for host in self._town.hosts]

    def powers(self, *, node: int = 0) -> list[int]:
        """Return the voting power of each node at the next height, as one node sees it."""
        chain, genesis = self._town.hosts[self._known(node)].chain, self._town.genesis
        state = chain.state_at(chain.head)
        members = (
            dict(genesis.members())
            if state is None
            else {v.public_key: v.power for v in state.validators.validators}
        )
        return [members.get(host.key.public, 0) for host in self._town.hosts]

    def check(self) -> None:
        """Compare all nodes, and replay the chain into a new instance. Raises `Violation`.

        Equal blocks at each height, equal state stores at equal heights, and the same hashes from a replay.
        """
        self._guard(self._compare)
        self._guard(self._replay)

    def story(self) -> str:
        """Return the last lines of what happened, faults and final blocks, and how things stand."""
        left_out = (
            [f"... {self._told - len(self._story)} lines before"] if self._told > len(self._story) else []
        )
        return "\n".join([*left_out, *self._story, f"{self.seconds:9.3f} s  {self._state()}"])

    # Inside.

    def _start(self, host: Host) -> None:
        try:
            host.start()
        except Corrupt as error:
            raise ApplicationFailed(f"node {host.index} cannot start: {error}") from error

    def _compare(self) -> None:
        hosts = self._town.hosts
        for height in range(1, max(self.heights) + 1):
            if len({stored.raw for host in hosts if (stored := host.chain.block(height))}) > 1:
                raise Violation(f"nodes have different blocks at height {height}")
        stores: dict[int, tuple[int, bytes]] = {}
        for host in hosts:
            height, digest = host.state.height, host.state.digest()
            index, other = stores.setdefault(height, (host.index, digest))
            if digest != other:
                text = f"the state stores of nodes {index} and {host.index} differ at height {height}"
                raise Divergence(text)

    def _replay(self) -> None:
        longest = max(self._town.hosts, key=lambda host: host.chain.head)
        replayed = self._new_application(MemoryState(), "a replay of the chain")
        try:
            shake_hands(replayed, self._town.genesis, longest.chain)
        except Corrupt as error:
            raise ApplicationFailed(f"a replay of the chain: {error}") from error

    def _make_application(self, index: int, store: StateStore) -> Application:
        lives = self._town.hosts[index].crashes
        name = f"node {index} after {lives} crash{'es' * (lives > 1)}" if lives else f"node {index}"
        self._apps[index] = self._new_application(store, name)
        return self._apps[index]

    def _new_application(self, store: StateStore, name: str) -> Watched:
        return Watched(partial(make_application, self._application), store, node=name, watch=self._watch)

    def _settled(self) -> bool:
        hosts = [host for host in self._town.hosts if host.alive]
        promised = list(self._town.monitor.replicated)
        return (
            len({host.chain.head for host in hosts}) == 1
            and not self._submissions.open([host.life for host in self._town.hosts])
            and all(len(host.chain.locate(promised)) == len(promised) for host in hosts)
        )

    def _proposed(self, txs: Sequence[bytes]) -> None:
        self._town.monitor.submitted(txs)

    def _committed(self, node: str, height: int, count: int) -> None:
        if height > self._final:
            self._final = height
            self._tell(f"height {height} is final at {node}, {count} transaction{'s' * (count != 1)}")

    def _split(self, numbers: list[int]) -> None:
        self._groups = numbers
        self._town.network.split(numbers)

    def _running(self, node: int) -> Host:
        host = self._town.hosts[self._known(node)]
        if not host.alive:
            raise Unavailable(f"node {node} is down; restart it, or take another node")
        return host

    def _known(self, node: int) -> int:
        if not 0 <= node < len(self._groups):
            raise InvalidInput(
                f"there is no node {node}; nodes are numbered from 0 to {len(self._groups) - 1}"
            )
        return node

    def _stored(self, height: int, node: int) -> StoredBlock:
        chain = self._town.hosts[self._known(node)].chain
        stored = chain.block(height)
        if stored is not None:
            return stored
        if height > chain.head:
            raise PastTip(f"node {node} is at height {chain.head}, height {height} is not there yet")
        raise NotFound(f"there is no height {height}; heights begin at 1")

    def _guard(self, act: Callable[[], T]) -> T:
        """Do something that may show a fault of the application; the fault then says seed and time."""
        try:
            return act()
        except Violation as fault:
            self._name(fault)
            raise

    def _name(self, fault: Violation) -> None:
        """Say nodes by their numbers, and how to see the fault again."""
        text = str(fault)
        for host in self._town.hosts:
            text = text.replace(f"node {host.address.hex()[:8]}", f"node {host.index}")
        self._tell(text)
        fault.args = (f"{text} (seed {self.seed}, after {self.seconds:.3f} virtual seconds)",)

    def _tell(self, text: str) -> None:
        self._told += 1
        self._story.append(f"{self.seconds:9.3f} s  {text}")

    def _sides(self) -> str:
        sides = [
            [str(node) for node, number in enumerate(self._groups) if number == side]
            for side in sorted(dict.fromkeys(self._groups), key=lambda number: (number == 0, number))
        ]
        return " | ".join("{" + ", ".join(side) + "}" for side in sides)

    def _state(self) -> str:
        """Return how things stand, in one line."""
        down = [str(host.index) for host in self._town.hosts if not host.alive]
        parts = [f"heights {self.heights}"]
        if down:
            parts.append(f"down: {', '.join(down)}")
        if any(number != self._groups[0] for number in self._groups):
            parts.append(f"partition {self._sides()}")
        if self._watch.refused:
            parts.append(f"process_proposal refused {self._watch.refused} proposed blocks")
        return "; ".join(parts)


class NetworkFactory(Protocol):
    """What the fixture `catenet_network` is."""

    def __call__(
        self,
        application: Factory,
        *,
        powers: Sequence[int] = (10, 10, 10, 10),
        seed: int | None = None,
        app_state: str = "{}",
    ) -> SimulatedNetwork:
        """Start a network as `SimulatedNetwork` does; without a seed the test's own decides."""
        ...
