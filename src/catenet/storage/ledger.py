"""Final blocks (`types.ports.BlockReader`, `TxWindow`): a log is the truth, an index follows from it.

Storing a block is one write to the log and rows in memory; `flush`, in the background, syncs the log and then
commits the rows. So the index never knows a block that the log could lose, and after any crash it is
caught up from where it stood. An index that is lost or does not check is rebuilt. What the log could lose
after an operating system crash lies above the newest flush: those blocks come again from the journal
(consensus.md 4).
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from catenet.chain.block_id import BlockID
from catenet.chain.commit import Commit
from catenet.chain.state import ChainState
from catenet.chain.validators import ValidatorSet
from catenet.storage import index
from catenet.storage.blocks import BlockRecord, decode_block_record
from catenet.storage.event_rows import EVENTS, event_rows
from catenet.storage.index import HASHES, HEIGHTS, META, TXS, BlockRow, Meta
from catenet.storage.log import Log
from catenet.storage.scan import Position, default_remedy, segment_numbers
from catenet.storage.search import EventSearch
from catenet.storage.tables import Tables, destroy
from catenet.types.application import BlockOutcome
from catenet.types.effects import CommitBlock
from catenet.types.errors import Corrupt, WrongState
from catenet.types.ids import TxId
from catenet.types.ports import StoredBlock, TxLocation, TxPlace

CACHE_BYTES = 32 << 20
SEGMENT_BYTES = 64 << 20
PENDING_ROWS_MAX = 200_000
"""So many index rows are held in memory before storing a block flushes by itself."""


class Ledger:
    """Final blocks of one chain. One thread stores at a time; reads may come from any thread."""

    def __init__(
        self,
        log: Log,
        tables: Tables,
        meta: Meta | None,
        *,
        rebuilt: bool,
        cache_bytes: int = CACHE_BYTES,
        pending_rows_max: int = PENDING_ROWS_MAX,
        progress: Callable[[int], object] = lambda height: None,
    ) -> None:
        self._log = log
        self._tables = tables
        self.rebuilt = rebuilt
        """Whether an index was here and could not be used: a notice for the operator."""
        self._cache_bytes = cache_bytes
        self._pending_rows_max = pending_rows_max
        self._head = meta.head if meta else 0
        self._lowest = meta.lowest if meta else 0
        self._flushed = self._head
        self._events_from = meta.events_from if meta else 0
        newest = self.row(self._head)
        self._txs = newest.txs_after if newest else 0
        self.events = EventSearch(tables, self)
        """Finds transactions and blocks by their events."""
        self._cache: OrderedDict[int, BlockRecord] = OrderedDict()
        self._cached_bytes = 0
        self._store_lock = threading.Lock()
        self._flush_lock = threading.Lock()
        self._cache_lock = threading.Lock()
        self._catch_up(meta.end if meta else None, progress)
        if meta is None:
            self.flush()  # from here on it is known what a crash must not lose

    @classmethod
    def open(
        cls,
        data: Path,
        *,
        cache_bytes: int = CACHE_BYTES,
        pending_rows_max: int = PENDING_ROWS_MAX,
        segment_bytes: int = SEGMENT_BYTES,
        sync: Callable[[int], None] = os.fdatasync,
        progress: Callable[[int], object] = lambda height: None,
    ) -> "Ledger":
        """Open or create the ledger in `data/blocks` and `data/index`; catch the index up or rebuild it.

        `progress` hears each height that is indexed again. Raises `Corrupt` when a block that was flushed
        is damaged.
        """
        blocks, path = data / "blocks", data / "index"
        tables, meta, rebuilt = _open_index(path)
        if not segment_numbers(blocks):
            if meta is not None:
                tables.abandon()
                raise Corrupt(f"{blocks}: the block log is gone. {default_remedy(blocks)}")
            log = Log.create(blocks, segment_bytes=segment_bytes, sync=sync)
        else:
            durable = meta.end if meta else None
            log = Log.open(blocks, durable=durable, segment_bytes=segment_bytes, sync=sync)
            if meta is not None and meta.log_id != log.id:
                tables.abandon()
                destroy(path)
                tables, meta, rebuilt = Tables(path, index.TABLES), None, True
        return cls(
            log,
            tables,
            meta,
            rebuilt=rebuilt,
            cache_bytes=cache_bytes,
            pending_rows_max=pending_rows_max,
            progress=progress,
        )

    @property
    def index_path(self) -> Path:
        """Where the index is."""
        return self._tables.path

    @property
    def lowest(self) -> int:
        """Lowest height kept; 1 before the first block."""
        return self._lowest or 1

    @property
    def head(self) -> int:
        """Newest final height; 0 before the first block."""
        return self._head

    @property
    def events_from(self) -> int:
        """Lowest height whose events are indexed."""
        return max(self._events_from, self.lowest)

    @property
    def flushed(self) -> int:
        """The height that no crash can lose here; above it, the journal must still hold the commits."""
        return self._flushed

    def store(self, effect: CommitBlock) -> None:
        """Store what `CommitBlock` holds, as `append` does."""
        self.append(
            effect.height,
            effect.raw,
            effect.block_id,
            effect.commit,
            effect.outcome,
            effect.tx_ids,
            effect.state,
            evidence=[piece.hash() for piece in effect.block.evidence],
        )

    def append(
        self,
        height: int,
        raw: bytes,
        block_id: BlockID,
        commit: Commit,
        outcome: BlockOutcome,
        tx_ids: Sequence[TxId],
        state: ChainState,
        *,
        evidence: Sequence[bytes] = (),
    ) -> None:
        """Store the next final block; `state` is the one after it, `evidence` hashes what it holds.

        Seen by reads when this returns; not durable before `flush`. A block that is here already is left as
        it is. Raises `WrongState` for a gap, `Corrupt` when another block has that height, OSError.
        """
        with self._store_lock:
            if self._head and height <= self._head:
                self._require_same(height, block_id)
                return
            if self._head and height != self._head + 1:
                raise WrongState(f"block {height} does not follow block {self._head}")
            record = BlockRecord.of(
                height=height, raw=raw, block_id=block_id, commit=commit, outcome=outcome, state=state
            )
            self._remember(record)
            self._add(record, self._log.append((record.encode(),)), tx_ids, outcome, evidence)
        if self._tables.pending_rows > self._pending_rows_max:
            self.flush()

    def flush(self) -> int:
        """Make everything stored so far durable; return the height. Runs beside `append`. Raises OSError."""
        with self._flush_lock:
            with self._store_lock:
                meta = Meta(self._log.id, self._head, self._lowest, self._log.end, self._events_from)
                self._tables.put(index.meta_changes(meta))
                self._tables.freeze()
            self._log.sync()
            self._tables.commit()
            self._flushed = meta.head
            return meta.head

    def close(self) -> None:
        """Flush and close. Raises OSError."""
        self.flush()
        self._log.close()
        self._tables.close()

    def block(self, height: int) -> StoredBlock | None:
        """Return the block of a height, or None when it is not here. Raises `Corrupt`."""
        record = self._record(height)
        return record.stored() if record else None

    def outcome(self, height: int) -> BlockOutcome | None:
        """Return what executing a height gave, or None when it is not here. Raises `Corrupt`."""
        record = self._record(height)
        return record.decoded_outcome() if record else None

    def state_at(self, height: int) -> ChainState | None:
        """Return the chain's state after a height, or None when it is not here. Raises `Corrupt`."""
        record = self._record(height)
        return record.decoded_state() if record else None

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Return the validators who sign a height, up to one above the head, or None. Raises `Corrupt`."""
        state = self.state_at(height)
        if state is not None:
            return state.last_validators
        before = self.state_at(height - 1)
        return before.validators if before else None

    def time_at(self, height: int) -> int | None:
        """Return the time of a block in nanoseconds, or None when it is not here. Raises `Corrupt`."""
        row = self.row(height)
        return row.time_ns if row else None

    def row(self, height: int) -> BlockRow | None:
        """Return what the index says of a block, or None when it is not here. Raises `Corrupt`."""
        row = self._tables.get(HEIGHTS, index.height_key(height)) if height > 0 else None
        return index.read_block(row) if row else None

    def height_of(self, block_hash: bytes) -> int | None:
        """Return the height of a block hash, or None. Raises `Corrupt`."""
        row = self._tables.get(HASHES, block_hash) if block_hash else None
        return int.from_bytes(row, "big") if row else None

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        """Whether a block here holds this evidence. Raises `Corrupt`."""
        return bool(self._tables.get(HASHES, index.evidence_key(evidence_hash)))

    def locate(self, ids: Sequence[TxId]) -> Mapping[TxId, TxLocation]:
        """Return where transactions were committed; unknown ones are left out. Raises `Corrupt`."""
        rows = self._tables.get_many(TXS, ids)
        return {tx_id: index.read_tx(row) for tx_id, row in rows.items()}

    def place(self, tx_id: TxId) -> TxPlace | None:
        """Return where a transaction was committed, or None. Raises `Corrupt`."""
        found = self.locate((tx_id,)).get(tx_id)
        return TxPlace(found.height, found.index) if found else None

    def forget_events(self, below: int) -> None:
        """Drop the event index of heights below `below` that are not the newest one: searches begin above.

        Durable with the next flush. Raises `Corrupt`.
        """
        for height in range(self.events_from, min(below, self._head)):
            outcome = self.outcome(height)
            with self._store_lock:
                if outcome is not None:
                    self._tables.put({EVENTS: dict.fromkeys(event_rows(height, outcome))})
                self._events_from = height + 1
            if self._tables.pending_rows > self._pending_rows_max:
                self.flush()

    def committed(self, ids: Sequence[TxId]) -> Mapping[TxId, int]:
        """Return the block time of each id that was ever committed, its newest one. Raises `Corrupt`."""
        rows = self._tables.get_many(TXS, ids)
        return {tx_id: index.tx_time(row) for tx_id, row in rows.items()}

    def verify(self) -> int:
        """Read every block and every row; return how many blocks there are. Raises `Corrupt`."""
        self._tables.verify()
        count = 0
        for position, group in self._log.groups():
            for data in group:
                record = decode_block_record(data)
                row = self._tables.get(HEIGHTS, index.height_key(record.height))
                if row is None or index.read_block(row).position != position:
                    raise Corrupt(f"{self._tables.path}: block {record.height} is not where the index says")
                count += 1
        return count

    def _add(
        self,
        record: BlockRecord,
        position: Position,
        tx_ids: Sequence[TxId],
        outcome: BlockOutcome,
        evidence: Sequence[bytes],
    ) -> None:
        row = BlockRow(position, record.time_ns, record.block_id.hash, self._txs, len(tx_ids))
        self._tables.put(index.block_changes(record.height, row, tx_ids, outcome, evidence))
        self._txs = row.txs_after
        self._lowest = self._lowest or record.height
        self._head = record.height  # last: whoever sees the height finds its rows

    def _remember(self, record: BlockRecord) -> None:
        with self._cache_lock:
            self._cache[record.height] = record
            self._cached_bytes += len(record.raw)
            while self._cached_bytes > self._cache_bytes and len(self._cache) > 1:
                _, oldest = self._cache.popitem(last=False)
                self._cached_bytes -= len(oldest.raw)

    def _record(self, height: int) -> BlockRecord | None:
        with self._cache_lock:
            cached = self._cache.get(height)
        if cached is not None:
            return cached
        row = self.row(height)
        if row is None:
            return None
        group = self._log.read(row.position)
        record = decode_block_record(group[0]) if group else None
        if record is None or (record.height, record.block_id.hash) != (height, row.hash):
            where = f"{self._log.directory}: block {height} is not at {row.position}"
            raise Corrupt(f"{where}. {self._log.remedy}")
        return record

    def _require_same(self, height: int, block_id: BlockID) -> None:
        record = self._record(height)
        if record is not None and record.block_id != block_id:
            mine, other = record.block_id.hash.hex(), block_id.hash.hex()
            raise Corrupt(f"block {height} is stored with hash {mine}, and now decided with {other}")

    def _catch_up(self, end: Position | None, progress: Callable[[int], object]) -> None:
        """Index what the log holds beyond what the index covers."""
        for position, group in self._log.groups(end):
            for data in group:
                record = decode_block_record(data)
                if self._head and record.height != self._head + 1:
                    why = f"block {record.height} follows block {self._head} in the log"
                    raise Corrupt(f"{self._log.directory}: {why}. {self._log.remedy}")
                outcome, evidence = record.decoded_outcome(), record.evidence_hashes()
                self._add(record, position, record.tx_ids(), outcome, evidence)
                self._remember(record)
                progress(record.height)
            if self._tables.pending_rows > self._pending_rows_max:
                self.flush()


def _open_index(path: Path) -> tuple[Tables, Meta | None, bool]:
    """Open the index; one that does not check is thrown away."""
    rebuilt = False
    while True:
        tables = None
        try:
            tables = Tables(path, index.TABLES)
            return tables, index.read_meta(tables.get_many(META, index.META_KEYS)), rebuilt
        except Corrupt:
            if rebuilt:
                raise
            if tables is not None:
                tables.abandon()
            destroy(path)
            rebuilt = True
