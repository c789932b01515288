"""Validator sets: order, hash, proposer rotation, updates (chain-format.md 1.7). Sets are values.

Arithmetic follows CometBFT's int64 with saturation to the last bit, for the rotation decides who may propose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from catenet.chain import merkle
from catenet.chain.encoding import DecodeError, Message, int_field, message_field, require_canonical
from catenet.chain.keys import PublicKey

MAX_TOTAL_POWER = ((1 << 63) - 1) // 8
_INT64_MAX = (1 << 63) - 1
_INT64_MIN = -(1 << 63)


class InvalidUpdate(ValueError):
    """Changes that a validator set refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """One member: key, power, and its priority in the rotation."""

    public_key: PublicKey
    power: int
    priority: int = 0

    @property
    def address(self) -> bytes:
        """The 20-byte address of the key."""
        return self.public_key.address

    def hash_bytes(self) -> bytes:
        """Return the leaf of the set's hash: key and power, without the priority."""
        return message_field(1, self.public_key.encode()) + int_field(2, self.power)

    def encode(self) -> bytes:
        """Return the canonical bytes of `Validator`, priority included."""
        return (
            message_field(1, self.address)
            + message_field(2, self.public_key.encode())
            + int_field(3, self.power)
            + int_field(4, self.priority)
        )

    @classmethod
    def read(cls, data: bytes) -> "Validator":
        """Read bytes whose canonicity the enclosing message checks."""
        message = Message(data, ints=(3, 4), pieces=(1, 2))
        public_key = PublicKey.decode(message.message(2))
        return cls(public_key=public_key, power=message.signed(3), priority=message.signed(4))


@dataclass(slots=True, eq=False)
class _Members:
    """What sets that differ only in priorities share."""

    total_power: int
    index: dict[bytes, int]
    hash: bytes | None = None


