"""What a command writes: data to stdout (text, or JSON with `--json`), talk and progress to stderr."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])

REDRAW_S = 0.1
PLAIN_S = 5.0
QUIET_S = 2.0
BAR_WIDTH = 24


def json_option(function: F) -> F:
    """Add `--json` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON (one object a line) to stdout.")(
        function
    )


def say(text: str) -> None:
    """Tell the user something that is not data."""
    click.echo(text, err=True)


def emit(value: Mapping[str, object], text: str, *, as_json: bool) -> None:
    """Write data: `value` as one line of JSON, or `text`."""
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else text)


def printable(data: bytes) -> str:
    """Return bytes for a terminal: text with control characters escaped, or hex."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "0x" + data.hex()
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def as_text(data: bytes) -> str | None:
    """Return bytes as text for JSON, or None when they are none; hex stands beside it."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def short(tx_id: bytes) -> str:
    """Return the first and last digits of an id, for a line that people read."""
    digits = tx_id.hex().upper()
    return f"{digits[:6]}…{digits[-4:]}"


def duration(seconds: float) -> str:
    """Return a duration for people."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 90:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def table(rows: Sequence[Sequence[str]], *, head: Sequence[str] = ()) -> str:
    """Return rows as aligned columns."""
    every = [list(head), *rows] if head else list(rows)
    widths = [max(len(row[column]) for row in every) for column in range(len(every[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    )


class Progress:
    """Done of total with rate and ETA on stderr, from the third second on; lines when it is no terminal."""

    def __init__(self, total: int, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._what = what
        self._clock = clock
        self._start = clock()
        self._last = self._start + QUIET_S - REDRAW_S
        self._terminal = sys.stderr.isatty()
        self._drawn = False
        self._first = 0

    def begin_at(self, done: int) -> None:
        """Count the rate from here: work that an earlier run did."""
        self._first = done

    def update(self, done: int) -> None:
        """Say how much is done; draws only now and then."""
        at = self._clock()
        if at - self._last < (REDRAW_S if self._terminal else PLAIN_S):
            return
        self._last = at
        line = self.line(done, at)
        click.echo(f"\r\x1b[K{line}" if self._terminal else line, err=True, nl=not self._terminal)
        self._drawn = True

    def line(self, done: int, at: float) -> str:
        """Return the line for a moment."""
        rate = (done - self._first) / max(at - self._start, 1e-9)
        left = duration((self._total - done) / rate) if rate > 0 else "unknown"
        filled = BAR_WIDTH * done // max(self._total, 1)
        bar = "█" * filled + "░" * (BAR_WIDTH - filled)
        return f"{bar} {done:,}/{self._total:,} {self._what}  {rate:,.0f}/s  {left} left"

    def close(self) -> None:
        """Leave the line."""
        if self._terminal and self._drawn:
            click.echo("\r\x1b[K", err=True, nl=False)
