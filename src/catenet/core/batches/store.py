"""Batches by digest and pending transactions by id (D6, D8, D9): what is here, not who sends or chooses it.

A transaction is *pending* until it is committed, refused, or the last batch that holds it expires; a batch is
*live* while one of its transactions is pending, then *freed* and kept for a while to answer fetches. Sets and
dicts are updated in bulk: this lies on the hot path. Nothing iterates over a set: order must not vary.
"""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from catenet.chain.block import split_txs
from catenet.chain.encoding import DecodeError
from catenet.core.batches.io import BatchConfig
from catenet.types.batch import Batch, batch_digest
from catenet.types.ids import Address, Digest, TxId
from catenet.types.messages import FoundBatch
from catenet.types.ports import TxWindow

_ANSWER_BYTES = 3 * 1024 * 1024
"""Payload bytes in one answer to a fetch, so that it stays below 4 MiB."""


@dataclass(slots=True, eq=False, kw_only=True)
class Held:
    """A batch that is here, its transactions hashed once, and how far it came."""

    digest: Digest
    author: Address
    batch: Batch
    txs: Sequence[bytes]
    ids: Sequence[TxId]
    leaves: Sequence[bytes]
    """Merkle leaf hash of each id: the inner nodes alone are left for the time of the proposal."""
    arrived_us: int = 0
    """Monotonic microseconds."""
    height: int = 0
    """Newest decided height at the arrival."""
    time_ns: int = 0
    """Its block time."""
    counted: bool = True
    """Whether it counts against its author's WINDOW; one that was fetched for a proposal does not (D7)."""
    checked: bool = False
    """Whether the application's `check_txs` saw it."""
    rechecked: bool = False
    open: int = 0
    """Distinct transactions of it that are pending."""
    left_out_by: dict[Address, None] = field(default_factory=dict)
    """Proposers whose blocks named it and left something out (D6)."""
    residue_at: int = 0
    """Height since which what is pending of it is residue; 0: it is not."""
    freed_at: int = -1
    """Height at which nothing was pending any more; -1: live."""
    bytes_of: dict[str, int] = field(default_factory=dict)
    """Bytes per client of this node, for its quota."""

    @property
    def place(self) -> tuple[int, int]:
        """Incarnation and number in its author's stream."""
        return self.batch.incarnation, self.batch.seq


def tx_ids(txs: Sequence[bytes]) -> list[TxId]:
    """Return the ids of transactions."""
    return [sha256(tx).digest() for tx in txs]


def leaf_hashes(ids: Sequence[TxId]) -> list[bytes]:
    """Return the Merkle leaves that transactions of these ids are in a header's `data_hash`."""
    return [sha256(b"\0" + tx_id).digest() for tx_id in ids]


def unpack(author: Address, batch: Batch, config: BatchConfig, digest: Digest | None = None) -> Held | None:
    """Split and hash a batch: ids and leaf hashes in one pass each. None: its payload is none."""
    if not 0 < len(batch.payload) <= config.payload_bytes:
        return None
    try:
        txs = split_txs(batch.payload)
    except DecodeError:
        return None
    if not all(txs):
        return None
    ids = tx_ids(txs)
    name = batch_digest(author, batch) if digest is None else digest
    return Held(digest=name, author=author, batch=batch, txs=txs, ids=ids, leaves=leaf_hashes(ids))


@dataclass(slots=True)
class Usage:
    """What live batches of one author take of its WINDOW."""

    batches: int = 0
    bytes: int = 0


