"""How commands reach a network: the shared options, the choice of nodes, one event loop for one command."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from catenet.cli.places import noted_dev, read_network
from catenet.cli.shape import NOT_REACHABLE, Duration, Failure
from catenet.types.errors import Unavailable

if TYPE_CHECKING:
    from catenet.client.sdk import Client

F = TypeVar("F", bound=Callable[..., object])
R = TypeVar("R")

DEFAULT_TARGET = "127.0.0.1:50051"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Which nodes a command may speak to, and how long."""

    targets: tuple[str, ...]
    tls_ca: Path | None
    timeout_s: float


def reach_options(function: F) -> F:
    """Add `--node`, `--tls-ca` and `--timeout` to a command; it gets `nodes`, `tls_ca`, `timeout_s`."""
    for option in (
        click.option(
            "--timeout", "timeout_s", type=Duration(), default="10s", show_default=True, help="Give up after."
        ),
        click.option(
            "--tls-ca",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            envvar="CATENET_TLS_CA",
            help="Speak TLS; PEM file of the nodes' authority.",
        ),
        click.option(
            "--node",
            "nodes",
            multiple=True,
            envvar="CATENET_NODE",
            metavar="HOST:PORT",
            help="Node to speak to, more for fail-over. Default: the network of `catenet dev`.",
        ),
    ):
        function = option(function)
    return function


def reach(nodes: tuple[str, ...], tls_ca: Path | None, timeout_s: float) -> Reach:
    """Choose the nodes: those named, else the development network, else 127.0.0.1:50051."""
    targets = nodes
    if not targets and tls_ca is None and (home := noted_dev()):
        network = read_network(home)
        targets = tuple(node.plaintext for node in network.nodes if node.plaintext) if network else ()
    for target in targets:
        host, _, port = target.rpartition(":")
        if not host or not port.isdecimal():
            raise click.UsageError(
                f"--node {target!r} is no address; write HOST:PORT, for example {DEFAULT_TARGET}"
            )
    return Reach(targets=targets or (DEFAULT_TARGET,), tls_ca=tls_ca, timeout_s=timeout_s)


def run(to: Reach, work: "Callable[[Client], Coroutine[None, None, R]]") -> R:
    """Connect, do `work` with the client, and return what it gives. An unreachable network is exit code 3."""
    return asyncio.run(_with_client(to, work))


async def _with_client(to: Reach, work: "Callable[[Client], Coroutine[None, None, R]]") -> R:
    from catenet.client.sdk import Client

    try:
        async with Client(to.targets, tls_ca=to.tls_ca, timeout_s=to.timeout_s) as client:
            return await work(client)
    except Unavailable as error:
        advice = "is it running? Try: catenet dev"
        if os.environ.get("CATENET_NODE"):
            advice = "see CATENET_NODE"
        elif to.tls_ca is not None:
            advice = f"is it running, with TLS on that port and a certificate of {to.tls_ca}?"
        raise Failure(f"no answer from {', '.join(to.targets)}: {error}; {advice}", NOT_REACHABLE) from error
