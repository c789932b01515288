"""The bytes of one stored block: what is final at a height, in one record of the block log. Pure.

record := version u8 | height u64 | time i64 | five lengths u32 | block id | raw | commit | outcome | state
state is compressed (zlib): most of it repeats from height to height         all integers little endian
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

from catenet.chain.block import Block
from catenet.chain.block_id import BlockID
from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError
from catenet.chain.state import ChainState
from catenet.types.application import BlockOutcome
from catenet.types.errors import Corrupt
from catenet.types.ids import TxId
from catenet.types.ports import StoredBlock
from catenet.wire.records import decode_outcome, encode_outcome

T = TypeVar("T")

VERSION = 1
STATE_BYTES_MAX = 64 << 20
"""Of an unpacked state: more than three sets of 10,000 validators take."""

_HEAD = struct.Struct("<BQqIIIII")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRecord:
    """One record, taken apart; its pieces are decoded when they are asked for."""

    height: int
    time_ns: int
    block_id: BlockID
    raw: bytes
    commit: bytes
    outcome: bytes
    state: bytes
    """Compressed `ChainState` after the block."""

    @classmethod
    def of(
        cls,
        *,
        height: int,
        raw: bytes,
        block_id: BlockID,
        commit: Commit,
        outcome: BlockOutcome,
        state: ChainState,
    ) -> "BlockRecord":
        """Return the record of one final block; `state` is the one after it."""
        return cls(
            height=height,
            time_ns=state.last_time_ns,
            block_id=block_id,
            raw=raw,
            commit=commit.encode(),
            outcome=encode_outcome(outcome),
            state=zlib.compress(state.to_json(), 1),
        )

    def encode(self) -> bytes:
        """Return the bytes of the record."""
        parts = (self.block_id.encode(), self.raw, self.commit, self.outcome, self.state)
        return b"".join((_HEAD.pack(VERSION, self.height, self.time_ns, *map(len, parts)), *parts))

    def stored(self) -> StoredBlock:
        """Return the block as it is served. Raises `Corrupt`."""
        commit = _checked(Commit.decode, self.commit)
        return StoredBlock(height=self.height, block_id=self.block_id, raw=self.raw, commit=commit)

    def decoded_outcome(self) -> BlockOutcome:
        """Return what executing the block gave. Raises `Corrupt`."""
        return decode_outcome(self.outcome)

    def decoded_state(self) -> ChainState:
        """Return the state after the block. Raises `Corrupt`."""
        return _checked(ChainState.from_json, _unpacked(self.state))

    def evidence_hashes(self) -> list[bytes]:
        """Return the hashes of the evidence in the block. Raises `Corrupt`."""
        return [piece.hash() for piece in _checked(Block.decode, self.raw).evidence]

    def tx_ids(self) -> list[TxId]:
        """Return the ids of the block's transactions, in order. Raises `Corrupt`."""
        return [sha256(tx).digest() for tx in _checked(Block.decode, self.raw).txs]


def _checked(decode: Callable[[bytes], T], data: bytes) -> T:
    """Read a piece whose checksum holds: what does not fit is of another version."""
    try:
        return decode(data)
    except DecodeError as error:
        raise Corrupt(f"a stored block cannot be read: {error}") from error


def _unpacked(data: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        state = unpacking.decompress(data, STATE_BYTES_MAX)
    except zlib.error as error:
        raise Corrupt(f"the state of a stored block cannot be unpacked: {error}") from error
    if not unpacking.eof:
        raise Corrupt(f"the state of a stored block is cut, or longer than {STATE_BYTES_MAX} bytes")
    return state


def decode_block_record(data: bytes) -> BlockRecord:
    """Take a record apart. Raises `Corrupt`: checked bytes that do not fit are of another version."""
    try:
        version, height, time_ns, *lengths = _HEAD.unpack_from(data)
        pieces: list[bytes] = []
        at = _HEAD.size
        for length in lengths:
            pieces.append(data[at : at + length])
            at += length
        if version != VERSION or at != len(data):
            raise Corrupt(f"a stored block has version {version} and {len(data)} bytes")
        block_id, raw, commit, outcome, state = pieces
        return BlockRecord(
            height=height,
            time_ns=time_ns,
            block_id=BlockID.decode(block_id),
            raw=raw,
            commit=commit,
            outcome=outcome,
            state=state,
        )
    except (struct.error, DecodeError) as error:
        raise Corrupt(f"a stored block cannot be read: {error}") from error
