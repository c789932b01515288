"""One node of a simulation: the production core, its effects under the law of durability, its many lives.

The law itself is production code (`catenet.node.outbox`), and so are the guard, the codecs of records and
frames, the application and its handshake. What lives here pretends to be the loop, the clock and the timers.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import assert_never

from catenet.apps.kv import KeyValue
from catenet.chain.genesis import Genesis
from catenet.chain.vote import Proposal, Vote
from catenet.core.config import CoreConfig
from catenet.core.guard import GuardState, raised
from catenet.core.node import Node
from catenet.node.handshake import shake_hands
from catenet.node.outbox import Outbox
from catenet.node.signer import Signer
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chain_store import ChainStore, MemoryState
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.clients import Clients
from catenet.testing.simulator.codec import decode_frame, decode_record, encode_frame, encode_record
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.disk import Disk
from catenet.testing.simulator.keys import SimulatedKey, verify
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.schedule import Schedule
from catenet.testing.simulator.worker import Worker
from catenet.types import effects, events
from catenet.types.clock import Instant
from catenet.types.effects import Effect
from catenet.types.events import Event, TimerKey
from catenet.types.ids import Address
from catenet.types.records import Record, VoteRecord

FLUSH = 0.3
"""How often blocks and application state are flushed at a commit."""

EPOCH_NS = 1_700_000_000 * 10**9
"""Wall time at the start of every run."""


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


class Host:
    """One validator, over all its lives."""

    def __init__(self, world: World, index: int) -> None:
        config, chooser = world.config, world.chooser
        self.index = index
        self.life = 0
        self.alive = False
        self.crashes = 0
        self.key = SimulatedKey.of(index)
        self.address = self.key.public.address
        self.chain = ChainStore()
        self.state = MemoryState()
        self.disk = Disk(world.schedule, chooser, config.fsync_us)
        self._world = world
        self._worker = Worker(world.schedule, chooser, config.execute_us)
        self._skew_ns = chooser.between(-config.clock_skew_us, config.clock_skew_us) * 1000
        self._boot_us = 0
        self._timers: dict[TimerKey, int] = {}
        self._timer_count = 0
        self._answers: deque[Event] = deque()
        self.on_next_signature: Callable[[], None] | None = None
        """Called once, when the guard signs next: crashes are aimed by it."""

    # Lives.

    def start(self) -> None:
        """Begin a life from what is on disk."""
        world = self._world
        self.life += 1
        self.alive = True
        self._timers = {}
        self._answers.clear()
        self._boot_us = world.schedule.now_us - world.chooser.choose(1_000_000)
        self._outbox = Outbox()
        self._outbox.start(write=self.disk.write, release=self._release)
        self.disk.open(self._outbox.on_durable)
        self._app = KeyValue(self.state)
        records = self._read_journal()
        self._core = self._restore(records)
        world.network.set_alive(self.index, alive=True)
        self.handle(events.Started())

    def _read_journal(self) -> list[Record]:
        """Read journal and guard, and bring them to agree (consensus.md 4, restart step 3)."""
        chain_id = self._world.genesis.chain_id
        records = [decode_record(data) for data in self.disk.records]
        votes = [record.vote for record in records if isinstance(record, VoteRecord)]
        state = GuardState.decode(self.disk.guard or b"")
        last = state.vote()
        if last is not None and last not in votes:
            lost = VoteRecord(vote=last)
            records.append(lost)
            self._outbox.append(encode_record(lost))
        for vote in votes:
            state = raised(state, vote, chain_id)
        journals = self._world.monitor.journals
        journals.opened(self.address)
        for record in records:
            journals.appended(self.address, record)
        self._signer = Signer(key=self.key, chain_id=chain_id, state=state, rejoin_height=0)
        return records

    def _restore(self, records: Sequence[Record]) -> Node:
        state = shake_hands(self._app, self._world.genesis, self.chain)
        core = Node(
            CoreConfig(),
            state,
            address=self.address,
            window=self.chain,
            reader=self.chain,
            history=self.chain,
            verify=verify,
        )
        core.restore(records)
        return core

    def crash(self) -> None:
        """Lose power."""
        if not self.alive:
            return
        chooser = self._world.chooser
        self.alive = False
        self.life += 1
        self.crashes += 1
        self._world.monitor.note(f"{self._world.schedule.now_us} {self.index} crash")
        self.disk.crash()
        self.chain.crash(chooser)
        self.state.crash(chooser, self.chain.head)
        self._worker.crash()
        self._world.network.set_alive(self.index, alive=False)

    # Events.

    def now(self) -> Instant:
        """Return this node's idea of the time."""
        now_us = self._world.schedule.now_us
        return Instant(mono_us=now_us - self._boot_us, wall_ns=EPOCH_NS + now_us * 1000 + self._skew_ns)

    def submit(self, event: events.Submitted) -> None:
        """Take a submission of a client."""
        self.handle(event)

    def handle(self, event: Event) -> None:
        """Take one event, and what the guard answers within the same turn."""
        if not self.alive:
            return
        self._answers.append(event)
        while self._answers:
            event = self._answers.popleft()
            self._world.monitor.note(f"{self._world.schedule.now_us} {self.index} {type(event).__name__}")
            for effect in self._core.handle(event, self.now()):
                self._perform(effect)
        self._outbox.end_turn()

    def link(self, peer: int, *, up: bool) -> None:
        """Learn that a connection came up or went down."""
        self.handle(events.LinkChanged(peer=self._world.hosts[peer].address, up=up))

    def _post(self, event: Event, life: int) -> None:
        if life == self.life:
            self.handle(event)

    # Effects.

    def _perform(self, effect: Effect) -> None:
        world = self._world
        match effect:
            case effects.Append(record=record):
                self._outbox.append(encode_record(record))
                world.monitor.journals.appended(self.address, record)
            case (
                effects.Send()
                | effects.Broadcast()
                | effects.Answer()
                | effects.Acknowledge()
                | effects.CommitBlock()
            ):
                self._outbox.hold(effect)
            case effects.SetTimer(key=key, delay_us=delay_us):
                self._set_timer(key, delay_us)
            case effects.Sign(item=item):
                self._sign(item)
            case effects.CheckTxs() | effects.PrepareBlock() | effects.ProcessBlock() | effects.Execute():
                self._ask_application(effect)
            case effects.Fetch():
                world.calls.fetch(self, effect)
            case effects.RequestBlocks():
                world.calls.blocks(self, effect)
            case effects.Overload():
                world.clients.overloaded(effect)
            case effects.Dropped() | effects.Abandoned():
                world.monitor.notice("dropped")
            case effects.Penalise(peer=peer, reason=reason, disconnect=disconnect):
                world.monitor.penalised(self.address, peer, reason, disconnect=disconnect)
            case effects.Notice(name=name):
                world.monitor.notice(name)
            case effects.Halt(reason=reason):
                world.monitor.halted(self.address, reason)
            case _:
                assert_never(effect)

    def _release(self, released: Sequence[Effect]) -> None:
        for effect in released:
            match effect:
                case effects.Broadcast(message=message):
                    self._world.monitor.leaves(self.address, message)
                    frame = encode_frame(message)
                    for peer in self._world.network.connected(self.index):
                        self._carry(peer, frame)
                case effects.Send(peer=address, message=message):
                    self._world.monitor.leaves(self.address, message)
                    for peer in self._world.network.connected(self.index):
                        if self._world.hosts[peer].address == address:
                            self._carry(peer, encode_frame(message))
                case effects.Answer():
                    self._world.calls.answered(self, effect)
                case effects.Acknowledge():
                    self._world.clients.acknowledged(effect)
                case effects.CommitBlock():
                    self._commit(effect)
                case _:
                    raise AssertionError(f"{type(effect).__name__} is never held back")

    def _carry(self, peer: int, frame: bytes) -> None:
        target = self._world.hosts[peer]
        self._world.network.carry(self.index, peer, lambda: target.receive(self.address, frame))

    def receive(self, source: Address, frame: bytes) -> None:
        """Take a frame of a peer."""
        for message in decode_frame(frame).messages:
            self.handle(events.Received(peer=source, message=message))

    def _set_timer(self, key: TimerKey, delay_us: int) -> None:
        self._timer_count += 1
        number, life = self._timer_count, self.life
        self._timers[key] = number

        def fire() -> None:
            if life == self.life and self._timers.get(key) == number:
                del self._timers[key]
                self.handle(events.TimerFired(key=key))

        self._world.schedule.after(delay_us, fire)

    def _sign(self, item: Vote | Proposal) -> None:
        answer = self._signer.sign(item, self._outbox.guard)
        if isinstance(answer, events.Signed):
            self._world.monitor.signed(self.address, answer.item)
            aimed, self.on_next_signature = self.on_next_signature, None
            if aimed is not None:
                aimed()
        # The answer belongs to the same turn: nothing may come between.
        self._answers.append(answer)

    def _ask_application(
        self, effect: effects.CheckTxs | effects.PrepareBlock | effects.ProcessBlock | effects.Execute
    ) -> None:
        app, run, life = self._app, self._worker.run, self.life
        match effect:
            case effects.CheckTxs(request=request, txs=txs, recheck=recheck):
                run(
                    lambda: app.check_txs(txs, recheck=recheck),
                    lambda results: self._post(events.TxsChecked(request=request, results=results), life),
                )
            case effects.PrepareBlock(height=height, round=round_, request=prepare):
                run(
                    lambda: app.prepare_proposal(prepare),
                    lambda txs: self._post(events.Prepared(height=height, round=round_, txs=txs), life),
                )
            case effects.ProcessBlock(request=process):
                run(
                    lambda: app.process_proposal(process),
                    lambda accepted: self._post(
                        events.Processed(height=process.height, block_hash=process.hash, accepted=accepted),
                        life,
                    ),
                )
            case effects.Execute(height=height, request=execute):
                run(
                    lambda: app.finalize_block(execute),
                    lambda outcome: self._post(events.Finalized(height=height, outcome=outcome), life),
                )
            case _:
                assert_never(effect)

    def _commit(self, effect: effects.CommitBlock) -> None:
        world, life = self._world, self.life
        world.monitor.commits(self.address, effect)

        def work() -> None:
            # The store first, as in production: the application is never ahead of it.
            self.chain.store(effect)
            self._app.commit()
            if world.chooser.chance(FLUSH):
                self.chain.flush()
                self.state.flush()

        self._worker.run(work, lambda _: self._post(events.Committed(height=effect.height), life))
