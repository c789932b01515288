"""`catenet dev kill | start | pause | resume | status | logs`: act on a development network that runs."""

import os
import signal
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from catenet.cli.connect import Reach, run
from catenet.cli.output import emit, json_option, table
from catenet.cli.places import Network, noted_dev, read_network
from catenet.cli.processes import LOG, ProcessId, read_pid, run_folder, tail
from catenet.cli.shape import NOT_REACHABLE, Command, Failure
from catenet.types.errors import CatenetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from catenet.client.sdk import Client

START_S = 10.0
"""How long `dev start` waits for the process to appear."""


def _network(home: Path | None) -> Network:
    folder = home or noted_dev()
    network = read_network(folder) if folder else None
    if network is None:
        raise Failure("no development network is known here; run one: catenet dev", NOT_REACHABLE)
    return network


def _check(network: Network, number: int) -> None:
    if not 0 <= number < len(network.nodes):
        raise click.UsageError(f"there is no validator {number}; they are 0 to {len(network.nodes) - 1}")


def _process(network: Network, number: int) -> ProcessId | None:
    _check(network, number)
    return read_pid(run_folder(network.home) / f"node{number}.pid")


def _signal(home: Path | None, number: int, what: signal.Signals, done: str, as_json: bool) -> None:
    network = _network(home)
    process = _process(network, number)
    name = network.nodes[number].name
    if process is None:
        raise Failure(f"{name} does not run; start it: catenet dev start {number}")
    os.kill(process.pid, what)
    emit(
        {"name": name, "pid": process.pid, "state": done},
        f"{name} {done} (pid {process.pid})",
        as_json=as_json,
    )


def _options(function: "Callable[..., None]") -> "Callable[..., None]":
    function = json_option(function)
    option = click.option(
        "--home", type=click.Path(path_type=Path), help="Of which network; default: the newest."
    )
    return option(function)


@click.command(cls=Command, examples=["catenet dev kill 3"], next_step="catenet dev start 3")
@click.argument("number", type=int, metavar="N")
@_options
def kill(number: int, home: Path | None, as_json: bool) -> None:
    """End validator N at once, as a crash would (kill -9)."""
    _signal(home, number, signal.SIGKILL, "killed", as_json)


@click.command(cls=Command, examples=["catenet dev pause 2"], next_step="catenet dev resume 2")
@click.argument("number", type=int, metavar="N")
@_options
def pause(number: int, home: Path | None, as_json: bool) -> None:
    """Freeze validator N, as a stalled machine would be (SIGSTOP)."""
    _signal(home, number, signal.SIGSTOP, "paused", as_json)


@click.command(cls=Command, examples=["catenet dev resume 2"], next_step="catenet dev status")
@click.argument("number", type=int, metavar="N")
@_options
def resume(number: int, home: Path | None, as_json: bool) -> None:
    """Let paused validator N go on."""
    _signal(home, number, signal.SIGCONT, "resumed", as_json)


@click.command(cls=Command, examples=["catenet dev start 3"], next_step="catenet dev status")
@click.argument("number", type=int, metavar="N")
@_options
def start(number: int, home: Path | None, as_json: bool) -> None:
    """Start validator N again, below the `catenet dev` that runs."""
    network = _network(home)
    name = network.nodes[number].name if 0 <= number < len(network.nodes) else ""
    if (process := _process(network, number)) is not None:
        raise Failure(f"{name} runs already (pid {process.pid})")
    folder = run_folder(network.home)
    parent = read_pid(folder / "dev.pid")
    if parent is None:
        raise Failure(f"the network does not run; start it: catenet dev --home {network.home}", NOT_REACHABLE)
    (folder / f"node{number}.start").touch()
    os.kill(parent.pid, signal.SIGUSR1)
    process = _appeared(folder / f"node{number}.pid")
    if process is None:
        raise Failure(f"{name} did not start in {START_S:.0f} s; see: catenet dev logs {number}")
    emit(
        {"name": name, "pid": process.pid, "state": "started"},
        f"{name} started (pid {process.pid})",
        as_json=as_json,
    )


def _appeared(path: Path) -> ProcessId | None:
    from threading import Event

    pause, deadline = Event(), monotonic() + START_S
    while (process := read_pid(path)) is None and monotonic() < deadline:
        pause.wait(0.05)
    return process


@click.command(
    cls=Command, examples=["catenet dev status", "catenet dev status --json"], next_step="catenet status"
)
@_options
def status(home: Path | None, as_json: bool) -> None:
    """Say which validators run, and how high each is."""
    network = _network(home)
    rows = []
    for index, node in enumerate(network.nodes):
        process = _process(network, index)
        state = "not running" if process is None else "paused" if process.paused else "running"
        height = _height(node.plaintext) if state == "running" else None
        value: dict[str, object] = {
            "name": node.name,
            "state": state,
            "pid": process.pid if process else None,
            "height": height,
            "grpc": node.plaintext,
            "tls": node.tls,
        }
        if as_json:
            emit(value, "", as_json=True)
        pid = f"pid {process.pid}" if process else ""
        rows.append((node.name, state, pid, "" if height is None else f"height {height:,}", node.plaintext))
    if not as_json:
        click.echo(table(rows))


def _height(target: str) -> int | None:
    async def work(client: "Client") -> int:
        return (await client.status(timeout_s=2.0)).height

    try:
        return run(Reach(targets=(target,), tls_ca=None, timeout_s=2.0), work)
    except (CatenetError, Failure, TimeoutError):
        return None


@click.command(
    cls=Command,
    examples=["catenet dev logs 0", "catenet dev logs 3 --bytes 20000"],
    next_step="catenet dev status",
)
@click.argument("number", type=int, metavar="N")
@click.option(
    "--bytes", "size", type=click.IntRange(1), default=8000, show_default=True, help="How much of its end."
)
@_options
def logs(number: int, size: int, home: Path | None, as_json: bool) -> None:
    """Show the end of what validator N wrote."""
    network = _network(home)
    _check(network, number)
    text = tail(network.home / network.nodes[number].home / LOG, size)
    for line in text.splitlines():
        emit({"name": network.nodes[number].name, "line": line}, line, as_json=as_json)
