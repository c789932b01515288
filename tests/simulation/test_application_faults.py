"""The author's kit finds what an application may not do, and says where."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count

import pytest

from catenet.apps.kv import KeyValue
from catenet.testing.network import SimulatedNetwork
from catenet.testing.simulator.config import Violation
from catenet.testing.submission import NotCommitted
from catenet.testing.watch import ApplicationFailed, Divergence
from catenet.types.application import (
    OK,
    Application,
    BlockOutcome,
    CommitResult,
    FinalizeBlock,
    Info,
    ProcessProposal,
    TxResult,
    ValidatorUpdate,
)
from catenet.types.ports import StateStore

Bend = Callable[[int, BlockOutcome], BlockOutcome]
"""(number of the instance, outcome): the outcome that it gives instead."""


def bent(bend: Bend) -> Callable[[], Application]:
    """Return a factory of applications that give other outcomes for `x`."""
    numbers = count()

    class Bent(Application):
        def __init__(self) -> None:
            self.number = next(numbers)

        def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
            right = BlockOutcome(results=(OK,) * len(request.txs), app_hash=bytes(32))
            return bend(self.number, right) if b"x" in request.txs else right

    return Bent


def outcome(
    base: BlockOutcome, *, code: int = 0, app_hash: bytes = bytes(32), power: int = 0
) -> BlockOutcome:
    """Return an outcome that differs in what is named."""
    updates = (ValidatorUpdate(public_key=bytes(32), power=power),) if power else ()
    results = tuple(TxResult(code=code) for _ in base.results)
    return BlockOutcome(results=results, app_hash=app_hash, validator_updates=updates)


@pytest.mark.parametrize(
    ("bend", "text"),
    [
        (lambda number, base: outcome(base, app_hash=bytes([number]) * 32), r"the application hash: 0\d"),
        (
            lambda number, base: outcome(base, code=number // 3),
            r"transaction 0 \(b'x'\): code 0, .*; code 1, .* node 3",
        ),
        (lambda number, base: outcome(base, power=1 + (number == 1)), r"the validator updates: .* power 2"),
    ],
)
def test_applications_that_differ_are_found_with_height_nodes_and_values(bend: Bend, text: str) -> None:
    network = SimulatedNetwork(bent(bend), seed=3)
    network.submit(b"x")
    with pytest.raises(Divergence, match=rf"at height 2 .*{text}.*seed 3, after 0\.\d+ virtual"):
        network.settle()


def test_a_restart_that_gives_something_else_is_found() -> None:
    # The fifth instance is node 2 after its crash. With this seed it executes the block again.
    network = SimulatedNetwork(bent(lambda number, base: outcome(base, code=number // 4)), seed=2)
    network.submit(b"x").wait()
    network.settle()
    network.crash(2)
    with pytest.raises(
        Divergence, match=r"code 0, .* at node 0, node 1, node 2, node 3; code 1, .* at node 2 after 1 crash"
    ):
        network.restart(2)


def test_a_replay_that_gives_something_else_is_found_by_the_check() -> None:
    network = SimulatedNetwork(bent(lambda number, base: outcome(base, code=number // 4)))
    network.submit(b"x").wait()
    network.settle()
    with pytest.raises(Divergence, match=r"code 1, .* at a replay of the chain"):
        network.check()


def test_an_application_that_raises_is_named_with_node_height_and_its_own_traceback() -> None:
    def fail(number: int, base: BlockOutcome) -> BlockOutcome:
        raise KeyError("no such account")

    network = SimulatedNetwork(bent(fail))
    with pytest.raises(
        ApplicationFailed, match=r"node \d: .*finalize_block raised KeyError at height 2"
    ) as found:
        network.submit(b"x").wait()
    cause = found.value.__cause__
    assert isinstance(cause, KeyError)
    trace = cause.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "fail"
    assert "no such account" in network.story()


def test_too_few_results_are_found() -> None:
    network = SimulatedNetwork(bent(lambda number, base: BlockOutcome(results=(), app_hash=b"")))
    with pytest.raises(
        Violation, match=r"node \d: halts: the application gave 0 results for 1 tr.* height 2"
    ):
        network.submit(b"x").wait()


def test_nodes_that_judge_a_block_differently_are_found() -> None:
    numbers = count()

    class Moody(KeyValue):
        def __init__(self, store: StateStore) -> None:
            super().__init__(store)
            self.number = next(numbers)

        def process_proposal(self, request: ProcessProposal) -> bool:
            return self.number != 3

    network = SimulatedNetwork(Moody)
    with pytest.raises(Divergence, match=r"process_proposal: accepted at node [012].*; refused at node 3"):
        network.submit(b"a=1").wait()


@pytest.mark.slow
def test_blocks_that_are_all_refused_are_named_when_nothing_comes() -> None:
    class Never(KeyValue):
        def process_proposal(self, request: ProcessProposal) -> bool:
            return not request.txs

    network = SimulatedNetwork(Never)
    with pytest.raises(NotCommitted, match=r"process_proposal refused \d+ proposed blocks"):
        network.submit(b"a=1").wait(seconds=5)


class Stored(Application):
    """Writes its height at one time or another."""

    def __init__(self, store: StateStore) -> None:
        self.store = store
        self.height = store.height

    def info(self) -> Info:
        return Info(last_block_height=self.store.height)

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        self.height = request.height
        digest = sha256(b"%d" % request.height).digest()
        return BlockOutcome(results=(OK,) * len(request.txs), app_hash=digest)

    def commit(self) -> CommitResult:
        self.store.write(self.height, [])
        return CommitResult()


class Early(Stored):
    """Writes before its chain does."""

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        self.store.write(request.height, [])
        return super().finalize_block(request)


class Wrong(Stored):
    """Writes another height than the block's."""

    def commit(self) -> CommitResult:
        self.store.write(self.height + 1, [])
        return CommitResult()


class Different(Stored):
    """Stores what is in no hash: each instance something else."""

    def commit(self) -> CommitResult:
        self.store.write(self.height, [(b"id", b"%d" % id(self))])
        return CommitResult()


def test_a_store_is_written_at_commit_with_the_height_of_the_block_only() -> None:
    SimulatedNetwork(Stored).submit(b"a").wait()
    with pytest.raises(ApplicationFailed, match=r"node \d: writes height 1 to its store outside of commit"):
        SimulatedNetwork(Early).submit(b"a").wait()
    with pytest.raises(ApplicationFailed, match="writes height 2 to its store, and is to write height 1"):
        SimulatedNetwork(Wrong).submit(b"a").wait()


def test_stores_that_differ_are_found_by_the_check() -> None:
    network = SimulatedNetwork(Different)
    network.submit(b"a").wait()
    network.settle()
    with pytest.raises(Divergence, match=r"the state stores of nodes 0 and 1 differ at height \d"):
        network.check()


def test_an_application_that_is_ahead_of_its_chain_cannot_start() -> None:
    class Ahead(Stored):
        def info(self) -> Info:
            return Info(last_block_height=self.store.height + 1)

    with pytest.raises(ApplicationFailed, match="node 0 cannot start: the application is at height 1"):
        SimulatedNetwork(Ahead)
