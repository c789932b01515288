"""What a proposer offers (D5, D6): batches in order, and the manifest for what the application returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from catenet.chain.block import data_hash
from catenet.core.batches.holders import Holders
from catenet.core.batches.io import BatchConfig, Candidate, Manifest
from catenet.core.batches.store import Held, Store, tx_ids
from catenet.types.batch import Inline, Pick, Ref, Segment
from catenet.types.ids import Address, TxId


def offered(store: Store, holders: Holders, height: int, now_us: int, *, residue: bool) -> list[Held]:
    """Return the batches to offer: round robin over authors from index `h mod n`, numbers ascending (D5)."""
    config = store.config
    streams: list[list[Held]] = []
    thin: list[list[Held]] = []
    for author in _authors(store, holders.order, height):
        batches = sorted(store.live.get(author, {}).values(), key=_place)
        wide: list[Held] = []
        for held in batches:
            old = now_us - held.arrived_us >= config.eager_us
            # Acknowledgements are cumulative: behind the first that is neither acknowledged nor old none is.
            if not old and not holders.two(holders.power(held)):
                break
            wide.append(held)
        streams.append(wide)
        thin.append([held for held in batches if holders.third(holders.power(held))])
    if not any(streams):
        # The height is due by a third (2.7 b): an eager offer costs at most a fetch, an empty block a height.
        streams = thin
    order = _round_robin(streams)
    if residue:
        order.extend(store.residue.values())
    return order


def _authors(store: Store, order: Sequence[Address], height: int) -> list[Address]:
    start = height % len(order) if order else 0
    members = [*order[start:], *order[:start]]
    known = set(members)
    return members + [author for author in store.live if author not in known]


def _place(held: Held) -> tuple[int, int]:
    return held.place


def _round_robin(streams: list[list[Held]]) -> list[Held]:
    longest = max(map(len, streams), default=0)
    return [stream[turn] for turn in range(longest) for stream in streams if turn < len(stream)]


def fitting(batches: Sequence[Held], max_data_bytes: int) -> list[Held]:
    """Return as many of the batches as a block can hold at most."""
    kept: list[Held] = []
    for held in batches:
        if max_data_bytes <= 0:
            break
        max_data_bytes -= len(held.batch.payload)
        kept.append(held)
    return kept


@dataclass(slots=True)
class _Selection:
    segments: list[Segment] = field(default_factory=list)
    txs: list[bytes] = field(default_factory=list)
    ids: list[TxId] = field(default_factory=list)
    chosen: dict[TxId, None] = field(default_factory=dict)
    bytes: int = 0


def select(store: Store, batches: Sequence[Held], height: int, max_data_bytes: int) -> Candidate:
    """Fill a block with what is pending of the offered batches, whole batches where possible."""
    selection = _Selection()
    for held in batches:
        if len(selection.segments) >= store.config.segments:
            break
        if not _choose(store, held, selection, max_data_bytes):
            break
    return Candidate(height=height, txs=selection.txs, ids=selection.ids, segments=tuple(selection.segments))


def _choose(store: Store, held: Held, selection: _Selection, max_data_bytes: int) -> bool:
    """Add one batch's pending transactions. False: the block is full."""
    whole = held.open == len(held.ids) and selection.chosen.keys().isdisjoint(held.ids)
    indices = range(len(held.ids)) if whole else _left(store, held, selection)
    if not indices:
        return True
    txs = held.txs if whole else [held.txs[index] for index in indices]
    size = len(held.batch.payload) if whole else encoded_size(txs)
    if selection.bytes + size > max_data_bytes:
        if selection.bytes:
            return False
        # A block smaller than one batch takes what fits of it.
        indices, txs, size = _prefix(held, indices, max_data_bytes)
        whole = False
        if not txs:
            return False
    ids = held.ids if whole else [held.ids[index] for index in indices]
    selection.segments.append(segment(held, indices))
    selection.txs.extend(txs)
    selection.ids.extend(ids)
    selection.chosen.update(dict.fromkeys(ids))
    selection.bytes += size
    return True


def _left(store: Store, held: Held, selection: _Selection) -> Sequence[int]:
    chosen = selection.chosen
    return [index for index in store.open_txs(held) if held.ids[index] not in chosen]


