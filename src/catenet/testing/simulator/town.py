"""A few validators over the simulator's parts, without chaos: what goes wrong is planned by who drives it.

What lives here puts the parts together and moves the clock. The monitor checks its invariants throughout.
"""

from collections.abc import Callable

from catenet.chain.genesis import Genesis
from catenet.chain.state import ChainState
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig, Violation
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.run import make_genesis
from catenet.testing.simulator.schedule import Schedule
from catenet.testing.simulator.world import Clients, World, key_value
from catenet.types.application import Application
from catenet.types.effects import Acknowledge, Overload
from catenet.types.ports import StateStore

CALM = SimulationConfig(
    loss=0, duplication=0, partition_every_us=0, crashes=0, aimed_crashes=0, clock_skew_us=0, delay_us=2_000
)

STEPS_MAX = 1_000_000
"""More steps than this in one stretch are a run without end."""


class Nobody:
    """Clients that wait for no answer."""

    def acknowledged(self, effect: Acknowledge) -> None:
        """Nobody hears it."""

    def overloaded(self, effect: Overload) -> None:
        """Nobody hears it."""


class Town:
    """Validators, a calm network and the clock."""

    def __init__(
        self,
        *,
        seed: int = 1,
        config: SimulationConfig = CALM,
        genesis: Genesis | None = None,
        host: Callable[[World, int], Host] = Host,
        monitor: Callable[[ChainState], Monitor] = Monitor,
        clients: Clients | None = None,
        application: Callable[[int, StateStore], Application] = key_value,
    ) -> None:
        self.schedule = Schedule()
        self.chooser = Chooser(seed)
        self.genesis = genesis or make_genesis(config)
        self.monitor = monitor(ChainState.genesis(self.genesis))
        self.network = Network(self.schedule, self.chooser, config)
        calls = Calls(self.schedule, self.network)
        self.hosts: list[Host] = []
        world = World(
            config=config,
            schedule=self.schedule,
            chooser=self.chooser,
            network=self.network,
            calls=calls,
            clients=clients or Nobody(),
            monitor=self.monitor,
            genesis=self.genesis,
            hosts=self.hosts,
            application=application,
        )
        self.hosts.extend(host(world, index) for index in range(config.validators))
        calls.start(self.hosts)
        self.network.end_chaos()
        self.network.start(lambda node, peer, up: self.hosts[node].link(peer, up=up))

    def start(self) -> None:
        """Start everybody."""
        for host in self.hosts:
            host.start()

    @property
    def heights(self) -> list[int]:
        """The newest final height of each node."""
        return [host.chain.head for host in self.hosts]

    def reach(self, reached: Callable[[], bool], within_us: int) -> bool:
        """Go on until something holds, at most so long; say whether it holds."""
        over: list[bool] = []
        self.schedule.after(within_us, lambda: over.append(True))
        for _ in range(STEPS_MAX):
            if reached():
                return True
            if over:
                return False
            self.schedule.step()
        raise Violation(f"{STEPS_MAX} steps within {within_us / 1e6} s: a run without end")
