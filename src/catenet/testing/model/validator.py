"""One honest validator: the production machine, the production guard, a journal that can lose its end.

What is between them follows the law of durability: what a turn sends leaves when its records are on disk.
"""

from collections.abc import Sequence
from typing import assert_never

from catenet.chain.vote import Proposal, Vote
from catenet.core import guard
from catenet.core.consensus.io import (
    Accuse,
    AppVerdict,
    BuildBlock,
    Built,
    CheckBlock,
    ConsensusConfig,
    Decided,
    FoundCompactBlock,
    Input,
    Output,
)
from catenet.core.consensus.machine import Consensus
from catenet.testing.model.moves import (
    BlockBuilt,
    Certificate,
    Committed,
    Content,
    Crash,
    Fact,
    Move,
    Proposed,
    Timer,
    Votes,
)
from catenet.testing.model.scene import NOW, QUORUM, VALIDATORS, Scene
from catenet.testing.simulator.keys import verify
from catenet.types.batch import Compact
from catenet.types.clock import Instant
from catenet.types.effects import Append, Broadcast, Halt, Penalise, Send, SetTimer, Sign
from catenet.types.events import LinkChanged, Received, Refused, Signed, Started, TimerFired, TimerKey
from catenet.types.ids import Address
from catenet.types.messages import Message, ProposalMessage, Status, VoteMessage
from catenet.types.records import CommitRecord, ProposalRecord, Record, VoteRecord


