"""Making a block takes time: what the height or the round left behind is dropped, or made anew."""

from catenet.chain.commit import EMPTY_COMMIT
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.machine import Batches
from catenet.core.consensus.io import Built
from catenet.core.evidence import EvidencePool
from catenet.core.proposing import Proposer
from catenet.types.clock import Instant
from catenet.types.effects import PrepareBlock
from catenet.types.events import Prepared
from support.batches import Window
from support.chain import make_chain
from support.evidence_traces import Court, History

NOW = Instant(mono_us=1_000_000, wall_ns=10**18)


class Bench:
    """The proposer of the first height, without transactions."""

    def __init__(self) -> None:
        self.chain = make_chain(4)
        address = self.chain.state.validators.proposer.address
        pool = Batches(BatchConfig(), address, Window())
        pool.restore((), 0, self.chain.state.last_time_ns)
        self.proposer = Proposer(pool, EvidencePool(History(self.chain), Court._verify), address)

    def build(self, round: int, height: int = 1) -> list[type]:
        state = self.chain.state
        return [type(o) for o in self.proposer.build(state, height, round, EMPTY_COMMIT, NOW)]

    def prepared(self, round: int, height: int = 1) -> list[type]:
        event = Prepared(height=height, round=round, txs=())
        return [type(o) for o in self.proposer.prepared(self.chain.state, event, NOW)]


def test_a_block_is_prepared_by_the_application_and_put_together() -> None:
    at = Bench()
    assert at.build(0) == [PrepareBlock]
    assert at.prepared(0) == [Built]
    # The answer counts once.
    assert at.prepared(0) == []


def test_a_request_for_another_height_is_out_of_date() -> None:
    at = Bench()
    assert at.build(0, height=2) == []
    assert at.prepared(0) == []


def test_one_block_is_made_at_a_time_and_the_newer_round_is_served_next() -> None:
    at = Bench()
    assert at.build(0) == [PrepareBlock]
    assert at.build(3) == []
    # The answer for round 0 comes: round 3 begins now.
    assert at.prepared(0) == [PrepareBlock]
    assert at.prepared(3) == [Built]


def test_a_height_that_was_decided_meanwhile_needs_no_block() -> None:
    at = Bench()
    assert at.build(0) == [PrepareBlock]
    at.chain.grow(1)
    assert at.prepared(0) == []
    assert at.proposer.choose(at.chain.state, NOW) == ()
