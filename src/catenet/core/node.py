"""The core of a node: wires the machines, which do not know each other. Pure and deterministic.

`Node.handle(event, now)` answers with effects, in the order in which they must be done. What one machine
puts out for another is carried here; nothing is decided here that a machine can decide.
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import assert_never

from catenet.chain.commit import Commit
from catenet.chain.keys import Verify
from catenet.chain.state import ChainState
from catenet.core import following, proposing
from catenet.core import ingress as ingress_io
from catenet.core.batches import io as batch_io
from catenet.core.batches.machine import Batches
from catenet.core.config import CoreConfig
from catenet.core.consensus import io as consensus_io
from catenet.core.consensus.machine import Consensus
from catenet.core.evidence import EvidencePool, History
from catenet.core.execution import Decided, Done, Execution, process_request, undelivered
from catenet.core.guard import rejoin_records
from catenet.core.ingress import Ingress
from catenet.core.judging import judge
from catenet.core.serving import serve
from catenet.core.sync.machine import Sync
from catenet.types import events, messages
from catenet.types.assembly import Assembled
from catenet.types.batch import Inline
from catenet.types.clock import Instant
from catenet.types.effects import Answer, Append, Effect, ProcessBlock, Send
from catenet.types.ids import Address, RequestId, TxId
from catenet.types.ports import BlockReader, TxWindow
from catenet.types.records import PolkaRecord, Record


class Node:
    """One node's core. Built at the height of its stored chain; `restore` before the first event."""

    def __init__(
        self,
        config: CoreConfig,
        state: ChainState,
        *,
        address: Address | None,
        window: TxWindow,
        reader: BlockReader,
        history: History,
        verify: Verify,
    ) -> None:
        """`state` is the one after the newest stored block; `address` is that of the vote key, if any."""
        self._config = config
        self._address = address
        self._reader = reader
        self._verify = verify
        self._requests: Iterator[RequestId] = count(1)
        self._execution = Execution(state)
        self._batches = Batches(
            config.batches, address, window, dedup_window_ns=state.dedup_window_ns, requests=self._requests
        )
        self._ingress = Ingress(config.ingress, self._batches, requests=self._requests)
        self.evidence = EvidencePool(history, verify)
        self._following = following.Following(
            Sync(config.sync, verify=verify, requests=self._requests),
            self._batches,
            self._execution,
            self._last_commit,
        )
        self._consensus = self._new_consensus()
        self._links: dict[Address, None] = {}
        self._records: Sequence[Record] = ()
        self._proposer = proposing.Proposer(self._batches, self.evidence, address)
        self._tips: messages.Have | None = None  # of this turn
        self._replaying = 0
        self._taking_part = False

    def _new_consensus(self) -> Consensus:
        return Consensus(
            self._config.consensus, self.state, self._address, self._batches, self._check, self._verify
        )

    def restore(self, records: Sequence[Record]) -> None:
        """Take what the journal holds, before `Started`."""
        state = self._execution.state
        self._records = records
        self._batches.restore(records, state.last_height, state.last_time_ns)
        self.evidence.restore(records)

    # What the outside may read.

    @property
    def state(self) -> ChainState:
        """The state after the newest committed block."""
        return self._execution.state

    @property
    def consensus(self) -> Consensus:
        """The machine that votes: for `status`."""
        return self._consensus

    @property
    def syncing(self) -> bool:
        """Whether the node follows by block sync instead of taking part."""
        return self._following.syncing

    @property
    def pending_count(self) -> int:
        """How many transactions wait here for a block."""
        return self._batches.pending_count

    def pending(self, tx_id: TxId) -> bool:
        """Whether a transaction waits here for a block."""
        return self._batches.has(tx_id)

    def live_records(self) -> list[Record]:
        """Return what must be copied forward when the journal is trimmed, beside the newest heights."""
        rejoin = self._consensus.rejoin_records() if self._taking_part else rejoin_records(self._records)
        return [*self._batches.live_records(), *self.evidence.live_records(), *rejoin]

    # Events.

    def handle(self, event: events.Event, now: Instant) -> list[Effect]:
        """Take one event; return what to do, in order."""
        self._tips = None
        effects = list(self._handle(event, now))
        if not self._consensus.due:
            effects.extend(self._due(now))
        return effects

    def _handle(self, event: events.Event, now: Instant) -> Iterator[Effect]:
        match event:
            case events.Started():
                yield from self._start(now)
            case events.Received():
                yield from self._received(event, now)
            case events.LinkChanged(peer=peer, up=up):
                if up:
                    self._links[peer] = None
                else:
                    self._links.pop(peer, None)
                    yield from self._from_following(self._following.on_link_down(peer, now), now)
                yield from self._from_batches(self._batches.on_link(peer, up=up, now=now), now)
                yield from self._to_consensus(event, now)
            case events.TimerFired(key=key):
                yield from self._timer(key, now)
            case events.Signed() | events.Refused():
                yield from self._to_consensus(event, now)
            case events.Submitted():
                yield from self._from_ingress(self._ingress.on_submitted(event), now)
            case events.TxsChecked(request=request, results=results):
                if self._batches.owns_check(request):
                    yield from self._from_batches(self._batches.on_checked(request, results, now), now)
                    yield from self._from_proposer(self._proposer.choose(self.state, now), now)
                else:
                    yield from self._from_ingress(self._ingress.on_checked(event), now)
            case events.Prepared():
                yield from self._from_proposer(self._proposer.prepared(self.state, event, now), now)
            case events.Processed(height=height, block_hash=block_hash, accepted=accepted):
                verdict = consensus_io.AppVerdict(height=height, block_hash=block_hash, accepted=accepted)
                yield from self._to_consensus(verdict, now)
            case _:
                yield from self._answered(event, now)

    def _answered(self, event: events.Answered, now: Instant) -> Iterator[Effect]:
        """Take what the application and the peers answer to requests of this node, and requests of peers."""
        match event:
            case events.Finalized():
                yield from self._execution.finalized(event)
            case events.Committed():
                done, effects = self._execution.committed(event)
                yield from effects
                yield from self._executed(done, now)
            case events.FetchRequested():
                found = serve(event.wanted, self._batches, self._consensus, self._reader)
                yield Answer(request=event.request, peer=event.peer, found=found)
            case events.FetchReceived():
                yield from self._found(event, now)
            case events.FetchEnded(request=request):
                yield from self._from_batches(self._batches.on_fetch_ended(request, now), now)
            case events.BlocksReceived():
                yield from self._from_following(self._following.on_blocks(event, now), now)
            case events.BlocksEnded():
                yield from self._from_following(self._following.on_ended(event, now), now)
            case _:
                assert_never(event)

    def _received(self, event: events.Received, now: Instant) -> Iterator[Effect]:
        peer = event.peer
        match event.message:
            case messages.BatchMessage() as message:
                yield from self._from_batches(self._batches.on_batch(peer, message, now), now)
            case messages.Skip() as message:
                yield from self._from_batches(self._batches.on_skip(peer, message, now), now)
            case messages.Have() as message:
                yield from self._from_batches(self._batches.on_tips(peer, message, now), now)
            case messages.EvidenceMessage(evidence=evidence):
                yield from self.evidence.received(peer, evidence, self.state, is_behind=self.syncing)
            case messages.Status() as message:
                heard = self._following.on_status(peer, message.lowest, message.height - 1, now)
                yield from self._from_following(heard, now)
                yield from self._to_consensus(event, now)
            case _:
                yield from self._to_consensus(event, now)

    def _timer(self, key: events.TimerKey, now: Instant) -> Iterator[Effect]:
        machine, _, _ = key.name.partition("/")
        match machine:
            case "consensus":
                yield from self._to_consensus(events.TimerFired(key=key), now)
            case "batches":
                yield from self._from_batches(self._batches.on_timer(key, now), now)
            case "sync":
                yield from self._from_following(self._following.on_timer(key, now), now)
            case _:
                raise AssertionError(f"no machine has timer {key.name}")

    # Start, and heights.

    def _start(self, now: Instant) -> Iterator[Effect]:
        yield from self._new_height(now)
        yield from self._from_batches(self._batches.start(now), now)
        yield from self._replay()
        if not self._replaying:
            yield from self._take_part(now)

    def _replay(self) -> Iterator[Effect]:
        """Execute blocks that were decided before a crash and are not stored yet."""
        for record in undelivered(self._records, self.state):
            match self._batches.assemble(record.compact):
                case Assembled() as assembled:
                    self._replaying += 1
                    yield from self._execution.decided(
                        Decided(assembled=assembled, commit=record.commit, manifest=record.compact.manifest)
                    )
                case _:
                    # Its batches are gone with a cut tail: the block comes from the peers.
                    return

    def _take_part(self, now: Instant) -> Iterator[Effect]:
        """Enter consensus at the height after the stored chain, with what the journal holds of it."""
        # Blocks may have been executed since this object was made: the machine begins at the height of now.
        self._consensus = self._new_consensus()
        self._consensus.restore(self._records, self._last_commit())
        self._consensus.lowest = self._reader.lowest
        self._records = ()
        self._taking_part = True
        for peer in self._links:
            yield from self._to_consensus(events.LinkChanged(peer=peer, up=True), now)
        yield from self._to_consensus(events.Started(), now)

    def _executed(self, done: Done, now: Instant) -> Iterator[Effect]:
        """A height is final: every machine learns it, then the next one begins."""
        assembled = done.decided.assembled
        header = assembled.block.header
        freed = self._batches.on_decided(
            header.height,
            header.time_ns,
            header.proposer_address,
            assembled.tx_ids,
            done.decided.manifest,
            now,
        )
        yield from self.evidence.committed(assembled.block.evidence, done.state)
        yield from self._new_height(now)
        yield from self._from_batches(freed, now)
        if self._replaying:
            self._replaying -= 1
            if not self._replaying:
                yield from self._take_part(now)
        elif self.syncing:
            yield from self._from_following(self._following.on_applied(now), now)
        else:
            executed = consensus_io.Executed(
                height=header.height,
                state=done.state,
                proof_wanted=done.proof_wanted,
                updates_pending=done.updates_pending,
            )
            yield from self._to_consensus(executed, now)

    def _new_height(self, now: Instant) -> Iterator[Effect]:
        """Tell the pool whose turn comes, and by which set it weighs."""
        state = self.state
        upcoming = proposing.upcoming(state)
        yield from self._from_batches(self._batches.set_validators(state.validators, upcoming, now), now)

    def _last_commit(self) -> Commit | None:
        stored = self._reader.block(self.state.last_height)
        return None if stored is None else stored.commit

    # Consensus.

    def _to_consensus(self, event: consensus_io.Input, now: Instant) -> Iterator[Effect]:
        if not self._taking_part:
            return
        for output in self._consensus.handle(event, now):
            yield from self._from_consensus(output, now)

    def _from_consensus(self, output: consensus_io.Output, now: Instant) -> Iterator[Effect]:
        match output:
            case consensus_io.BuildBlock(height=height, round=round_, last_commit=last_commit):
                built = self._proposer.build(self.state, height, round_, last_commit, now)
                yield from self._from_proposer(built, now)
            case consensus_io.CheckBlock(assembled=assembled):
                yield ProcessBlock(request=process_request(self.state, assembled))
            case consensus_io.Want(digests=digests, block_hashes=hashes, height=height, sources=sources):
                wanted = self._batches.want(digests, hashes, height, sources, now)
                yield from self._from_batches(wanted, now)
            case consensus_io.Decided(assembled=assembled, commit=commit, compact=compact):
                decided = Decided(assembled=assembled, commit=commit, manifest=compact.manifest)
                yield from self._execution.decided(decided)
            case consensus_io.Accuse(vote_a=vote_a, vote_b=vote_b):
                yield from self.evidence.accuse(vote_a, vote_b, self.state)
            case consensus_io.Behind(height=height):
                yield from self._from_following(self._following.fall_back(height, now), now)
            case consensus_io.SpeculativeFetch(peer=peer, height=height):
                yield from self._from_following(self._following.probe(peer, height - 1, now), now)
            case Append(record=PolkaRecord(compact=compact)):
                # D8: what a valid or locked value names stays here until its height is decided.
                named = [segment.digest for segment in compact.manifest if not isinstance(segment, Inline)]
                self._batches.pin(self.state.height, named)
                yield output
            case Send(peer=peer, message=messages.Status()):
                # D4: the full vector goes with every Status.
                yield output
                self._tips = self._tips or self._batches.tips()
                yield Send(peer=peer, message=self._tips)
            case _:
                yield output

    def _check(self, assembled: Assembled) -> str | consensus_io.CannotJudge | None:
        return judge(
            assembled, self.state, verify=self._consensus.verify, pool=self._batches, evidence=self.evidence
        )

    # Proposing.

    def _from_proposer(self, outputs: Sequence[proposing.Output], now: Instant) -> Iterator[Effect]:
        for output in outputs:
            if isinstance(output, consensus_io.Built):
                yield from self._to_consensus(output, now)
            else:
                yield from self._from_batches((output,), now)

    # Batches and clients.

    def _from_batches(self, outputs: Sequence[batch_io.Output], now: Instant) -> Iterator[Effect]:
        for output in outputs:
            match output:
                case batch_io.Stored():
                    yield from self._to_consensus(consensus_io.BatchArrived(), now)
                case batch_io.Released(bytes_of=bytes_of):
                    self._ingress.release(bytes_of)
                case _:
                    yield output

    def _from_ingress(self, outputs: Sequence[ingress_io.Output], now: Instant) -> Iterator[Effect]:
        for output in outputs:
            match output:
                case ingress_io.Admitted(ticket=ticket, txs=txs, ids=ids, client=client, joined=joined):
                    queued = self._batches.enqueue(ticket, txs, ids, now, client=client, joined=joined)
                    yield from self._from_batches(queued, now)
                case _:
                    yield output

    def _due(self, now: Instant) -> Iterator[Effect]:
        """Tell consensus once that batches or evidence wait for a block of this height (2.7 b, e)."""
        if self.syncing or not self._taking_part:
            return
        if self._batches.due(now) or (self.evidence.waiting and self.evidence.pick(self.state)):
            yield from self._to_consensus(consensus_io.Due(height=self._consensus.height), now)

    # Fetching.

    def _found(self, event: events.FetchReceived, now: Instant) -> Iterator[Effect]:
        peer = event.peer
        match event.found:
            case messages.FoundBatch() as found:
                yield from self._from_batches(self._batches.on_found(event.request, peer, found, now), now)
            case messages.FoundCompact(compact=compact):
                yield from self._to_consensus(consensus_io.FoundCompactBlock(peer=peer, compact=compact), now)
            case messages.FoundBlock(block_hash=block_hash, block=raw, commit=commit):
                taken, outputs = self._batches.on_found_block(event.request, block_hash, raw, now)
                yield from self._from_batches(outputs, now)
                if taken is not None:
                    decided = consensus_io.FoundDecided(peer=peer, compact=taken, commit=commit)
                    yield from self._to_consensus(decided, now)
            case _:
                assert_never(event.found)

    # Block sync.

    def _from_following(self, outputs: Sequence[following.Output], now: Instant) -> Iterator[Effect]:
        for output in outputs:
            match output:
                case consensus_io.Leave() | consensus_io.Reenter():
                    yield from self._to_consensus(output, now)
                case _:
                    yield output
