"""`catenet light`: follow a chain, Catenet's or CometBFT's, believing no node, and serve what is verified."""

import asyncio
import ipaddress
import signal
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.cli.output import emit, json_option, say
from catenet.cli.places import data_home
from catenet.cli.ports import holder, is_free
from catenet.cli.receipts import read_genesis_file
from catenet.cli.shape import INTERRUPTED, Command, Duration, Failure

if TYPE_CHECKING:
    from catenet.chain.light import Terms
    from catenet.chain.light_block import LightBlock
    from catenet.client.light.session import LightClient

DEFAULT_ADDRESS = "127.0.0.1:8888"
SECOND_NS = 10**9


@click.command(
    cls=Command,
    examples=[
        "catenet light my-chain --primary http://127.0.0.1:26657 --witness http://127.0.0.1:26667"
        " --trusted-height 1 --trusted-hash 4F1C...E2",
        "catenet light my-chain --primary grpc://127.0.0.1:50051 --witness grpc://127.0.0.1:50052"
        " --genesis genesis.json --once",
    ],
    next_step="curl http://127.0.0.1:8888/commit",
)
@click.argument("chain_id", metavar="CHAIN-ID")
@click.option(
    "--primary", required=True, metavar="URL", help="The node to ask: http://..., or grpc://HOST:PORT."
)
@click.option(
    "--witness", "witnesses", multiple=True, metavar="URL", help="A node to compare with; more are better."
)
@click.option("--trusted-height", type=click.IntRange(1), help="Trust begins at this height ...")
@click.option("--trusted-hash", metavar="HEX", help="... whose header has this hash.")
@click.option(
    "--genesis",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Or trust begins with the validators of this genesis file.",
)
@click.option(
    "--trusting-period",
    "period_s",
    type=Duration(limit_s=1e9),
    default="336h",
    show_default=True,
    help="So long a verified header may lead to others.",
)
@click.option("--trust-level", default="1/3", show_default=True, help="Share of a known set, from 1/3 to 1.")
@click.option("--sequential", is_flag=True, help="Verify every header instead of skipping.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where trusted headers are kept.",
)
@click.option(
    "--laddr",
    default=DEFAULT_ADDRESS,
    show_default=True,
    metavar="HOST:PORT",
    help="Serve here; loopback only.",
)
@click.option(
    "--interval", "interval_s", type=Duration(), default="1s", show_default=True, help="Look for new blocks."
)
@click.option(
    "--timeout", "timeout_s", type=Duration(), default="3s", show_default=True, help="Of one call to a node."
)
@click.option(
    "--tls-ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The nodes' authority, a PEM file: grpc:// speaks TLS, https:// trusts it alone.",
)
@click.option("--once", is_flag=True, help="Verify up to the newest header, say so, and end.")
@json_option
def light(
    chain_id: str,
    primary: str,
    witnesses: tuple[str, ...],
    trusted_height: int | None,
    trusted_hash: str | None,
    genesis: Path | None,
    period_s: float,
    trust_level: str,
    sequential: bool,
    folder: Path | None,
    laddr: str,
    interval_s: float,
    timeout_s: float,
    tls_ca: Path | None,
    once: bool,
    as_json: bool,
) -> int:
    """Follow CHAIN-ID as a light client: each new header is verified and compared with the witnesses.

    Writes a line for each, and serves verified answers as JSON-RPC. What is trusted is kept in a folder: a
    later start needs no trusted height. Ends with code 4 when validators signed two histories.
    """
    host, port = ("", 0) if once else _address(laddr)
    root = _root(trusted_height, trusted_hash)
    terms = _terms(period_s, trust_level)
    from catenet.client.light.connect import connect
    from catenet.client.light.session import LightClient
    from catenet.client.light.store import TrustedStore

    if not witnesses:
        say("  no --witness: a primary whose validators lie together is not noticed")

    async def work() -> int:
        client = LightClient(
            chain_id,
            connect(primary, tls_ca=tls_ca, timeout_s=timeout_s),
            [connect(url, tls_ca=tls_ca, timeout_s=timeout_s) for url in witnesses],
            TrustedStore(folder or data_home() / "light" / chain_id, chain_id),
            terms,
            one_by_one=sequential,
            tell=lambda text: say(f"  {text}"),
        )
        try:
            await _begin(client, root, genesis)
            if once:
                _show(await client.update(), as_json)
                return 0
            return await _follow(client, host, port, interval_s, as_json)
        finally:
            await client.close()

    return asyncio.run(work())


