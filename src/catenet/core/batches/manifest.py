"""Manifests of own proposals (consensus.md 1): segments that give exactly what the application returned."""

from collections.abc import Sequence
from itertools import pairwise

from catenet.chain.block import data_hash
from catenet.core.batches.io import BatchConfig, Candidate, Manifest
from catenet.core.batches.store import Held, Store, tx_ids
from catenet.types.batch import Inline, Pick, Ref, Segment
from catenet.types.ids import TxId


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


def write_manifest(store: Store, candidate: Candidate, txs: Sequence[bytes]) -> Manifest:
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
