"""At start the application is brought to the chain's height, or the node says why it cannot be."""

from dataclasses import replace

import pytest

from catenet.apps.kv import KeyValue
from catenet.chain.genesis import Genesis
from catenet.chain.validators import ValidatorSet
from catenet.node.handshake import shake_hands
from catenet.testing.network import SimulatedNetwork
from catenet.testing.simulator.chain_store import ChainStore, MemoryState
from catenet.types.application import Info, InitChain, InitChainResult
from catenet.types.errors import Corrupt

BLOCKS = 3


@pytest.fixture(scope="module")
def chain() -> tuple[Genesis, ChainStore]:
    """A genesis with four validators of different powers, and a few blocks."""
    network = SimulatedNetwork(KeyValue, powers=[1, 4, 2, 3])
    for number in range(BLOCKS):
        network.submit(b"key%d=%d" % (number, number)).wait()
    town = network._town
    return town.genesis, town.hosts[0].chain


class Remembering(KeyValue):
    """Keeps what it was asked, and may say something else of its hash."""

    said_hash: bytes | None = None
    asked: InitChain | None = None

    def init_chain(self, request: InitChain) -> InitChainResult:
        self.asked = request
        return super().init_chain(request)

    def info(self) -> Info:
        found = super().info()
        return found if self.said_hash is None else replace(found, last_block_app_hash=self.said_hash)


def replayed(chain: tuple[Genesis, ChainStore]) -> Remembering:
    app = Remembering(MemoryState())
    state = shake_hands(app, *chain)
    assert app.info().last_block_height == state.last_height == chain[1].head >= BLOCKS
    return app


def test_validators_come_in_the_order_of_their_set(chain: tuple[Genesis, ChainStore]) -> None:
    genesis, _ = chain
    app = replayed(chain)
    assert app.asked is not None
    assert [one.power for one in app.asked.validators] == [4, 3, 2, 1]
    ordered = ValidatorSet.new(genesis.members()).validators
    assert [one.public_key for one in app.asked.validators] == [one.public_key.data for one in ordered]


def test_an_application_with_the_chains_hash_or_without_one_is_taken(
    chain: tuple[Genesis, ChainStore],
) -> None:
    app = replayed(chain)
    shake_hands(app, *chain)
    app.said_hash = b""
    shake_hands(app, *chain)


def test_an_application_ahead_of_the_chain_is_refused(chain: tuple[Genesis, ChainStore]) -> None:
    genesis, whole = chain
    app = replayed(chain)
    with pytest.raises(Corrupt, match=f"is at height {whole.head}, the stored chain ends at 0"):
        shake_hands(app, genesis, ChainStore())


def test_an_application_of_another_chain_is_refused_with_both_hashes(
    chain: tuple[Genesis, ChainStore],
) -> None:
    app = replayed(chain)
    app.said_hash = b"\xab" * 32
    kept = chain[1].outcome(chain[1].head)
    assert kept is not None
    with pytest.raises(Corrupt, match=rf"ABAB.*the chain has {kept.app_hash.hex().upper()} there"):
        shake_hands(app, *chain)
