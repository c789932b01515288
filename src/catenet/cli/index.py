"""`catenet index`: the index of a stopped node's blocks, transactions and events."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.cli.output import Progress, emit, json_option, say
from catenet.cli.shape import Group

if TYPE_CHECKING:
    from catenet.node.reindex import Indexed

HOME = click.option(
    "--home", required=True, envvar="CATENET_HOME", type=click.Path(path_type=Path), help="Home of the node."
)


@click.group(
    cls=Group, examples=["catenet index rebuild --home DIR", "catenet index prune --home DIR --below 100000"]
)
def index() -> None:
    """Make a stopped node's index again, or cut it."""


@index.command(examples=["catenet index rebuild --home DIR"], next_step="catenet start --home DIR")
@HOME
@json_option
def rebuild(home: Path, as_json: bool) -> None:
    """Make the index of a stopped node again out of its blocks.

    A damaged index is made again by itself when the node starts: this is for events that were pruned, and
    for whoever wants to be sure. Interrupted, the next start goes on.
    """
    from catenet.node.reindex import rebuild as have_rebuilt
    from catenet.storage.home import Home

    shown: list[Progress] = []

    def begin(blocks: int) -> Callable[[int], object]:
        shown.append(Progress(blocks, "blocks"))
        return shown[0].update

    try:
        done = have_rebuilt(Home(home), begin=begin)
    finally:
        for progress in shown:
            progress.close()
    if done.was_damaged:
        say("the index was damaged, or of an older version")
    _report(done, as_json=as_json)


@index.command(
    examples=["catenet index prune --home DIR --below 100000"], next_step="catenet start --home DIR"
)
@HOME
@click.option("--below", required=True, type=click.IntRange(1), help="First height whose events are kept.")
@json_option
def prune(home: Path, below: int, as_json: bool) -> None:
    """Drop the events of old blocks from a stopped node's index; searches begin at what is left.

    Blocks and transactions stay, and are found by height and hash. `catenet index rebuild` brings all back.
    """
    from catenet.node.reindex import forget
    from catenet.storage.home import Home

    _report(forget(Home(home), below=below), as_json=as_json)


def _report(done: "Indexed", *, as_json: bool) -> None:
    value: dict[str, object] = {
        "lowest": done.lowest,
        "head": done.head,
        "events_from": done.events_from,
        "was_damaged": done.was_damaged,
    }
    text = f"blocks {done.lowest} to {done.head} are indexed, their events from {done.events_from} on"
    emit(value, text if done.head else "there is no block yet", as_json=as_json)
