"""Readers of what a node keeps on disk: log, repair, guard, stored blocks."""

import contextlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random

from catenet.storage import frame
from catenet.storage.blocks import BlockRecord, decode_block_record
from catenet.storage.frame import Checksum, SegmentHeader
from catenet.storage.guard_file import SLOT_BYTES, GuardFile, Slot
from catenet.storage.log import Log
from catenet.storage.scan import repair, segment_path
from catenet.types.errors import Corrupt
from support.fuzzing.corpus import guard_state
from support.fuzzing.mutation import altered, bytes_altered
from support.fuzzing.targets import Target, anything, reading, same_bytes
from support.fuzzing.values import chance, integer, noise, pick
from support.storage import abandon, chain

LOG_ID = b"fuzzed-log-id-16"


def storage_targets() -> list[Target]:
    """Return the readers of the node's own files."""
    return [
        reading("storage.log", segment, _open_log, errors=(Corrupt,), check=anything, weight=4),
        reading("storage.repair", segment, _repair, errors=(), check=anything, weight=2),
        reading(
            "storage.guard",
            guard_file,
            _open_guard,
            errors=(Corrupt,),
            check=anything,
            weight=2,
        ),
        reading(
            "storage.block",
            block_record,
            decode_block_record,
            errors=(Corrupt,),
            check=_check_block,
            weight=2,
            peak_bytes=256 << 20,
        ),
    ]


# Logs.


def segment(random: Random) -> bytes:
    """Return the file of a log's only segment: real groups, altered, some with checksums that still hold."""
    header = SegmentHeader(log_id=LOG_ID, number=1, first_sequence=1)
    checksum, made = Checksum.of(LOG_ID, 1), header.encode()
    for number in range(random.randrange(5)):
        records = [noise(random, pick(random, (0, 1, 7, 8, 100))) for _ in range(random.randrange(4))]
        payload = frame.payload_of(records)
        if chance(random, 20):
            payload = bytes_altered(payload, random)
        sequence = number + 1 if not chance(random, 10) else integer(random)
        made += frame.encode_frame(payload, checksum, sequence=sequence, offset=len(made))
    made += bytes(pick(random, (0, 0, 8, 64, 4096)))
    return bytes_altered(made, random) if chance(random, 2) else made


@contextmanager
def _log_of(data: bytes) -> Iterator[Path]:
    with folder() as place:
        directory = place / "data" / "log"
        directory.mkdir(parents=True)
        segment_path(directory, 1).write_bytes(data)
        yield directory


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for the length of the body."""
    # In memory where there is such a place: a real disk would make most of the time.
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    try:
        yield place
    finally:
        shutil.rmtree(place)


def _open_log(data: bytes) -> int:
    """Read a log from end to end, add to it, and find it all again."""
    with _log_of(data) as directory:
        log = Log.open(directory, sync=lambda descriptor: None)
        try:
            groups = [group for _, group in log.groups()]
            position = log.append([b"added"])
            assert log.read(position) == [b"added"]
        finally:
            abandon(log)
        again = Log.open(directory, sync=lambda descriptor: None)
        try:
            assert [group for _, group in again.groups()] == [*groups, [b"added"]]
        finally:
            abandon(again)
        return len(groups)


def _repair(data: bytes) -> bool:
    """Repair a log; what is left must open, unless nothing is."""
    with _log_of(data) as directory:
        cut = repair(directory)
        assert repair(directory) is None, "a second repair finds damage"
        if cut is not None and cut.offset == 0:
            return False
        abandon(Log.open(directory, sync=lambda descriptor: None))
        return True


# The guard's file, and stored blocks.


def guard_file(random: Random) -> bytes:
    """Return a guard file: two slots, altered, some with checksums that still hold."""
    slots = []
    for counter in (1, 2):
        state = altered(guard_state().encode(), random) if chance(random, 3) else guard_state().encode()
        slot = Slot(log_id=LOG_ID, counter=counter, retired=chance(random, 4), state=state).encode()
        if chance(random, 3):
            body = bytearray(slot[:-4])
            body[random.randrange(48)] = random.randrange(256)
            slot = bytes(body) + zlib.crc32(body).to_bytes(4, "little")
        slots.append(slot)
    made = b"".join(slots)
    return bytes_altered(made, random) if chance(random, 2) else made


def _open_guard(data: bytes) -> bytes:
    with folder() as place:
        path = place / "guard"
        path.write_bytes(data)
        guard = GuardFile.open(path, sync=lambda descriptor: None)
        guard.close()
        assert len(guard.state) < SLOT_BYTES
        return guard.state


@cache
def _block_records() -> Sequence[bytes]:
    return [
        BlockRecord.of(
            height=each.height,
            raw=each.raw,
            block_id=each.block_id,
            commit=each.commit,
            outcome=each.outcome,
            state=each.state,
        ).encode()
        for each in chain(2, txs=2)
    ]


def block_record(random: Random) -> bytes:
    """Return a stored block: altered anywhere, or a piece of it replaced and the lengths put right."""
    data = pick(random, _block_records())
    if chance(random, 2):
        return bytes_altered(data, random, _block_records())
    record = decode_block_record(data)
    pieces = {"raw": record.raw, "commit": record.commit, "outcome": record.outcome, "state": record.state}
    name = pick(random, list(pieces))
    if name == "state":
        text = zlib.decompress(record.state)
        bomb = chance(random, 50)
        new = zlib.compress(bytes(256 << 20) if bomb else bytes_altered(text, random), 1)
    else:
        new = altered(pieces[name], random)
    fields = {"height": record.height, "time_ns": record.time_ns, "block_id": record.block_id}
    return BlockRecord(**{**fields, **pieces, name: new}).encode()  # type: ignore[arg-type]


def _check_block(data: bytes, record: BlockRecord) -> None:
    same_bytes(BlockRecord.encode)(data, record)
    readers: tuple[Callable[[], object], ...] = (
        record.stored,
        record.decoded_outcome,
        record.decoded_state,
        record.evidence_hashes,
        record.tx_ids,
    )
    for read in readers:
        with contextlib.suppress(Corrupt):
            read()
