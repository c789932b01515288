"""What a vote is for: the identity of a block (chain-format.md 1.3). Nothing of the block itself."""

from dataclasses import dataclass, field
from functools import lru_cache

from catenet.chain.encoding import (
    DecodeError,
    Message,
    bytes_field,
    int_field,
    message_field,
    require_canonical,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSetHeader:
    """Number of the 64 KiB parts of a block's bytes, and the Merkle root over them."""

    total: int = 0
    hash: bytes = b""

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return int_field(1, self.total) + bytes_field(2, self.hash)

    @classmethod
    def read(cls, data: bytes) -> "PartSetHeader":
        """Read bytes whose canonicity the enclosing message checks."""
        message = Message(data, ints=(1,), pieces=(2,))
        return cls(total=message.unsigned(1, 32), hash=_hash(message.piece(2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockID:
    """A block's name: header hash and part set. The same hash with other parts is another value."""

    hash: bytes = b""
    # Ids are keys everywhere; a block has one part set, so to tell blocks apart the header hash will do.
    parts: PartSetHeader = field(default=PartSetHeader(), hash=False)

    @property
    def is_nil(self) -> bool:
        """Whether this is the zero value: a vote for no block."""
        return not self.hash and not self.parts.hash and not self.parts.total

    @property
    def is_complete(self) -> bool:
        """Whether this can name a block."""
        return len(self.hash) == 32 and self.parts.total > 0 and len(self.parts.hash) == 32

    def key(self) -> bytes:
        """Return bytes that order block ids as CometBFT does in evidence: hash, then the part set header."""
        return self.hash + self.parts.encode()

    def encode(self) -> bytes:
        """Return the canonical bytes; the zero value gives `12 00`."""
        return _encode(self)

    @classmethod
    def read(cls, data: bytes) -> "BlockID":
        """Read bytes whose canonicity the enclosing message checks."""
        return _read(data)

    @classmethod
    def decode(cls, data: bytes) -> "BlockID":
        """Read canonical bytes; raises `DecodeError`."""
        block_id = cls.read(data)
        require_canonical(data, block_id.encode())
        return block_id


NIL = BlockID()
"""The zero block id: no block."""


@lru_cache(maxsize=256)
def _encode(block_id: BlockID) -> bytes:
    """Write a block id; it stands in every vote of a round and in what each of them signs."""
    return bytes_field(1, block_id.hash) + message_field(2, block_id.parts.encode())


@lru_cache(maxsize=256)
def _read(data: bytes) -> BlockID:
    """Read a block id; all votes of a round carry one of very few, so the newest ones are kept."""
    message = Message(data, pieces=(1, 2))
    return BlockID(hash=_hash(message.piece(1)), parts=PartSetHeader.read(message.message(2)))


def _hash(b: bytes) -> bytes:
    if len(b) not in (0, 32):
        raise DecodeError(f"a hash of {len(b)} bytes")
    return b
