"""What a light client holds of a height, and what it may trust. Values only; their checks are in `light`."""

from dataclasses import dataclass
from typing import Protocol

from catenet.chain.commit import Commit
from catenet.chain.encoding import Message, message_field, require_canonical
from catenet.chain.genesis import Genesis
from catenet.chain.header import Header
from catenet.chain.validators import ValidatorSet


class Trusted(Protocol):
    """What a later header is verified from: a verified light block, or the genesis."""

    @property
    def chain_id(self) -> str:
        """The name of the chain."""
        ...

    @property
    def height(self) -> int:
        """The height that is trusted; of a genesis, the one below the first."""
        ...

    @property
    def time_ns(self) -> int:
        """Its time."""
        ...

    @property
    def validators(self) -> ValidatorSet:
        """Those of that height."""
        ...

    @property
    def next_validators_hash(self) -> bytes:
        """The hash of the set of the next height."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LightBlock:
    """A header, the commit that decided it, and the validators of its height."""

    header: Header
    commit: Commit
    validators: ValidatorSet

    @property
    def chain_id(self) -> str:
        """The name of the chain."""
        return self.header.chain_id

    @property
    def height(self) -> int:
        """The height of the header."""
        return self.header.height

    @property
    def time_ns(self) -> int:
        """The time of the header."""
        return self.header.time_ns

    @property
    def next_validators_hash(self) -> bytes:
        """The hash of the set of the next height."""
        return self.header.next_validators_hash

    def hash(self) -> bytes:
        """Return the hash of the header."""
        return self.header.hash()

    def encode(self) -> bytes:
        """Return the canonical bytes of `LightBlock`: the signed header, then the validator set."""
        signed = message_field(1, self.header.encode()) + message_field(2, self.commit.encode())
        return message_field(1, signed) + message_field(2, self.validators.encode_bare())

    @classmethod
    def decode(cls, data: bytes) -> "LightBlock":
        """Read canonical bytes; raises `DecodeError`. That the parts belong together is not checked."""
        message = Message(data, pieces=(1, 2))
        signed = Message(message.message(1), pieces=(1, 2))
        block = cls(
            header=Header.decode(signed.message(1)),
            commit=Commit.decode(signed.message(2)),
            validators=ValidatorSet.decode_bare(message.message(2)),
        )
        require_canonical(data, block.encode())
        return block


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisTrust:
    """A genesis as what the first header, or a later one, is verified from."""

    chain_id: str
    height: int
    """One below the first height."""
    time_ns: int
    validators: ValidatorSet

    @property
    def next_validators_hash(self) -> bytes:
        """The hash of the genesis validators: they sign the first height."""
        return self.validators.hash()

    @classmethod
    def of(cls, genesis: Genesis) -> "GenesisTrust":
        """Return what a genesis lets one trust. Raises `InvalidUpdate` when it names no validators."""
        return cls(
            chain_id=genesis.chain_id,
            height=genesis.initial_height - 1,
            time_ns=genesis.genesis_time_ns,
            validators=ValidatorSet.new(genesis.members()),
        )
