"""Real input, altered: bytes anywhere, whole fields of nested messages, members of JSON, lines of text."""

import json
from collections.abc import Callable, Sequence
from random import Random

from catenet.chain.encoding import BYTES, VARINT, DecodeError, fields, uvarint
from support.fuzzing.values import INTEGERS, STRINGS, chance, integer, noise, pick, some_bytes

Value = object


def altered(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return bytes with one to three changes: of fields where it reads as a message, else anywhere."""
    for _ in range(1 + random.randrange(3)):
        data = fields_altered(data, random) if chance(random, 2) else bytes_altered(data, random, others)
    return data


def bytes_altered(data: bytes, random: Random, others: Sequence[bytes] = ()) -> bytes:
    """Return bytes with one change that knows nothing of their meaning."""
    at = random.randrange(len(data) + 1)
    end = min(len(data), at + pick(random, (1, 1, 2, 8, 64)))
    match random.randrange(8):
        case 0 if at < len(data):
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + bytes([pick(random, (0, 1, 127, 128, 255))]) + data[at + 1 :]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:at] + data[at:end] + data[at:]
        case 4:
            return data[:at] + some_bytes(random) + data[at:]
        case 5:
            return data[:at]
        case 6:
            return data[:at] + uvarint(integer(random)) + data[end:]
        case _:
            other = pick(random, others) if others else data
            return data[:at] + other[random.randrange(len(other) + 1) :]


def fields_altered(data: bytes, random: Random) -> bytes:
    """Return a message with one field changed, at any depth, the lengths around it put right."""
    try:
        found = list(fields(data))
    except DecodeError:
        return bytes_altered(data, random)
    if not found:
        return data + uvarint(1 << 3) + uvarint(integer(random))
    place = random.randrange(len(found))
    number, wire_type, value = found[place]
    written = [_written(*field) for field in found]
    if isinstance(value, bytes) and wire_type == BYTES and value and not chance(random, 3):
        written[place] = _written(number, BYTES, fields_altered(value, random))
        return b"".join(written)
    match random.randrange(6):
        case 0:
            del written[place]
        case 1:
            written.insert(place, written[place])
        case 2:
            other = random.randrange(len(written))
            written[place], written[other] = written[other], written[place]
        case 3 if wire_type == VARINT:
            written[place] = _written(number, VARINT, integer(random))
        case 4:
            written[place] = _written(pick(random, (number + 1, 15, 16, 2**29 - 1)), wire_type, value)
        case _:
            written[place] = _written(number, BYTES, some_bytes(random))
    return b"".join(written)


def _written(number: int, wire_type: int, value: int | bytes) -> bytes:
    key = uvarint(number << 3 | wire_type)
    if isinstance(value, bytes):
        return key + uvarint(len(value)) + value
    return key + (uvarint(value) if wire_type == VARINT else value.to_bytes(8, "little"))


JSON_VALUES: tuple[Value, ...] = (
    *(None, True, 0, -1, 1.5, 10**20, float("nan"), [], {}, [[]], "", "0", "-0", "00", "1 ", "1_0", "+1"),
    *(str(number) for number in INTEGERS[-10:]),
    *(str(-(2**63)), str(2**63), "9" * 400, "ff", "FF", "f", "zz", "AA==", "AA=", "A A=", "é", "\ud800"),
    *("1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999-23:59", "0001-01-01T00:00:00+23:59"),
)


def json_altered(text: str, random: Random) -> bytes:
    """Return JSON text with one to three members changed, then perhaps bytes."""
    value: Value = json.loads(text)
    for _ in range(1 + random.randrange(3)):
        value = _json_altered(value, random)
    made = json.dumps(value, ensure_ascii=chance(random, 2)).encode("utf-8", "surrogatepass")
    if chance(random, 20):
        depth = pick(random, (10, 200_000))
        made = made[:-1] + b', "deep": ' + b"[" * depth + b"]" * depth + b"}"
    return bytes_altered(made, random) if chance(random, 4) else made


def _json_altered(value: Value, random: Random) -> Value:
    if isinstance(value, dict) and value and not chance(random, 8):
        name = pick(random, list(value))
        changed = {**value, name: _json_altered(value[name], random)}
        match random.randrange(12):
            case 0:
                del changed[name]
            case 1:
                changed[pick(random, STRINGS)] = value[name]
            case _:
                pass
        return changed
    if isinstance(value, list) and value and not chance(random, 8):
        place = random.randrange(len(value))
        other = [_json_altered(value[place], random)] * pick(random, (1, 1, 1, 0, 2))
        return [*value[:place], *other, *value[place + 1 :]]
    if isinstance(value, str) and chance(random, 3):
        return _text_altered(value, random)
    return pick(random, JSON_VALUES)


def _text_altered(text: str, random: Random) -> str:
    place = random.randrange(len(text) + 1)
    return text[:place] + pick(random, ("", "0", "-", " ", "/", "\0", "é", "\ud800")) + text[place + 1 :]


def lines_altered(text: str, random: Random, values: Sequence[str]) -> bytes:
    """Return text with one to three lines changed: `name = value` gets another value or name."""
    lines = text.splitlines()
    changes: tuple[Callable[[str], str], ...] = (
        lambda line: "",
        lambda line: f"{line}\n{line}",
        lambda line: line.lstrip("# "),
        lambda line: f"{line.partition('=')[0]}= {pick(random, values)}",
        lambda line: f"{line.lstrip('# ').partition('=')[0]}= {pick(random, values)}",
        lambda line: f"{pick(random, values)} = {line.partition('=')[2]}",
        lambda line: line.replace("_", "", 1),
    )
    for _ in range(1 + random.randrange(3)):
        place = random.randrange(len(lines))
        lines[place] = pick(random, changes)(lines[place])
    made = "\n".join(lines).encode("utf-8", "surrogatepass")
    return bytes_altered(made, random) if chance(random, 4) else made


def text_of(data: bytes, random: Random) -> bytes:
    """Return noise that starts like something real."""
    return data[: random.randrange(len(data) + 1)] + noise(random, random.randrange(16))
