"""An application behind ABCI dies, comes back and lies: our node goes on, or is stopped with a clear word."""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import pytest

from catenet.abci.host import HostedApplication
from catenet.abci.link import Gone, Late
from catenet.apps.kv import KeyValue
from catenet.chain.block import Block
from catenet.chain.genesis import Genesis
from catenet.chain.params import ConsensusParams
from catenet.chain.state import ChainState
from catenet.core.execution import finalize_request
from catenet.node.handshake import shake_hands
from catenet.testing.network import SimulatedNetwork
from catenet.testing.simulator.chain_store import ChainStore
from catenet.types.application import (
    Application,
    BlockOutcome,
    CheckResult,
    CommitInfo,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    ProcessProposal,
    Query,
    QueryResult,
)
from catenet.types.errors import Corrupt, WrongState
from catenet.types.ports import StoredBlock
from support.abci import Process, hosted, process
from support.apps import MemoryState

T = TypeVar("T")

BLOCKS = 8

halts: list[str] = []
"""Why the node was told to stop, in the test that runs."""


@pytest.fixture(autouse=True)
def no_halts() -> None:
    halts.clear()


@pytest.fixture(scope="module")
def chain() -> tuple[Genesis, ChainStore]:
    """A chain of some blocks with the key-value application, one of which changes a validator."""
    network = SimulatedNetwork(KeyValue)
    for number in range(BLOCKS):
        network.submit(b"key%d=%d" % (number, number)).wait()
    town = network._town
    return town.genesis, town.hosts[0].chain


class Told:
    """The stored chain as far as the node has come, and the node's part in executing it."""

    def __init__(self, chain: tuple[Genesis, ChainStore]) -> None:
        self.genesis, self._whole = chain
        self.head = 0
        self.shaken = 0

    lowest = 1

    def block(self, height: int) -> StoredBlock | None:
        return self._whole.block(height) if height <= self.head else None

    def outcome(self, height: int) -> BlockOutcome | None:
        return self._whole.outcome(height) if height <= self.head else None

    def state_at(self, height: int) -> ChainState | None:
        return self._whole.state_at(height) if height <= self.head else None

    def __getattr__(self, name: str) -> object:
        # What the handshake does not ask for.
        return getattr(self._whole, name)

    def shake(self, app: Application) -> int:
        self.shaken += 1
        return shake_hands(app, self.genesis, self).last_height  # type: ignore[arg-type]  # see __getattr__

    @property
    def length(self) -> int:
        return self._whole.head

    def request(self, height: int) -> FinalizeBlock:
        stored = self._whole.block(height)
        assert stored is not None
        before = self._whole.state_at(height - 1) or ChainState.genesis(self.genesis)
        return finalize_request(before, Block.decode(stored.raw), stored.block_id)

    def execute(self, app: HostedApplication, between: Callable[[], None] = lambda: None) -> None:
        """Execute the next block as the node does; `between` execution and commit something happens."""
        height = self.head + 1
        outcome = app.finalize_block(self.request(height))
        kept = self._whole.outcome(height)
        assert kept is not None
        assert outcome == kept
        between()
        self.head = height
        app.commit()


class Alive:
    """An application in a process, hosted, at the start of a chain."""

    def __init__(self, served: Process, app: HostedApplication, told: Told, state: MemoryState) -> None:
        self.served, self.app, self.told, self.state = served, app, told, state

    def finish(self) -> None:
        while self.told.head < self.told.length:
            self.told.execute(self.app)
        assert self.state.height == self.told.length
        assert self.app.query(Query(data=b"key3")).value == b"3"
        assert halts == []


@pytest.fixture
def alive(chain: tuple[Genesis, ChainStore]) -> Iterator[Alive]:
    state = MemoryState()
    told = Told(chain)
    with process(lambda: KeyValue(state)) as served, hosted(served, told.shake) as app:
        app.started(told.shake(app), halts.append)
        told.shaken = 0
        yield Alive(served, app, told, state)


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
    chain: tuple[Genesis, ChainStore],
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


def wait_until_noticed(app: HostedApplication) -> None:
    """Wait until gRPC has seen that the connection is gone."""
    for _ in range(500):
        if app._link.was_lost:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the end of the connection was not noticed")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_deaths_at_random_places_change_nothing(chain: tuple[Genesis, ChainStore], seed: int) -> None:
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


# What stops the node.