_NOT_SHARED = _Members(total_power=0, index={})


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorSet:
    """Members by power descending, then address ascending, and the proposer of round 0."""

    validators: tuple[Validator, ...]
    proposer: Validator
    """As it was when it was chosen; right after `update` it may have left the set until `increment`."""
    _members: _Members = field(default=_NOT_SHARED, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self._members is not _NOT_SHARED:
            return
        members = _Members(
            total_power=sum([member.power for member in self.validators]),
            index={member.address: index for index, member in enumerate(self.validators)},
        )
        object.__setattr__(self, "_members", members)

    @classmethod
    def new(cls, members: Sequence[tuple[PublicKey, int]]) -> "ValidatorSet":
        """Return the set of a genesis: all members as an update of nothing, then one step of the rotation."""
        validators = _updated((), 0, members)
        return cls(validators=validators, proposer=_first(validators)).increment(1)

    @property
    def total_power(self) -> int:
        """The sum of all powers."""
        return self._members.total_power

    def __len__(self) -> int:
        return len(self.validators)

    def hash(self) -> bytes:
        """Return the `validators_hash`: keys and powers in set order, no priorities."""
        if self._members.hash is None:
            self._members.hash = merkle.root([member.hash_bytes() for member in self.validators])
        return self._members.hash

    def index_of(self, address: bytes) -> int | None:
        """Return the place of a member."""
        return self._members.index.get(address)

    def by_address(self, address: bytes) -> Validator | None:
        """Return a member."""
        index = self._members.index.get(address)
        return None if index is None else self.validators[index]

    def two_thirds(self, power: int) -> bool:
        """Whether `power` is more than two thirds: `two()` of consensus.md 0."""
        return 3 * power > 2 * self.total_power

    def third(self, power: int) -> bool:
        """Whether `power` is at least a third: an honest member is in it."""
        return 3 * power >= self.total_power

    def increment(self, times: int) -> "ValidatorSet":
        """Return the set `times` (>= 1) steps later in the rotation."""
        if times < 1:
            raise ValueError(f"increment by {times}")
        total = self.total_power
        powers = [member.power for member in self.validators]
        priorities = _centred(_rescaled([member.priority for member in self.validators], 2 * total))
        first = 0
        for _ in range(times):
            priorities = [_clip(priority + power) for priority, power in zip(priorities, powers, strict=True)]
            first = _highest(self.validators, priorities)
            priorities[first] = _clip(priorities[first] - total)
        return self._with_priorities(priorities, first)

    def proposer_at(self, round: int) -> Validator:
        """Return the proposer of a round of the height whose set this is."""
        return self.increment(round).proposer if round else self.proposer

    def update(self, changes: Sequence[tuple[PublicKey, int]]) -> "ValidatorSet":
        """Return the set after changes of powers; 0 removes a member. Raises `InvalidUpdate`."""
        if not changes:
            return self
        validators = _updated(self.validators, self.total_power, changes)
        return ValidatorSet(validators=validators, proposer=self.proposer)

    def _with_priorities(self, priorities: Sequence[int], first: int) -> "ValidatorSet":
        validators = tuple(
            [
                Validator(public_key=member.public_key, power=member.power, priority=priority)
                for member, priority in zip(self.validators, priorities, strict=True)
            ]
        )
        # Order, powers and addresses stay: the copy need not find them again.
        return ValidatorSet(validators=validators, proposer=validators[first], _members=self._members)

    def encode(self) -> bytes:
        """Return the canonical bytes of `ValidatorSet`, priorities and proposer included: for storage."""
        return self.encode_bare() + int_field(3, self.total_power)

    def encode_bare(self) -> bytes:
        """Return the canonical bytes without the total power, as they stand in light blocks and evidence."""
        members = [message_field(1, member.encode()) for member in self.validators]
        return b"".join(members) + message_field(2, self.proposer.encode())

    @classmethod
    def decode(cls, data: bytes) -> "ValidatorSet":
        """Read canonical bytes; raises `DecodeError` also when the set cannot exist."""
        decoded = cls._read(Message(data, ints=(3,), pieces=(2,), repeated=1))
        require_canonical(data, decoded.encode())
        return decoded

    @classmethod
    def decode_bare(cls, data: bytes) -> "ValidatorSet":
        """Read the canonical bytes of `encode_bare`; raises `DecodeError` as `decode` does."""
        decoded = cls._read(Message(data, pieces=(2,), repeated=1))
        require_canonical(data, decoded.encode_bare())
        return decoded

    @classmethod
    def _read(cls, message: Message) -> "ValidatorSet":
        validators = tuple([Validator.read(member) for member in message.repeated()])
        decoded = cls(validators=validators, proposer=Validator.read(message.message(2)))
        if not validators or decoded.total_power > MAX_TOTAL_POWER:
            raise DecodeError(f"{len(validators)} validators with a total power of {decoded.total_power}")
        if any(member.power <= 0 for member in validators):
            raise DecodeError("a validator without power")
        if len(decoded._members.index) != len(validators) or list(validators) != sorted(
            validators, key=_rank
        ):
            raise DecodeError("validators twice or out of order")
        return decoded


def _rank(member: Validator) -> tuple[int, bytes]:
    return -member.power, member.address


def _clip(n: int) -> int:
    return _INT64_MAX if n > _INT64_MAX else max(n, _INT64_MIN)


def _highest(validators: Sequence[Validator], priorities: Sequence[int]) -> int:
    top = max(priorities)
    tied = [index for index, priority in enumerate(priorities) if priority == top]
    return min(tied, key=lambda index: validators[index].address)


def _first(validators: Sequence[Validator]) -> Validator:
    return validators[_highest(validators, [member.priority for member in validators])]


def _rescaled(priorities: Sequence[int], window: int) -> Sequence[int]:
    """Bring the spread of priorities into a window, dividing towards zero as Go does."""
    spread = max(priorities) - min(priorities)
    if spread <= window:
        return priorities
    ratio = (spread + window - 1) // window
    return [priority // ratio if priority >= 0 else -(-priority // ratio) for priority in priorities]


def _centred(priorities: Sequence[int]) -> list[int]:
    average = sum(priorities) // len(priorities)
    return [_clip(priority - average) for priority in priorities]


def _updated(
    members: Sequence[Validator], total_power: int, changes: Sequence[tuple[PublicKey, int]]
) -> tuple[Validator, ...]:
    """Return the members after changes, rescaled, centred and in order."""
    old = {member.address: member for member in members}
    _check_changes(old, changes)
    delta = sum(
        power - (old[key.address].power if key.address in old else 0) for key, power in changes if power
    )
    removed = sum(old[key.address].power for key, power in changes if not power)
    if total_power + delta - removed > MAX_TOTAL_POWER:
        raise InvalidUpdate(f"total power {total_power + delta - removed} exceeds {MAX_TOTAL_POWER}")
    # Newcomers start behind everyone, so that leaving and joining again gains nothing.
    before_removals = total_power + delta
    start = -(before_removals + (before_removals >> 3))
    after = dict(old)
    for key, power in changes:
        if power:
            priority = old[key.address].priority if key.address in old else start
            after[key.address] = Validator(public_key=key, power=power, priority=priority)
        else:
            del after[key.address]
    if not after:
        raise InvalidUpdate("the changes leave no validator")
    kept = list(after.values())
    window = 2 * (total_power + delta - removed)
    priorities = _centred(_rescaled([member.priority for member in kept], window))
    changed = [replace(member, priority=priority) for member, priority in zip(kept, priorities, strict=True)]
    return tuple(sorted(changed, key=_rank))


def _check_changes(old: dict[bytes, Validator], changes: Sequence[tuple[PublicKey, int]]) -> None:
    if len({key.address for key, _ in changes}) != len(changes):
        raise InvalidUpdate("a validator is changed twice")
    for key, power in changes:
        name = key.address.hex().upper()
        if not 0 <= power <= MAX_TOTAL_POWER:
            raise InvalidUpdate(f"power {power} of {name} is not within 0 to {MAX_TOTAL_POWER}")
        if power == 0 and key.address not in old:
            raise InvalidUpdate(f"{name} is removed but not a validator")
