"""`run(seed, config) -> Report`: one schedule from start to the end of the calm, or a `Violation`."""

from functools import partial

from catenet.chain.genesis import Genesis, GenesisValidator
from catenet.chain.state import ChainState
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.clients import Clients
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.simulator.config import Report, SimulationConfig, Stall, Violation, describe
from catenet.testing.simulator.faults import Faults
from catenet.testing.simulator.hand import OwnHand
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.keys import SimulatedKey
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.replay import difference, has_much_to_lose
from catenet.testing.simulator.schedule import Schedule
from catenet.testing.simulator.story import Story
from catenet.testing.simulator.world import EPOCH_NS, World
from catenet.testing.traitors import TRAITORS

SETTLE_US = 20_000
"""How often the run looks whether it has reached its goal."""


JOIN_HEIGHT = 4
"""Blocks that a newcomer finds: fewer it would be handed one by one (G6)."""

LOOK_US = 1_000_000
"""How often the run looks whether a core holds too much."""

REPLAYS_MAX = 2
"""How many cores of a run are compared with what their journals give: it takes as long as a restart."""

FAULTS = (ArithmeticError, AttributeError, AssertionError, LookupError, TypeError, ValueError)
"""What a bug in a core raises. A `Violation` is an AssertionError, too."""


def run(
    seed: int,
    config: SimulationConfig | None = None,
    *,
    chooser: Chooser | None = None,
    story: Story | None = None,
) -> Report:
    """Run one schedule. Raises `Violation`, whose text names the seed.

    `chooser` replaces the one of the seed: to replay choices, or to let Hypothesis make them. `story` takes
    down what happens.
    """
    simulation = Simulation(seed, config or SimulationConfig(), chooser, story)
    try:
        return simulation.run()
    except FAULTS as fault:
        at_s = simulation.schedule.now_us / 1e6
        said = str(fault) if isinstance(fault, Violation) else f"an exception leaves a core: {fault!r}"
        kind = Stall if isinstance(fault, Stall) else Violation
        raise kind(f"seed {seed} at {at_s:.3f} s ({describe(simulation.config)}): {said}") from fault


def make_genesis(config: SimulationConfig) -> Genesis:
    """Return the genesis of the simulated validators."""
    powers = config.powers or (10,) * config.validators
    keys = [SimulatedKey.of(index).public for index in range(config.validators)]
    members = tuple(
        GenesisValidator(address=key.address, public_key=key, power=power)
        for key, power in zip(keys, powers, strict=True)
        if power
    )
    return Genesis(genesis_time_ns=EPOCH_NS, chain_id="simulated", validators=members)


