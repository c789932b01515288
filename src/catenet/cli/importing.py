"""`catenet import`: the rows of a file as transactions, in order, resumable."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from catenet.cli.connect import Reach, reach, reach_options, run
from catenet.cli.output import Progress, duration, emit, json_option, say
from catenet.cli.places import state_home
from catenet.cli.rows import count_lines, default_template, maker, read_rows
from catenet.cli.shape import NOT_COMMITTED, Command
from catenet.cli.tx import LEVELS

if TYPE_CHECKING:
    from catenet.client.sdk import Client
    from catenet.client.values import BatchReceipt, StreamSummary

SAVE_EVERY_S = 1.0
REFUSALS_SHOWN = 5


@dataclass(slots=True, kw_only=True)
class Position:
    """How far an import came: everything before `done` is acknowledged. Kept in a file."""

    path: Path
    identity: dict[str, object]
    done: int = 0
    _ahead: dict[int, int] = field(default_factory=dict)
    _saved_at: float = field(default_factory=monotonic)

    @classmethod
    def find(cls, file: Path, template: str, chain: str) -> "Position":
        """Return where an earlier import of the same bytes to the same network stopped; else the start."""
        stat = file.stat()
        identity: dict[str, object] = {
            "file": str(file.resolve()),
            "size": stat.st_size,
            "modified_ns": stat.st_mtime_ns,
            "key_template": template,
            "chain_id": chain,
        }
        name = sha256(json.dumps([identity["file"], template, chain]).encode()).hexdigest()[:16]
        position = cls(path=state_home() / "imports" / f"{name}.json", identity=identity)
        try:
            saved = json.loads(position.path.read_text())
        except (OSError, ValueError):
            return position
        if saved.get("identity") == identity and isinstance(saved.get("done"), int):
            position.done = saved["done"]
        return position

    def acknowledge(self, first: int, count: int) -> None:
        """Note that rows `first .. first + count - 1` are acknowledged, in any order."""
        self._ahead[first] = count
        while self.done in self._ahead:
            self.done += self._ahead.pop(self.done)
        if monotonic() - self._saved_at >= SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write the file in one step."""
        self._saved_at = monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps({"identity": self.identity, "done": self.done}))
        os.replace(draft, self.path)

    def forget(self) -> None:
        """Remove the file: the import is complete."""
        self.path.unlink(missing_ok=True)


def batched(items: Iterable[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Yield lists of `size` items, and the rest."""
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


@click.command(
    "import",
    cls=Command,
    examples=[
        "catenet import flights.csv --key-template '{carrier}/{flight}/{_row}'",
        "catenet import records.jsonl.zip --level committed --batch 500",
    ],
    next_step="catenet query KEY",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key-template", help="Key of a row, as in Python's str.format; {_row} is its number from 1.")
@click.option(
    "--level", type=click.Choice(LEVELS), default="replicated", show_default=True, help="What to wait for."
)
@click.option(
    "--batch", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Transactions at a time."
)
@click.option("--limit", type=click.IntRange(0), default=0, help="Only the first so many rows; 0 is all.")
@click.option("--restart", is_flag=True, help="Begin at the first row, whatever an earlier import did.")
@reach_options
@json_option
def import_command(
    file: Path,
    key_template: str | None,
    level: str,
    batch: int,
    limit: int,
    restart: bool,
    nodes: tuple[str, ...],
    tls_ca: Path | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Send each row of FILE (CSV or JSON Lines, also inside a .zip) as the transaction KEY={row as JSON}.

    Interrupted, it goes on where it stopped when it is called again; rows that arrive twice count once.
    """
    to = reach(nodes, tls_ca, timeout_s)
    template = key_template or default_template(file)
    chain = run(to, _chain_id)
    position = Position.find(file, template, chain)
    if restart:
        position.done = 0
    if position.done:
        say(f"going on after row {position.done:,} (from the start: --restart)")
    began, first = monotonic(), position.done
    refusals: list[tuple[int, int, str]] = []
    try:
        summary = _send(to, file, template, level, batch, limit, position, refusals)
    except BaseException:
        if position.done:
            position.save()
            say(f"stopped after row {position.done:,}; call the same command again to go on")
        raise
    position.forget()
    _report(summary, refusals, monotonic() - began, first, as_json=as_json)


async def _chain_id(client: "Client") -> str:
    return (await client.status()).chain_id


def _send(
    to: Reach,
    file: Path,
    template: str,
    level: str,
    batch: int,
    limit: int,
    position: Position,
    refusals: list[tuple[int, int, str]],
) -> "StreamSummary":
    from catenet.types.events import Level

    start = position.done
    make = maker(template, file)
    rows = islice(enumerate(read_rows(file), 1), start, limit or None)
    lines = count_lines(file)
    progress = Progress(min(lines, limit) if limit else lines, "rows")
    progress.begin_at(start)

    def acknowledged(receipt: "BatchReceipt") -> None:
        position.acknowledge(start + receipt.first, receipt.count)
        refusals.extend(
            (start + receipt.first + bad.index + 1, bad.code, bad.reason) for bad in receipt.refused
        )
        progress.update(position.done)

    async def work(client: "Client") -> "StreamSummary":
        txs = (make(number, row)[1] for number, row in rows)
        return await client.submit_batches(batched(txs, batch), Level[level.upper()], on_ack=acknowledged)

    try:
        return run(to, work)
    finally:
        progress.close()


def _report(
    summary: "StreamSummary",
    refusals: list[tuple[int, int, str]],
    seconds: float,
    first: int,
    *,
    as_json: bool,
) -> None:
    rate = summary.transactions / max(seconds, 1e-9)
    value: dict[str, object] = {
        "transactions": summary.transactions,
        "resumed_after": first,
        "refused": summary.refused,
        "resent_batches": summary.resent_batches,
        "failovers": summary.failovers,
        "seconds": round(seconds, 3),
        "tx_per_s": round(rate, 1),
        "refusals": [{"row": row, "code": code, "reason": reason} for row, code, reason in refusals[:1000]],
    }
    took = duration(seconds)
    text = f"{summary.transactions:,} transactions in {took}  {rate:,.0f}/s  refused {summary.refused:,}"
    emit(value, text, as_json=as_json)
    for row, code, reason in refusals[:REFUSALS_SHOWN]:
        say(f"  row {row} refused with code {code}: {reason}")
    if summary.refused:
        raise SystemExit(NOT_COMMITTED)
