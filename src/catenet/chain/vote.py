"""Votes and proposals, and the exact bytes that are signed (chain-format.md 1.6). No counting of votes."""

from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache

from catenet.chain.block_id import BlockID
from catenet.chain.encoding import (
    DecodeError,
    Message,
    bytes_field,
    delimited,
    int_field,
    message_field,
    read_time,
    require_canonical,
    sfixed64_field,
    time_bytes,
    uvarint,
)


class VoteType(IntEnum):
    """What is signed: the numbers of the format."""

    PREVOTE = 1
    PRECOMMIT = 2
    PROPOSAL = 32


_VOTED = {1: VoteType.PREVOTE, 2: VoteType.PRECOMMIT}
"""What a vote may be, by its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignTemplate:
    """Vote sign bytes without the time: all votes of one step for one block share it."""

    head: bytes
    tail: bytes

    def at(self, time_ns: int) -> bytes:
        """Return the sign bytes of the vote cast at a time."""
        time = time_bytes(time_ns)
        body = b"%b\x2a%c%b%b" % (self.head, len(time), time, self.tail)
        return uvarint(len(body)) + body


def vote_template(
    chain_id: str, *, type: VoteType, height: int, round: int, block_id: BlockID
) -> SignTemplate:
    """Return the shared part of the sign bytes of votes; a nil block id is left out entirely."""
    head = int_field(1, type) + sfixed64_field(2, height) + sfixed64_field(3, round)
    if not block_id.is_nil:
        head += message_field(4, block_id.encode())
    return SignTemplate(head=head, tail=bytes_field(6, chain_id.encode()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One validator's prevote or precommit for a block id, or nil."""

    type: VoteType
    height: int
    round: int
    block_id: BlockID
    time_ns: int
    address: bytes
    index: int
    """Place in the validator set of the height."""
    signature: bytes = b""
    extension: bytes = b""
    extension_signature: bytes = b""
    _encoded: bytes = field(default=b"", init=False, compare=False, repr=False)
    """What `encode` gave: a vote is written for the journal, for each peer that lacks it, in certificates."""

    @property
    def is_nil(self) -> bool:
        """Whether the vote is for no block."""
        return self.block_id.is_nil

    def sign_bytes(self, chain_id: str) -> bytes:
        """Return what the validator signs; neither address nor index is inside."""
        return vote_template(
            chain_id, type=self.type, height=self.height, round=self.round, block_id=self.block_id
        ).at(self.time_ns)

    def extension_sign_bytes(self, chain_id: str) -> bytes:
        """Return what the validator signs for its vote extension."""
        return delimited(
            bytes_field(1, self.extension)
            + sfixed64_field(2, self.height)
            + sfixed64_field(3, self.round)
            + bytes_field(4, chain_id.encode())
        )

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        if not self._encoded:
            object.__setattr__(self, "_encoded", self._encode())
        return self._encoded

    def _encode(self) -> bytes:
        return b"".join(
            (
                int_field(1, self.type),
                int_field(2, self.height),
                int_field(3, self.round),
                message_field(4, self.block_id.encode()),
                message_field(5, time_bytes(self.time_ns)),
                bytes_field(6, self.address),
                int_field(7, self.index),
                bytes_field(8, self.signature),
                bytes_field(9, self.extension),
                bytes_field(10, self.extension_signature),
            )
        )

    @classmethod
    def read(cls, data: bytes) -> "Vote":
        """Read bytes whose canonicity the enclosing message checks."""
        message = Message(data, ints=(1, 2, 3, 7), pieces=(4, 5, 6, 8, 9, 10))
        type = _VOTED.get(message.unsigned(1))
        if type is None:
            raise DecodeError(f"vote type {message.unsigned(1)}")
        vote = cls(
            type=type,
            height=message.signed(2),
            round=message.signed(3, 32),
            block_id=BlockID.read(message.message(4)),
            time_ns=read_time(message.message(5)),
            address=message.piece(6),
            index=message.signed(7, 32),
            signature=message.piece(8),
            extension=message.piece(9),
            extension_signature=message.piece(10),
        )
        if vote.height < 0 or vote.round < 0 or vote.index < 0:
            raise DecodeError(f"negative height {vote.height}, round {vote.round} or index {vote.index}")
        return vote

    @classmethod
    def decode(cls, data: bytes) -> "Vote":
        """Read canonical bytes; raises `DecodeError`."""
        return _decode(data)


@lru_cache(maxsize=1024)
def _decode(data: bytes) -> Vote:
    """Read a vote; it comes by itself, in sets and in certificates, and several peers send each of them."""
    vote = Vote.read(data)
    require_canonical(data, vote.encode())
    return vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """The signed part of a proposal; the block travels beside it."""

    height: int
    round: int
    pol_round: int
    """Round of the polka that justifies proposing the block again; -1: none."""
    block_id: BlockID
    time_ns: int
    signature: bytes = b""

    def sign_bytes(self, chain_id: str) -> bytes:
        """Return what the proposer signs."""
        return delimited(
            int_field(1, VoteType.PROPOSAL)
            + sfixed64_field(2, self.height)
            + sfixed64_field(3, self.round)
            + int_field(4, self.pol_round)
            + message_field(5, self.block_id.encode())
            + message_field(6, time_bytes(self.time_ns))
            + bytes_field(7, chain_id.encode())
        )

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return (
            int_field(1, VoteType.PROPOSAL)
            + int_field(2, self.height)
            + int_field(3, self.round)
            + int_field(4, self.pol_round)
            + message_field(5, self.block_id.encode())
            + message_field(6, time_bytes(self.time_ns))
            + bytes_field(7, self.signature)
        )

    @classmethod
    def decode(cls, data: bytes) -> "Proposal":
        """Read canonical bytes; raises `DecodeError`."""
        message = Message(data, ints=(1, 2, 3, 4), pieces=(5, 6, 7))
        if message.unsigned(1) != VoteType.PROPOSAL:
            raise DecodeError(f"proposal type {message.unsigned(1)}")
        proposal = cls(
            height=message.signed(2),
            round=message.signed(3, 32),
            pol_round=message.signed(4, 32),
            block_id=BlockID.read(message.message(5)),
            time_ns=read_time(message.message(6)),
            signature=message.piece(7),
        )
        if proposal.height < 0 or proposal.round < 0:
            raise DecodeError(f"negative height {proposal.height} or round {proposal.round}")
        require_canonical(data, proposal.encode())
        return proposal
