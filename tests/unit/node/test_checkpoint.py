"""A checkpoint drops nothing that a block above it may still need."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from catenet.chain.block import encode_txs
from catenet.node.maintenance import KEPT_HEIGHTS, Maintenance
from catenet.storage.ledger import Ledger
from catenet.storage.state import open_state
from catenet.types.batch import Batch
from catenet.types.records import BatchRecord, CheckpointRecord, Record
from support.storage import chain

BLOCKS = list(chain(8))
BATCH = BatchRecord(author=b"a" * 20, batch=Batch(incarnation=1, seq=1, payload=encode_txs([b"k=v"])))


def test_what_is_spent_during_the_flush_is_kept_and_blocks_are_durable_before_the_state(
    tmp_path: Path,
) -> None:
    live: list[Record] = [BATCH]
    written: list[Record] = []
    trimmed: list[int] = []
    state, _ = open_state(tmp_path / "app")
    flushed_before_blocks: list[int] = []

    def sync(descriptor: int) -> None:
        os.fdatasync(descriptor)
        # Meanwhile the batch is spent by a block that this flush does not cover.
        live.clear()
        flushed_before_blocks.append(state.flushed)

    ledger = Ledger.open(tmp_path, sync=sync)

    def write(records: Sequence[Record]) -> int:
        written.extend(records)
        return 99

    def trim(keep_from: int) -> int:
        trimmed.append(keep_from)
        return 100

    newest = 0
    maintenance = Maintenance(
        ledger=ledger,
        app_state=state,
        write=write,
        trim=trim,
        live_records=lambda: live,
        newest_ticket=lambda: newest,
    )
    live[:] = [BATCH]
    flushed_before_blocks.clear()
    for block in BLOCKS:
        newest += 10
        ledger.store(block)
        state.write(block.height, [(b"k", b"v")])
        maintenance.on_final(block.height, len(block.raw))
    asyncio.run(maintenance._checkpoint())
    assert written == [BATCH, CheckpointRecord(height=8)]
    assert flushed_before_blocks == [0], "the state became durable before the blocks"
    assert (state.flushed, ledger.flushed) == (8, 8)
    assert trimmed == [10 * (8 - KEPT_HEIGHTS)]
    ledger.close()
    state.close()
