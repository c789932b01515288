"""What surrounds a hostile validator in the simulator: a monitor that knows it, calls that reach it."""

import gc
from random import Random
from types import FunctionType, ModuleType
from typing import cast

from catenet.chain.commit import BlockID
from catenet.chain.state import ChainState
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.clients import Clients
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.keys import SimulatedKey
from catenet.testing.simulator.monitor import Monitor, Step
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.run import make_genesis
from catenet.testing.simulator.schedule import Schedule
from catenet.testing.simulator.world import World
from catenet.types.effects import Fetch, RequestBlocks

LIAR = 3
CONFIG = SimulationConfig(loss=0, duplication=0, partition_every_us=0, crashes=0, aimed_crashes=0)


class Witness(Monitor):
    """The simulator's monitor, but one validator is known to be hostile, and what it signs goes unseen."""

    liar = SimulatedKey.of(LIAR).public.address

    def __init__(self, genesis: ChainState) -> None:
        super().__init__(genesis, [self.liar])

    def _power(self, step: Step, block_id: BlockID | None) -> int:
        # Whatever is asked: the liar may have signed it, too.
        return super()._power(step, block_id) + 10


class LyingCalls(Calls):
    """What is asked of the hostile validator never reaches a node: it is kept, to be answered anyhow."""

    def __init__(self, schedule: Schedule, network: Network) -> None:
        super().__init__(schedule, network)
        self.asked: list[tuple[Host, Fetch | RequestBlocks]] = []

    def fetch(self, asker: object, effect: Fetch) -> None:
        if effect.peer == Witness.liar:
            self.asked.append((cast(Host, asker), effect))
        else:
            super().fetch(cast(Host, asker), effect)

    def blocks(self, asker: object, effect: RequestBlocks) -> None:
        if effect.peer == Witness.liar:
            self.asked.append((cast(Host, asker), effect))
        else:
            super().blocks(cast(Host, asker), effect)


class Siege:
    """Three honest nodes, and the key of the fourth."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.schedule, chooser = Schedule(), Chooser(seed)
        genesis = make_genesis(CONFIG)
        self.witness = Witness(ChainState.genesis(genesis))
        network = Network(self.schedule, chooser, CONFIG)
        self.calls = LyingCalls(self.schedule, network)
        clients = Clients(self.schedule, chooser, CONFIG, self.witness)
        self.hosts: list[Host] = []
        world = World(
            config=CONFIG,
            schedule=self.schedule,
            chooser=chooser,
            network=network,
            calls=self.calls,
            clients=clients,
            monitor=self.witness,
            genesis=genesis,
            hosts=self.hosts,
        )
        self.hosts.extend(Host(world, index) for index in range(CONFIG.validators))
        self.calls.start(self.hosts)
        network.start(lambda node, peer, up: self.hosts[node].link(peer, up=up))
        self.honest = self.hosts[:LIAR]
        for host in self.honest:
            host.start()
            host.link(LIAR, up=True)
        network.end_chaos()
        clients.start(self.honest)
        clients.calm(self.honest, pause_us=300_000)
        self.key = SimulatedKey.of(LIAR)
        self.me = self.key.public.address
        self.frames = 0
        self.witness.submitted([b"k=v", b"a=b"])

    def pass_time(self, us: int) -> None:
        """Let things happen for a while."""
        end = self.schedule.now_us + us
        while self.schedule.step_until(end):
            pass


def size_of(root: object) -> int:
    """Return how many entries the containers hold that hang on an object."""
    seen: set[int] = set()
    todo, size = [root], 0
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, type | ModuleType | FunctionType):
            continue
        seen.add(id(item))
        if isinstance(item, dict | list | set | tuple):
            size += len(item)
        todo.extend(gc.get_referents(item))
    return size
