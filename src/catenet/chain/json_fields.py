"""Typed reading of JSON objects, with errors that name the field. Integers of 64 bits are decimal strings."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import TypeGuard

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})")


class JsonError(ValueError):
    """JSON text that does not have the expected form."""


def _is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_unicode(text: str) -> bool:
    """Say whether UTF-8 can hold the text: JSON's escapes may name half a surrogate pair."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


class JsonObject:
    """One JSON object; every read names the place in its error."""

    __slots__ = ("_values", "_where")

    def __init__(self, values: Mapping[str, object], where: str = "") -> None:
        self._values = values
        self._where = where

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def _get(self, name: str) -> object:
        value = self._values.get(name)
        if value is None:
            raise JsonError(f"{self._where}{name} is missing")
        return value

    def names(self) -> list[str]:
        """Return the names of all members, in order."""
        return list(self._values)

    def raw(self, name: str) -> object:
        """Return a value as the parser gave it."""
        return self._get(name)

    def text(self, name: str) -> str:
        """Return a string; one that UTF-8 cannot hold (half a surrogate pair) is refused."""
        value = self._get(name)
        if not isinstance(value, str):
            raise JsonError(f"{self._where}{name} is {value!r}, not a string")
        if not _is_unicode(value):
            raise JsonError(f"{self._where}{name} holds half a surrogate pair")
        return value

    def integer(self, name: str) -> int:
        """Return a 64-bit integer, written as a decimal string."""
        value = self.text(name)
        if not _INTEGER.fullmatch(value) or not -(1 << 63) <= int(value) < 1 << 63:
            raise JsonError(f"{self._where}{name} is {value!r}, not a 64-bit integer")
        return int(value)

    def number(self, name: str) -> int:
        """Return an integer that is written as a number."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise JsonError(f"{self._where}{name} is {value!r}, not an integer")
        return value

    def hex(self, name: str) -> bytes:
        """Return bytes written in hex, of either case."""
        value = self.text(name)
        try:
            return bytes.fromhex(value)
        except ValueError as error:
            raise JsonError(f"{self._where}{name} is {value!r}, not hex") from error

    def base64(self, name: str) -> bytes:
        """Return bytes written in base64; the text is not repeated in errors, for it may be secret."""
        value = self._get(name)
        if not isinstance(value, str):
            raise JsonError(f"{self._where}{name} is not a string")
        try:
            return b64decode(value, validate=True)
        except ValueError as error:
            raise JsonError(f"{self._where}{name} is not base64") from error

    def bases64(self, name: str) -> list[bytes]:
        """Return a list of bytes, each written in base64; missing or null is empty."""
        values = self.texts(name)
        try:
            return [b64decode(value, validate=True) for value in values]
        except ValueError as error:
            raise JsonError(f"{self._where}{name} holds something that is not base64") from error

    def child(self, name: str) -> "JsonObject":
        """Return an object."""
        value = self._get(name)
        if not _is_mapping(value):
            raise JsonError(f"{self._where}{name} is not an object")
        return JsonObject(value, f"{self._where}{name}.")

    def children(self, name: str) -> list["JsonObject"]:
        """Return a list of objects; missing or null is empty."""
        children = []
        for index, value in enumerate(self.items(name)):
            if not _is_mapping(value):
                raise JsonError(f"{self._where}{name}[{index}] is not an object")
            children.append(JsonObject(value, f"{self._where}{name}[{index}]."))
        return children

    def lists(self, name: str) -> list[list["JsonObject"]]:
        """Return a list of lists of objects; missing or null is empty."""
        lists = []
        for index, values in enumerate(self.items(name)):
            if not _is_list(values):
                raise JsonError(f"{self._where}{name}[{index}] is not a list")
            inner = JsonObject({"": values}, f"{self._where}{name}[{index}]")
            lists.append(inner.children(""))
        return lists

    def texts(self, name: str) -> list[str]:
        """Return a list of strings; missing or null is empty."""
        items = [item for item in self.items(name) if isinstance(item, str) and _is_unicode(item)]
        if len(items) != len(self.items(name)):
            raise JsonError(f"{self._where}{name} holds something that is not a string")
        return items

    def items(self, name: str) -> list[object]:
        """Return a list of anything; missing or null is empty."""
        value = self._values.get(name)
        if value is None:
            return []
        if not _is_list(value):
            raise JsonError(f"{self._where}{name} is not a list")
        return value


def parse_object(text: str | bytes) -> JsonObject:
    """Parse the text of one JSON object; raises `JsonError`."""
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise JsonError(f"not JSON: {error}") from error
    if not _is_mapping(value):
        raise JsonError("not a JSON object")
    return JsonObject(value)


def members(text: str) -> dict[str, str]:
    """Return the members of one JSON object, each value as the text it was written in; raises `JsonError`."""
    parse_object(text)  # Below, only places are looked for: the text is well formed.
    decoder = json.JSONDecoder()
    found: dict[str, str] = {}
    pos = _skip(text, text.index("{") + 1)
    while text[pos] == '"':
        name, pos = decoder.raw_decode(text, pos)
        start = _skip(text, _skip(text, pos) + 1)
        _, pos = decoder.raw_decode(text, start)
        found[str(name)] = text[start:pos]
        pos = _skip(text, pos)
        if text[pos] == ",":
            pos = _skip(text, pos + 1)
    return found


def _skip(text: str, pos: int) -> int:
    while text[pos] in " \t\r\n":
        pos += 1
    return pos
