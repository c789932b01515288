"""Commits: the precommits that decided a block, one entry per validator (chain-format.md 1.6).

Their verification is in `light`.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from catenet.chain import merkle
from catenet.chain.block_id import NIL, BlockID, PartSetHeader
from catenet.chain.encoding import (
    ZERO_TIME_NS,
    DecodeError,
    Message,
    bytes_field,
    int_field,
    message_field,
    read_time,
    require_canonical,
    time_bytes,
)
from catenet.chain.vote import Vote, VoteType

__all__ = [
    "ABSENT",
    "EMPTY_COMMIT",
    "NIL",
    "BlockID",
    "Commit",
    "CommitSig",
    "Flag",
    "PartSetHeader",
]


class Flag(IntEnum):
    """What a validator's entry in a commit is."""

    ABSENT = 1
    COMMIT = 2
    NIL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSig:
    """One validator's entry: its precommit for the block, for nil, or that it is absent."""

    flag: Flag
    address: bytes
    time_ns: int
    signature: bytes

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return (
            int_field(1, self.flag)
            + bytes_field(2, self.address)
            + message_field(3, time_bytes(self.time_ns))
            + bytes_field(4, self.signature)
        )

    @classmethod
    def read(cls, data: bytes) -> "CommitSig":
        """Read bytes whose canonicity the enclosing message checks."""
        message = Message(data, ints=(1,), pieces=(2, 3, 4))
        flag = message.unsigned(1)
        if not Flag.ABSENT <= flag <= Flag.NIL:
            raise DecodeError(f"block id flag {flag}")
        return cls(
            flag=Flag(flag),
            address=message.piece(2),
            time_ns=read_time(message.message(3)),
            signature=message.piece(4),
        )


ABSENT = CommitSig(flag=Flag.ABSENT, address=b"", time_ns=ZERO_TIME_NS, signature=b"")
"""The entry of a validator whose precommit is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The precommits of one height and round, in set order."""

    height: int
    round: int
    block_id: BlockID
    signatures: tuple[CommitSig, ...]
    _encoded: bytes = field(default=b"", init=False, compare=False, repr=False)
    """What `encode` gave: a commit is written for the journal, the store, the peers and the next block."""
    _hash: bytes = field(default=b"", init=False, compare=False, repr=False)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        if not self._encoded:
            object.__setattr__(self, "_encoded", self._encode())
        return self._encoded

    def _encode(self) -> bytes:
        head = int_field(1, self.height) + int_field(2, self.round) + message_field(3, self.block_id.encode())
        return head + b"".join([message_field(4, entry.encode()) for entry in self.signatures])

    @classmethod
    def decode(cls, data: bytes) -> "Commit":
        """Read canonical bytes; raises `DecodeError`."""
        return _decode(data)

    def hash(self) -> bytes:
        """Return the `last_commit_hash` of the header that follows."""
        if not self._hash:
            object.__setattr__(self, "_hash", merkle.root([entry.encode() for entry in self.signatures]))
        return self._hash

    def vote(self, index: int) -> Vote:
        """Return the precommit of a present entry; raises `ValueError` when it is absent."""
        entry = self.signatures[index]
        if entry.flag is Flag.ABSENT:
            raise ValueError(f"entry {index} of the commit of height {self.height} is absent")
        return Vote(
            type=VoteType.PRECOMMIT,
            height=self.height,
            round=self.round,
            block_id=self.block_id if entry.flag is Flag.COMMIT else NIL,
            time_ns=entry.time_ns,
            address=entry.address,
            index=index,
            signature=entry.signature,
        )

    def sign_bytes(self, chain_id: str, index: int) -> bytes:
        """Return what the validator of a present entry signed."""
        return self.vote(index).sign_bytes(chain_id)


@lru_cache(maxsize=8)
def _decode(data: bytes) -> Commit:
    """Read a commit: one block's is read when it is put together, stored, and sent to a peer."""
    message = Message(data, ints=(1, 2), pieces=(3,), repeated=4)
    commit = Commit(
        height=message.signed(1),
        round=message.signed(2, 32),
        block_id=BlockID.read(message.message(3)),
        signatures=tuple([CommitSig.read(entry) for entry in message.repeated()]),
    )
    if commit.height < 0 or commit.round < 0:
        raise DecodeError(f"negative height {commit.height} or round {commit.round}")
    require_canonical(data, commit.encode())
    return commit


EMPTY_COMMIT = Commit(height=0, round=0, block_id=NIL, signatures=())
"""The last commit in the block of the first height."""
