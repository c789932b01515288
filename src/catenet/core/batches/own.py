"""The own stream as a whole: buffer and seal (D1), push (D2), acknowledge (5.4), new incarnations."""

from collections.abc import Sequence

from catenet.core.batches.author import Author, Chunk
from catenet.core.batches.holders import Holders
from catenet.core.batches.io import BatchConfig, Output, Released
from catenet.core.batches.push import Pusher
from catenet.core.batches.residue import chunk_of, to_reseal
from catenet.core.batches.store import Held, Store, Usage
from catenet.core.batches.tickets import Tickets
from catenet.core.batches.timers import PUSH, SEAL, Timers
from catenet.types.clock import Instant
from catenet.types.effects import Abandoned, Acknowledge, Append, Dropped, Notice
from catenet.types.events import Level
from catenet.types.ids import Address, Ticket, TxId
from catenet.types.messages import Tip
from catenet.types.records import BatchRecord, IncarnationRecord, Record

_INCARNATION_AHEAD_MS = 600_000
"""A peer that reports an incarnation further in the future than this lies: it is the ms of creation."""

EXPIRED = "EXPIRED: outcome unknown here, look the id up"
"""D8: what the author says of transactions whose batch died."""

_NO_USAGE = Usage()
_RESTARTS = 8
"""New incarnations in one run: a liar cannot make us begin anew for ever."""


