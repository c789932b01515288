"""Files of records: CSV and JSON Lines, also inside a .zip, read row by row and made into transactions.

A transaction is `key={json}`: the key comes from a template over the row's fields, the value is the row.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import orjson

from catenet.cli.shape import Failure

Row = dict[str, object]

ROW_NUMBER = "_row"
CELL_MAX = 16 << 20
"""Characters in one cell of a CSV file; what a transaction may hold is the network's to say."""

LONG_NUMBER = re.compile(r"[0-9]{19}")
SUFFIXES = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}


def default_template(path: Path) -> str:
    """Return a key template that is unique in any file: name of the file and number of the row."""
    stem = path.name.split(".", 1)[0].replace("{", "").replace("}", "").replace("=", "")
    return f"{stem}/{{{ROW_NUMBER}}}"


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file in order. Fails with file, row and what is wrong."""
    with _opened(path) as (name, file):
        kind = SUFFIXES.get(Path(name).suffix.lower())
        text = io.TextIOWrapper(cast("io.BufferedReader", file), encoding="utf-8-sig", newline="")
        try:
            if kind == "csv":
                yield from _csv_rows(text, path)
            elif kind == "json":
                yield from _json_rows(text, path)
            else:
                known = ", ".join(SUFFIXES)
                raise Failure(
                    f"{path}: cannot tell the format of {name!r}; name it as one of {known}, or zip it"
                )
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            raise Failure(f"{path}: byte 0x{byte:02x} is not UTF-8; convert the file first") from None


def count_lines(path: Path) -> int:
    """Return how many lines a file has: about how many rows, for a progress bar."""
    with _opened(path) as (_, file):
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def maker(template: str, path: Path) -> Callable[[int, Row], tuple[bytes, bytes]]:
    """Return a function from (row number from 1, row) to (key, transaction)."""

    def make(number: int, row: Row) -> tuple[bytes, bytes]:
        try:
            key = template.format_map({ROW_NUMBER: number, **row})
        except KeyError as error:
            known = ", ".join([*row, ROW_NUMBER])
            raise Failure(
                f"--key-template {template!r}: row {number} has no field {error}; known are {known}"
            ) from None
        except (ValueError, IndexError, AttributeError, TypeError) as error:
            raise Failure(
                f"--key-template {template!r} does not fit row {number} of {path}: {error}"
            ) from None
        if not key or "=" in key:
            raise Failure(f"{path}: row {number} has the key {key!r}; a key is not empty and has no `=`")
        encoded = key.encode()
        return encoded, encoded + b"=" + _as_json(row)

    return make


def _as_json(row: Row) -> bytes:
    try:
        return orjson.dumps(row)
    except TypeError:
        # Whole numbers above 64 bits: slower, and written out in full.
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, BinaryIO]]:
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                yield path.name, file
            return
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if Path(name).suffix.lower() in SUFFIXES]
            if len(names) != 1:
                raise Failure(f"{path}: expected one CSV or JSON Lines file inside, found {names or 'none'}")
            with archive.open(names[0]) as member:
                yield names[0], cast("BinaryIO", member)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror or error}") from None
    except zipfile.BadZipFile as error:
        raise Failure(f"{path}: damaged archive: {error}") from None


def _csv_rows(text: io.TextIOWrapper, path: Path) -> Iterator[Row]:
    csv.field_size_limit(CELL_MAX)
    # Strict: a quote that is never closed would swallow the rest of the file into one cell.
    reader = csv.reader(text, strict=True)
    try:
        yield from _csv_cells(reader, path)
    except csv.Error as error:
        raise Failure(f"{path}:{reader.line_num}: not CSV: {error}") from None


def _csv_cells(reader: Iterator[list[str]], path: Path) -> Iterator[Row]:
    head = next(reader, None)
    if not head or len(set(head)) != len(head):
        raise Failure(f"{path}: the first line must name the columns, each once; found {head}")
    width = len(head)
    # The same few values come again and again: each is looked at once.
    known: dict[str, object] = {}
    for number, cells in enumerate(reader, 1):
        if len(cells) != width:
            if not cells:
                continue
            raise Failure(f"{path}: row {number} has {len(cells)} cells for {width} columns")
        values = []
        for cell in cells:
            value = known.get(cell, known)
            if value is known:
                value = plain(cell)
                if len(known) < 100_000:
                    known[cell] = value
            values.append(value)
        yield dict(zip(head, values, strict=True))


def plain(cell: str) -> object:
    """Return a cell as JSON should show it: a number only when it reads back as the same text."""
    if not cell:
        return None
    if cell[-1].isdecimal() and cell.isascii() and len(cell) < 16:
        for kind in (int, float):
            try:
                value = kind(cell)
            except ValueError:
                continue
            if str(value) == cell:
                return value
    return cell


def _json_rows(text: io.TextIOWrapper, path: Path) -> Iterator[Row]:
    for number, line in enumerate(text, 1):
        if not line.strip():
            continue
        try:
            # orjson would round a whole number above 64 bits to a float without a word.
            value: object = (json if LONG_NUMBER.search(line) else orjson).loads(line)
        except json.JSONDecodeError as error:
            raise Failure(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(value, Mapping):
            raise Failure(f"{path}:{number}: each line must be an object, not {type(value).__name__}")
        yield dict(value)
