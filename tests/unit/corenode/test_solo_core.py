"""A core alone, driven by hand: a submission becomes a final block; an application may propose badly."""

from collections import deque
from collections.abc import Callable, Sequence

import pytest

from catenet.chain.keys import PublicKey
from catenet.chain.state import ChainState
from catenet.core.config import CoreConfig
from catenet.core.guard import GuardState
from catenet.core.node import Node
from catenet.core.serving import BLOCKS_MAX
from catenet.node.signer import Signer
from catenet.testing.simulator.chain_store import ChainStore
from catenet.types import effects, events
from catenet.types.application import BlockOutcome, CheckResult, TxResult
from catenet.types.clock import Instant
from catenet.types.effects import Effect
from catenet.types.messages import Wanted
from catenet.types.records import CommitRecord, ExecutedRecord, Record
from support.chain import GENESIS_TIME_NS, make_genesis, make_keys

(KEY,) = make_keys(1)
GENESIS = make_genesis([KEY])
TXS = [b"a=1", b"b=2", b"a=1"]

Prepare = Callable[[Sequence[bytes]], Sequence[bytes]]


class Solo:
    """Does a core's effects at once; timers wait for `run`."""

    def __init__(self, prepare: Prepare = list) -> None:
        self.store = ChainStore()
        self.prepare = prepare
        self.done: list[Effect] = []
        self.records: list[Record] = []
        self.timers: dict[events.TimerKey, int] = {}
        self.now_us = 0
        self.inbox: deque[events.Event] = deque()
        self.signer = Signer(key=KEY, chain_id=GENESIS.chain_id, state=GuardState(), rejoin_height=0)
        self.core = Node(
            CoreConfig(),
            ChainState.genesis(GENESIS),
            address=KEY.public.address,
            window=self.store,
            reader=self.store,
            history=self.store,
            verify=PublicKey.verify,
        )
        self.core.restore(())
        self.give(events.Started())

    def give(self, event: events.Event) -> None:
        self.inbox.append(event)
        while self.inbox:
            now = Instant(mono_us=self.now_us, wall_ns=GENESIS_TIME_NS + self.now_us * 1000)
            for effect in self.core.handle(self.inbox.popleft(), now):
                self.perform(effect)

    def run(self, until_us: int) -> None:
        while self.timers and (key := min(self.timers, key=lambda k: self.timers[k])) is not None:
            if self.timers[key] > until_us:
                break
            self.now_us = max(self.now_us, self.timers.pop(key))
            self.give(events.TimerFired(key=key))
        self.now_us = until_us

    def perform(self, effect: Effect) -> None:
        self.done.append(effect)
        match effect:
            case effects.Append(record=record):
                self.records.append(record)
            case effects.SetTimer(key=key, delay_us=delay_us):
                self.timers[key] = self.now_us + delay_us
            case effects.Sign(item=item):
                self.inbox.appendleft(self.signer.sign(item, lambda _: None))
            case effects.CheckTxs(request=request, txs=txs):
                self.inbox.append(events.TxsChecked(request=request, results=[CheckResult()] * len(txs)))
            case effects.PrepareBlock(height=height, round=round_, request=prepare):
                self.inbox.append(events.Prepared(height=height, round=round_, txs=self.prepare(prepare.txs)))
            case effects.ProcessBlock(request=process):
                self.inbox.append(
                    events.Processed(height=process.height, block_hash=process.hash, accepted=True)
                )
            case effects.Execute(height=height, request=execute):
                outcome = BlockOutcome(
                    results=tuple(TxResult() for _ in execute.txs), app_hash=height.to_bytes(8, "big")
                )
                self.inbox.append(events.Finalized(height=height, outcome=outcome))
            case effects.CommitBlock(height=height):
                self.store.store(effect)
                self.inbox.append(events.Committed(height=height))
            case _:
                pass


def test_a_submission_becomes_a_final_block_in_the_order_of_the_law() -> None:
    solo = Solo()
    solo.give(events.Submitted(ticket=1, client="c", txs=TXS, level=events.Level.COMMITTED))
    solo.run(2_000_000)
    committed = [effect for effect in solo.done if isinstance(effect, effects.CommitBlock)]
    assert [tx for effect in committed for tx in effect.block.txs] == [b"a=1", b"b=2"]
    assert solo.store.head == solo.core.state.last_height == len(committed)
    for effect in committed:
        at = solo.done.index(effect)
        before = [
            type(e.record)
            for e in solo.done[:at]
            if isinstance(e, effects.Append)
            and isinstance(e.record, CommitRecord | ExecutedRecord)
            and e.record.height == effect.height
        ]
        assert before == [CommitRecord, ExecutedRecord]
    reached = [e.reached for e in solo.done if isinstance(e, effects.Acknowledge)]
    assert reached == [events.Level.ACCEPTED, events.Level.REPLICATED]


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda txs: [*txs, b"x" * 300_000], id="more inline than a manifest holds"),
        pytest.param(lambda txs: [*txs, *txs], id="everything twice"),
        pytest.param(lambda txs: [b"new=1", *reversed(txs)], id="added and reordered"),
    ],
)
def test_whatever_an_application_proposes_each_transaction_is_committed_once(prepare: Prepare) -> None:
    solo = Solo(prepare)
    solo.give(events.Submitted(ticket=1, client="c", txs=TXS, level=events.Level.COMMITTED))
    solo.run(2_000_000)
    txs = [tx for e in solo.done if isinstance(e, effects.CommitBlock) for tx in e.block.txs]
    assert [txs.count(tx) for tx in (b"a=1", b"b=2")] == [1, 1]
    assert solo.core.pending_count == 0
    assert not [effect for effect in solo.done if isinstance(effect, effects.Halt)]


def test_one_fetch_gets_a_bounded_number_of_blocks() -> None:
    solo = Solo()
    solo.run(1_000_000)
    stored = solo.store.block(1)
    assert stored is not None
    wanted = Wanted(block_hashes=(stored.block_id.hash,) * (BLOCKS_MAX + 5), height=1)
    solo.give(events.FetchRequested(request=5, peer=b"p" * 20, wanted=wanted))
    (answer,) = [effect for effect in solo.done if isinstance(effect, effects.Answer)]
    assert len(answer.found) == BLOCKS_MAX
