"""A few validators over the simulator's parts, without chaos: what goes wrong is planned by the test.

The same seed gives the same run up to the first planned fault, so a crash can be placed at a record of a
run that was seen before. The monitor checks its invariants throughout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catenet.chain.state import ChainState
from catenet.testing.simulator import town
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.disk import Disk
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.schedule import Schedule
from catenet.testing.simulator.town import CALM
from catenet.testing.simulator.world import World
from catenet.types.events import Level, Submitted

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


class Town(town.Town):
    """Validators whose disks lose power at planned records, and clients that do not wait."""

    def __init__(
        self,
        *,
        config: SimulationConfig = CALM,
        host: Callable[[World, int], Host] = Host,
        monitor: Callable[[ChainState], Monitor] = Monitor,
    ) -> None:
        super().__init__(config=config, host=host, monitor=monitor)
        self.disks: list[PlannedDisk] = []
        for made in self.hosts:
            disk = PlannedDisk(self.schedule, self.chooser, CALM.fsync_us)
            made.disk = disk
            self.disks.append(disk)
        self._tickets = 0

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
        assert self.reach(reached, within_us), f"at heights {self.heights} after {within_us} us"

    def grow(self, heights: int) -> None:
        """Go on until every node has gained so many heights above the highest one."""
        goal = max(self.heights) + heights
        self.until(lambda: min(self.heights) >= goal)

    def require_one_chain(self) -> None:
        """Every node stored the same bytes at every height that two of them have."""
        for height in range(1, max(self.heights) + 1):
            blocks = [host.chain.block(height) for host in self.hosts]
            assert len({stored.raw for stored in blocks if stored is not None}) == 1
