"""One core, driven by hand: its effects are done at once, its timers wait to be run."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from catenet.chain.keys import PublicKey
from catenet.chain.params import ConsensusParams
from catenet.chain.state import ChainState
from catenet.core.config import CoreConfig
from catenet.core.guard import GuardState
from catenet.core.node import Node
from catenet.node.signer import Signer
from catenet.testing.simulator.chain_store import ChainStore
from catenet.types import effects, events
from catenet.types.application import BlockOutcome, CheckResult, TxResult
from catenet.types.clock import Instant
from catenet.types.effects import Effect
from catenet.types.records import Record
from support.chain import GENESIS_TIME_NS, make_genesis, make_keys

(KEY,) = make_keys(1)
GENESIS = make_genesis([KEY])
Prepare = Callable[[Sequence[bytes]], Sequence[bytes]]


class Solo:
    """Does a core's effects at once; timers wait for `run`."""

    def __init__(
        self,
        prepare: Prepare = list,
        params: Mapping[int, ConsensusParams] | None = None,
        refused_rounds: int = 0,
    ) -> None:
        """`params`: what the application changes the parameters to at some heights.

        `refused_rounds`: in so many rounds the application refuses whatever block it is asked about.
        """
        self.refused_rounds = refused_rounds
        self.store = ChainStore()
        self.params = params or {}
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
                self.refused_rounds -= 1
                self.inbox.append(
                    events.Processed(
                        height=process.height, block_hash=process.hash, accepted=self.refused_rounds < 0
                    )
                )
            case effects.Execute(height=height, request=execute):
                outcome = BlockOutcome(
                    results=tuple(TxResult() for _ in execute.txs),
                    app_hash=height.to_bytes(8, "big"),
                    param_updates=self.params.get(height),
                )
                self.inbox.append(events.Finalized(height=height, outcome=outcome))
            case effects.CommitBlock(height=height):
                self.store.store(effect)
                self.inbox.append(events.Committed(height=height))
            case _:
                pass
