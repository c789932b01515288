"""`catenet dev`: a network of validators on this machine, in one process tree."""

import asyncio
import os
import secrets
import shutil
import signal
import tempfile
from pathlib import Path
from time import monotonic

import click

from catenet.cli.homes import Layout, make_network, ports_of
from catenet.cli.output import say
from catenet.cli.places import Network, note_dev, read_network
from catenet.cli.ports import require_free
from catenet.cli.processes import LocalNetwork, read_pid, requests, run_folder, write_pid
from catenet.cli.shape import FAILURE, INTERRUPTED, Failure, Group

VALIDATORS = 4
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 512 << 20
FIRST_BLOCK_S = 60.0
POLL_S = 0.1


@click.group(
    cls=Group,
    invoke_without_command=True,
    examples=["catenet dev", "catenet dev --home ./network", "catenet dev kill 3", "catenet dev start 3"],
    next_step="catenet tx send 'name=Wei' --wait",
    lazy={
        "status": ("catenet.cli.dev_control", "status", "Say which validators run and how high they are."),
        "kill": ("catenet.cli.dev_control", "kill", "End a validator at once, as a crash would (kill -9)."),
        "start": ("catenet.cli.dev_control", "start", "Start a validator that was killed."),
        "pause": ("catenet.cli.dev_control", "pause", "Freeze a validator, as a stalled machine would be."),
        "resume": ("catenet.cli.dev_control", "resume", "Let a paused validator go on."),
        "logs": ("catenet.cli.dev_control", "logs", "Show what a validator wrote."),
    },
)
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), help="Keep the data here; go on from it."
)
@click.option(
    "--validators", type=click.IntRange(1, 20), default=VALIDATORS, show_default=True, help="How many."
)
@click.option("--port-offset", type=click.IntRange(0, 15_000), default=0, help="Add to every port.")
@click.pass_context
def dev(ctx: click.Context, home: Path | None, validators: int, port_offset: int) -> None:
    """Run a network of validators on this machine, mTLS between them. Ctrl-C stops it; twice: at once."""
    if ctx.invoked_subcommand is not None:
        return
    folder, where, temporary = choose_home(home, "catenet-dev-")
    try:
        known = read_network(folder) is not None
        network = open_network(folder, validators, port_offset)
        # The ports of homes that are there already stand in their configuration.
        require_free(ports_of(network), offset=None if known else port_offset)
        note_dev(folder)
        say(f"  {len(network.nodes)} validators  chain {network.chain_id}  data in {where}")
        say(_addresses(network))
        code = asyncio.run(_serve(LocalNetwork(network)))
    finally:
        if temporary:
            shutil.rmtree(folder, ignore_errors=True)
    say("  stopped; the data was temporary (keep it: --home DIR)" if temporary else f"  data is in {folder}")
    raise SystemExit(code)


def choose_home(
    home: Path | None, prefix: str, *, bytes_min: int = MEMORY_BYTES_MIN
) -> tuple[Path, str, bool]:
    """Return the folder for a network, what to call it, and whether it goes at the end."""
    if home is not None:
        home.mkdir(parents=True, exist_ok=True)
        return home.resolve(), str(home), False
    try:
        roomy = shutil.disk_usage(MEMORY).free >= bytes_min
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if roomy else None))
    except OSError:
        roomy, folder = False, Path(tempfile.mkdtemp(prefix=prefix))
    kind = "memory-backed temp dir" if roomy else "temp dir"
    return folder, f"{kind} {folder} (keep it: --home DIR)", True


def open_network(folder: Path, validators: int, port_offset: int) -> Network:
    """Return the network in a folder; a new one when there is none."""
    network = read_network(folder)
    if network is None:
        chain_id = f"dev-{secrets.token_hex(2)}"
        return make_network(
            folder, chain_id=chain_id, layout=Layout(count=validators, port_offset=port_offset)
        )
    if (parent := read_pid(run_folder(folder) / "dev.pid")) is not None:
        raise Failure(
            f"{folder} is in use by catenet dev (pid {parent.pid}); stop that one, or use another --home"
        )
    if len(network.nodes) != validators and validators != VALIDATORS:
        raise Failure(f"{folder} holds {len(network.nodes)} validators, not {validators}; use another --home")
    if port_offset:
        raise Failure(
            f"{folder} holds a network whose ports are in its configuration: --port-offset {port_offset}"
            " cannot move them; leave it out, or use another --home"
        )
    return network


