"""The chain that applications behind ABCI are given."""

import pytest

from catenet.apps.kv import KeyValue
from catenet.chain.genesis import Genesis
from catenet.testing.network import SimulatedNetwork
from catenet.testing.simulator.chain_store import ChainStore

BLOCKS = 8


@pytest.fixture(scope="module")
def chain() -> tuple[Genesis, ChainStore]:
    """A chain of some blocks with the key-value application, one of which changes a validator."""
    network = SimulatedNetwork(KeyValue)
    for number in range(BLOCKS):
        network.submit(b"key%d=%d" % (number, number)).wait()
    town = network._town
    return town.genesis, town.hosts[0].chain


@pytest.fixture
def halts() -> list[str]:
    """Why the node was told to stop."""
    return []
