"""`catenet start`: run the node of a home until SIGTERM or Ctrl-C."""

import asyncio
import ctypes
import gc
import os
import signal
from pathlib import Path

import click

from catenet.cli.config import set_flags
from catenet.cli.ports import holder, is_free, is_ours
from catenet.cli.shape import USAGE, Command, Failure
from catenet.node.config import NodeConfig
from catenet.node.config_file import load

PR_SET_PDEATHSIG = 1


@click.command(
    cls=Command,
    examples=["catenet start --home DIR", "catenet start --home DIR --set consensus.heartbeat_interval_ms=0"],
    next_step="catenet status",
)
@click.option(
    "--home", required=True, envvar="CATENET_HOME", type=click.Path(path_type=Path), help="Home of the node."
)
@click.option(
    "--set", "values", multiple=True, metavar="KEY=VALUE", help="A setting, over environment and file."
)
@click.option("--with-parent", type=int, hidden=True, help="End when this parent process ends.")
def start(home: Path, values: tuple[str, ...], with_parent: int | None) -> None:
    """Run the node of a home. Ctrl-C or SIGTERM drains and ends it; a second one ends it at once."""
    if with_parent is not None:
        end_with_parent(with_parent)
    config = load(home, environment=os.environ, flags=set_flags(values)).config
    _require_ports(config)
    raise SystemExit(_run(home, config))


def _run(home: Path, config: NodeConfig) -> int:
    # What is imported stays, and the garbage collector need not search it: during a full collection
    # everything waits, for 100 to 180 ms with all that, for 20 to 70 ms without.
    gc.disable()
    # gRPC's core reads its TLS settings once, at its import: they are set before anything imports it.
    from catenet.wire import tls_floor

    tls_floor.require()
    import uvloop

    from catenet.node.assemble import run_node

    gc.freeze()
    gc.enable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run_node(home, config=config))


def _require_ports(config: NodeConfig) -> None:
    listen = config.listen
    places = {
        "listen.peer": listen.peer,
        "listen.public_plaintext": listen.public_plaintext,
        "listen.public_tls": listen.public_tls,
        "rpc.listen": config.rpc.listen,
    }
    for key, place in places.items():
        if place is None:
            continue
        if not is_ours(place.host):
            raise Failure(
                f"{key} is {place}, and {place.host} is no address of this machine;"
                f" for all of its addresses: --set {key}=0.0.0.0:{place.port}",
                USAGE,
            )
        if place.port and not is_free(place.port, place.host):
            free = next((port for port in range(place.port + 1, 65536) if is_free(port, place.host)), 0)
            raise Failure(
                f"{key} is {place}, which is taken by {holder(place.port)};"
                f" {free} is free: --set {key}={place.host}:{free}"
            )


def end_with_parent(parent: int) -> None:
    """Ask Linux for SIGTERM when the parent dies, so that no validator outlives its network."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)