class Simulation:
    """One run: all nodes, and the plan of what goes wrong."""

    def __init__(
        self,
        seed: int,
        config: SimulationConfig,
        chooser: Chooser | None = None,
        story: Story | None = None,
    ) -> None:
        self.seed = seed
        self.config = config
        self.schedule = Schedule()
        self._chooser = chooser or Chooser(seed)
        self._core = config.core
        genesis = make_genesis(config)
        conducts = self._choose_traitors()
        places = config.validators + sum(conduct.twins - 1 for conduct in conducts.values())
        addresses = [SimulatedKey.of(index).public.address for index in conducts]
        self._monitor = Monitor(ChainState.genesis(genesis), addresses)
        self._network = Network(self.schedule, self._chooser, config, places=places)
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
            story=story,
        )
        for index in range(config.validators):
            self._hosts.append(Host(world, index, conduct=conducts.get(index)))
        for identity, conduct in conducts.items():
            for _ in range(conduct.twins - 1):
                twin = type(conduct)()
                self._hosts.append(Host(world, len(self._hosts), conduct=twin, identity=identity))
        for host in self._hosts:
            if host.conduct is not None:
                host.conduct.hand = OwnHand(world, host)
        self._honest = [host for host in self._hosts if host.conduct is None]
        calls.start(self._hosts)
        self._faults = Faults(
            self.schedule, self._chooser, config, self._hosts, going_on=lambda: self._network.chaos
        )
        self._events = 0
        self._look_us = 0
        self._replays = 0

    def _choose_traitors(self) -> dict[int, Conduct]:
        """Return who lies, and how; node 0 never does: it keeps the others connected."""
        left = list(range(1, self.config.validators))
        return {left.pop(self._chooser.choose(len(left))): TRAITORS[name]() for name in self.config.traitors}

    def _join(self, host: Host) -> None:
        """Let a newcomer begin, when the others are so far ahead that it needs block sync."""
        if max(other.chain.head for other in self._honest) < JOIN_HEIGHT:
            self.schedule.after(SETTLE_US, partial(self._join, host))
        elif not host.alive:
            host.start()

    def names(self) -> list[str]:
        """Return what each process is, in the order of places."""
        kinds = [type(host.conduct).__name__ if host.conduct else "" for host in self._hosts]
        return [f"node {place} {kind}".strip() for place, kind in enumerate(kinds)]

    def run(self) -> Report:
        """Start everybody, let chaos reign, then watch the recovery."""
        self._network.start(lambda node, peer, up: self._hosts[node].link(peer, up=up))
        powers = self.config.powers or (1,) * self.config.validators
        for index, host in enumerate(self._hosts):
            if index < len(powers) and not powers[index]:
                # It comes with an empty home, and has no power until a transaction gives it some.
                self._join(host)
            else:
                host.start()
        self._clients.start(self._hosts)
        self._faults.plan()
        self._until(self.config.chaos_us)
        goal = self._end_chaos()
        deadline = self.config.chaos_us + self.config.calm_us
        while not self._recovered(goal):
            if self.schedule.now_us >= deadline:
                raise Stall(self._stall(goal))
            self._until(self.schedule.now_us + SETTLE_US)
        return self._report(self.schedule.now_us - self.config.chaos_us)

    def _until(self, time_us: int) -> None:
        while self.schedule.step_until(time_us):
            self._events += 1
            if self.schedule.now_us >= self._look_us:
                self._look()
            if self._events > self.config.events_max:
                raise Violation(f"more than {self.config.events_max} events: a run without end")

    def _look(self) -> None:
        """Look into the cores of the honest, once a second."""
        self._look_us = self.schedule.now_us + LOOK_US
        for host in self._honest:
            if host.alive:
                self._monitor.holds(host.address, host.core, self._core)
                if self._replays < REPLAYS_MAX and has_much_to_lose(host):
                    self._replay(host)

    # The end.

    def _end_chaos(self) -> int:
        """Heal everything; return the height that everybody must reach."""
        self._network.end_chaos()
        for host in self._hosts:
            if host.life:
                self._faults.restart(host)
        self._clients.calm([host for host in self._honest if host.life])
        goal = max(host.chain.head for host in self._honest) + self.config.heights
        return max(goal, JOIN_HEIGHT) if 0 in self.config.powers else goal

    def _recovered(self, goal: int) -> bool:
        """14: everybody gained heights; 10: what was promised is on everybody's chain."""
        return (
            all(host.chain.head >= goal for host in self._honest)
            and self._clients.waiting == 0
            and all(
                len(host.chain.locate(list(self._monitor.replicated))) == len(self._monitor.replicated)
                for host in self._honest
            )
        )

    def _stall(self, goal: int) -> str:
        heights = [host.chain.head for host in self._honest]
        lost = [tx for tx_id, tx in self._monitor.replicated.items() if tx_id not in self._monitor.committed]
        if any(height < goal for height in heights):
            return f"14: stalled at heights {heights}, all should be at {goal}"
        if lost:
            return f"10: promised and not committed: {lost[:5]} of {len(lost)}"
        return f"10: {self._clients.waiting} submissions without an answer, or not on every node"

    def _replay(self, host: Host) -> None:
        """9: the journal gives the state that was."""
        self._replays += 1
        found = difference(host)
        if found is not None:
            raise Violation(f"node {host.address.hex()[:8]}: 9: {found}")

    def _report(self, recovery_us: int) -> Report:
        newest = max(host.chain.head for host in self._honest)
        states = {host.state.height: host.state.digest() for host in self._honest}
        for host in self._honest:
            if states[host.state.height] != host.state.digest():
                raise Violation(f"12: application states differ at height {host.state.height}")
        self._look()
        self._monitor.note(f"end {newest} {self.schedule.now_us} {self._chooser.choices}")
        return Report(
            seed=self.seed,
            events=self._events,
            heights=tuple(host.chain.head for host in self._honest),
            reached=dict(self._monitor.reached.counts()),
            rounds_max=self._monitor.rounds_max,
            submitted=self._clients.submitted,
            replicated=len(self._monitor.replicated),
            committed=len(self._monitor.committed),
            crashes=sum(host.crashes for host in self._hosts),
            virtual_us=self.schedule.now_us,
            recovery_us=recovery_us,
            digest=self._monitor.digest(),
            acts=dict(self._monitor.acts),
            penalties=dict(self._monitor.penalties),
            notices=dict(self._monitor.notices),
        )
