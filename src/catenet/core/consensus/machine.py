"""The consensus machine: one event in, effects and outputs out. Dispatch only; the rules live beside it.

Deterministic: no clock, no I/O, no randomness. The same events at the same instants give the same outputs.
"""

from collections.abc import Iterable
from typing import assert_never

from catenet.chain.commit import Commit
from catenet.chain.keys import Verify
from catenet.chain.state import ChainState
from catenet.chain.vote import VoteType
from catenet.core.consensus import (
    due,
    fetch,
    gate,
    heights,
    intake,
    liveness,
    proposing,
    restore,
    rules,
    signing,
    timers,
)
from catenet.core.consensus.context import Context, FetchState
from catenet.core.consensus.io import (
    AppVerdict,
    BatchArrived,
    BlockAssembler,
    Built,
    ConsensusConfig,
    Due,
    Executed,
    FoundCompactBlock,
    FoundDecided,
    HeaderCheck,
    Input,
    Leave,
    Output,
    Reenter,
)
from catenet.core.consensus.signatures import SignatureCache
from catenet.core.consensus.state import HeightState
from catenet.types.clock import Instant
from catenet.types.events import LinkChanged, Received, Refused, Signed, Started, TimerFired, TimerKey
from catenet.types.ids import Address
from catenet.types.messages import CommittedBlock, Message, ProposalMessage, Status, VoteMessage, VoteSet
from catenet.types.records import Record


