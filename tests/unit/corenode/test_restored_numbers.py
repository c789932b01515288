"""An own batch number is never used twice (D1), also when the journal was trimmed around a checkpoint."""

import pytest

from catenet.chain.block import encode_txs
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.machine import Batches
from catenet.testing.simulator.chain_store import ChainStore
from catenet.types.batch import Batch
from catenet.types.records import BatchRecord, IncarnationRecord, Record

ME = b"m" * 20
OLD, COPY = IncarnationRecord(incarnation=7), IncarnationRecord(incarnation=7)


def batch(seq: int) -> BatchRecord:
    payload = encode_txs([b"n%d=v" % seq])
    return BatchRecord(author=ME, batch=Batch(incarnation=7, seq=seq, payload=payload))


@pytest.mark.parametrize(
    "records",
    [
        [OLD, batch(1), batch(2), batch(3)],
        # A checkpoint copies the incarnation and what lives behind what is there.
        [OLD, batch(1), batch(2), batch(3), COPY, batch(1), batch(3)],
        # The segment with the first record is dropped.
        [batch(2), batch(3), COPY, batch(2)],
        # Sealed while the checkpoint was being made.
        [batch(2), batch(3), COPY, batch(2), IncarnationRecord(incarnation=3)],
    ],
)
def test_the_newest_number_is_found_in_any_journal(records: list[Record]) -> None:
    pool = Batches(BatchConfig(), ME, ChainStore())
    pool.restore(records, 0, 0)
    kept = pool.live_records()
    assert IncarnationRecord(incarnation=7) in kept
    assert pool._own is not None
    assert (pool._own.author.incarnation, pool._own.author.seq) == (7, 3)