class Validator:
    """One honest validator over all its lives, in one height."""

    def __init__(self, scene: Scene, turn: int) -> None:
        self.scene = scene
        self.turn = turn
        self.address = scene.addresses[turn]
        self.now: Instant = NOW
        self.records: list[Record] = []
        self.slot = guard.GuardState()
        self.facts: dict[Fact, None] = {}
        """What left, signed, over all lives."""
        self.decided: str | None = None
        self.problems: list[str] = []
        """Faults that show in this validator alone: a halt, a refused vote, an honest peer accused."""
        self.crashes = 0
        self.events = 0
        """That the machine handled, in all lives."""
        self.sent: list[tuple[Address | None, Message]] = []
        """What left since it was last emptied; None: to everybody."""
        self.wishes: list[Output] = []
        """What else came out since it was last emptied."""
        self.armed: dict[TimerKey, int] = {}
        """Timers of this life, with their delays."""
        self.building: BuildBlock | None = None
        self._boot()

    # Moves.

    def take(self, move: Move) -> None:
        """Let something happen."""
        if isinstance(move, Crash):
            self._crash(move)
        elif self.decided is None:
            self._work(move)
            self._release()

    def _crash(self, move: Crash) -> None:
        self.crashes += 1
        before = len(self.records)
        if move.during is not None:
            self._work(move.during)
            self._lose(before + move.kept, guard_ahead=move.guard_ahead)
        if not any(isinstance(record, CommitRecord) for record in self.records):
            # A decision that is not on disk was shown to nobody.
            self.decided = None
            self._boot()

    def _lose(self, kept: int, *, guard_ahead: bool) -> None:
        """Forget what was not on disk: the guard's slot is beside its record, or one signature ahead."""
        del self.records[kept:]
        durable = [state for place, state in self._slots if place < kept or (guard_ahead and place == kept)]
        self.slot = durable[-1] if durable else self._slot_before

    def _work(self, move: Move) -> None:
        self._slots: list[tuple[int, guard.GuardState]] = []
        self._slot_before = self.slot
        self._outgoing: list[tuple[Address | None, Message]] = []
        for event in self._events(move):
            self.give(event)

    def _events(self, move: Move) -> Sequence[Input]:
        scene = self.scene
        anybody = scene.addresses[next(turn for turn in scene.honest if turn != self.turn)]
        traitor = scene.addresses[scene.traitor]
        match move:
            case Votes(casts=casts):
                return [
                    Received(peer=scene.addresses[cast.voter], message=scene.vote_message(cast))
                    for cast in casts
                ]
            case Certificate(casts=casts):
                peer = anybody if len(casts) >= QUORUM else traitor
                return [Received(peer=peer, message=scene.vote_set(casts))]
            case Proposed(made=made, polka=polka):
                message = scene.proposal(made, polka)
                return [Received(peer=scene.addresses[made.proposer], message=message)]
            case Committed(casts=casts):
                peer = anybody if len(casts) >= QUORUM else traitor
                return [Received(peer=peer, message=scene.committed(casts))]
            case Content(value=value):
                return [FoundCompactBlock(peer=anybody, compact=scene.candidates[value].compact)]
            case Timer(name=name, round=round):
                key = TimerKey(name=name, height=scene.chain.height, round=round)
                self.armed.pop(key, None)
                return [TimerFired(key=key)]
            case BlockBuilt():
                return [self._built()]
            case Crash():
                raise AssertionError("a crash is no event of the machine")
            case _:
                assert_never(move)

    def take_built(self) -> None:
        """Answer the pending wish for a block."""
        self.give_and_release(self._built())

    def give_and_release(self, event: Input) -> None:
        """Give the machine an event outside the model; what it sends leaves at once."""
        self.give(event)
        self._release()

    def compacts(self, block_hash: bytes) -> Sequence[Compact]:
        """Return the blocks of a hash that are here, decided or not."""
        found = [entry.compact for entry in self.machine.state.blocks.with_hash(block_hash)]
        decided = [
            block.compact
            for block in self.machine._ctx.decided.values()
            if block.commit.block_id.hash == block_hash
        ]
        return [compact for compact in (*found, *decided) if compact is not None]

    def _built(self) -> Built:
        request, self.building = self.building, None
        assert request is not None
        own = self.scene.candidates[f"C{self.turn}"]
        return Built(
            height=request.height,
            round=request.round,
            compact=own.compact,
            block_id=own.assembled.block_id,
        )

    # Lives.

    def _boot(self) -> None:
        """Begin a life from what is on disk; everybody answers at once, so that signing may begin."""
        self._slots, self._slot_before, self._outgoing = [], self.slot, []
        self.armed.clear()
        self.building = None
        scene = self.scene
        last = self.slot.vote()
        if last is not None and VoteRecord(vote=last) not in self.records:
            self.records.append(VoteRecord(vote=last))
        self.slot = guard.raised_by(self.slot, self.records, scene.chain.chain_id)
        self.machine = Consensus(ConsensusConfig(), scene.chain, self.address, scene, scene.check, verify)
        self.machine.restore(self.records)
        self._remember()
        self.give(Started())
        for turn in range(VALIDATORS):
            if turn != self.turn:
                peer = scene.addresses[turn]
                self.give(LinkChanged(peer=peer, up=True))
                self.give(Received(peer=peer, message=_FIRST_STATUS))
        self._release()

    def _remember(self) -> None:
        """What is signed and on disk counts as out from now on: a commit may carry it, or an answer."""
        for record in self.records:
            if isinstance(record, VoteRecord):
                self.facts[self.scene.cast_of(record.vote)] = None
            elif isinstance(record, ProposalRecord):
                self.facts[self.scene.made_of(record.proposal.signed, self.turn)] = None

    def give(self, event: Input) -> None:
        """Give the machine an event; sign, judge and record by itself."""
        inbox = [event]
        while inbox:
            self.events += 1
            for output in self.machine.handle(inbox.pop(0), self.now):
                answer = self._react(output)
                if answer is not None:
                    inbox.append(answer)

    def _react(self, output: Output) -> Input | None:
        match output:
            case Append(record=record):
                self.records.append(record)
            case Sign(item=item):
                return self._sign(item)
            case CheckBlock(height=height, block_hash=block_hash):
                return AppVerdict(height=height, block_hash=block_hash, accepted=True)
            case Broadcast(message=message):
                self._outgoing.append((None, message))
            case Send(peer=peer, message=message):
                self._outgoing.append((peer, message))
            case SetTimer(key=key, delay_us=delay_us):
                self.armed[key] = delay_us
            case BuildBlock():
                self.building = output
            case Decided(assembled=assembled):
                self.decided = self.scene.name(assembled.block_id)
            case Accuse(vote_a=vote):
                self._blame(vote.address, "accused")
            case Penalise(peer=peer, reason=reason):
                self._blame(peer, f"penalised for {reason}")
            case Halt(reason=reason):
                self.problems.append(f"v{self.turn} halts: {reason}")
            case _:
                self.wishes.append(output)
        return None

    def _blame(self, address: Address, how: str) -> None:
        turn = self.scene.turn_of(address)
        if turn != self.scene.traitor:
            self.problems.append(f"v{turn} is honest and {how} by v{self.turn}")

    def _sign(self, item: Vote | Proposal) -> Signed | Refused:
        chain_id = self.scene.chain.chain_id
        match guard.decide(self.slot, item, chain_id):
            case guard.Sign(sign_bytes=data):
                signature = self.scene.keys[self.turn].sign(data)
                self.slot, done = guard.signed(item, sign_bytes=data, signature=signature)
                # The record of the item comes next: the slot is written beside it.
                self._slots.append((len(self.records), self.slot))
                return Signed(item=done)
            case guard.Repeat(item=same):
                return Signed(item=same)
            case guard.Refuse(reason=reason):
                # After a proposal whose record was lost there is silence; a vote is restored from the slot.
                if isinstance(item, Vote) and self.slot.vote() is not None:
                    self.problems.append(f"v{self.turn}'s guard had to refuse a vote: {reason}")
                return Refused(item=item, reason=reason)

    def _release(self) -> None:
        """The records of this turn are on disk: what waited for them leaves."""
        for peer, message in self._outgoing:
            self.sent.append((peer, message))
            match message:
                case VoteMessage(vote=vote):
                    self.facts[self.scene.cast_of(vote)] = None
                case ProposalMessage(signed=signed) if peer is None:
                    self.facts[self.scene.made_of(signed, self.turn)] = None
                case _:
                    pass
        self._outgoing = []


_FIRST_STATUS = Status(
    height=1,
    round=0,
    step=1,
    due=True,
    prevotes=b"\0",
    precommits=b"\0",
    proposal=False,
    valid_round=-1,
    lowest=1,
    head_hash=b"",
)
"""What each peer says at the start: it answers what the first signature waits for, and promises nothing."""
