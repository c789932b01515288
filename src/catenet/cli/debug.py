"""`catenet debug`: look into a home's files. Reads only: nothing is cut, locked or written."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.cli.output import json_option, say
from catenet.cli.shape import CHECK_FAILED, Failure, Group

if TYPE_CHECKING:
    from catenet.storage import inspect


@click.group(
    cls=Group, examples=["catenet debug journal --home DIR", "catenet debug journal --home DIR --height 12"]
)
def debug() -> None:
    """Look into a home's files."""


@debug.command(
    examples=[
        "catenet debug journal --home DIR",
        "catenet debug journal --home DIR --height 12 --json > node3.jsonl",
    ],
    next_step="lay the votes of one validator in the journals of all side by side",
)
@click.option(
    "--home", required=True, envvar="CATENET_HOME", type=click.Path(path_type=Path), help="Home of the node."
)
@click.option("--height", type=click.IntRange(1), help="Only what belongs to this height.")
@json_option
def journal(home: Path, height: int | None, as_json: bool) -> None:
    """Print the records of a stopped node's journal: votes, polkas, proposals, commits, with file and offset.

    It shows what this node signed, and which votes of others it acted on: what a trial over broken locks
    needs. A damaged journal is printed up to the damage; exit code 4 then.
    """
    from catenet.cli.records import describe, line
    from catenet.storage import inspect
    from catenet.storage.home import Home
    from catenet.types.errors import Corrupt
    from catenet.wire.records import decode_record

    directory = Home(home).journal
    if not directory.is_dir():
        raise Failure(f"{directory} is not there: {home} is no home of a node, or has never run")
    for group in inspect.groups(directory):
        if isinstance(group, inspect.Stop):
            _stopped(group, home)
            return
        for data in group.records:
            place = {"file": group.file.name, "offset": group.offset}
            try:
                shown = describe(decode_record(data))
            except Corrupt as error:
                raise Failure(f"{group.file} at byte {group.offset}: {error}", CHECK_FAILED) from None
            if height is None or shown.get("height") == height:
                click.echo(json.dumps({**place, **shown}) if as_json else line(place, shown))


def _stopped(stop: "inspect.Stop", home: Path) -> None:
    where = f"{stop.file} at byte {stop.offset}: {stop.reason}"
    if stop.is_torn:
        say(f"{where}; a crash leaves it so, and the next start cuts it")
        return
    raise Failure(
        f"{where}; nothing behind it is shown. Stop the node and run: catenet repair --home {home}", 4
    )
