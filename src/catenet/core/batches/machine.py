"""`Batches`: the pool of one node as a machine. It joins the parts of this package and emits what they ask.

Every public method that acts takes `now` and returns outputs, in the order in which they must happen. A batch
is appended before anything depends on it; the law of effects holds acknowledgements back until it is durable.
"""

from collections.abc import Iterator, Sequence
from itertools import count

from catenet.chain.validators import ValidatorSet
from catenet.core.batches import residue
from catenet.core.batches.absorb import absorb
from catenet.core.batches.assemble import Assembler
from catenet.core.batches.checks import Checks
from catenet.core.batches.choose import Proposer, due, until_old
from catenet.core.batches.fetch import Fetcher
from catenet.core.batches.holders import Holders
from catenet.core.batches.io import BatchConfig, Candidate, Choice, Manifest, Output, Stored
from catenet.core.batches.manifest import write_manifest
from catenet.core.batches.own import EXPIRED, OwnStream, released
from catenet.core.batches.receive import Receiver
from catenet.core.batches.store import Held, Store, unpack
from catenet.core.batches.tell import Teller
from catenet.core.batches.timers import AGE, FETCH, HAVE, PUSH, SEAL, Timers
from catenet.types.application import CheckResult
from catenet.types.assembly import Assembly
from catenet.types.batch import Compact, Segment, batch_digest
from catenet.types.clock import Instant
from catenet.types.effects import Append, Dropped, Penalise, Send
from catenet.types.events import TimerKey
from catenet.types.ids import Address, Digest, RequestId, Ticket, TxId
from catenet.types.messages import BatchMessage, FoundBatch, Have, Skip
from catenet.types.ports import TxWindow
from catenet.types.records import BatchRecord, IncarnationRecord, Record

LEFT = "this validator left the set: look the transaction up"


