"""One node of a simulation: the production core, its effects under the law of durability, its many lives.

The law itself is production code (`catenet.node.outbox`), and so are the guard, the codecs of records and
frames, the application and its handshake. What lives here pretends to be the loop, the clock and the timers.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import assert_never

from catenet.chain.vote import Proposal, Vote
from catenet.core.node import Node
from catenet.node.handshake import shake_hands
from catenet.node.outbox import Outbox
from catenet.node.perform import BAN_S
from catenet.testing.simulator.chain_store import ChainStore, MemoryState
from catenet.testing.simulator.codec import decode_frames, decode_record, encode_frame, encode_record
from catenet.testing.simulator.conduct import Conduct, unwarned
from catenet.testing.simulator.disk import Disk
from catenet.testing.simulator.home import open_journal
from catenet.testing.simulator.keys import SimulatedKey, verify
from catenet.testing.simulator.worker import Worker
from catenet.testing.simulator.world import EPOCH_NS, World
from catenet.types import effects, events
from catenet.types.clock import Instant
from catenet.types.effects import Effect
from catenet.types.events import Event, TimerKey
from catenet.types.ids import Address
from catenet.types.messages import Found, Message
from catenet.types.records import Record, RejoinRecord

FLUSH = 0.3
"""How often blocks and application state are flushed at a commit."""


class Host:
    """One process of a validator, over all its lives."""

    def __init__(
        self, world: World, index: int, *, conduct: Conduct | None = None, identity: int | None = None
    ) -> None:
        """`conduct` makes it a traitor. `identity`: whose key it has, when it is not the `index`-th."""
        config, chooser = world.config, world.chooser
        self.index = index
        self.life = 0
        self.alive = False
        self.crashes = 0
        self.conduct = conduct
        self.key = SimulatedKey.of(index if identity is None else identity)
        self.address = self.key.public.address
        self.chain = ChainStore()
        self.state = MemoryState()
        self.disk = Disk(world.schedule, chooser, config.fsync_us)
        self._world = world
        self._worker = Worker(world.schedule, chooser, config.execute_us)
        self._skew_ns = chooser.between(-config.clock_skew_us, config.clock_skew_us) * 1000
        self._drift_ppm = chooser.between(-config.clock_drift_ppm, config.clock_drift_ppm)
        self._boot_us = 0
        self._timers: dict[TimerKey, int] = {}
        self._timer_count = 0
        self._answers: deque[Event] = deque()
        self.on_signature: Callable[[Vote | Proposal], bool] | None = None
        """Called when the guard signs, until it answers True: crashes are aimed by it."""

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
        self._app = world.application(self.index, self.state)
        records, self._signer = open_journal(
            self.disk,
            self._outbox,
            key=self.key,
            chain_id=world.genesis.chain_id,
            journals=world.monitor.journals,
        )
        self._core = self._restore(records)
        self._happened("starts")
        world.network.set_alive(self.index, alive=True)
        if self.conduct is not None:
            self.conduct.begin()
        self.handle(events.Started())

    def _restore(self, records: Sequence[Record]) -> Node:
        state = shake_hands(self._app, self._world.genesis, self.chain)
        core = Node(
            self._world.config.core,
            state,
            address=self.address,
            window=self.chain,
            reader=self.chain,
            history=self.chain,
            verify=verify,
        )
        core.restore(records)
        return core

    def replayed(self) -> Node:
        """Return another core, restored from all that was handed to the disk. What it wants is not done."""
        core = self._restore([decode_record(data) for data in self.disk.handed_in()])
        core.handle(events.Started(), self.now())
        return core

    def crash(self) -> None:
        """Lose power."""
        if not self.alive:
            return
        chooser = self._world.chooser
        self.alive = False
        self.life += 1
        self.crashes += 1
        if self.conduct is None:
            self._world.monitor.reached("crashes")
        self._world.monitor.note(f"{self._world.schedule.now_us} {self.index} crash")
        self._happened("crashes")
        self.disk.crash()
        self.chain.crash(chooser)
        self.state.crash(chooser, self.chain.head)
        self._worker.crash()
        self._world.network.set_alive(self.index, alive=False)

    def _happened(self, kind: str, text: str = "") -> None:
        if self._world.story is not None:
            self._world.story.happened(self._world.schedule.now_us, kind, self.index, text)

    def slow_down(self, call_us: int) -> None:
        """Let one call of the application take so long from here on."""
        self._worker.call_us = call_us

    def set_clock(self, ahead_us: int) -> None:
        """Let this node's wall clock be ahead of true time, or behind it, from here on."""
        self._skew_ns = ahead_us * 1000

    def distrusted(self) -> None:
        """Have the monitor expect contradictions of this node."""
        self._world.monitor.distrust(self.address)

    # Events.

    def now(self) -> Instant:
        """Return this node's idea of the time."""
        now_us = self._world.schedule.now_us
        mono_us = now_us - self._boot_us
        if self._drift_ppm:
            mono_us += mono_us * self._drift_ppm // 1_000_000
            now_us += now_us * self._drift_ppm // 1_000_000
        return Instant(mono_us=mono_us, wall_ns=EPOCH_NS + now_us * 1000 + self._skew_ns)

    def submit(self, event: events.Submitted) -> None:
        """Take a submission of a client."""
        self.handle(event)

    def handle(self, *turn: Event) -> None:
        """Take the events of one turn, and what the guard answers to each."""
        if not self.alive:
            return
        answers, core, now, perform = self._answers, self._core, self.now(), self._perform
        place = f"{self._world.schedule.now_us} {self.index} "
        for event in turn:
            answers.append(event)
            while answers:
                event = answers.popleft()
                self._world.monitor.note(place + type(event).__name__)
                for effect in core.handle(event, now):
                    perform(effect)
        self._outbox.end_turn()
        if self.conduct is not None:
            self.conduct.acted()

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
                self._append(record)
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
                world.monitor.reached("syncs")
                world.calls.blocks(self, effect)
            case effects.Overload():
                world.clients.overloaded(effect)
            case effects.Dropped() | effects.Abandoned():
                world.monitor.notice("dropped")
            case effects.Penalise(peer=peer, reason=reason, disconnect=disconnect):
                world.monitor.penalised(self.address, peer, reason, disconnect=disconnect)
                if disconnect:
                    self._cut_off(peer)
            case effects.Notice(name=name):
                world.monitor.notice(name)
            case effects.Halt(reason=reason):
                world.monitor.halted(self.address, reason)
            case _:
                assert_never(effect)

    def _append(self, record: Record) -> None:
        self._outbox.append(encode_record(record))
        if isinstance(record, RejoinRecord):
            self._signer.sign_above(record.height)
        self._world.monitor.journals.appended(self.address, record)

    def _release(self, released: Sequence[Effect]) -> None:
        # What leaves together travels together.
        frames: dict[int, list[bytes]] = {}
        hosts = self._world.hosts
        for effect in released:
            match effect:
                case effects.Broadcast(message=message):
                    self._speak(self._peers(), message, frames)
                case effects.Send(peer=address, message=message):
                    targets = [peer for peer in self._peers() if hosts[peer].address == address]
                    self._speak(targets, message, frames)
                case effects.Answer():
                    self._world.calls.answered(self, effect)
                case effects.Acknowledge():
                    # A traitor's promise is worth nothing: its clients go elsewhere after a while.
                    if self.conduct is None:
                        self._world.clients.acknowledged(effect)
                case effects.CommitBlock():
                    self._commit(effect)
                case _:
                    raise AssertionError(f"{type(effect).__name__} is never held back")
        for peer, bundle in frames.items():
            self.carry(peer, bundle)

    def _cut_off(self, peer: Address) -> None:
        for host in self._world.hosts:
            if host.address == peer:
                self._world.network.ban(self.index, host.index, int(BAN_S * 1_000_000))

    def _peers(self) -> Sequence[int]:
        return self._world.network.connected(self.index)

    def _speak(self, peers: Sequence[int], message: Message, frames: dict[int, list[bytes]]) -> None:
        """Put a message among the frames of the peers that it goes to."""
        if self.conduct is not None:
            for peer in peers:
                said = [encode_frame(each) for each in self.conduct.says(peer, message)]
                if said:
                    frames.setdefault(peer, []).extend(said)
            return
        self._world.monitor.leaves(self.address, message)
        frame = encode_frame(message)
        for peer in peers:
            frames.setdefault(peer, []).append(frame)

    def carry(self, peer: int, frames: Sequence[bytes]) -> None:
        """Put frames on the link to a place: they arrive together or not at all."""
        world, sent_us = self._world, self._world.schedule.now_us
        target = world.hosts[peer]
        carried = world.network.carry(self.index, peer, lambda: target.receive(self, frames, sent_us))
        if world.story is not None and not carried:
            for message in decode_frames(frames):
                world.story.lost(sent_us, self.index, peer, message)

    def receive(self, sender: "Host", frames: Sequence[bytes], sent_us: int) -> None:
        """Take frames of a peer, in one turn."""
        world, source, conduct = self._world, sender.address, self.conduct
        messages = decode_frames(frames)
        if world.story is not None:
            for message in messages:
                world.story.arrived(sent_us, world.schedule.now_us, sender.index, self.index, message)
        if conduct is not None:
            messages = [heard for each in messages for heard in conduct.hears(source, unwarned(each))]
        self.handle(*[events.Received(peer=source, message=message) for message in messages])

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
        if isinstance(answer, events.Refused):
            self._world.monitor.refused(self.address, answer.reason)
        if isinstance(answer, events.Signed):
            self._world.monitor.signed(self.address, answer.item)
            if self._world.story is not None:
                self._happened("signs", self._world.story.item(answer.item))
            if isinstance(item, Vote) and item.is_nil and self.conduct is None:
                self._world.monitor.judged(self.address, self._core.consensus.state)
            if self.on_signature is not None and self.on_signature(answer.item):
                self.on_signature = None
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
                    lambda: app.process_proposal(process) and not self._rejects(),
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

    def _rejects(self) -> bool:
        """Whether an application that is not deterministic says no this time; one node has it."""
        world = self._world
        fickle = self.index == 0 and world.network.chaos
        return fickle and world.chooser.chance(world.config.rejections)

    def _commit(self, effect: effects.CommitBlock) -> None:
        world, life = self._world, self.life
        if world.story is not None:
            self._happened(
                "decides", f"{effect.height}/{effect.commit.round} {world.story.name(effect.block_id)}"
            )
        world.monitor.commits(self.address, effect)

        def work() -> None:
            # The store first, as in production: the application is never ahead of it.
            self.chain.store(effect)
            self._app.commit()
            if world.chooser.chance(FLUSH):
                self.chain.flush()
                self.state.flush()

        self._worker.run(work, lambda _: self._post(events.Committed(height=effect.height), life))

    # What others get from this node.

    @property
    def core(self) -> Node:
        """The production core of this life."""
        return self._core

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Return what this node really answers to a fetch."""
        return found if self.conduct is None else self.conduct.finds(found)

    def serves(self, run: events.BlocksReceived) -> events.BlocksReceived | None:
        """Return what this node really serves of its blocks."""
        return run if self.conduct is None else self.conduct.serves(run)
