"""The core of a node: wires the machines, which do not know each other. Pure and deterministic.

`Node.handle(event, now)` answers with effects, in the order in which they must be done. What one machine
puts out for another is carried here; nothing is decided here that a machine can decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import assert_never

from catenet.chain import evidence as evidence_format
from catenet.chain import state as chain_state
from catenet.chain.commit import Commit
from catenet.chain.keys import Verify
from catenet.chain.state import ChainState, InvalidBlock
from catenet.core import ingress as ingress_io
from catenet.core import proposing
from catenet.core.batches import io as batch_io
from catenet.core.batches.machine import Batches
from catenet.core.consensus import io as consensus_io
from catenet.core.consensus.machine import Consensus
from catenet.core.evidence import EvidencePool, History
from catenet.core.execution import Decided, Done, Execution, commit_info, misbehavior
from catenet.core.ingress import Ingress, IngressConfig
from catenet.core.sync import io as sync_io
from catenet.core.sync.io import SyncConfig
from catenet.core.sync.machine import Sync
from catenet.types import events
from catenet.types.application import PrepareProposal, ProcessProposal
from catenet.types.assembly import Assembled
from catenet.types.clock import Instant
from catenet.types.effects import Answer, Effect, Notice, PrepareBlock, ProcessBlock, Send
from catenet.types.ids import Address, RequestId, TxId
from catenet.types.messages import (
    BatchMessage,
    EvidenceMessage,
    Found,
    FoundBatch,
    FoundBlock,
    FoundCompact,
    Have,
    Skip,
    Status,
)
from catenet.types.ports import BlockReader, TxWindow
from catenet.types.records import CommitRecord, Record

UPCOMING_HEIGHTS = 2
"""Tips go in full to the proposers of this round and of so many further heights (D4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreConfig:
    """The machines' settings, handed on to them."""

    consensus: consensus_io.ConsensusConfig = consensus_io.ConsensusConfig()
    batches: batch_io.BatchConfig = batch_io.BatchConfig()
    ingress: IngressConfig = IngressConfig()
    sync: SyncConfig = SyncConfig()


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
        """`state` is the one after the newest stored block; `address` is that of the vote key, if there is one."""
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
        self._evidence = EvidencePool(history, verify)
        self._sync = Sync(config.sync, verify=verify, requests=self._requests)
        self._consensus = self._new_consensus()
        self._links: dict[Address, None] = {}
        self._records: Sequence[Record] = ()
        self._draft: proposing.Draft | None = None
        self._candidate: batch_io.Candidate | None = None
        self._syncing = False
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
        self._evidence.restore(records)

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
        return self._syncing

    @property
    def pending_count(self) -> int:
        """How many transactions wait here for a block."""
        return self._batches.pending_count

    def pending(self, tx_id: TxId) -> bool:
        """Whether a transaction waits here for a block."""
        return self._batches.has(tx_id)

    def live_records(self) -> list[Record]:
        """Return what must be copied forward when the journal is trimmed, beside the newest heights."""
        return [*self._batches.live_records(), *self._evidence.live_records()]

    # Events.

    def handle(self, event: events.Event, now: Instant) -> list[Effect]:
        """Take one event; return what to do, in order."""
        effects = list(self._handle(event, now))
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
                    yield from self._from_sync(self._sync.on_link_down(peer, now), now)
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
                    yield from self._choose(now)
                else:
                    yield from self._from_ingress(self._ingress.on_checked(event), now)
            case events.Prepared():
                yield from self._prepared(event, now)
            case events.Processed(height=height, block_hash=block_hash, accepted=accepted):
                verdict = consensus_io.AppVerdict(height=height, block_hash=block_hash, accepted=accepted)
                yield from self._to_consensus(verdict, now)
            case events.Finalized():
                yield from self._execution.finalized(event)
            case events.Committed():
                done, effects = self._execution.committed(event)
                yield from effects
                yield from self._executed(done, now)
            case events.FetchRequested():
                yield self._answer(event)
            case events.FetchReceived():
                yield from self._found(event, now)
            case events.FetchEnded(request=request):
                yield from self._from_batches(self._batches.on_fetch_ended(request), now)
            case events.BlocksReceived():
                yield from self._from_sync(self._sync.on_blocks(event, now), now)
            case events.BlocksEnded():
                yield from self._from_sync(self._sync.on_ended(event, now), now)
            case _:
                assert_never(event)

    def _received(self, event: events.Received, now: Instant) -> Iterator[Effect]:
        peer = event.peer
        match event.message:
            case BatchMessage() as message:
                yield from self._from_batches(self._batches.on_batch(peer, message, now), now)
            case Skip() as message:
                yield from self._from_batches(self._batches.on_skip(peer, message, now), now)
            case Have() as message:
                yield from self._from_batches(self._batches.on_tips(peer, message, now), now)
            case EvidenceMessage(evidence=evidence):
                yield from self._evidence.received(peer, evidence, self.state)
            case Status() as message:
                head = message.height - 1
                yield from self._from_sync(self._sync.on_status(peer, message.lowest, head, now), now)
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
                yield from self._from_sync(self._sync.on_timer(key, now), now)
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
        for record in sorted(self._decided_records(), key=lambda record: record.height):
            match self._batches.assemble(record.compact):
                case Assembled() as assembled:
                    self._replaying += 1
                    yield from self._execution.decided(
                        Decided(assembled=assembled, commit=record.commit, manifest=record.compact.manifest)
                    )
                case _:
                    # Its batches are gone with a cut tail: the block comes from the peers.
                    return

    def _decided_records(self) -> list[CommitRecord]:
        records = {record.height: record for record in self._records if isinstance(record, CommitRecord)}
        height, found = self.state.height, []
        while height in records:
            found.append(records[height])
            height += 1
        return found

    def _take_part(self, now: Instant) -> Iterator[Effect]:
        """Enter consensus at the height after the stored chain, with what the journal holds of it."""
        # Blocks may have been executed since this object was made: the machine begins at the height of now.
        self._consensus = self._new_consensus()
        self._consensus.restore(self._records, self._last_commit())
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
        yield from self._evidence.committed(assembled.block.evidence, done.state)
        yield from self._new_height(now)
        yield from self._from_batches(freed, now)
        if self._replaying:
            self._replaying -= 1
            if not self._replaying:
                yield from self._take_part(now)
        elif self._syncing:
            if not self._execution.busy:
                yield from self._from_sync(self._sync.on_applied(done.state, now), now)
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
        upcoming = [state.validators.proposer_at(0).address]
        following = state.next_validators
        for _ in range(UPCOMING_HEIGHTS):
            upcoming.append(following.proposer.address)
            following = following.increment(1)
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
                yield from self._build(height, round_, last_commit, now)
            case consensus_io.CheckBlock(assembled=assembled):
                yield ProcessBlock(request=self._process_request(assembled))
            case consensus_io.Want(digests=digests, block_hashes=hashes, height=height, sources=sources):
                wanted = self._batches.want(digests, hashes, height, sources, now)
                yield from self._from_batches(wanted, now)
            case consensus_io.Decided(assembled=assembled, commit=commit, compact=compact):
                decided = Decided(assembled=assembled, commit=commit, manifest=compact.manifest)
                yield from self._execution.decided(decided)
            case consensus_io.Accuse(vote_a=vote_a, vote_b=vote_b):
                yield from self._evidence.accuse(vote_a, vote_b, self.state)
            case consensus_io.Behind(height=height):
                yield from self._fall_back(height, now)
            case consensus_io.SpeculativeFetch(peer=peer, height=height):
                yield from self._from_sync(self._sync.probe(self.state, peer, height - 1, now), now)
            case Send(peer=peer, message=Status()):
                # D4: the full vector goes with every Status.
                yield output
                yield Send(peer=peer, message=self._batches.tips())
            case _:
                yield output

    def _check(self, assembled: Assembled) -> str | None:
        """Judge a rebuilt block by every deterministic rule (2.4); return the broken one."""
        block, state = assembled.block, self.state
        header = block.header
        if header.height != state.height:
            return f"height {header.height} is judged by the state before height {state.height}"
        if assembled.data_hash != header.data_hash:
            return "data_hash is not that of the transactions"
        if header.last_commit_hash != block.last_commit.hash():
            return "last_commit_hash is not that of last_commit"
        if header.evidence_hash != evidence_format.list_hash(block.evidence):
            return "evidence_hash is not that of the evidence"
        try:
            chain_state.check_rules(state, block, raw_size=len(assembled.raw), verify=self._consensus.verify)
        except InvalidBlock as error:
            return error.reason
        if self._batches.repeated(assembled.tx_ids):
            return "a transaction stands twice in the block, or was committed in the window before"
        return self._evidence.check(block.evidence, state)

    def _process_request(self, assembled: Assembled) -> ProcessProposal:
        block = assembled.block
        return ProcessProposal(
            txs=block.txs,
            last_commit=commit_info(self.state.last_validators, block.last_commit),
            misbehavior=misbehavior(block.evidence),
            hash=assembled.block_id.hash,
            height=block.header.height,
            time_ns=block.header.time_ns,
            next_validators_hash=block.header.next_validators_hash,
            proposer_address=block.header.proposer_address,
        )

    # Proposing.

    def _build(self, height: int, round_: int, last_commit: Commit, now: Instant) -> Iterator[Effect]:
        state = self.state
        if height != state.height:
            return
        evidence = self._evidence.pick(state)
        self._draft = proposing.draft(state, round=round_, last_commit=last_commit, evidence=evidence)
        yield from self._choose(now)

    def _choose(self, now: Instant) -> Iterator[Effect]:
        """Take batches for the block in the making; while the application checks some, wait for its answer."""
        made = self._draft
        if made is None or made.height != self.state.height or self._candidate is not None:
            return
        room = proposing.data_bytes_max(self.state, made.evidence)
        choice = self._batches.choose(made.height, room, now)
        yield from self._from_batches(choice.outputs, now)
        if choice.candidate is None:
            return
        self._candidate = choice.candidate
        yield PrepareBlock(
            height=made.height,
            round=made.round,
            request=PrepareProposal(
                max_tx_bytes=room,
                txs=choice.candidate.txs,
                last_commit=commit_info(self.state.last_validators, made.last_commit),
                misbehavior=misbehavior(made.evidence),
                height=made.height,
                time_ns=made.time_ns,
                next_validators_hash=self.state.next_validators.hash(),
                proposer_address=self._address or b"",
            ),
        )

    def _prepared(self, event: events.Prepared, now: Instant) -> Iterator[Effect]:
        made, candidate = self._draft, self._candidate
        self._candidate = None
        if made is None or candidate is None or self._address is None:
            return
        if made.height != self.state.height:
            self._draft = None
            return
        if (made.height, made.round) != (event.height, event.round):
            # A newer round asked for a block while the application was at work for the one before.
            yield from self._choose(now)
            return
        self._draft = None
        manifest = self._batches.manifest_for(candidate, event.txs)
        compact = proposing.compact(
            self.state,
            made,
            proposer=self._address,
            manifest=manifest.segments,
            data_hash=manifest.data_hash,
        )
        assembled = self._batches.assemble(compact)
        assert isinstance(assembled, Assembled), f"the own block does not assemble: {assembled}"
        built = consensus_io.Built(
            height=made.height, round=made.round, compact=compact, block_id=assembled.block_id
        )
        yield from self._to_consensus(built, now)

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
        consensus = self._consensus
        if consensus.due or self._syncing or not self._taking_part:
            return
        if self._batches.due(now) or self._evidence.waiting:
            yield from self._to_consensus(consensus_io.Due(height=consensus.height), now)

    # Fetching.

    def _answer(self, event: events.FetchRequested) -> Answer:
        found: list[Found] = [*self._batches.serve(event.wanted.digests)]
        for block_hash in event.wanted.block_hashes:
            known = [entry.compact for entry in self._consensus.state.blocks.with_hash(block_hash)]
            compacts = [compact for compact in known if compact is not None]
            if compacts:
                found.extend([FoundCompact(block_hash=block_hash, compact=compact) for compact in compacts])
                continue
            height = self._reader.height_of(block_hash)
            stored = None if height is None else self._reader.block(height)
            if stored is not None:
                found.append(FoundBlock(block_hash=block_hash, block=stored.raw, commit=stored.commit))
        return Answer(request=event.request, peer=event.peer, found=tuple(found))

    def _found(self, event: events.FetchReceived, now: Instant) -> Iterator[Effect]:
        peer = event.peer
        match event.found:
            case FoundBatch() as found:
                yield from self._from_batches(self._batches.on_found(event.request, peer, found, now), now)
            case FoundCompact(compact=compact):
                yield from self._to_consensus(consensus_io.FoundCompactBlock(peer=peer, compact=compact), now)
            case FoundBlock(block_hash=block_hash, block=raw, commit=commit):
                taken, outputs = self._batches.on_found_block(block_hash, raw, now)
                yield from self._from_batches(outputs, now)
                if taken is not None:
                    decided = consensus_io.FoundDecided(peer=peer, compact=taken, commit=commit)
                    yield from self._to_consensus(decided, now)
            case _:
                assert_never(event.found)

    # Block sync.

    def _fall_back(self, height: int, now: Instant) -> Iterator[Effect]:
        """G9: leave consensus for block sync; it is asked for again while it holds."""
        if self._syncing or self._execution.busy:
            return
        self._syncing = True
        yield Notice(name="block_sync_begins", fields={"height": self.state.last_height, "target": height})
        yield from self._to_consensus(consensus_io.Leave(), now)
        self._batches.pause(paused=True)
        yield from self._from_sync(self._sync.begin(self.state, now), now)

    def _from_sync(self, outputs: Sequence[sync_io.Output], now: Instant) -> Iterator[Effect]:
        for output in outputs:
            match output:
                case sync_io.Apply(blocks=blocks):
                    for block in blocks:
                        yield from self._execution.decided(_synced(block))
                case sync_io.Caught(last_commit=last_commit):
                    yield from self._come_back(last_commit, now)
                case sync_io.Proven(height=height):
                    yield from self._fall_back(height, now)
                case _:
                    yield output

    def _come_back(self, last_commit: Commit | None, now: Instant) -> Iterator[Effect]:
        """G9: enter consensus again at the height after the newest block."""
        if not self._syncing:
            return
        self._syncing = False
        self._batches.pause(paused=False)
        yield Notice(name="block_sync_ends", fields={"height": self.state.last_height})
        commit = last_commit or self._last_commit()
        yield from self._to_consensus(consensus_io.Reenter(state=self.state, last_commit=commit), now)


def _synced(block: sync_io.SyncedBlock) -> Decided:
    assembled = Assembled(
        block=block.block,
        raw=block.raw,
        block_id=block.block_id,
        tx_ids=block.tx_ids,
        data_hash=block.block.header.data_hash,
    )
    return Decided(assembled=assembled, commit=block.commit)
