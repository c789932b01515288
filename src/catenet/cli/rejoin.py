"""`catenet rejoin`: have a home that lost journal and guard ask the others before it signs again."""

from pathlib import Path

import click

from catenet.cli.output import emit, json_option
from catenet.cli.shape import Command


@click.command(
    cls=Command,
    examples=["catenet rejoin --home DIR", "catenet rejoin --home DIR --json"],
    next_step="catenet start --home DIR",
)
@click.option(
    "--home", required=True, envvar="CATENET_HOME", type=click.Path(path_type=Path), help="Home of the node."
)
@json_option
def rejoin(home: Path, as_json: bool) -> None:
    """Let a stopped node come back that does not know what it signed: journal and guard lost, or an old copy.

    The node then starts as an observer. It asks the other validators which height they have committed. When
    more than two thirds of all power have answered, and those blocks are verified here, it signs again from
    three heights above on. Until then its vote is missing, as if it were down.
    """
    from catenet.node.recovery import rejoin as have_rejoin
    from catenet.storage.home import Home

    done = have_rejoin(Home(home))
    value: dict[str, object] = {"height": done.height, "put_aside": done.put_aside or None}
    aside = f"\nthe damaged guard was put aside: {done.put_aside}" if done.put_aside else ""
    text = f"{home} signs nothing until the others have said where they are; {done.height} blocks are here"
    emit(value, text + aside, as_json=as_json)