def _prefix(held: Held, indices: Sequence[int], room: int) -> tuple[Sequence[int], Sequence[bytes], int]:
    size = count = 0
    for index in indices:
        grown = size + encoded_size([held.txs[index]])
        if grown > room:
            break
        size = grown
        count += 1
    kept = indices[:count]
    return kept, [held.txs[index] for index in kept], size


def encoded_size(txs: Sequence[bytes]) -> int:
    """Return the bytes that transactions take in a block's `Data`."""
    return sum([len(tx) + (2 if len(tx) < 0x80 else 3 if len(tx) < 0x4000 else 4) for tx in txs])


def segment(held: Held, indices: Sequence[int]) -> Segment:
    """Return the shortest segment that gives exactly these transactions of a batch, in this order."""
    count = len(held.ids)
    ascending = all([a < b for a, b in pairwise(indices)])
    if ascending and 2 * len(indices) >= count:
        named = set(indices)
        excluded = () if len(indices) == count else tuple([i for i in range(count) if i not in named])
        return Ref(digest=held.digest, excluded=excluded)
    return Pick(digest=held.digest, indices=tuple(indices))


class _Writer:
    """Collects runs of transactions of one batch into segments."""

    def __init__(self, config: BatchConfig) -> None:
        self.segments: list[Segment] = []
        self.inline_bytes = 0
        self._config = config
        self._held: Held | None = None
        self._indices: list[int] = []
        self._inline: list[bytes] = []

    def place(self, held: Held, index: int) -> bool:
        """Append a transaction of a batch. False: the manifest is full."""
        if self._inline or held is not self._held:
            self._flush()
            if len(self.segments) >= self._config.segments - 1:
                return False
            self._held = held
        self._indices.append(index)
        return True

    def inline(self, tx: bytes) -> bool:
        """Append a transaction that is in no batch. False: the manifest is full."""
        self.inline_bytes += len(tx)
        if self.inline_bytes > self._config.inline_bytes or len(self.segments) >= self._config.segments - 2:
            return False
        if not self._inline:
            self._flush()
        self._inline.append(tx)
        return True

    def finish(self) -> tuple[Segment, ...]:
        """Return the manifest."""
        self._flush()
        return tuple(self.segments)

    def _flush(self) -> None:
        if self._held is not None and self._indices:
            self.segments.append(segment(self._held, self._indices))
        if self._inline:
            self.segments.append(Inline(txs=tuple(self._inline)))
        self._held, self._indices, self._inline = None, [], []


def manifest(store: Store, candidate: Candidate, txs: Sequence[bytes]) -> Manifest:
    """Return a manifest for what `prepare_proposal` returned: reordered, with some left out or added.

    Repetitions, and additions that the window or the bound on inline bytes forbids, are left out: an honest
    proposer's block is valid.
    """
    if txs is candidate.txs or txs == candidate.txs:
        return _manifest(candidate.segments, candidate.txs, candidate.ids)
    place: dict[bytes, tuple[Held, int]] = {}
    for named in candidate.segments:
        if not isinstance(named, Inline) and (held := store.held.get(named.digest)) is not None:
            place.update(zip(held.txs, [(held, index) for index in range(len(held.txs))], strict=True))
    added = [tx for tx in txs if tx not in place]
    id_of = dict(zip(added, tx_ids(added), strict=True))
    spent = store.committed(list(id_of.values()))
    writer = _Writer(store.config)
    kept: list[bytes] = []
    ids: list[TxId] = []
    for tx in dict.fromkeys(txs):
        where = place.get(tx) or _elsewhere(store, id_of[tx])
        tx_id = id_of[tx] if where is None else where[0].ids[where[1]]
        if tx_id in spent:
            continue
        if not (writer.inline(tx) if where is None else writer.place(*where)):
            break
        kept.append(tx)
        ids.append(tx_id)
    return _manifest(writer.finish(), kept, ids)


def _elsewhere(store: Store, tx_id: TxId) -> tuple[Held, int] | None:
    owner = store.pending.get(tx_id)
    return None if owner is None else (owner, owner.ids.index(tx_id))


def _manifest(segments: tuple[Segment, ...], txs: Sequence[bytes], ids: Sequence[TxId]) -> Manifest:
    return Manifest(segments=segments, txs=txs, ids=ids, data_hash=data_hash(ids))
