"""Evidence of double voting and of attacks on light clients (chain-format.md 1.9).

Also rule E2 of consensus.md 6 as far as values decide it. Which evidence is pending, committed or expired is
known elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from catenet.chain import merkle
from catenet.chain.encoding import (
    DecodeError,
    Message,
    int_field,
    message_field,
    read_time,
    require_canonical,
    time_bytes,
    uvarint,
)
from catenet.chain.keys import Verify
from catenet.chain.light import InvalidCommit
from catenet.chain.light import check_form as check_light_form
from catenet.chain.light_block import LightBlock
from catenet.chain.params import ConsensusParams
from catenet.chain.validators import Validator, ValidatorSet
from catenet.chain.vote import Vote


class InvalidEvidence(ValueError):
    """Evidence that proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateVoteEvidence:
    """Two different votes of one validator for one height, round and type."""

    vote_a: Vote
    """The one whose block id sorts first."""
    vote_b: Vote
    total_power: int
    validator_power: int
    time_ns: int
    """Time of the block at the votes' height."""

    @property
    def height(self) -> int:
        """The height at which the validator voted twice."""
        return self.vote_a.height

    @property
    def accused(self) -> tuple[bytes, ...]:
        """The addresses of whom this convicts."""
        return (self.vote_a.address,)

    def encode(self) -> bytes:
        """Return the canonical bytes, without the wrapper that names the kind of evidence."""
        return (
            message_field(1, self.vote_a.encode())
            + message_field(2, self.vote_b.encode())
            + int_field(3, self.total_power)
            + int_field(4, self.validator_power)
            + message_field(5, time_bytes(self.time_ns))
        )

    @classmethod
    def read(cls, data: bytes) -> "DuplicateVoteEvidence":
        """Read bytes whose canonicity the enclosing message checks."""
        message = Message(data, ints=(3, 4), pieces=(1, 2, 5))
        return cls(
            vote_a=Vote.read(message.message(1)),
            vote_b=Vote.read(message.message(2)),
            total_power=message.signed(3),
            validator_power=message.signed(4),
            time_ns=read_time(message.message(5)),
        )

    @classmethod
    def decode(cls, data: bytes) -> "DuplicateVoteEvidence":
        """Read canonical bytes; raises `DecodeError`."""
        evidence = cls.read(data)
        require_canonical(data, evidence.encode())
        return evidence

    def hash(self) -> bytes:
        """Return the name of this evidence."""
        return sha256(self.encode()).digest()

    def check_form(self) -> None:
        """Raise `InvalidEvidence` unless the two votes contradict each other and stand in order."""
        a, b = self.vote_a, self.vote_b
        if (a.height, a.round, a.type) != (b.height, b.round, b.type):
            raise InvalidEvidence("the votes are of different steps")
        if a.address != b.address or a.index != b.index:
            raise InvalidEvidence("the votes are of different validators")
        if len(a.address) != 20 or a.height < 1:
            raise InvalidEvidence(f"height {a.height}, address of {len(a.address)} bytes")
        # Votes that differ only in time are no evidence in the format (E1).
        if a.block_id.key() >= b.block_id.key():
            raise InvalidEvidence("the votes are for one block, or out of order")
        for vote in (a, b):
            if not (vote.block_id.is_nil or vote.block_id.is_complete):
                raise InvalidEvidence("a vote for half a block id")
            if not vote.signature:
                raise InvalidEvidence("a vote without signature")
            if vote.extension or vote.extension_signature:
                raise InvalidEvidence("a vote with an extension")
        if not 0 < self.validator_power <= self.total_power:
            raise InvalidEvidence(f"power {self.validator_power} of {self.total_power}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LightClientAttackEvidence:
    """A block that validators signed beside the one that the chain has."""

    conflicting_block: LightBlock
    common_height: int
    """Newest height before the conflict that both histories have; of a block that the chain's own rules could
    have given, the height of the conflict itself."""
    byzantine_validators: tuple[Validator, ...]
    """Those who are proven to have signed what they must not, by power descending."""
    total_power: int
    """Of all validators of the common height."""
    time_ns: int
    """Time of the block at the common height."""

    @property
    def height(self) -> int:
        """The height from which the age of this evidence counts."""
        return self.common_height

    @property
    def accused(self) -> tuple[bytes, ...]:
        """The addresses of whom this convicts; of blocks of two rounds, nobody."""
        return tuple([member.address for member in self.byzantine_validators])

    def encode(self) -> bytes:
        """Return the canonical bytes, without the wrapper that names the kind of evidence."""
        members = [message_field(3, member.encode()) for member in self.byzantine_validators]
        return (
            message_field(1, self.conflicting_block.encode())
            + int_field(2, self.common_height)
            + b"".join(members)
            + int_field(4, self.total_power)
            + message_field(5, time_bytes(self.time_ns))
        )

    @classmethod
    def decode(cls, data: bytes) -> "LightClientAttackEvidence":
        """Read canonical bytes; raises `DecodeError`."""
        message = Message(data, ints=(2, 4), pieces=(1, 5), repeated=3)
        evidence = cls(
            conflicting_block=LightBlock.decode(message.message(1)),
            common_height=message.signed(2),
            byzantine_validators=tuple([Validator.read(member) for member in message.repeated()]),
            total_power=message.signed(4),
            time_ns=read_time(message.message(5)),
        )
        require_canonical(data, evidence.encode())
        return evidence

    def hash(self) -> bytes:
        """Return the name of this evidence: of the block's hash, only the first 31 bytes are in it."""
        block = self.conflicting_block.hash()[:31] + b"\0"
        return sha256(block + uvarint(2 * self.common_height)).digest()

    def check_form(self) -> None:
        """Raise `InvalidEvidence` unless the parts fit each other; who signed is not looked at."""
        block = self.conflicting_block
        if not 0 < self.common_height <= block.height:
            raise InvalidEvidence(f"common height {self.common_height}, conflict at height {block.height}")
        if self.total_power < 1:
            raise InvalidEvidence(f"a total power of {self.total_power}")
        if block.validators.by_address(block.validators.proposer.address) is None:
            raise InvalidEvidence("the proposer of the conflicting block is none of its validators")
        try:
            check_light_form(block, block.chain_id)
        except InvalidCommit as error:
            raise InvalidEvidence(f"the conflicting block: {error.reason}") from error


Evidence = DuplicateVoteEvidence | LightClientAttackEvidence
"""What a block may hold against validators."""


def make(vote1: Vote, vote2: Vote, valset: ValidatorSet, time_ns: int) -> DuplicateVoteEvidence:
    """Return evidence from two votes, in the order of the format; raises `InvalidEvidence`.

    `valset` and `time_ns` are the validators and the block time of the votes' height.
    """
    member = valset.by_address(vote1.address)
    if member is None:
        raise InvalidEvidence(f"{vote1.address.hex().upper()} is no validator of height {vote1.height}")
    vote_a, vote_b = sorted((vote1, vote2), key=lambda vote: vote.block_id.key())
    evidence = DuplicateVoteEvidence(
        vote_a=vote_a,
        vote_b=vote_b,
        total_power=valset.total_power,
        validator_power=member.power,
        time_ns=time_ns,
    )
    evidence.check_form()
    return evidence


def verify_evidence(
    evidence: DuplicateVoteEvidence, *, chain_id: str, valset: ValidatorSet, time_ns: int, verify: Verify
) -> None:
    """Check rule E2 against the validators and the block time of the evidence's height.

    Raises `InvalidEvidence`. That it is new and not expired is not checked here.
    """
    evidence.check_form()
    vote = evidence.vote_a
    member = valset.by_address(vote.address)
    if member is None or valset.index_of(vote.address) != vote.index:
        raise InvalidEvidence(f"{vote.address.hex().upper()} is not validator {vote.index}")
    if (evidence.validator_power, evidence.total_power) != (member.power, valset.total_power):
        raise InvalidEvidence(f"power {evidence.validator_power} of {evidence.total_power} is wrong")
    if evidence.time_ns != time_ns:
        raise InvalidEvidence(f"time {evidence.time_ns} is not that of block {vote.height}")
    for signed in (vote, evidence.vote_b):
        if not verify(member.public_key, signed.sign_bytes(chain_id), signed.signature):
            raise InvalidEvidence("a signature is wrong")


def is_expired(
    *, evidence_height: int, evidence_time_ns: int, height: int, time_ns: int, params: ConsensusParams
) -> bool:
    """Whether evidence is too old for the block after `height` and `time_ns`: both ages have passed."""
    return (
        height - evidence_height > params.evidence_max_age_blocks
        and time_ns - evidence_time_ns > params.evidence_max_age_ns
    )


def wrap(evidence: Evidence) -> bytes:
    """Return one `Evidence`: the bytes in a field that names their kind."""
    return message_field(1 if isinstance(evidence, DuplicateVoteEvidence) else 2, evidence.encode())


def unwrap(data: bytes) -> Evidence:
    """Read one canonical `Evidence`; raises `DecodeError`, also on kinds that are not known."""
    (evidence,) = decode_list(message_field(1, data))
    return evidence


def encode_list(evidence: Sequence[Evidence]) -> bytes:
    """Return the canonical `EvidenceList`: each piece wrapped in its kind; empty when there is none."""
    return b"".join([message_field(1, wrap(piece)) for piece in evidence])


def decode_list(data: bytes) -> tuple[Evidence, ...]:
    """Read a canonical `EvidenceList`; raises `DecodeError`, also on kinds that are not known."""
    evidence: list[Evidence] = []
    for wrapped in Message(data, repeated=1).repeated():
        message = Message(wrapped, pieces=(1, 2))
        double_vote, attack = message.piece(1), message.piece(2)
        if double_vote:
            evidence.append(DuplicateVoteEvidence.read(double_vote))
        elif attack:
            evidence.append(LightClientAttackEvidence.decode(attack))
        else:
            raise DecodeError("evidence of an unknown kind")
    require_canonical(data, encode_list(evidence))
    return tuple(evidence)


def list_hash(evidence: Sequence[Evidence]) -> bytes:
    """Return the `evidence_hash` of a header."""
    return merkle.root([piece.encode() for piece in evidence])