class Batches:
    """The pool of batches of one node. `author` is its validator address; None: it only observes."""

    def __init__(
        self,
        config: BatchConfig,
        author: Address | None,
        window: TxWindow,
        *,
        dedup_window_ns: int = 3600 * 10**9,
        requests: Iterator[RequestId] | None = None,
    ) -> None:
        """`requests` gives fresh numbers for requests; the machines of a node share it."""
        requests = count(1) if requests is None else requests
        self._config = config
        self._me = author
        self._timers = Timers()
        self._store = Store(config, window, dedup_window_ns)
        self._holders = Holders(author)
        self._own = (
            None if author is None else OwnStream(config, author, self._store, self._holders, self._timers)
        )
        self._receiver = Receiver(config)
        self._fetcher = Fetcher(config, requests)
        self._checks = Checks(requests)
        self._assembler = Assembler(self._store)
        self._teller = Teller(config, self._store, self._holders, self._receiver, self._timers)
        self._proposer = Proposer(self._store, self._holders, self._checks)

    # Start.

    def restore(self, records: Sequence[Record], height: int, time_ns: int) -> None:
        """Take batches out of the journal's records; `height` and `time_ns`: the newest decided block's."""
        self._store.height, self._store.time_ns = height, time_ns
        incarnations = [r.incarnation for r in records if isinstance(r, IncarnationRecord)]
        if self._own is not None and incarnations:
            # Before all batches: a trimmed journal holds its copy behind batches of the same stream.
            self._own.restore_incarnation(max(incarnations))
        for record in records:
            if isinstance(record, BatchRecord):
                self._restore_batch(record)

    def _restore_batch(self, record: BatchRecord) -> None:
        held = unpack(record.author, record.batch, self._config)
        assert held is not None, "the journal holds only batches that were unpacked before"
        if held.digest in self._store.held:
            return
        self._store.add(held)
        if self._own is not None and record.author == self._me:
            self._own.restore(held)
        else:
            self._receiver.resume(record.author, record.batch.incarnation)

    def start(self, now: Instant) -> list[Output]:
        """Begin to take part."""
        if self._own is None:
            return []
        return [*self._own.start(now), *self._own.advance(now), *self._watch_age(now)]

    def live_records(self) -> list[Record]:
        """Return what a trimmed journal must still hold (4): copy it forward."""
        records: list[Record] = [] if self._own is None else self._own.records()
        records.extend([BatchRecord(author=held.author, batch=held.batch) for held in self._store.all_live()])
        return records

    def set_validators(
        self, validators: ValidatorSet, upcoming: Sequence[Address], now: Instant
    ) -> list[Output]:
        """Weigh by this set; `upcoming` propose in this round and the next two heights (D4)."""
        was_member = self.accepting
        self._holders.set_validators(validators)
        self._teller.upcoming = upcoming
        if self._own is None:
            return []
        if was_member and not self.accepting:
            # 6: an author that leaves the set hands what it has not ordered back to its clients.
            return self._own.abandon(LEFT)
        return self._own.advance(now)

    @property
    def accepting(self) -> bool:
        """Whether this node may author: it is a member of the set."""
        return self._me is not None and self._me in self._holders.powers

    def pause(self, *, paused: bool) -> None:
        """During block sync batches of peers are refused silently (S5)."""
        self._teller.paused = paused

    # Clients of this node.

    def enqueue(
        self,
        ticket: Ticket,
        txs: Sequence[bytes],
        ids: Sequence[TxId],
        now: Instant,
        *,
        client: str = "",
        joined: Sequence[TxId] = (),
    ) -> list[Output]:
        """Buffer what ingress admitted and seal what is due (D1).

        `joined` are the submission's ids that were pending here before; REPLICATED waits for those, too.
        """
        assert self._own is not None, "observers have no stream of their own"
        outputs = self._own.enqueue(ticket, client, txs, ids, joined, now.mono_us)
        if not self.accepting:
            return [*outputs, *self._own.abandon(LEFT)]
        return [*outputs, *self._own.advance(now), *self._watch_age(now)]

    def pending_ids(self, ids: Sequence[TxId]) -> dict[TxId, None]:
        """Return those ids that wait here for a block (D9)."""
        pending = self._store.pending
        buffered: dict[TxId, None] = {} if self._own is None else self._own.author.buffered
        if pending.keys().isdisjoint(ids) and buffered.keys().isdisjoint(ids):
            return {}
        return dict.fromkeys([tx_id for tx_id in ids if tx_id in pending or tx_id in buffered])

    def committed_ids(self, ids: Sequence[TxId]) -> dict[TxId, None]:
        """Return those ids that a next block must not repeat (5.6)."""
        return self._store.committed(ids)

    def has(self, tx_id: TxId) -> bool:
        """Whether a transaction waits here for a block."""
        return bool(self.pending_ids((tx_id,)))

    @property
    def pending_count(self) -> int:
        """How many transactions wait here for a block."""
        return len(self._store.pending) + (0 if self._own is None else len(self._own.author.buffered))

    @property
    def buffered_bytes(self) -> int:
        """Bytes of admitted transactions that wait for sealing."""
        return 0 if self._own is None else self._own.author.buffered_bytes

    # Peers.

    def on_batch(self, peer: Address, message: BatchMessage, now: Instant) -> list[Output]:
        """Take a batch that its author pushes (D3)."""
        batch = message.batch
        if self._teller.paused or peer == self._me or peer not in self._holders.powers:
            return []
        if not self._receiver.accepts(peer, batch, self._store.usage.get(peer)):
            return []
        digest = batch_digest(peer, batch)
        outputs: list[Output] = []
        known = self._store.held.get(digest)
        if known is None:
            held = unpack(peer, batch, self._config, digest)
            if held is None:
                # Only its author can have made this payload: no honest node does.
                return [Penalise(peer=peer, reason="a batch that holds no transactions", disconnect=True)]
            outputs.extend(self._store_batch(held, now))
        elif not known.counted and known.freed_at < 0:
            # It was fetched for a proposal; from now on it counts against WINDOW.
            known.counted = True
            self._store.count(known)
        self._receiver.took(peer, batch)
        self._teller.moved(peer)
        return [*outputs, *self._teller.tell(now.mono_us)]

    def _store_batch(self, held: Held, now: Instant) -> list[Output]:
        held.arrived_us = now.mono_us
        outputs: list[Output] = [Append(record=BatchRecord(author=held.author, batch=held.batch))]
        freed = self._store.add(held)
        self._fetcher.got(held.digest)
        outputs.append(Stored(digests=(held.digest,)))
        outputs.extend(self._after_freeing(freed, now))
        if self._me in self._teller.upcoming[:2] and held.open:
            # The next proposer asks early, so that choosing need not wait for the application.
            outputs.extend(self._checks.ask(self._store, [held]))
        return [*outputs, *self._watch_age(now)]

    def on_skip(self, peer: Address, skip: Skip, now: Instant) -> list[Output]:
        """The author freed batches, or let them expire, before this node got them (D2)."""
        if peer not in self._holders.powers or not self._receiver.skip(peer, skip):
            return []
        self._teller.moved(peer)
        return [*self._teller.tell(now.mono_us)]

    def on_tips(self, peer: Address, have: Have, now: Instant) -> list[Output]:
        """Take a peer's word for what it holds (D4): acknowledgements and credit."""
        if not self._holders.note(peer, have) or self._own is None:
            return []
        outputs: list[Output] = []
        for tip in have.tips:
            if tip.author == self._me:
                outputs.extend(self._own.on_tip(peer, tip, now))
        return [*outputs, *self._own.advance(now)]

    def on_link(self, peer: Address, *, up: bool, now: Instant) -> list[Output]:
        """A link came up: tell everything that is held; or it went down."""
        self._holders.forget(peer)
        if self._own is not None:
            self._own.pusher.link(peer, up=up, now_us=now.mono_us)
        if up:
            self._teller.links[peer] = None
            return [Send(peer=peer, message=self.tips())]
        self._teller.links.pop(peer, None)
        return []

    def tips(self) -> Have:
        """Return the full vector: it goes with every Status (D4)."""
        return self._teller.full()

    # Fetching and serving.

    def want(
        self,
        digests: Sequence[Digest],
        block_hashes: Sequence[bytes],
        height: int,
        sources: Sequence[Address],
        now: Instant,
    ) -> list[Output]:
        """Fetch what is missing, the whole of it (G5). A push may be on its way: batches wait a moment."""
        self._fetcher.want(digests, block_hashes, height, sources)
        if block_hashes:
            return [*self._fetcher.ask(now.mono_us)]
        return [*self._timers.arm(FETCH, now.mono_us, self._config.fetch_delay_us)]

    def on_found(self, request: RequestId, peer: Address, found: FoundBatch, now: Instant) -> list[Output]:
        """Take a fetched batch: appended before its block may be valid (D7), exempt from WINDOW."""
        digest = batch_digest(found.author, found.batch)
        if digest in self._store.held:
            return []
        if not (self._fetcher.wants(digest) or self._fetcher.asked(request, digest)):
            return [Penalise(peer=peer, reason="a batch that was not asked for")]
        held = unpack(found.author, found.batch, self._config, digest)
        if held is None:
            # The name is right, so the peer is honest; whoever proposed it is not.
            self._fetcher.got(digest)
            self._assembler.junk(digest)
            return [Stored(digests=(digest,))]
        held.counted = False
        return self._store_batch(held, now)

    def on_found_block(
        self, request: RequestId, block_hash: bytes, raw: bytes, now: Instant
    ) -> tuple[Compact | None, list[Output]]:
        """Take a fetched block apart, to be treated like a compact one (D7); None: not wanted, or another."""
        wanted = self._fetcher.wants_block(request, block_hash)
        parts = absorb(block_hash, raw, self._config) if wanted else None
        if parts is None:
            return None, []
        self._fetcher.got_block(block_hash)
        compact, batches = parts
        outputs: list[Output] = []
        for held in batches:
            if held.digest not in self._store.held:
                held.counted = False
                outputs.extend(self._store_batch(held, now))
        return compact, outputs

    def on_fetch_ended(self, request: RequestId, now: Instant) -> list[Output]:
        """A peer's answer is over: ask the next one for what it lacked."""
        return [*self._fetcher.ask(now.mono_us)] if self._fetcher.ended(request) else []

    def serve(self, digests: Sequence[Digest]) -> tuple[FoundBatch, ...]:
        """Return wanted batches that are here, as many as fit into one answer (D7)."""
        return self._store.serve(digests)

    def pin(self, height: int, digests: Sequence[Digest]) -> None:
        """Keep batches that a stored proposal, the locked or the valid value of `height` names (D8)."""
        self._store.pin(height, digests)

    # Blocks.

    def due(self, now: Instant) -> bool:
        """Whether batches are a reason for a block (2.7 b): residue is none."""
        return due(self._store, self._holders, now.mono_us)

    def choose(self, height: int, max_data_bytes: int, now: Instant) -> Choice:
        """Return the transactions to propose at `height`, with at most `max_data_bytes` of `Data` (D5)."""
        return self._proposer.choose(height, max_data_bytes, now.mono_us)

    def manifest_for(self, candidate: Candidate, txs: Sequence[bytes]) -> Manifest:
        """Return the manifest for what `prepare_proposal` made of a candidate."""
        return write_manifest(self._store, candidate, txs)

    def owns_check(self, request: RequestId) -> bool:
        """Whether a `TxsChecked` answers this machine."""
        return self._checks.owns(request)

    def on_checked(self, request: RequestId, results: Sequence[CheckResult], now: Instant) -> list[Output]:
        """Take the application's answer on foreign batches or residue; call `choose` again after it."""
        outputs: list[Output] = []
        for held, bad in self._checks.answer(request, results):
            if held.author == self._me:
                outputs.append(Dropped(tx_ids=bad, reason="the application refuses it by now"))
            outputs.extend(self._after_freeing(self._store.spend(bad), now))
        return outputs

    def assemble(self, compact: Compact) -> Assembly:
        """Rebuild the block of a compact block (`types.assembly.BlockAssembler`)."""
        return self._assembler.assemble(compact)

    def repeated(self, ids: Sequence[TxId]) -> bool:
        """Whether a next block of these transactions would repeat one, in itself or in the window (5.6)."""
        return self._store.repeated(ids)

    def on_decided(
        self,
        height: int,
        time_ns: int,
        proposer: Address,
        ids: Sequence[TxId],
        manifest: Sequence[Segment],
        now: Instant,
    ) -> list[Output]:
        """A block is final: it spends transactions, not batches (D6). `manifest` is empty after sync."""
        freed = self._store.decide(height, time_ns, ids)
        residue.note_left_out(self._store, self._holders, proposer, manifest)
        outputs = released(freed)
        for held, lost in self._store.expire():
            freed.append(held)
            outputs.extend(self._expired(held, lost))
        self._store.sweep()
        self._assembler.forget()
        if self._own is not None:
            self._own.on_decided(now.mono_us)
        return [*outputs, *self._after_freeing(freed, now)]

    def _expired(self, held: Held, lost: Sequence[TxId]) -> list[Output]:
        """D8: the one other end that a replicated transaction can have."""
        outputs = released([held])
        if self._own is not None:
            outputs.extend(self._own.expired(held))
            if held.author == self._me and lost:
                outputs.append(Dropped(tx_ids=lost, reason=EXPIRED))
        return outputs

    def _after_freeing(self, freed: Sequence[Held], now: Instant) -> list[Output]:
        """Room came back: tell authors that ran out of credit, and seal what waited for WINDOW."""
        outputs = released(freed)
        self._teller.freed(freed)
        outputs.extend(self._teller.tell(now.mono_us))
        if self._own is not None:
            outputs.extend(self._own.advance(now))
        return outputs

    def on_timer(self, key: TimerKey, now: Instant) -> list[Output]:
        """A timer of this machine ended (names begin with `batches/`). After it, ask `due` again."""
        self._timers.fired(key)
        if key == HAVE:
            return [*self._teller.tell(now.mono_us)]
        if key == FETCH:
            return [*self._fetcher.ask(now.mono_us)]
        if key == AGE:
            return self._watch_age(now)
        if key in (SEAL, PUSH) and self._own is not None:
            if key == PUSH:
                self._own.pusher.unstall(now.mono_us)
            return [*self._own.advance(now), *self._watch_age(now)]
        return []

    def _watch_age(self, now: Instant) -> list[Output]:
        """Have a timer end when the oldest young batch becomes a reason for a block (2.7 b)."""
        wait_us = until_old(self._store, now.mono_us)
        return [] if wait_us is None else [*self._timers.arm(AGE, now.mono_us, wait_us)]
