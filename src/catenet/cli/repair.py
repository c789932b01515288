"""`catenet repair`: cut a damaged journal or block log of a stopped node down to its valid prefix."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.cli.output import emit, json_option, say
from catenet.cli.shape import CHECK_FAILED, Command

if TYPE_CHECKING:
    from catenet.storage.scan import Cut


@click.command(
    cls=Command,
    examples=["catenet repair --home DIR", "catenet repair --accept-fork --home DIR"],
    next_step="catenet start --home DIR",
)
@click.option(
    "--home", required=True, envvar="CATENET_HOME", type=click.Path(path_type=Path), help="Home of the node."
)
@click.option(
    "--accept-fork",
    is_flag=True,
    help="Also let a validator without which nothing is committed sign again. Risks a second history.",
)
@json_option
def repair(home: Path, accept_fork: bool, as_json: bool) -> None:
    """Keep what is valid of a stopped node's journal and block log, and set the rest aside.

    After a cut journal the node signs nothing at the heights where it may have signed before; blocks that
    were cut come again from the journal or from the other validators.

    A validator without which nothing is committed (the only one, or one of two or three) cannot wait like
    that, and nobody else can say what was lost. --accept-fork lets it go on from what is left: blocks that
    are lost here are made again, differently, and whoever saw the old ones can prove it. A complete newer
    copy of the home is always better.
    """
    from catenet.node.recovery import repair as have_repaired
    from catenet.storage.home import Home

    done = have_repaired(Home(home), accept_fork=accept_fork)
    cut = done.cut
    value: dict[str, object] = {
        "journal": _value(cut.journal),
        "blocks": _value(cut.blocks),
        "index_dropped": cut.index_dropped,
        "needs_accept_fork": done.needs_flag,
    }
    text = f"journal: {_text(cut.journal)}\nblocks: {_text(cut.blocks)}"
    if cut.index_dropped:
        text += "\nindex: dropped, it is made anew at the next start"
    emit(value, text, as_json=as_json)
    if accept_fork:
        say(
            "warning: this validator signs again without knowing all that it signed; blocks that are lost "
            "here will be made again, differently. Tell whoever relies on this chain."
        )
    if done.needs_flag:
        say(
            "error: without this validator nothing is committed, and it may have signed what is lost. "
            "Restore a complete newer copy of the home if there is one; else accept the risk of a second "
            "history: "
            f"catenet repair --accept-fork --home {home}"
        )
        raise SystemExit(CHECK_FAILED)


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
