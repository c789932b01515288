"""`catenet testnet` and `catenet init`: make homes."""

import secrets
from pathlib import Path

import click

from catenet.cli.homes import PORT_STEP, POWER, Layout, make_home, make_network
from catenet.cli.output import emit, json_option, table
from catenet.cli.places import data_home
from catenet.cli.shape import Command


@click.command(
    cls=Command,
    examples=[
        "catenet testnet --output ./network",
        "catenet testnet --output ./network --validators 2 --host a.example --host b.example",
    ],
    next_step="catenet start --home OUTPUT/node0 (one for each node)",
)
@click.option(
    "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where the homes go."
)
@click.option("--validators", type=click.IntRange(1, 100), default=4, show_default=True, help="How many.")
@click.option("--chain-id", help="Name of the chain: a-z, 0-9, '.', '_', '-'. Default: a random one.")
@click.option(
    "--host", "hosts", multiple=True, help="Host of each validator, in order. Default: all on this machine."
)
@click.option(
    "--power", type=click.IntRange(1, 10**12), default=POWER, show_default=True, help="Of each validator."
)
@click.option("--port-offset", type=click.IntRange(0, 15_000), default=0, help="Add to every port.")
@click.option("--plaintext", is_flag=True, help="Also serve clients without TLS, on loopback.")
@json_option
def testnet(
    output: Path,
    validators: int,
    chain_id: str | None,
    hosts: tuple[str, ...],
    power: int,
    port_offset: int,
    plaintext: bool,
    as_json: bool,
) -> None:
    """Make the homes of a whole network: authority, certificates, keys, genesis, configuration."""
    if hosts and len(hosts) != validators:
        raise click.UsageError(f"{len(hosts)} --host for {validators} validators; name each host, or none")
    layout = Layout(count=validators, port_offset=port_offset, hosts=hosts, plaintext=plaintext)
    chain = chain_id or f"test-{secrets.token_hex(2)}"
    network = make_network(output, chain_id=chain, layout=layout, power=power)
    rows = [
        (n.name, str(network.home / n.home), f"TLS {n.tls}", f"peers {n.peer}", f"JSON-RPC http://{n.rpc}")
        for n in network.nodes
    ]
    key = network.home / "ca" / "ca.key"
    text = f"chain {chain}  authority {network.home / network.ca} (keep {key} safe)\n{table(rows)}"
    value: dict[str, object] = {
        "chain_id": chain,
        "ca": str(network.home / network.ca),
        "nodes": [
            {
                "name": n.name,
                "home": str(network.home / n.home),
                "plaintext": n.plaintext,
                "tls": n.tls,
                "peer": n.peer,
                "rpc": n.rpc,
            }
            for n in network.nodes
        ],
    }
    emit(value, text, as_json=as_json)


@click.command(
    cls=Command,
    examples=["catenet init --home ./node", "catenet init"],
    next_step="catenet start --home HOME",
)
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), envvar="CATENET_HOME", help="Where."
)
@click.option("--chain-id", help="Name of the chain: a-z, 0-9, '.', '_', '-'. Default: a random one.")
@click.option("--name", default="node0", show_default=True, help="Name of the node.")
@click.option("--port-offset", type=click.IntRange(0, 15 * PORT_STEP), default=0, help="Add to every port.")
@click.option("--plaintext", is_flag=True, help="Also serve clients without TLS, on loopback.")
@json_option
def init(
    home: Path | None, chain_id: str | None, name: str, port_offset: int, plaintext: bool, as_json: bool
) -> None:
    """Make one home: a network of one validator, to begin with or to change its genesis by hand."""
    root = (home or data_home() / "node").resolve()
    chain = chain_id or f"solo-{secrets.token_hex(2)}"
    layout = Layout(count=1, port_offset=port_offset, plaintext=plaintext)
    config = make_home(root, chain_id=chain, name=name, layout=layout)
    tls, rpc = str(config.listen.public_tls), str(config.rpc.listen)
    value: dict[str, object] = {"chain_id": chain, "home": str(root), "tls": tls, "rpc": rpc}
    text = f"chain {chain}  home {root}  TLS {tls}  JSON-RPC http://{rpc}"
    emit(value, text, as_json=as_json)
