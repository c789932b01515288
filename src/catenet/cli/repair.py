"""`catenet repair`: cut a damaged journal or block log of a stopped node down to its valid prefix."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.cli.output import emit, json_option
from catenet.cli.shape import Command

if TYPE_CHECKING:
    from catenet.storage.scan import Cut


@click.command(
    cls=Command,
    examples=["catenet repair --home DIR", "catenet repair --home DIR --json"],
    next_step="catenet start --home DIR",
)
@click.option(
    "--home", required=True, envvar="CATENET_HOME", type=click.Path(path_type=Path), help="Home of the node."
)
@json_option
def repair(home: Path, as_json: bool) -> None:
    """Keep what is valid of a stopped node's journal and block log, and set the rest aside.

    After a cut journal the node signs nothing at the heights where it may have signed before; blocks that
    were cut come again from the journal or from the other validators.
    """
    from catenet.storage.home import Home
    from catenet.storage.safety import repair_home

    done = repair_home(Home(home))
    value: dict[str, object] = {"journal": _value(done.journal), "blocks": _value(done.blocks)}
    text = f"journal: {_text(done.journal)}\nblocks: {_text(done.blocks)}"
    emit(value, text, as_json=as_json)


def _value(cut: "Cut | None") -> dict[str, object] | None:
    if cut is None:
        return None
    removed = [str(path) for path in cut.removed]
    return {"file": str(cut.file), "offset": cut.offset, "removed": removed, "kept_groups": cut.kept_groups}


def _text(cut: "Cut | None") -> str:
    if cut is None:
        return "nothing to repair"
    aside = f"; set aside: {', '.join(path.name for path in cut.removed)}" if cut.removed else ""
    return f"cut {cut.file} at byte {cut.offset}, {cut.kept_groups} groups are kept{aside}"
