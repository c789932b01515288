"""Block headers and their hash (chain-format.md 1.4).

The rules that bind a header to a chain are in `state`.
"""

from dataclasses import dataclass
from functools import lru_cache

from catenet.chain import merkle
from catenet.chain.block_id import BlockID
from catenet.chain.encoding import (
    DecodeError,
    Message,
    bytes_field,
    int_field,
    message_field,
    read_time,
    require_canonical,
    time_bytes,
)

BLOCK_VERSION = 11
MAX_CHAIN_ID_BYTES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a block promises: its contents, its place, and the state it builds on."""

    version_block: int = BLOCK_VERSION
    version_app: int = 0
    chain_id: str
    height: int
    time_ns: int
    last_block_id: BlockID
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer_address: bytes

    def _version(self) -> bytes:
        return int_field(1, self.version_block) + int_field(2, self.version_app)

    def _hashes(self) -> tuple[bytes, ...]:
        return (
            self.last_commit_hash,
            self.data_hash,
            self.validators_hash,
            self.next_validators_hash,
            self.consensus_hash,
            self.app_hash,
            self.last_results_hash,
            self.evidence_hash,
            self.proposer_address,
        )

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        parts = [
            message_field(1, self._version()),
            bytes_field(2, self.chain_id.encode()),
            int_field(3, self.height),
            message_field(4, time_bytes(self.time_ns)),
            message_field(5, self.last_block_id.encode()),
        ]
        parts.extend([bytes_field(number, value) for number, value in enumerate(self._hashes(), 6)])
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        """Read canonical bytes; raises `DecodeError`."""
        return _decode(data)

    def leaves(self) -> list[bytes]:
        """Return the 14 leaves of the hash, in order."""
        leaves = [
            self._version(),
            bytes_field(1, self.chain_id.encode()),
            int_field(1, self.height),
            time_bytes(self.time_ns),
            self.last_block_id.encode(),
        ]
        leaves.extend([bytes_field(1, value) for value in self._hashes()])
        return leaves

    def hash(self) -> bytes:
        """Return the block's hash."""
        return _hash(self)


@lru_cache(maxsize=32)
def _hash(header: Header) -> bytes:
    """Return a header's hash: it is asked for when its block is offered, put together and proposed."""
    return merkle.root(header.leaves())


@lru_cache(maxsize=32)
def _decode(data: bytes) -> Header:
    """Read a header: one block's is read when it is offered, put together, and committed."""
    message = Message(data, ints=(3,), pieces=(1, 2, *range(4, 15)))
    version = Message(message.message(1), ints=(1, 2))
    header = Header(
        version_block=version.unsigned(1),
        version_app=version.unsigned(2),
        chain_id=message.text(2),
        height=message.signed(3),
        time_ns=read_time(message.message(4)),
        last_block_id=BlockID.read(message.message(5)),
        last_commit_hash=message.piece(6),
        data_hash=message.piece(7),
        validators_hash=message.piece(8),
        next_validators_hash=message.piece(9),
        consensus_hash=message.piece(10),
        app_hash=message.piece(11),
        last_results_hash=message.piece(12),
        evidence_hash=message.piece(13),
        proposer_address=message.piece(14),
    )
    if header.height < 0:
        raise DecodeError(f"negative height {header.height}")
    require_canonical(data, header.encode())
    return header