def _addresses(network: Network) -> str:
    first = network.nodes[0]
    rpc = f"   JSON-RPC  http://{first.rpc}" if first.rpc else ""
    if not first.plaintext:
        return f"  gRPC      {first.tls} (TLS){rpc}"
    port = first.tls.rpartition(":")[2]
    return f"  gRPC      {first.plaintext} (plaintext, loopback only; TLS on {port}){rpc}"


async def _serve(local: LocalNetwork) -> int:
    """Run until a signal, or until no validator came up. Returns the exit code."""
    loop = asyncio.get_running_loop()
    end, asked = _Ending(), asyncio.Event()
    loop.add_signal_handler(signal.SIGINT, end.ask, INTERRUPTED)
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end.ask, 0)
    loop.add_signal_handler(signal.SIGUSR1, asked.set)
    write_pid(local.run / "dev.pid", os.getpid())
    began = monotonic()
    try:
        for index in range(len(local.network.nodes)):
            await local.start(index)
        async with asyncio.TaskGroup() as tasks:
            work = [
                tasks.create_task(_announce(local, began)),
                tasks.create_task(_answer(local, asked)),
                *(tasks.create_task(_watch(local, index, end)) for index in range(len(local.network.nodes))),
            ]
            await end.asked.wait()
            say("  stopping (Ctrl-C again: at once)")
            at_once = tasks.create_task(_kill_when(local, end.at_once))
            await local.stop()
            for task in (*work, at_once):
                task.cancel()
    finally:
        await local.kill_all()
        (local.run / "dev.pid").unlink(missing_ok=True)
    return end.code


class _Ending:
    """How the network is asked to end: once to drain, twice at once."""

    def __init__(self) -> None:
        self.code = 0
        self.asked = asyncio.Event()
        self.at_once = asyncio.Event()

    def ask(self, code: int) -> None:
        if self.asked.is_set():
            self.at_once.set()
        else:
            self.code = code
            self.asked.set()


async def _kill_when(local: LocalNetwork, now: asyncio.Event) -> None:
    await now.wait()
    await local.kill_all()


async def _announce(local: LocalNetwork, began: float) -> None:
    """Say when the first block is there, and who signed it."""
    found = await first_block(local)
    if found is None:
        say(f"  no first block after {monotonic() - began:.0f} s; see: catenet dev logs 0")
        return
    signed = f"{found} of {len(local.network.nodes)} signatures"
    say(f"  block 1 committed after {monotonic() - began:.1f} s ({signed})")


async def first_block(local: LocalNetwork, timeout_s: float = FIRST_BLOCK_S) -> int | None:
    """Wait for the first block; returns how many signed the newest one.

    None when the time is over, or when a validator ended: who answers on its port is then somebody else.
    """
    from catenet.client.sdk import Client
    from catenet.types.errors import CatenetError

    targets = [node.plaintext for node in local.network.nodes]
    every = range(len(targets))
    try:
        async with asyncio.timeout(timeout_s), Client(targets) as client:
            while all(local.running(index) for index in every):
                try:
                    status = await client.status(timeout_s=2.0)
                    if status.height > 0 and status.chain_id == local.network.chain_id:
                        return status.last_commit_signatures
                except (CatenetError, TimeoutError):
                    pass
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass
    return None


async def _answer(local: LocalNetwork, asked: asyncio.Event) -> None:
    """Start the validators that `catenet dev start` asks for."""
    while True:
        await asked.wait()
        asked.clear()
        for index in requests(local.run, "start"):
            if index < len(local.network.nodes) and not local.running(index):
                await local.start(index)


async def _watch(local: LocalNetwork, index: int, end: _Ending) -> None:
    """Say when a validator ended that nobody ended; when none is left by itself, the network ends."""
    name = local.network.nodes[index].name
    while True:
        code = await local.ended(index)
        if not end.asked.is_set():
            reason = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
            say(f"  {name} {reason}; start it again: catenet dev start {index}")
            if code > 0:
                say(local.tail(index))
                if not local.any_running:
                    say("  no validator is left")
                    end.ask(FAILURE)
        await local.begun(index)
