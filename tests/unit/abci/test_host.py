"""An application behind ABCI dies and comes back: our node goes on as if nothing had been."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import pytest

from catenet.abci.host import HostedApplication
from catenet.apps.kv import KeyValue
from catenet.chain.genesis import Genesis
from catenet.testing.simulator.chain_store import ChainStore
from catenet.types.application import (
    Application,
    BlockOutcome,
    CheckResult,
    FinalizeBlock,
    InitChain,
    InitChainResult,
    Query,
)
from support.abci import Process, Told, hosted, process, wait_until_noticed
from support.apps import MemoryState

T = TypeVar("T")


class Alive:
    """An application in a process, hosted, at the start of a chain."""

    def __init__(self, served: Process, app: HostedApplication, told: Told, state: MemoryState) -> None:
        self.served, self.app, self.told, self.state = served, app, told, state
        self.halts: list[str] = []

    def finish(self) -> None:
        while self.told.head < self.told.length:
            self.told.execute(self.app)
        assert self.state.height == self.told.length
        assert self.app.query(Query(data=b"key3")).value == b"3"
        assert self.halts == []


@pytest.fixture
def alive(chain: tuple[Genesis, ChainStore]) -> Iterator[Alive]:
    state = MemoryState()
    told = Told(chain)
    with process(lambda: KeyValue(state)) as served, hosted(served, told.shake) as app:
        made = Alive(served, app, told, state)
        app.started(told.shake(app), made.halts.append)
        told.shaken = 0
        yield made


def test_a_chain_is_executed_over_abci_as_in_process(alive: Alive) -> None:
    alive.finish()
    assert alive.told.shaken == 0
    assert alive.served.flushes == alive.told.length
    assert alive.app.check_txs([b"a=1", b"nothing"], recheck=False)[1].code == 2
    assert alive.app.query(Query(data=b"no")).code == 1


def test_an_application_that_dies_before_a_block_is_asked_again(alive: Alive) -> None:
    alive.told.execute(alive.app)
    alive.served.restart()
    alive.finish()


def test_what_was_executed_and_not_committed_is_executed_again(alive: Alive) -> None:
    alive.told.execute(alive.app)
    alive.told.execute(alive.app, between=alive.served.restart)
    assert alive.state.height == 2

    def noticed_by_a_check() -> None:
        alive.served.restart()
        wait_until_noticed(alive.app)
        alive.app.check_txs([b"a=1"], recheck=True)

    alive.told.execute(alive.app, between=noticed_by_a_check)
    assert alive.state.height == 3
    alive.finish()


def test_an_application_that_lost_all_gets_the_whole_chain(alive: Alive) -> None:
    for _ in range(4):
        alive.told.execute(alive.app)
    alive.state.height = 0
    alive.state.values.clear()
    alive.served.restart()
    alive.finish()
    assert alive.told.shaken == 1


def test_a_new_life_before_the_first_block_gets_the_genesis_again(
    chain: tuple[Genesis, ChainStore], halts: list[str]
) -> None:
    state = MemoryState()
    told = Told(chain)
    made: list[Genesisless] = []

    def make() -> Application:
        made.append(Genesisless(state))
        return made[-1]

    with process(make) as served, hosted(served, told.shake) as app:
        app.started(told.shake(app), halts.append)
        served.restart()
        wait_until_noticed(app)
        told.execute(app)
    assert made[-1].began


class Genesisless(KeyValue):
    """Notes whether it was told of the genesis in this life."""

    began = False

    def init_chain(self, request: InitChain) -> InitChainResult:
        self.began = True
        return super().init_chain(request)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_deaths_at_random_places_change_nothing(
    chain: tuple[Genesis, ChainStore], halts: list[str], seed: int
) -> None:
    chance = random.Random(seed)
    state = MemoryState()
    told = Told(chain)

    class Dying(KeyValue):
        """Dies in some of its calls, before or after doing what was asked."""

        def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
            return self._or_die(lambda: super(Dying, self).finalize_block(request))

        def check_txs(self, txs: Sequence[bytes], *, recheck: bool) -> Sequence[CheckResult]:
            return self._or_die(lambda: super(Dying, self).check_txs(txs, recheck=recheck))

        def _or_die(self, call: Callable[[], T]) -> T:
            fate = chance.random()
            if fate < 0.15:
                reborn()
            made = call()
            if fate > 0.85:
                reborn()
            return made

    def reborn() -> None:
        threading.Thread(target=served.restart).start()

    with process(lambda: Dying(state)) as served, hosted(served, told.shake) as app:
        app.started(told.shake(app), halts.append)
        while told.head < told.length:
            app.check_txs([b"a=1"], recheck=False)
            told.execute(app)
        assert state.height == told.length
        assert served.lives > 1
        assert halts == []
