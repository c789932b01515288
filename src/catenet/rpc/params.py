"""Parameters of methods: their kinds, and reading them from JSON and from the query of a URI.

The two forms differ, as in the reference: JSON gives bytes as base64 or hex and 64-bit integers as strings;
a URI gives bytes as `0x...` or as the text in quotes, and integers bare.
"""

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from catenet.rpc.errors import BadParams

INTEGER = re.compile(r"-?[0-9]{1,19}")


class Kind(Enum):
    """What a parameter is."""

    INT = "int64"
    """Absent is 0."""
    OPTIONAL_INT = "*int64"
    """Absent is none."""
    UINT = "uint"
    BOOL = "bool"
    TEXT = "string"
    BASE64 = "[]uint8"
    HEX = "bytes.HexBytes"
    OBJECT = "interface"


DEFAULTS: Mapping[Kind, object] = {
    Kind.INT: 0,
    Kind.OPTIONAL_INT: None,
    Kind.UINT: 0,
    Kind.BOOL: False,
    Kind.TEXT: "",
    Kind.BASE64: b"",
    Kind.HEX: b"",
    Kind.OBJECT: None,
}

INTEGERS = (Kind.INT, Kind.OPTIONAL_INT, Kind.UINT)
BYTES = (Kind.BASE64, Kind.HEX)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method."""

    name: str
    kind: Kind


class Arguments:
    """The values of a call's parameters, by name."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def number(self, name: str) -> int:
        """Return an integer."""
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def optional(self, name: str) -> int | None:
        """Return an integer, or None when it was not given."""
        value = self._values[name]
        assert value is None or isinstance(value, int)
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        return self._values[name] is True

    def text(self, name: str) -> str:
        """Return text."""
        value = self._values[name]
        assert isinstance(value, str)
        return value

    def data(self, name: str) -> bytes:
        """Return bytes."""
        value = self._values[name]
        assert isinstance(value, bytes)
        return value

    def raw(self, name: str) -> object:
        """Return a value as JSON gave it."""
        return self._values[name]


def from_json(parameters: Sequence[Parameter], given: object) -> Arguments:
    """Read the member `params` of a request: an object, a list, or null. Raises `BadParams`."""
    match given:
        case None:
            values: Mapping[str, object] = {}
        case dict():
            values = given
        case list():
            if len(given) != len(parameters):
                names = " ".join(parameter.name for parameter in parameters)
                raise BadParams(f"expected {len(parameters)} parameters ([{names}]), got {len(given)}")
            values = {p.name: value for p, value in zip(parameters, given, strict=True)}
        case _:
            raise BadParams(f"unknown type for JSON params: {_shown(given)}. Expected map or array")
    return Arguments({p.name: _from_json(p, values.get(p.name)) for p in parameters})


def from_uri(parameters: Sequence[Parameter], given: Mapping[str, str]) -> Arguments:
    """Read the query of a URI; an empty value is none. Raises `BadParams`."""
    return Arguments({p.name: _from_uri(p, given.get(p.name, "")) for p in parameters})


def _from_json(parameter: Parameter, value: object) -> object:
    if value is None:
        return DEFAULTS[parameter.kind]
    match parameter.kind:
        case Kind.INT | Kind.OPTIONAL_INT | Kind.UINT:
            if not isinstance(value, str):
                raise BadParams(f'invalid 64-bit integer encoding "{_shown(value)}", expected string')
            return _integer(parameter, value)
        case Kind.BOOL if isinstance(value, bool):
            return value
        case Kind.TEXT if isinstance(value, str):
            return value
        case Kind.BASE64 if isinstance(value, str):
            return _base64(parameter, value)
        case Kind.HEX if isinstance(value, str):
            return _hex(parameter, value)
        case Kind.OBJECT:
            return value
        case kind:
            raise BadParams(f"{parameter.name} is {_shown(value)}, which is no {kind.value}")


def _from_uri(parameter: Parameter, value: str) -> object:
    kind = parameter.kind
    if not value:
        return DEFAULTS[kind]
    if kind in INTEGERS and INTEGER.fullmatch(value):
        return _integer(parameter, value)
    if value[:2].lower() == "0x":
        if kind in BYTES:
            return _hex(parameter, value[2:])
        if kind is Kind.TEXT:
            return _hex(parameter, value[2:]).decode(errors="replace")
        raise BadParams(f"got a hex string arg, but expected '{kind.value}'")
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        raise BadParams(
            f"{parameter.name} is {value[:100]!r}: text stands in double quotes, bytes begin with 0x"
        ) from None
    if kind in BYTES and isinstance(parsed, str):
        # As the reference does: here the text itself is meant, not an encoding of bytes.
        return parsed.encode(errors="replace")
    return _from_json(parameter, parsed)


def _integer(parameter: Parameter, text: str) -> int:
    if not INTEGER.fullmatch(text):
        raise BadParams(f"{parameter.name} is {text[:100]!r}, which is no integer")
    value = int(text)
    low, high = (0, 1 << 64) if parameter.kind is Kind.UINT else (-(1 << 63), 1 << 63)
    if not low <= value < high:
        raise BadParams(f"{parameter.name} is {text}, which does not fit into {parameter.kind.value}")
    return value


def _base64(parameter: Parameter, text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise BadParams(f"{parameter.name} is {text[:100]!r}, which is no base64") from None


def _hex(parameter: Parameter, text: str) -> bytes:
    try:
        # `fromhex` skips blanks; here they are none of the digits.
        return bytes.fromhex(text if text.isalnum() else "?" * bool(text))
    except ValueError:
        raise BadParams(f"{parameter.name} is {text[:100]!r}, which is no hex") from None


def _shown(value: object) -> str:
    return json.dumps(value)[:100]