def test_one_that_stays_away_is_told_from_one_that_is_late() -> None:
    with process(Slow) as served, hosted(served, patience_s=0.5, answer_s=0.3) as app:
        app.started(0, halts.append)
        with pytest.raises(Late, match=r"did not answer Query within 0\.3 s"):
            app.query(Query(data=b""))
        assert halts == [], "who asks may ask again"
        # It is busy with the query still.
        with pytest.raises(Late, match="did not answer Info"):
            app.finalize_block(EMPTY)
        assert halts[0].endswith("did not answer Info within 0.3 s")
        Slow.go_on.set()
        served.kill()
        with pytest.raises(Gone, match=r"was not there for 0\.5 s; start it, then this node"):
            app.query(Query(data=b""))
        assert "was not there" in halts[-1]


class Slow(Application):
    """Does not answer until it is told to."""

    go_on = threading.Event()

    def query(self, request: Query) -> QueryResult:
        self.go_on.wait(20)
        return QueryResult()

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        self.go_on.wait(20)
        return BlockOutcome(results=(), app_hash=b"")


def test_waiting_ends_when_the_node_stops() -> None:
    with process(key_value) as served, hosted(served, patience_s=60) as app:
        app.started(0, halts.append)
        served.kill()
        threading.Timer(0.2, app.close).start()
        with pytest.raises(Gone, match="this node is stopping"):
            app.query(Query(data=b"a"))
        assert halts == []


def key_value() -> Application:
    return KeyValue(MemoryState())


class Fickle(KeyValue):
    """Comes to another hash in each of its lives."""

    lives = 0

    def __init__(self) -> None:
        super().__init__(MemoryState())
        Fickle.lives += 1
        self._life = bytes([Fickle.lives])

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        return replace(super().finalize_block(request), app_hash=self._life)


def test_another_result_in_another_life_is_fatal(chain: tuple[Genesis, ChainStore]) -> None:
    told = Told(chain)
    with process(Fickle) as served, hosted(served, told.shake) as app:
        app.started(told.shake(app), halts.append)
        app.finalize_block(told.request(1))
        served.restart()
        wait_until_noticed(app)
        with pytest.raises(Corrupt, match=r"executed height 1 again .* not deterministic"):
            app.check_txs([b"a=1"], recheck=False)
    assert "not deterministic" in halts[0]


class Forgetful(Application):
    """Never says what it has committed."""

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        return BlockOutcome(results=(), app_hash=b"")


def test_an_application_that_does_not_say_its_height_is_refused() -> None:
    with process(Forgetful) as served, hosted(served, lambda app: 1) as app:
        app.started(0, halts.append)
        app.finalize_block(EMPTY)
        with pytest.raises(Corrupt, match="says that it is at height 0 after it committed 1"):
            app.commit()


EMPTY = FinalizeBlock(
    txs=(),
    last_commit=CommitInfo(round=0, votes=()),
    misbehavior=(),
    hash=b"",
    height=1,
    time_ns=0,
    next_validators_hash=b"",
    proposer_address=b"",
)


class Extending(Forgetful):
    """Wants vote extensions."""

    def init_chain(self, request: InitChain) -> InitChainResult:
        return InitChainResult(params=replace(request.params, vote_extensions_height=2))


def test_vote_extensions_are_refused_at_once(chain: tuple[Genesis, ChainStore]) -> None:
    told = Told(chain)
    with process(Extending) as served, hosted(served) as app, pytest.raises(Corrupt, match="vote extensions"):
        told.shake(app)
    assert served.halted == []


class Raising(Forgetful):
    """Fails in everything."""

    def info(self) -> Info:
        return Info()

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        raise RuntimeError("check")

    def process_proposal(self, request: ProcessProposal) -> bool:
        raise RuntimeError("process")

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        raise RuntimeError("finalize")

    def query(self, request: Query) -> QueryResult:
        raise RuntimeError("query")


def test_faults_end_the_server_only_where_the_state_is_at_stake() -> None:
    with process(Raising) as served, hosted(served) as app:
        assert app.check_txs([b"a"], recheck=False)[0].code == 1
        assert app.query(Query(data=b"a")).log == "the application failed to answer"
        process_ = ProcessProposal(**{name: getattr(EMPTY, name) for name in ProcessProposal.__slots__})
        assert app.process_proposal(process_) is False
        assert served.halted == []
        with pytest.raises(WrongState, match="finalize_block at height 1 failed: RuntimeError: finalize"):
            app.finalize_block(EMPTY)
        assert served.halted == ["finalize_block at height 1 failed: RuntimeError: finalize"]


def test_an_update_of_parameters_starts_from_those_in_force() -> None:
    class Updating(Forgetful):
        def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
            return BlockOutcome(results=(), app_hash=b"", param_updates=ConsensusParams(max_gas=5))

    with process(Updating) as served, hosted(served, params_before=lambda h: ConsensusParams()) as app:
        assert app.finalize_block(EMPTY).param_updates == ConsensusParams(max_gas=5)
