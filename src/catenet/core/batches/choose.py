"""What a proposer offers (D5, D6): batches in order, and the manifest for what the application returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from catenet.core.batches.checks import Checks
from catenet.core.batches.holders import Holders
from catenet.core.batches.io import Candidate, Choice
from catenet.core.batches.manifest import segment
from catenet.core.batches.store import Held, Store
from catenet.types.batch import Segment
from catenet.types.effects import CheckTxs
from catenet.types.ids import Address, RequestId, TxId


class Proposer:
    """What this node offers when its turn comes, with the application's check in between."""

    def __init__(self, store: Store, holders: Holders, checks: Checks) -> None:
        self._store = store
        self._holders = holders
        self._checks = checks
        self._offered_at = -store.config.residue_heights
        """Height of the newest own block that offered residue."""
        self._waited_at = 0
        self._waiting: tuple[RequestId, ...] = ()

    def choose(self, height: int, max_data_bytes: int, now_us: int) -> Choice:
        """Return the transactions to propose at `height`, or ask the application first (D5)."""
        if any([self._checks.owns(request) for request in self._waiting]):
            return Choice(candidate=None)
        # D6: each proposer offers residue at its first turn that far after its last offer.
        with_residue = height >= self._offered_at + self._store.config.residue_heights
        batches = offered(self._store, self._holders, height, now_us, residue=with_residue)
        effects: list[CheckTxs] = []
        if self._waited_at != height:
            # Once per height: what comes while the application checks is for the next proposer.
            self._waited_at = height
            unchecked = _fitting([held for held in batches if self._checks.needs(held)], max_data_bytes)
            effects = self._checks.ask(self._store, unchecked)
            self._waiting = self._checks.covering(unchecked)
            if self._waiting:
                return Choice(candidate=None, outputs=tuple(effects))
        ready = [held for held in batches if not self._checks.needs(held)]
        candidate = select(self._store, ready, height, max_data_bytes)
        if with_residue and any([held.residue_at for held in ready]):
            self._offered_at = height
        return Choice(candidate=candidate, outputs=tuple(effects))


def due(store: Store, holders: Holders, now_us: int) -> bool:
    """Say whether batches are a reason for a block (2.7 b): held by a third, or old; residue is none."""
    # Per author the first has the most acknowledgements and the greatest age.
    for batches in store.live.values():
        held = next(iter(batches.values()), None)
        if held is not None and (
            now_us - held.arrived_us >= store.config.eager_us or holders.third(holders.acked(held))
        ):
            return True
    return False


def until_old(store: Store, now_us: int) -> int | None:
    """Return how long until the oldest young batch becomes a reason for a block; None: there is none."""
    ages = [
        now_us - held.arrived_us
        for batches in store.live.values()
        for held in islice(batches.values(), 1)
        if now_us - held.arrived_us < store.config.eager_us
    ]
    return store.config.eager_us - max(ages) if ages else None


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
        thin.append([held for held in batches if holders.third(holders.acked(held))])
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


def _fitting(batches: Sequence[Held], max_data_bytes: int) -> list[Held]:
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
