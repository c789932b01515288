"""Messages made from their descriptors, written by hand: also such as no protobuf library would write.

Most fields have the right type and a telling value; bytes are often real objects of the chain. With some
probability a field has another wire type, stands twice, is unknown, or is cut.
"""

from collections.abc import Mapping, Sequence
from random import Random

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from catenet.chain.encoding import uvarint
from support.fuzzing.values import NO_STRINGS, STRINGS, chance, integer, noise, pick, some_bytes

DEPTH_MAX = 6
COUNTS = (0, 0, 1, 1, 1, 1, 1, 2)
COUNTS_REPEATED = (0, 1, 1, 2, 3, 8)
MANY = (1000, 30)
UNKNOWN = (0, 15, 16, 19_000, 2**29 - 1, 2**29)
"""Field numbers that no message of ours has; the first and the last can be none at all."""

Pieces = Mapping[str, Sequence[bytes]]
"""Real values of bytes fields, by the field's name."""


Numbers = Mapping[str, Sequence[int]]
"""The same for numbers: what is near the truth."""

NO_NUMBERS: Numbers = {}


def message(kind: Descriptor, random: Random, pieces: Pieces, numbers: Numbers = NO_NUMBERS) -> bytes:
    """Return the bytes of a message of a kind: valid, or wrong in one or more ways."""
    return _Maker(random, pieces, numbers, pick(random, (0, 0, 40, 8))).message(kind, 0)


class _Maker:
    def __init__(self, random: Random, pieces: Pieces, numbers: Numbers, faults: int) -> None:
        self._random = random
        self._numbers = numbers
        self._pieces = pieces
        self._faults = faults
        """One field in so many is wrong; 0: none."""

    def message(self, kind: Descriptor, depth: int) -> bytes:
        fields = [self._field(field, depth) for field in self._fields(kind, depth)]
        if chance(self._random, self._faults):
            fields.append(self._unknown())
        if chance(self._random, self._faults):
            self._random.shuffle(fields)
        made = b"".join(fields)
        return made[: self._random.randrange(len(made) + 1)] if chance(self._random, self._faults) else made

    def _fields(self, kind: Descriptor, depth: int) -> list[FieldDescriptor]:
        """Choose which fields are there, and how often; of a oneof, one."""
        random = self._random
        chosen = [pick(random, list(oneof.fields)) for oneof in kind.oneofs if not chance(random, 8)]
        for field in kind.fields:
            if field.containing_oneof is None:
                many = field.is_repeated and depth < 2 and chance(random, 100)
                count = (
                    MANY[depth] if many else pick(random, COUNTS_REPEATED if field.is_repeated else COUNTS)
                )
                chosen.extend([field] * count)
            elif chance(random, self._faults):
                chosen.append(field)
        return chosen

    def _field(self, field: FieldDescriptor, depth: int) -> bytes:
        random = self._random
        if chance(random, self._faults):
            return pick(random, (self._wrong_type(field.number), self._unknown()))
        match field.type:
            case FieldDescriptor.TYPE_MESSAGE:
                assert field.message_type is not None
                if field.name in self._pieces and chance(random, 2):
                    return _delimited(field.number, self._bytes(field.name))
                body = noise(random, 3) if depth > DEPTH_MAX else self.message(field.message_type, depth + 1)
                return _delimited(field.number, body)
            case FieldDescriptor.TYPE_STRING:
                wrong = chance(random, self._faults)
                text = pick(random, NO_STRINGS) if wrong else pick(random, STRINGS).encode()
                return _delimited(field.number, text)
            case FieldDescriptor.TYPE_BYTES:
                return _delimited(field.number, self._bytes(field.name))
            case FieldDescriptor.TYPE_BOOL | FieldDescriptor.TYPE_ENUM:
                number = integer(random) if chance(random, self._faults) else random.randrange(4)
                return uvarint(field.number << 3) + uvarint(number)
            case _:
                number = self._number(field.name)
                if chance(random, 4) and field.is_repeated:
                    return _delimited(field.number, uvarint(number) * random.randrange(5))
                return uvarint(field.number << 3) + uvarint(number)

    def _number(self, name: str) -> int:
        near = self._numbers.get(name, ())
        if near and not chance(self._random, 8):
            return pick(self._random, near)
        return self._random.randrange(8) if chance(self._random, 2) else integer(self._random)

    def _bytes(self, name: str) -> bytes:
        real = self._pieces.get(name, ())
        if not real or chance(self._random, 6):
            return some_bytes(self._random)
        return pick(self._random, real)

    def _wrong_type(self, number: int) -> bytes:
        random = self._random
        wire_type = random.randrange(8)
        tail = pick(random, (b"", uvarint(integer(random)), noise(random, 8), b"\x80" * 11))
        return uvarint(number << 3 | wire_type) + tail

    def _unknown(self) -> bytes:
        random = self._random
        number = pick(random, UNKNOWN)
        choices = (
            uvarint(number << 3) + uvarint(integer(random)),
            _delimited(number, some_bytes(random)),
            # A group, closed, unclosed, and far too deep.
            uvarint(number << 3 | 3) + uvarint(number << 3 | 4),
            uvarint(number << 3 | 3) * pick(random, (1, 200)),
        )
        return pick(random, choices)


def _delimited(number: int, body: bytes) -> bytes:
    return uvarint(number << 3 | 2) + uvarint(len(body)) + body