class Store:
    """The batches of all authors. Methods return what changed; they emit nothing."""

    def __init__(self, config: BatchConfig, window: TxWindow, dedup_window_ns: int) -> None:
        self.config = config
        self.held: dict[Digest, Held] = {}
        self.pending: dict[TxId, Held] = {}
        """D9: each pending id and one live batch that holds it."""
        self.live: dict[Address, dict[Digest, Held]] = {}
        """Per author, batches with pending transactions that are not residue, in order of arrival."""
        self.residue: dict[Digest, Held] = {}
        self.usage: dict[Address, Usage] = {}
        self.height = 0
        """Newest decided height."""
        self.time_ns = 0
        """Its block time."""
        self._window = window
        self._dedup_window_ns = dedup_window_ns
        self._shared: dict[TxId, list[Held]] = {}
        self._freed: dict[Digest, Held] = {}
        self._pins: dict[Digest, int] = {}
        self._recent: dict[TxId, int] = {}
        self._recent_blocks: deque[tuple[int, Sequence[TxId]]] = deque()

    def add(self, held: Held) -> list[Held]:
        """Take a batch in; return batches that are freed because it repeats what was pending in them (D6)."""
        held.height, held.time_ns = self.height, self.time_ns
        self.held[held.digest] = held
        self.live.setdefault(held.author, {})[held.digest] = held
        if held.counted:
            self.count(held)
        freed: list[Held] = []
        spent = self.committed(held.ids)
        if not spent and self.pending.keys().isdisjoint(held.ids):
            fresh = dict.fromkeys(held.ids, held)
            self.pending.update(fresh)
            held.open = len(fresh)
        else:
            freed = self._add_overlapping(held, spent)
        if not held.open:
            self._free(held)
        return freed

    def _add_overlapping(self, held: Held, spent: dict[TxId, None]) -> list[Held]:
        freed: list[Held] = []
        for tx_id in dict.fromkeys(held.ids):
            if tx_id in spent:
                continue
            owner = self.pending.get(tx_id)
            if owner is None:
                self.pending[tx_id] = held
            elif owner.author != held.author:
                self._shared.setdefault(tx_id, []).append(held)
            elif owner.place < held.place:
                # D6: the author sealed its residue anew; the older batch need not keep it.
                self.pending[tx_id] = held
                owner.open -= 1
                if not owner.open:
                    self._free(owner)
                    freed.append(owner)
            else:
                continue
            held.open += 1
        return freed

    def count(self, held: Held) -> None:
        """Charge a batch to its author's WINDOW."""
        usage = self.usage.setdefault(held.author, Usage())
        usage.batches += 1
        usage.bytes += len(held.batch.payload)

    def committed(self, ids: Sequence[TxId]) -> dict[TxId, None]:
        """Return those ids that a next block must not repeat (5.6)."""
        spent: dict[TxId, None] = {}
        if not self._recent.keys().isdisjoint(ids):
            spent = dict.fromkeys([tx_id for tx_id in ids if tx_id in self._recent])
        oldest = self.time_ns - self._dedup_window_ns
        found = self._window.committed(ids)
        if found:
            spent.update(dict.fromkeys([tx_id for tx_id in ids if found.get(tx_id, oldest - 1) >= oldest]))
        return spent

    def repeated(self, ids: Sequence[TxId]) -> bool:
        """Say whether a block of these transactions would repeat one, in itself or in the window (5.6)."""
        if len(set(ids)) != len(ids):
            return True
        # What is pending here was looked up when it came, and every decided block removes its own.
        others = [tx_id for tx_id in ids if tx_id not in self.pending]
        return bool(others) and bool(self.committed(others))

    def spend(self, ids: Sequence[TxId]) -> list[Held]:
        """Make ids no longer pending; return the batches that this freed, in order."""
        pop = self.pending.pop
        freed: list[Held] = []
        counts = Counter([pop(tx_id, None) for tx_id in ids])
        for owner, count in counts.items():
            if owner is not None:
                owner.open -= count
                if not owner.open:
                    freed.append(owner)
        if self._shared:
            for tx_id in ids:
                for other in self._shared.pop(tx_id, ()):
                    other.open -= 1
                    if not other.open:
                        freed.append(other)
        for held in freed:
            self._free(held)
        return freed

    def decide(self, height: int, time_ns: int, ids: Sequence[TxId]) -> list[Held]:
        """Take in a decided block (D6); return the batches that it freed."""
        self.height, self.time_ns = height, time_ns
        # The index behind the window may lag: the newest blocks' ids stay here.
        self._recent.update(dict.fromkeys(ids, height))
        self._recent_blocks.append((height, ids))
        while len(self._recent_blocks) > self.config.retain_heights:
            old, old_ids = self._recent_blocks.popleft()
            for tx_id in old_ids:
                if self._recent.get(tx_id) == old:
                    del self._recent[tx_id]
        return self.spend(ids)

    def _free(self, held: Held) -> None:
        held.freed_at = self.height
        self.live.get(held.author, {}).pop(held.digest, None)
        self.residue.pop(held.digest, None)
        self._freed[held.digest] = held
        if held.counted:
            usage = self.usage[held.author]
            usage.batches -= 1
            usage.bytes -= len(held.batch.payload)
            held.counted = False

    def make_residue(self, held: Held) -> None:
        """Mark what is pending of a live batch as residue (D6)."""
        held.residue_at = self.height
        self.live[held.author].pop(held.digest)
        self.residue[held.digest] = held

    def pin(self, height: int, digests: Iterable[Digest]) -> None:
        """Keep batches that a stored proposal of `height` names (D8)."""
        for digest in digests:
            self._pins[digest] = max(height, self._pins.get(digest, 0))

    def sweep(self) -> None:
        """Drop freed batches that served fetches long enough, and pins of heights that are decided (D8)."""
        if self._pins:
            self._pins = {digest: height for digest, height in self._pins.items() if height > self.height}
        oldest = self.height - self.config.retain_heights
        gone: list[Held] = []
        for held in self._freed.values():
            if held.freed_at >= oldest:
                break
            if held.digest not in self._pins:
                gone.append(held)
        for held in gone:
            del self._freed[held.digest]
            del self.held[held.digest]

    def expire(self) -> list[tuple[Held, list[TxId]]]:
        """Let old batches die (D8); return each with those ids of it that nothing holds any more."""
        heights, span = self.config.ttl_heights, self.config.ttl_ns
        dead: list[Held] = []
        for batches in (*self.live.values(), self.residue):
            for held in batches.values():
                if held.height + heights > self.height or held.time_ns + span > self.time_ns:
                    break
                if held.digest not in self._pins:
                    dead.append(held)
        return [(held, self._kill(held)) for held in dead]

    def _kill(self, held: Held) -> list[TxId]:
        lost: list[TxId] = []
        for tx_id in dict.fromkeys(held.ids):
            others = self._shared.get(tx_id, [])
            if self.pending.get(tx_id) is held:
                if others:
                    self.pending[tx_id] = others.pop(0)
                else:
                    del self.pending[tx_id]
                    lost.append(tx_id)
            elif held in others:
                others.remove(held)
            if tx_id in self._shared and not others:
                del self._shared[tx_id]
        held.open = 0
        self._free(held)
        return lost

    def open_txs(self, held: Held) -> list[int]:
        """Return the indices of those transactions of a batch that are pending, each id once."""
        pending = self.pending
        if held.open == len(held.ids):
            return list(range(len(held.ids)))
        first: dict[TxId, int] = {}
        for index, tx_id in enumerate(held.ids):
            if tx_id in pending:
                first.setdefault(tx_id, index)
        return list(first.values())

    def serve(self, digests: Sequence[Digest]) -> tuple[FoundBatch, ...]:
        """Return wanted batches that are here, as many as fit into one answer."""
        found: list[FoundBatch] = []
        room = _ANSWER_BYTES
        for digest in digests:
            held = self.held.get(digest)
            if held is not None and len(held.batch.payload) <= room:
                room -= len(held.batch.payload)
                found.append(FoundBatch(author=held.author, batch=held.batch))
        return tuple(found)

    def all_live(self) -> list[Held]:
        """Return every batch with pending transactions, and every pinned one, in a fixed order."""
        batches = [held for by_author in self.live.values() for held in by_author.values()]
        batches.extend(self.residue.values())
        batches.extend([held for held in self._freed.values() if held.digest in self._pins])
        return batches
