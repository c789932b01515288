"""The rows of the block index, which can always be rebuilt from the block log.

heights: height u64 BE -> segment, offset, time, block hash, transactions before it and in it
hashes: block hash -> height                                     events: see `event_rows`
txs: tx id -> height, index, code, time                          meta: log id, head, lowest, end of the log,
                                                                 lowest height whose events are indexed
evidence stands among the hashes under a longer key, so that it is never taken for a block
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from catenet.storage.event_rows import EVENTS, event_rows
from catenet.storage.scan import Position
from catenet.storage.tables import Changes
from catenet.types.application import BlockOutcome
from catenet.types.errors import Corrupt
from catenet.types.ids import TxId
from catenet.types.ports import TxLocation

HEIGHTS, HASHES, TXS, META = "heights", "hashes", "txs", "meta"
TABLES = (HEIGHTS, HASHES, TXS, META, EVENTS)

_BLOCK = struct.Struct("<QQq32sQI")
_TX = struct.Struct("<QIIq")
_META = struct.Struct("<16sQQQQQ")
_META_KEY = b"state/2"
_META_KEY_1 = b"state"
"""Of the version without events."""


class BlockRow(NamedTuple):
    """Where a block is."""

    position: Position
    time_ns: int
    hash: bytes
    txs_before: int
    """How many transactions the blocks here have before this one."""
    txs: int

    @property
    def txs_after(self) -> int:
        """How many transactions there are up to this block's end."""
        return self.txs_before + self.txs


class Meta(NamedTuple):
    """What the index covers: heights `lowest` to `head`, all that lies before `end` in the log `log_id`."""

    log_id: bytes
    head: int
    lowest: int
    end: Position
    events_from: int


def height_key(height: int) -> bytes:
    """Return the key of a height: keys are ordered as heights are."""
    return height.to_bytes(8, "big")


def evidence_key(evidence_hash: bytes) -> bytes:
    """Return the key of committed evidence in `hashes`."""
    return b"evidence/" + evidence_hash


def block_changes(
    height: int,
    row: BlockRow,
    tx_ids: Sequence[TxId],
    outcome: BlockOutcome,
    evidence: Iterable[bytes] = (),
) -> Changes:
    """Return the rows that one block adds; `evidence`: hashes of the evidence in it."""
    pack, time_ns = _TX.pack, row.time_ns
    return {
        HEIGHTS: {height_key(height): _BLOCK.pack(*row.position, *row[1:])},
        HASHES: dict.fromkeys([row.hash, *map(evidence_key, evidence)], height_key(height)),
        TXS: {
            tx_id: pack(height, index, result.code, time_ns)
            for index, (tx_id, result) in enumerate(zip(tx_ids, outcome.results, strict=True))
        },
        EVENTS: event_rows(height, outcome),
    }


def meta_changes(meta: Meta) -> Changes:
    """Return the row that says what the index covers."""
    return {META: {_META_KEY: _META.pack(meta.log_id, meta.head, meta.lowest, *meta.end, meta.events_from)}}


def read_meta(rows: Mapping[bytes, bytes]) -> Meta | None:
    """Return what the index covers; None when it is empty. Raises `Corrupt` for one of an older version."""
    if _META_KEY_1 in rows:
        raise Corrupt("the index is of an older version")
    row = rows.get(_META_KEY)
    if row is None:
        return None
    log_id, head, lowest, segment, offset, events_from = _META.unpack(row)
    return Meta(log_id, head, lowest, Position(segment, offset), events_from)


META_KEYS = (_META_KEY, _META_KEY_1)


def read_block(row: bytes) -> BlockRow:
    """Read a row of `heights`."""
    segment, offset, *rest = _BLOCK.unpack(row)
    return BlockRow(Position(segment, offset), *rest)


def read_tx(row: bytes) -> TxLocation:
    """Read a row of `txs`."""
    height, index, code, time_ns = _TX.unpack(row)
    return TxLocation(height=height, index=index, code=code, time_ns=time_ns)


def tx_time(row: bytes) -> int:
    """Return the block time of a row of `txs`."""
    time_ns: int = _TX.unpack(row)[3]
    return time_ns