class OwnStream:
    """What this validator authors. `advance` is the one place where things go out; the rest changes state."""

    def __init__(
        self, config: BatchConfig, me: Address, store: Store, holders: Holders, timers: Timers
    ) -> None:
        self.author = Author(config, me)
        self._own: dict[int, Held] = {}
        self.pusher = Pusher(config, self._own)
        self.tickets = Tickets()
        self._config = config
        self._me = me
        self._store = store
        self._holders = holders
        self._timers = timers
        self._newest: Held | None = None
        self._restarts = 0
        self._restored_seq = 0

    def restore_incarnation(self, incarnation: int) -> None:
        """Take the journal's record of a new incarnation."""
        self.author.incarnation, self.author.seq = incarnation, 0
        self._restored_seq = 0
        self._own.clear()
        self._newest = None

    def restore(self, held: Held) -> None:
        """Take an own batch out of the journal: its number must never be used again."""
        held.checked = True
        if held.batch.incarnation == self.author.incarnation and held.batch.seq > self.author.seq:
            self.author.seq = self._restored_seq = held.batch.seq
            self._newest = held
        if held.batch.incarnation == self.author.incarnation:
            self._own[held.batch.seq] = held

    def start(self, now: Instant) -> list[Output]:
        """Begin; without a record of an incarnation the journal is new or lost (D1)."""
        if self.author.incarnation:
            return []
        self.author.incarnation = max(1, now.wall_ns // 1_000_000)
        return [Append(record=IncarnationRecord(incarnation=self.author.incarnation))]

    def records(self) -> list[Record]:
        """Return what a trimmed journal must still hold, beside live batches: the newest number used."""
        records: list[Record] = []
        if self.author.incarnation:
            records.append(IncarnationRecord(incarnation=self.author.incarnation))
        if self._newest is not None and self._newest.freed_at >= 0:
            records.append(BatchRecord(author=self._me, batch=self._newest.batch))
        return records

    def enqueue(
        self,
        ticket: Ticket,
        client: str,
        txs: Sequence[bytes],
        ids: Sequence[TxId],
        joined: Sequence[TxId],
        now_us: int,
    ) -> list[Output]:
        """Buffer admitted transactions; `joined` are ids of the submission that were pending here before."""
        outputs: list[Output] = []
        buffered, pending = self.author.buffered, self._store.pending
        if not (buffered.keys().isdisjoint(ids) and pending.keys().isdisjoint(ids)):
            # Two submissions of one transaction may have been checked at the same time.
            fresh = [i for i, tx_id in enumerate(ids) if tx_id not in buffered and tx_id not in pending]
            keep = set(fresh)
            again = [i for i in range(len(ids)) if i not in keep]
            joined = [*joined, *[ids[i] for i in again]]
            if client:
                outputs.append(Released(bytes_of={client: sum([len(txs[i]) for i in again])}))
            txs, ids = [txs[i] for i in fresh], [ids[i] for i in fresh]
        parts = self._join(ticket, joined, sealed_anyway=bool(txs))
        in_buffer = any([tx_id in buffered for tx_id in joined])
        if txs or in_buffer:
            parts += 1
            self.author.enqueue(Chunk(ticket=ticket, client=client, txs=txs, ids=ids), now_us)
        if parts:
            self.tickets.open(ticket, parts)
        else:
            outputs.append(Acknowledge(ticket=ticket, reached=Level.REPLICATED))
        return outputs

    def _join(self, ticket: Ticket, joined: Sequence[TxId], *, sealed_anyway: bool) -> int:
        """Make the ticket wait for batches that hold what it repeats; return for how many."""
        others: dict[Held, None] = {}
        seq = 0
        for tx_id in joined:
            held = self._store.pending.get(tx_id)
            if held is None:
                continue
            if held.author == self._me and held.batch.incarnation == self.author.incarnation:
                seq = max(seq, held.batch.seq)
            else:
                others[held] = None
        for held in others:
            self.tickets.wait_batch(ticket, held)
        # Numbers are acknowledged in order: what is sealed later stands for what was sealed before.
        if seq and not sealed_anyway:
            self.tickets.wait_seq(ticket, seq)
            return len(others) + 1
        return len(others)

    def advance(self, now: Instant) -> list[Output]:
        """Seal what is due, push what peers take, acknowledge what is held widely enough."""
        outputs: list[Output] = []
        replicated = self._holders.replicated(self.author.incarnation)
        wait_us = self._wait_us(replicated, now.mono_us)
        while wait_us == 0:
            outputs.extend(self._seal(now.mono_us))
            wait_us = self._wait_us(replicated, now.mono_us)
        if wait_us is not None:
            outputs.extend(self._timers.arm(SEAL, now.mono_us, wait_us))
        for peer in self._holders.order:
            if peer != self._me:
                outputs.extend(self.pusher.pump(peer, self.author.seq, self.author.incarnation, now.mono_us))
        if self.pusher.busy():
            outputs.extend(self._timers.arm(PUSH, now.mono_us, self._config.push_stall_us))
        done = self.tickets.replicated(replicated)
        done.extend(self.tickets.replicated_elsewhere(self._holders, self._store.held))
        outputs.extend([Acknowledge(ticket=ticket, reached=Level.REPLICATED) for ticket in done])
        return outputs

    def _wait_us(self, replicated: int, now_us: int) -> int | None:
        usage = self._store.usage.get(self._me, _NO_USAGE)
        return self.author.wait_us(usage, now_us, in_flight=replicated < self.author.seq)

    def _seal(self, now_us: int) -> list[Output]:
        sealed = self.author.seal(now_us)
        held = sealed.held
        freed = self._store.add(held)
        self._own[held.batch.seq] = self._newest = held
        for ticket in sealed.tickets:
            self.tickets.wait_seq(ticket, held.batch.seq)
        return [Append(record=BatchRecord(author=self._me, batch=held.batch)), *released(freed)]

    def on_tip(self, peer: Address, tip: Tip, now: Instant) -> list[Output]:
        """Take what a peer says of the own stream."""
        outputs: list[Output] = []
        # It can only have what the journal held at the start, or what it was sent since.
        known = max(self._restored_seq, self.pusher.sent(peer))
        newer = (tip.incarnation, tip.seq) > (self.author.incarnation, known)
        if newer and self.author.incarnation and self._restarts < _RESTARTS:
            # D1: the peer has numbers that this journal does not know any more: never use them again.
            now_ms = now.wall_ns // 1_000_000
            if tip.incarnation <= now_ms + _INCARNATION_AHEAD_MS:
                outputs.extend(self._begin_anew(max(now_ms, tip.incarnation + 1), now.mono_us))
        self.pusher.tip(peer, tip, self.author.incarnation, now.mono_us)
        return outputs

    def _begin_anew(self, incarnation: int, now_us: int) -> list[Output]:
        self._restarts += 1
        live = [*self._store.live.get(self._me, {}).values()]
        live.extend([held for held in self._store.residue.values() if held.author == self._me])
        self.restore_incarnation(incarnation)
        self.pusher.restart(now_us)
        for held in live:
            self._rebuffer(held, now_us)
        waiting = self.tickets.restart()
        outputs: list[Output] = [
            Append(record=IncarnationRecord(incarnation=incarnation)),
            Notice(name="batches.incarnation", fields={"incarnation": incarnation}, alarm=True),
        ]
        for ticket in waiting:
            if self.author.buffered:
                self.author.enqueue(Chunk(ticket=ticket, client="", txs=(), ids=()), now_us)
            else:
                # What it waited for is spent.
                self.tickets.wait_seq(ticket, 0)
        return outputs

    def on_decided(self, now_us: int) -> None:
        """Seal own residue anew (D6), and forget numbers whose batches are gone."""
        for held in to_reseal(self._store, self._me):
            self._rebuffer(held, now_us)
        held_here = self._store.held
        for seq in [seq for seq, held in self._own.items() if held.digest not in held_here]:
            del self._own[seq]

    def expired(self, held: Held) -> list[Output]:
        """A batch died (D8): who waits for it is told so, never that it is replicated."""
        tickets = self.tickets.cancel(held)
        if held.author == self._me and held.batch.incarnation == self.author.incarnation:
            tickets += self.tickets.cancel_seq(held.batch.seq)
        return [Abandoned(ticket=ticket, reason=EXPIRED) for ticket in tickets]

    def abandon(self, reason: str) -> list[Output]:
        """Tell clients that nothing more is done here for what they handed in."""
        own = [held for held in self._store.all_live() if held.author == self._me]
        lost = [held.ids[index] for held in own for index in self._store.open_txs(held)]
        lost.extend(self.author.buffered)
        bytes_of = self.author.clear()
        outputs = released(own)
        if bytes_of:
            outputs.append(Released(bytes_of=bytes_of))
        outputs.extend([Abandoned(ticket=ticket, reason=reason) for ticket in self.tickets.cancel_all()])
        return [*outputs, Dropped(tx_ids=lost, reason=reason)] if lost else outputs

    def _rebuffer(self, held: Held, now_us: int) -> None:
        chunk = chunk_of(self._store, held)
        if chunk.txs and self.author.buffered.keys().isdisjoint(chunk.ids):
            self.author.enqueue(chunk, now_us)


def released(freed: Sequence[Held]) -> list[Output]:
    """Return the quota that batches of this node's clients give back."""
    total: dict[str, int] = {}
    for held in freed:
        for client, size in held.bytes_of.items():
            total[client] = total.get(client, 0) + size
        held.bytes_of = {}
    return [Released(bytes_of=total)] if total else []