async def _begin(client: "LightClient", root: tuple[int, bytes] | None, genesis: Path | None) -> None:
    if root is not None:
        await client.begin(*root)
    elif genesis is not None:
        await client.begin_at_genesis(read_genesis_file(genesis))
    elif client.store.newest() is None:
        raise click.UsageError(
            "nothing is trusted yet: give --genesis, or --trusted-height and --trusted-hash, from somebody"
            " that you trust"
        )


async def _follow(client: "LightClient", host: str, port: int, interval_s: float, as_json: bool) -> int:
    """Verify new headers and serve until a signal."""
    import uvicorn

    from catenet.client.light.proxy import app

    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    codes: list[int] = []

    def ask(code: int) -> None:
        codes.append(code)
        end.set()

    loop.add_signal_handler(signal.SIGINT, ask, INTERRUPTED)
    loop.add_signal_handler(signal.SIGTERM, ask, 0)
    config = uvicorn.Config(
        app(client), host=host, port=port, log_level="warning", access_log=False, ws="none"
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[assignment]  # they are taken above
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        try:
            async with asyncio.TaskGroup() as work:
                following = work.create_task(_update_for_ever(client, interval_s, as_json))
                say(f"  verified answers at http://{host}:{port}")
                await end.wait()
                following.cancel()
        finally:
            # Also after a fault: a server that is cancelled leaves its socket open.
            server.should_exit = True
            await serving
    return codes[0]


async def _update_for_ever(client: "LightClient", interval_s: float, as_json: bool) -> None:
    from catenet.client.light.compare import SILENCE

    shown, silent = 0, False
    while True:
        try:
            block = await client.update()
        except SILENCE as error:
            if not silent:
                say(f"  {error}; trying on")
            silent = True
        else:
            if block.height > shown:
                _show(block, as_json)
            shown, silent = block.height, False
        await asyncio.sleep(interval_s)


def _show(block: "LightBlock", as_json: bool) -> None:
    from catenet.chain.time import format_rfc3339

    value = {
        "height": block.height,
        "hash": block.hash().hex().upper(),
        "time": format_rfc3339(block.time_ns),
        "validators": len(block.validators),
    }
    emit(value, f"verified  {value['height']}  {value['hash']}  {value['time']}", as_json=as_json)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        loopback = False
    if not loopback or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise click.UsageError(
            f"--laddr {text!r} is no address of this machine alone; write for example {DEFAULT_ADDRESS}"
            " (what is verified here is verified for this machine)"
        )
    host = host.strip("[]")
    if not is_free(int(port), host):
        raise Failure(f"--laddr {text} is taken by {holder(int(port))}; name another port")
    return host, int(port)


def _root(height: int | None, text: str | None) -> tuple[int, bytes] | None:
    if height is None and text is None:
        return None
    try:
        data = bytes.fromhex((text or "").removeprefix("0x"))
    except ValueError:
        data = b""
    if height is None or len(data) != 32:
        raise click.UsageError(
            f"--trusted-height {height} --trusted-hash {text!r}: both are needed, the hash with 64 hex digits"
        )
    return height, data


def _terms(period_s: float, level: str) -> "Terms":
    from catenet.chain.light import Terms

    try:
        return Terms(trusting_period_ns=round(period_s * SECOND_NS), trust=Fraction(level))
    except (ValueError, ZeroDivisionError) as error:
        raise click.UsageError(f"--trust-level {level!r}: {error}; write for example 1/3 or 2/3") from None
