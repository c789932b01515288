"""`run(seed, config) -> Report`: one schedule from start to the end of the calm, or a `Violation`."""

from functools import partial

from catenet.chain.genesis import Genesis, GenesisValidator
from catenet.chain.state import ChainState
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.clients import Clients
from catenet.testing.simulator.config import Report, SimulationConfig, Violation
from catenet.testing.simulator.host import EPOCH_NS, Host, World
from catenet.testing.simulator.keys import SimulatedKey
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.schedule import Schedule

SETTLE_US = 100_000
"""How often the run looks whether it has reached its goal."""


def run(seed: int, config: SimulationConfig | None = None) -> Report:
    """Run one schedule. Raises `Violation`, whose text names the seed."""
    simulation = Simulation(seed, config or SimulationConfig())
    try:
        return simulation.run()
    except Violation as violation:
        at_s = simulation.schedule.now_us / 1e6
        raise Violation(f"seed {seed} at {at_s:.3f} s, {simulation.config}: {violation}") from violation


def make_genesis(config: SimulationConfig) -> Genesis:
    """Return the genesis of the simulated validators."""
    powers = config.powers or (10,) * config.validators
    keys = [SimulatedKey.of(index).public for index in range(config.validators)]
    members = tuple(
        GenesisValidator(address=key.address, public_key=key, power=power)
        for key, power in zip(keys, powers, strict=True)
    )
    return Genesis(genesis_time_ns=EPOCH_NS, chain_id="simulated", validators=members)


class Simulation:
    """One run: all nodes, and the plan of what goes wrong."""

    def __init__(self, seed: int, config: SimulationConfig) -> None:
        self.seed = seed
        self.config = config
        self.schedule = Schedule()
        self._chooser = Chooser(seed)
        genesis = make_genesis(config)
        self._monitor = Monitor(ChainState.genesis(genesis))
        self._network = Network(self.schedule, self._chooser, config)
        calls = Calls(self.schedule, self._network)
        self._clients = Clients(self.schedule, self._chooser, config, self._monitor)
        self._hosts: list[Host] = []
        world = World(
            config=config,
            schedule=self.schedule,
            chooser=self._chooser,
            network=self._network,
            calls=calls,
            clients=self._clients,
            monitor=self._monitor,
            genesis=genesis,
            hosts=self._hosts,
        )
        self._hosts.extend(Host(world, index) for index in range(config.validators))
        calls.start(self._hosts)
        self._events = 0

    def run(self) -> Report:
        """Start everybody, let chaos reign, then watch the recovery."""
        self._network.start(lambda node, peer, up: self._hosts[node].link(peer, up=up))
        for host in self._hosts:
            host.start()
        self._clients.start(self._hosts)
        self._plan_crashes()
        self._until(self.config.chaos_us)
        goal = self._end_chaos()
        deadline = self.config.chaos_us + self.config.calm_us
        while not self._recovered(goal):
            if self.schedule.now_us >= deadline:
                raise Violation(self._stall(goal))
            self._until(self.schedule.now_us + SETTLE_US)
        return self._report(self.schedule.now_us - self.config.chaos_us)

    def _until(self, time_us: int) -> None:
        marker: list[bool] = []
        self.schedule.after(time_us - self.schedule.now_us, lambda: marker.append(True))
        while not marker:
            self.schedule.step()
            self._events += 1
            if self._events > self.config.events_max:
                raise Violation(f"more than {self.config.events_max} events: a run without end")

    # Faults.

    def _plan_crashes(self) -> None:
        chooser, config = self._chooser, self.config
        for _ in range(config.crashes):
            crash = partial(self._crash, chooser.pick(self._hosts))
            self.schedule.after(chooser.choose(config.chaos_us), crash)
        for _ in range(config.aimed_crashes):
            aim = partial(self._aim, chooser.pick(self._hosts))
            self.schedule.after(chooser.choose(config.chaos_us), aim)
        if config.total_crash:
            self.schedule.after(chooser.choose(config.chaos_us), self._crash_all)

    def _aim(self, victim: Host) -> None:
        """Crash right after the next signature, within about one fsync of it."""

        def after_signature() -> None:
            delay = self._chooser.choose(2 * self.config.fsync_us)
            self.schedule.after(delay, lambda: self._crash(victim))

        victim.on_next_signature = after_signature

    def _crash_all(self) -> None:
        for host in self._hosts:
            self._crash(host)

    def _crash(self, victim: Host) -> None:
        if not victim.alive or not self._network.chaos:
            return
        victim.crash()
        self.schedule.after(self._chooser.choose(self.config.down_us) + 1, lambda: self._restart(victim))

    def _restart(self, victim: Host) -> None:
        if not victim.alive:
            victim.start()

    # The end.

    def _end_chaos(self) -> int:
        """Heal everything; return the height that everybody must reach."""
        self._network.end_chaos()
        for host in self._hosts:
            self._restart(host)
        self._clients.trickle()
        return max(host.chain.head for host in self._hosts) + self.config.heights

    def _recovered(self, goal: int) -> bool:
        """14: everybody gained heights; 10: what was promised is on everybody's chain."""
        return (
            all(host.chain.head >= goal for host in self._hosts)
            and self._clients.waiting == 0
            and all(
                len(host.chain.locate(list(self._monitor.replicated))) == len(self._monitor.replicated)
                for host in self._hosts
            )
        )

    def _stall(self, goal: int) -> str:
        heights = [host.chain.head for host in self._hosts]
        lost = [tx for tx_id, tx in self._monitor.replicated.items() if tx_id not in self._monitor.committed]
        if any(height < goal for height in heights):
            return f"14: stalled at heights {heights}, all should be at {goal}"
        if lost:
            return f"10: promised and not committed: {lost[:5]} of {len(lost)}"
        return f"10: {self._clients.waiting} submissions without an answer, or not on every node"

    def _report(self, recovery_us: int) -> Report:
        newest = max(host.chain.head for host in self._hosts)
        states = {host.state.height: host.state.digest() for host in self._hosts}
        for host in self._hosts:
            if states[host.state.height] != host.state.digest():
                raise Violation(f"12: application states differ at height {host.state.height}")
        self._monitor.note(f"end {newest} {self.schedule.now_us} {self._chooser.choices}")
        return Report(
            seed=self.seed,
            events=self._events,
            heights=tuple(host.chain.head for host in self._hosts),
            rounds_max=self._monitor.rounds_max,
            submitted=self._clients.submitted,
            replicated=len(self._monitor.replicated),
            committed=len(self._monitor.committed),
            crashes=sum(host.crashes for host in self._hosts),
            virtual_us=self.schedule.now_us,
            recovery_us=recovery_us,
            digest=self._monitor.digest(),
            penalties=dict(self._monitor.penalties),
            notices=dict(self._monitor.notices),
        )
