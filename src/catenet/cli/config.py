"""`catenet config show`: the settings that hold for a home, and where each comes from."""

import os
from pathlib import Path

import click

from catenet.cli.output import emit, json_option, table
from catenet.cli.shape import Group
from catenet.node.config import settings, toml_value
from catenet.node.config_file import load


def set_flags(values: tuple[str, ...]) -> dict[str, str]:
    """Read `--set KEY=VALUE` options."""
    flags: dict[str, str] = {}
    for text in values:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise click.UsageError(
                f"--set {text!r}: write KEY=VALUE, for example consensus.heartbeat_interval_ms=0"
            )
        flags[key] = value
    return flags


@click.group(
    cls=Group, examples=["catenet config show --home DIR --origin"], next_step="catenet start --home DIR"
)
def config() -> None:
    """Show the configuration and where it comes from."""


@config.command(
    examples=["catenet config show --home DIR --origin", "catenet config show --home DIR --json"],
    next_step="catenet start --home DIR",
)
@click.option(
    "--home", required=True, envvar="CATENET_HOME", type=click.Path(path_type=Path), help="Home of the node."
)
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="As for `catenet start`.")
@json_option
def show(home: Path, origin: bool, values: tuple[str, ...], as_json: bool) -> None:
    """Show every setting: flags over environment over catenet.toml over defaults."""
    loaded = load(home, environment=os.environ, flags=set_flags(values))
    found = settings(loaded.config)
    if as_json:
        for key, value in found.items():
            plain = value if isinstance(value, bool | int | str | None) else str(value)
            emit({"key": key, "value": plain, "origin": loaded.origins[key]}, "", as_json=True)
        for peer in loaded.config.peers:
            name = {"name": peer.name, "address": peer.address, "host": peer.host, "port": peer.port}
            emit({"key": "peers", "value": name, "origin": "file"}, "", as_json=True)
        return
    rows = [
        (f"{key} = {toml_value(value)}", loaded.origins[key] if origin else "")
        for key, value in found.items()
    ]
    rows += [
        (f"peers: {peer.name} {peer.address} {peer.host}:{peer.port}", "") for peer in loaded.config.peers
    ]
    click.echo(table(rows))
