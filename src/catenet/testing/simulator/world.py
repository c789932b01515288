"""What all nodes of a run share: clock, chance, links, clients, monitor, and the application they run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from catenet.apps.kv import KeyValue
from catenet.chain.genesis import Genesis
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.schedule import Schedule
from catenet.testing.simulator.story import Story
from catenet.types import effects
from catenet.types.application import Application
from catenet.types.ports import StateStore

if TYPE_CHECKING:
    from catenet.testing.simulator.host import Host

EPOCH_NS = 1_700_000_000 * 10**9
"""Wall time at the start of every run."""


class Clients(Protocol):
    """Who handed transactions in, as nodes see it."""

    def acknowledged(self, effect: effects.Acknowledge) -> None:
        """Learn how far a submission came."""
        ...

    def overloaded(self, effect: effects.Overload) -> None:
        """Learn that a submission was refused as a whole."""
        ...


def key_value(index: int, store: StateStore) -> Application:
    """Return the application of a node when a run names no other."""
    return KeyValue(store)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all nodes of a run share."""

    config: SimulationConfig
    schedule: Schedule
    chooser: Chooser
    network: Network
    calls: Calls
    clients: Clients
    monitor: Monitor
    genesis: Genesis
    hosts: "Sequence[Host]"
    """Filled after the world is made; the order is that of the indices."""
    story: Story | None = None
    """Who writes down what happens, when somebody wants to read it."""
    application: Callable[[int, StateStore], Application] = key_value
    """Makes the application of the node with an index, at each of its starts."""
