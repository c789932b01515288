"""What an application behind ABCI does that stops our node, and what does not."""

import threading
from dataclasses import replace

import pytest

from catenet.abci.link import Gone, Late
from catenet.apps.kv import KeyValue
from catenet.chain.genesis import Genesis
from catenet.chain.params import ConsensusParams
from catenet.testing.simulator.chain_store import ChainStore
from catenet.types.application import (
    Application,
    BlockOutcome,
    CheckResult,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    ProcessProposal,
    Query,
    QueryResult,
)
from catenet.types.errors import Corrupt, WrongState
from support.abci import EMPTY, GENESIS, Told, hosted, process, wait_until_noticed
from support.apps import MemoryState


@pytest.mark.slow
def test_one_that_stays_away_is_told_from_one_that_is_late(halts: list[str]) -> None:
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


def test_waiting_ends_when_the_node_stops(halts: list[str]) -> None:
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


def test_another_result_in_another_life_is_fatal(chain: tuple[Genesis, ChainStore], halts: list[str]) -> None:
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


def test_an_application_that_does_not_say_its_height_is_refused(halts: list[str]) -> None:
    with process(Forgetful) as served, hosted(served, lambda app: 1) as app:
        app.init_chain(GENESIS)
        app.started(0, halts.append)
        app.finalize_block(EMPTY)
        with pytest.raises(Corrupt, match="says that it is at height 0 after it committed 1"):
            app.commit()


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
        app.init_chain(GENESIS)
        with pytest.raises(WrongState, match="finalize_block at height 1 failed: RuntimeError: finalize"):
            app.finalize_block(EMPTY)
        assert served.halted == ["finalize_block at height 1 failed: RuntimeError: finalize"]


def test_an_update_of_parameters_starts_from_those_in_force() -> None:
    class Updating(Forgetful):
        def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
            return BlockOutcome(results=(), app_hash=b"", param_updates=ConsensusParams(max_gas=5))

    with process(Updating) as served, hosted(served, params_before=lambda h: ConsensusParams()) as app:
        app.init_chain(GENESIS)
        assert app.finalize_block(EMPTY).param_updates == ConsensusParams(max_gas=5)
