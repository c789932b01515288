"""What fuzzing found in stored data: inputs on which a reader once broke its promise."""

import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.storage import frame
from catenet.storage.blocks import STATE_BYTES_MAX, BlockRecord
from catenet.storage.frame import HEADER_BYTES, Checksum, SegmentHeader
from catenet.storage.log import Log
from catenet.storage.scan import segment_path
from catenet.types.errors import Corrupt
from catenet.wire.records import RESULTS_MAX, decode_outcome
from catenet.wire.v1 import journal_pb2 as pb
from support.storage import abandon, chain


def test_a_stored_outcome_cannot_claim_more_results_than_a_block_has_room_for() -> None:
    most = pb.ExecutedRecord(results=[pb.ResultRun(count=RESULTS_MAX)])
    assert len(decode_outcome(most.SerializeToString()).results) == RESULTS_MAX
    for counts in ((RESULTS_MAX, 1), (2**32 - 1,)):
        more = pb.ExecutedRecord(results=[pb.ResultRun(count=count) for count in counts])
        with pytest.raises(Corrupt, match="results of one block"):
            decode_outcome(more.SerializeToString())


@pytest.mark.parametrize("payload", [b"\1", b"\1\0\0\0", b"\2\0\0\0x", b"\0\0\0\0\xff"])
def test_a_group_of_half_records_whose_checksum_holds_is_corrupt(payload: bytes, tmp_path: Path) -> None:
    header = SegmentHeader(log_id=bytes(16), number=1, first_sequence=1)
    written = frame.encode_frame(payload, Checksum.of(bytes(16), 1), sequence=1, offset=HEADER_BYTES)
    segment_path(tmp_path, 1).write_bytes(header.encode() + written)
    log = Log.open(tmp_path)
    try:
        with pytest.raises(Corrupt, match="whole records"):
            list(log.groups())
        with pytest.raises(Corrupt, match="whole records"):
            log.read(log.start)
    finally:
        abandon(log)


@pytest.mark.slow
def test_pieces_of_a_stored_block_that_do_not_read_are_corrupt() -> None:
    final = next(chain(1))
    record = BlockRecord.of(
        height=1,
        raw=final.raw,
        block_id=final.block_id,
        commit=final.commit,
        outcome=final.outcome,
        state=final.state,
    )
    assert record.decoded_state() == final.state
    bomb = zlib.compress(bytes(STATE_BYTES_MAX + 1), 1)
    for state in (b"", b"x", record.state[:-1], bomb, zlib.compress(b"{}")):
        with pytest.raises(Corrupt):
            replace(record, state=state).decoded_state()
    with pytest.raises(Corrupt):
        replace(record, commit=b"x").stored()
    for read in (BlockRecord.tx_ids, BlockRecord.evidence_hashes):
        with pytest.raises(Corrupt):
            read(replace(record, raw=b"x"))
