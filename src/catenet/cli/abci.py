"""`catenet abci`: our applications under a CometBFT node."""

import asyncio
from pathlib import Path

import click

from catenet.cli.output import say
from catenet.cli.places import data_home
from catenet.cli.shape import USAGE, Command, Failure, Group
from catenet.cli.start import end_with_parent
from catenet.node.config import Endpoint

ADDRESS = "127.0.0.1:26658"


@click.group(cls=Group, examples=["catenet abci serve registry:Registry"], next_step="cometbft node")
def abci() -> None:
    """Run an application of ours under a CometBFT node, over ABCI 2.0."""


@abci.command(
    cls=Command,
    examples=[
        "catenet abci serve registry:Registry",
        "catenet abci serve registry:Registry --home DIR --address 127.0.0.1:26658",
    ],
    next_step='in CometBFT\'s config.toml: proxy_app = "127.0.0.1:26658" and abci = "grpc"',
)
@click.argument("application", metavar="MODULE:CLASS")
@click.option("--address", default=ADDRESS, show_default=True, metavar="HOST:PORT", help="Where to serve.")
@click.option(
    "--home",
    type=click.Path(path_type=Path),
    help="Where the application's state is.  [default: a folder of its name below $XDG_DATA_HOME/catenet]",
)
@click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least level that is logged.",
)
@click.option("--with-parent", type=int, hidden=True, help="End when this parent process ends.")
def serve(application: str, address: str, home: Path | None, log_level: str, with_parent: int | None) -> None:
    """Serve an application to a CometBFT node (v0.38 to v0.40), over gRPC.

    MODULE:CLASS is what `app` is in our node's configuration. The state is kept as on our node; it is durable
    when a commit is answered.
    """
    if with_parent is not None:
        end_with_parent(with_parent)
    try:
        endpoint = Endpoint.parse(address)
    except ValueError as error:
        raise Failure(f"--address is {address}; {error}", USAGE) from None
    if not endpoint.loopback:
        say(f"warning: {endpoint} can be reached by other machines, and ABCI proves nobody's identity")
    root = home or data_home() / "abci" / application.replace(":", ".")
    raise SystemExit(_run(application, root, endpoint, log_level))


def _run(application: str, root: Path, endpoint: Endpoint, log_level: str) -> int:
    # gRPC's core reads its TLS settings once, at its import: they are set before anything imports it.
    from catenet.wire import tls_floor

    tls_floor.require()
    import uvloop

    from catenet.node.foreign import serve_application

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve_application(application, root=root, address=endpoint, level=log_level))
