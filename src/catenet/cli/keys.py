"""`catenet keys`: show and make vote and node keys. Private keys never reach the terminal."""

import secrets
from base64 import b64encode
from pathlib import Path

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

KINDS = ("vote", "node")


@click.group(cls=Group, examples=["catenet keys show --home DIR", "catenet keys new vote --output key.json"])
def keys() -> None:
    """Show and make vote and node keys."""


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


def _value(kind: str, key: PrivateKey) -> dict[str, object]:
    return {
        "kind": kind,
        "address": key.public.address.hex().upper(),
        "type": key.public.type,
        "public_key": b64encode(key.public.data).decode(),
    }
