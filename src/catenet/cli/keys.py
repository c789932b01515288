"""`catenet keys`: show and make keys, hand the sign state over. Private keys never reach the terminal."""

import secrets
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.chain.json_fields import JsonError
from catenet.chain.keys import (
    PrivateKey,
    key_file_json,
    node_id,
    node_key_json,
    parse_key_file,
    parse_node_key,
)
from catenet.cli.output import emit, json_option, table
from catenet.cli.shape import Failure, Group
from catenet.storage.home import Home, read_private, write_private
from catenet.types.errors import InvalidInput

if TYPE_CHECKING:
    from catenet.core.guard import GuardState

KINDS = ("vote", "node")


@click.group(cls=Group, examples=["catenet keys show --home DIR", "catenet keys new vote --output key.json"])
def keys() -> None:
    """Show and make vote and node keys; carry what was signed over to another signer."""


@keys.command(examples=["catenet keys show --home DIR", "catenet keys show --home DIR --json"])
@click.option(
    "--home", required=True, type=click.Path(path_type=Path), envvar="CATENET_HOME", help="Home of the node."
)
@json_option
def show(home: Path, as_json: bool) -> None:
    """Show the public halves and names of a home's keys."""
    place = Home(home)
    try:
        vote = parse_key_file(read_private(place.validator_key).decode())
        node = parse_node_key(read_private(place.node_key).decode())
    except (JsonError, UnicodeDecodeError) as error:
        raise Failure(f"a key file in {place.config} is damaged: {error}; restore it from a backup") from None
    value = {**_value("vote", vote), "node_id": node_id(node.public)}
    emit(value, table([(key, str(item)) for key, item in value.items()]), as_json=as_json)


@keys.command(
    examples=["catenet keys new vote --output priv_validator_key.json"],
    next_step="catenet tx send 'val=ed25519!PUBLIC_KEY!10' (adds the validator)",
)
@click.argument("kind", type=click.Choice(KINDS))
@click.option(
    "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File of the key (0600)."
)
@json_option
def new(kind: str, output: Path, as_json: bool) -> None:
    """Make a key of KIND `vote` or `node` in CometBFT's file format, readable by its owner only."""
    if output.exists():
        raise Failure(f"{output} is there already: a key is never overwritten; choose another --output")
    key = PrivateKey(secrets.token_bytes(32))
    write_private(output, (key_file_json(key) if kind == "vote" else node_key_json(key)).encode())
    value = {**_value(kind, key), "file": str(output)}
    emit(value, table([(name, str(item)) for name, item in value.items()]), as_json=as_json)


@keys.command(
    examples=["catenet keys export-state --home DIR --output priv_validator_state.json"],
    next_step="start the other signer with the file; to come back: catenet keys import-state FILE --home DIR",
)
@click.option(
    "--home", required=True, type=click.Path(path_type=Path), envvar="CATENET_HOME", help="Home of the node."
)
@click.option(
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the state (0600).",
)
@json_option
def export_state(home: Path, output: Path, as_json: bool) -> None:
    """Write what a stopped node signed last, as CometBFT's priv_validator_state.json.

    From then on this home signs nothing and does not start, until `import-state` brings the state back: the
    key may be in use elsewhere.
    """
    from catenet.core.guard import export_json
    from catenet.node.recovery import export_state as export

    if output.exists():
        raise Failure(
            f"{output} is there already: a sign state is never overwritten; choose another --output"
        )
    state = export(Home(home))
    write_private(output, export_json(state).encode())
    value = {"file": str(output), "height": state.height, "round": state.round, "step": state.step}
    text = f"{output}: {_place(state)}\n{home} signs nothing until the state is imported again"
    emit(value, text, as_json=as_json)


@keys.command(
    examples=["catenet keys import-state priv_validator_state.json --home DIR"],
    next_step="catenet start --home DIR",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--home", required=True, type=click.Path(path_type=Path), envvar="CATENET_HOME", help="Home of the node."
)
@json_option
def import_state(file: Path, home: Path, as_json: bool) -> None:
    """Take over what another signer signed last with this home's key, from priv_validator_state.json.

    Stop that signer first. Where it signed more than this home knows, this home signs only above its height.
    """
    from catenet.node.recovery import import_state as take

    try:
        done = take(Home(home), file.read_text())
    except (InvalidInput, UnicodeDecodeError) as error:
        raise Failure(f"{file}: {error}") from None
    state = done.state
    value = {
        "height": state.height,
        "round": state.round,
        "step": state.step,
        "signs_above": done.signs_above,
    }
    bar = f"; it signs above height {done.signs_above} only" if done.signs_above else ""
    emit(value, f"{home} goes on after {_place(state)}{bar}", as_json=as_json)


def _place(state: "GuardState") -> str:
    return f"height {state.height}, round {state.round}, step {state.step}"


def _value(kind: str, key: PrivateKey) -> dict[str, object]:
    return {
        "kind": kind,
        "address": key.public.address.hex().upper(),
        "type": key.public.type,
        "public_key": b64encode(key.public.data).decode(),
    }
