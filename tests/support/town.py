"""A few validators over the simulator's parts, without chaos: what goes wrong is planned by the test.

The same seed gives the same run up to the first planned fault, so a crash can be placed at a record of a
run that was seen before. The monitor checks its invariants throughout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catenet.chain.state import ChainState
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.clients import Clients
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.disk import Disk
from catenet.testing.simulator.host import Host, World
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.run import make_genesis
from catenet.testing.simulator.schedule import Schedule
from catenet.types.events import Level, Submitted

CALM = SimulationConfig(
    loss=0, duplication=0, partition_every_us=0, crashes=0, aimed_crashes=0, clock_skew_us=0, delay_us=2_000
)
DOWN_US = 300_000
"""How long a crashed node stays down."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a node's journal at which the power fails: `record` counts from 1."""

    record: int
    when: str
    """`before` it is written; `after`, and nothing more; `slot`: after it and the guard's slot behind it."""


class PlannedDisk(Disk):
    """A disk that loses power at a planned record, and remembers where its writes ended."""

    point: Point | None = None
    hit: Callable[[], None] | None = None

    def __init__(self, schedule: Schedule, chooser: Chooser, fsync_us: int) -> None:
        super().__init__(schedule, chooser, fsync_us)
        self.points: list[Point] = []
        """Every place at which the power could have failed, so far."""

    def _end(self, life: int) -> None:
        if life != self._life:
            return
        records = [record for group in self._writing for record in group.records]
        slots = [group.guard for group in self._writing if group.guard is not None]
        first, last = len(self.records) + 1, len(self.records) + len(records)
        here = [Point(first, "before")] if records else []
        here += [Point(number, "after") for number in range(first, last + 1)]
        here += [Point(last, "slot")] if slots else []
        self.points.extend(here)
        if self.point not in here:
            super()._end(life)
            return
        kept = self.point.record - (self.point.when == "before")
        self.records.extend(records[: kept - first + 1])
        if self.point.when == "slot":
            self.guard = slots[-1]
        self._writing, self.point = [], None
        assert self.hit is not None
        self.hit()


class Town:
    """Four validators, a calm network and the clock."""

    def __init__(
        self,
        *,
        seed: int = 1,
        config: SimulationConfig = CALM,
        host: type[Host] = Host,
        monitor: type[Monitor] = Monitor,
    ) -> None:
        self.schedule = Schedule()
        self.genesis = make_genesis(config)
        self.monitor = monitor(ChainState.genesis(self.genesis))
        chooser = Chooser(seed)
        self.network = Network(self.schedule, chooser, config)
        calls = Calls(self.schedule, self.network)
        self.hosts: list[Host] = []
        self.disks: list[PlannedDisk] = []
        world = World(
            config=config,
            schedule=self.schedule,
            chooser=chooser,
            network=self.network,
            calls=calls,
            clients=Clients(self.schedule, chooser, config, self.monitor),
            monitor=self.monitor,
            genesis=self.genesis,
            hosts=self.hosts,
        )
        for index in range(config.validators):
            made = host(world, index)
            disk = PlannedDisk(self.schedule, chooser, config.fsync_us)
            made.disk = disk
            self.hosts.append(made)
            self.disks.append(disk)
        calls.start(self.hosts)
        self.network.end_chaos()
        self.network.start(lambda node, peer, up: self.hosts[node].link(peer, up=up))
        self._tickets = 0

    def start(self) -> None:
        """Start everybody."""
        for host in self.hosts:
            host.start()

    @property
    def heights(self) -> list[int]:
        """The newest final height of each node."""
        return [host.chain.head for host in self.hosts]

    def submit(self, index: int, txs: Sequence[bytes]) -> None:
        """Hand transactions in at a node; one that is down loses them."""
        self._tickets += 1
        self.monitor.submitted(txs)
        event = Submitted(ticket=self._tickets, client="c", txs=tuple(txs), level=Level.REPLICATED)
        self.hosts[index].submit(event)

    def feed(self, every_us: int = 30_000) -> None:
        """From here on hand in one transaction after the other, at each node in turn."""
        number = self._tickets
        self.submit(number % len(self.hosts), [b"k%d=%d" % (number % 5, number)])
        self.schedule.after(every_us, lambda: self.feed(every_us))

    def crash(self, index: int) -> None:
        """Take a node down; it is back after a while."""
        host = self.hosts[index]
        if host.alive:
            host.crash()
            self.schedule.after(DOWN_US, host.start)

    def crash_all(self) -> None:
        """Take all nodes down."""
        for index in range(len(self.hosts)):
            self.crash(index)

    def until(self, reached: Callable[[], bool], *, within_us: int = 20_000_000) -> None:
        """Go on until something holds."""
        deadline = self.schedule.now_us + within_us
        while not reached():
            assert self.schedule.now_us < deadline, f"at heights {self.heights} after {within_us} us"
            self.schedule.step()

    def grow(self, heights: int) -> None:
        """Go on until every node has gained so many heights above the highest one."""
        goal = max(self.heights) + heights
        self.until(lambda: min(self.heights) >= goal)

    def require_one_chain(self) -> None:
        """Every node stored the same bytes at every height that two of them have."""
        for height in range(1, max(self.heights) + 1):
            blocks = [host.chain.block(height) for host in self.hosts]
            assert len({stored.raw for stored in blocks if stored is not None}) == 1