class Consensus:
    """Tendermint for one node: consensus.md 2 to 4."""

    def __init__(
        self,
        config: ConsensusConfig,
        state: ChainState,
        address: Address | None,
        assembler: BlockAssembler,
        check: HeaderCheck,
        verify: Verify,
    ) -> None:
        """Stand before `Started`, at the height after `state`. Without an address, or no member: G10."""
        height = heights.state_of(state, address=address, last_commit=None, assembler=assembler, now_us=0)
        self._ctx = Context(
            config=config,
            chain=state,
            address=address,
            assembler=assembler,
            check=check,
            verify=verify,
            height=height,
        )

    def restore(self, records: Iterable[Record], last_commit: Commit | None = None) -> None:
        """Take the journal's records, oldest first, before `Started` (consensus.md 4, steps 3 and 4).

        When the guard's slot is newer than the journal, its vote belongs to the records, at the end.
        `last_commit` decided `state`'s block; it is not needed when its `CommitRecord` is among the records.
        """
        ctx = self._ctx
        restore.read(ctx, records)
        decided = ctx.decided.get(ctx.chain.last_height)
        commit = last_commit if decided is None else decided.commit
        ctx.hs = self._state_after(ctx.chain, commit)

    def _state_after(self, chain: ChainState, last_commit: Commit | None) -> HeightState:
        ctx = self._ctx
        following = heights.state_of(
            chain,
            address=ctx.address,
            last_commit=last_commit,
            assembler=ctx.assembler,
            now_us=ctx.now.mono_us,
        )
        if following.last_commit is not None:
            for vote in following.last_commit.votes:
                if vote is not None:
                    ctx.remember(vote)
        return following

    def handle(self, event: Input, now: Instant) -> list[Output]:
        """Take one event; return what should happen, in order."""
        ctx = self._ctx
        ctx.now = now
        if not ctx.halted:
            self._take(event)
            gate.try_open(ctx)
            if ctx.active:
                rules.settle(ctx)
            if ctx.active:
                fetch.update(ctx)
        out, ctx.out = ctx.out, []
        return out

    def _take(self, event: Input) -> None:
        ctx = self._ctx
        match event:
            case Received(peer=peer, message=message):
                ctx.peer(peer).heard_us = ctx.now.mono_us
                self._received(peer, message)
            case TimerFired(key=key):
                if ctx.active:
                    self._timer(key)
            case Signed(item=item):
                signing.on_signed(ctx, item)
            case Refused(item=item, reason=reason):
                # T2: the guard's refusal means silence in that step, not a crash.
                ctx.notice("signature-refused", alarm=True, reason=reason, item_height=item.height)
            case LinkChanged(peer=peer, up=up):
                self._link(peer, up=up)
            case Started():
                self._start()
            case Leave():
                # G9: no votes and no timers; what is mine, locks and log stay.
                ctx.away = True
            case Reenter(state=state, last_commit=last_commit):
                self._reenter(state, last_commit)
            case _:
                self._answered(event)

    def _answered(
        self, event: Built | AppVerdict | BatchArrived | FoundCompactBlock | FoundDecided | Executed | Due
    ) -> None:
        """Take what other machines and the application answer."""
        ctx = self._ctx
        match event:
            case Executed():
                self._executed(event)
            case AppVerdict(height=height, block_hash=block_hash, accepted=accepted):
                # Also during block sync: the application is asked once per id.
                self._app_verdict(height, block_hash, accepted)
            case _ if not ctx.active:
                pass
            case Built():
                proposing.on_built(ctx, event)
            case BatchArrived():
                fetch.retry_batches(ctx)
            case FoundCompactBlock(peer=peer, compact=compact):
                intake.on_found_compact(ctx, peer, compact)
            case FoundDecided(peer=peer, compact=compact, commit=commit):
                intake.on_committed(ctx, peer, CommittedBlock(compact=compact, commit=commit))
            case Due(height=height):
                if height == ctx.hs.height:
                    due.set_due(ctx)
            case _:
                assert_never(event)

    def _received(self, peer: Address, message: Message) -> None:
        ctx = self._ctx
        if isinstance(message, Status):
            liveness.on_status(ctx, peer, message)
            return
        if not ctx.active:
            return
        match message:
            case VoteMessage(vote=vote):
                intake.on_vote(ctx, peer, vote)
            case VoteSet():
                intake.on_vote_set_message(ctx, peer, message)
            case ProposalMessage():
                intake.on_proposal(ctx, peer, message)
            case CommittedBlock():
                intake.on_committed(ctx, peer, message)
            case _:
                # Batches, evidence, tips and pings are for other machines: here they are signs of life.
                pass

    def _timer(self, key: TimerKey) -> None:
        ctx = self._ctx
        match key.name:
            case timers.STATUS:
                liveness.on_status_timer(ctx)
            case timers.FETCH:
                fetch.on_timer(ctx)
            case timers.PROOF | timers.HEARTBEAT:
                if key.height == ctx.hs.height:
                    due.set_due(ctx)
            case timers.PROPOSE | timers.PREVOTE | timers.PRECOMMIT:
                rules.on_round_timer(ctx, key)
            case _:
                # INTERVAL and FIRST only wake the rules up.
                pass

    def _link(self, peer: Address, *, up: bool) -> None:
        ctx = self._ctx
        state = ctx.peer(peer)
        state.linked = up
        if up:
            state.linked_us = ctx.now.mono_us
            if ctx.active:
                liveness.send_status(ctx, peer)
            return
        # What a peer said on a link that is gone is not claimed any more.
        state.status, state.repeats, state.due_height, state.told_us = None, 0, -1, None
        ctx.future_votes.pop(peer, None)
        if ctx.hs.validators.index_of(peer) is None:
            del ctx.peers[peer]

    def _start(self) -> None:
        ctx = self._ctx
        ctx.started = True
        restore.apply(ctx)
        # When the last block was decided is not known any more: pacing and heartbeat count from the start.
        ctx.hs.entered_us = ctx.decided_us = ctx.now.mono_us
        gate.on_start(ctx)
        due.arm_status(ctx)
        heights.make_ready(ctx)
        restore.send_again(ctx)
        liveness.broadcast_status(ctx)

    def _executed(self, event: Executed) -> None:
        ctx = self._ctx
        ctx.chain = event.state
        ctx.proof_wanted, ctx.updates_pending = event.proof_wanted, event.updates_pending
        if ctx.active and event.state.height == ctx.hs.height:
            heights.make_ready(ctx)

    def _reenter(self, state: ChainState, last_commit: Commit | None) -> None:
        """G9: come back from block sync at head - 1 or newer; restore what is mine of that height."""
        ctx = self._ctx
        ctx.chain, ctx.away, ctx.behind_us = state, False, None
        if state.height > ctx.hs.height:
            heights.enter(ctx, self._state_after(state, last_commit), previous=None)
        else:
            # Timers that ended while sync had the word went unheard.
            ctx.hs.start_anew()
            ctx.fetch = FetchState()
            liveness.broadcast_status(ctx)
        due.arm_status(ctx)
        heights.make_ready(ctx)

    def _app_verdict(self, height: int, block_hash: bytes, accepted: bool | None) -> None:
        ctx = self._ctx
        if height != ctx.hs.height:
            return
        for entry in ctx.hs.blocks.with_hash(block_hash):
            if entry.asked and entry.accepted is None:
                entry.accepted = accepted
        if accepted is None:
            # A failing application rejects nothing: the block stays PENDING here.
            ctx.notice("process-proposal-failed", alarm=True, block=block_hash.hex())

    @property
    def verify(self) -> SignatureCache:
        """The cache of verified signatures: a `Verify` for whoever checks blocks of this height."""
        return self._ctx.signatures

    @property
    def height(self) -> int:
        """The height that is being decided."""
        return self._ctx.hs.height

    @property
    def round(self) -> int:
        """The round of that height."""
        return self._ctx.hs.round

    @property
    def step(self) -> str:
        """Where in the round: propose, prevote or precommit."""
        return self._ctx.hs.step.name.lower()

    @property
    def ready(self) -> bool:
        """Whether the block of the height before is executed."""
        return self._ctx.hs.ready

    @property
    def due(self) -> bool:
        """Whether there is a reason for a block."""
        return self._ctx.hs.due

    @property
    def away(self) -> bool:
        """Whether block sync has the word."""
        return self._ctx.away

    @property
    def signs(self) -> bool:
        """Whether this node votes at this height."""
        return signing.may_sign(self._ctx) and not self._ctx.gate.waiting

    def rejoin_records(self) -> list[Record]:
        """Return what must stay in the journal for ever: up to which height nothing is signed."""
        return gate.records(self._ctx)

    @property
    def lowest(self) -> int:
        """The lowest height whose block this node serves; told to peers in Status."""
        return self._ctx.lowest

    @lowest.setter
    def lowest(self, height: int) -> None:
        self._ctx.lowest = height

    @property
    def state(self) -> HeightState:
        """The state of the height: for tests and status, never to be changed from outside."""
        return self._ctx.hs

    def missing(self) -> tuple[Address, ...]:
        """Return the validators whose vote of this step is not here, in set order."""
        hs = self._ctx.hs
        type = VoteType.PRECOMMIT if hs.step == 3 else VoteType.PREVOTE
        votes = hs.votes.of(hs.round, type)
        return tuple(
            [
                member.address
                for index, member in enumerate(hs.validators.validators)
                if votes is None or votes.by_index[index] is None
            ]
        )

    def waits_for(self) -> str:
        """Say in one sentence what this node waits for."""
        return liveness.waits_for(self._ctx)
