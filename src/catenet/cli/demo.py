"""`catenet demo`: four validator processes order real records; one of them is killed and comes back.

`scripts/demo` runs it from a fresh clone. The parts are in `flights`, `demo_run` and `demo_check`.
"""

import asyncio
import json
import secrets
import shutil
from pathlib import Path
from time import monotonic

import click

from catenet.cli.demo_check import Verdict, check_all
from catenet.cli.demo_run import Import, Measured
from catenet.cli.dev import choose_home, first_block
from catenet.cli.flights import Flights, load_flights
from catenet.cli.homes import PORT_STEP, Layout, make_network, ports_of_layout
from catenet.cli.output import duration, say, table
from catenet.cli.places import read_network
from catenet.cli.ports import free_offset, holder, is_free
from catenet.cli.processes import LocalNetwork
from catenet.cli.proving import read_genesis
from catenet.cli.shape import CHECK_FAILED, Command, Failure

VALIDATORS = 4
LIMIT = 20_000
BYTES_PER_TX = 12_000
"""Room that one transaction needs for a while on four validators, with margin."""


@click.command(
    cls=Command,
    examples=["catenet demo", "catenet demo --limit 0", "catenet demo --json"],
    next_step="catenet dev",
)
@click.option(
    "--limit", type=click.IntRange(0), default=LIMIT, show_default=True, help="Departures; 0 is all."
)
@click.option(
    "--home", type=click.Path(file_okay=False, path_type=Path), help="Put the validators' data here."
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout at the end.")
@click.option("--keep", is_flag=True, help="Keep temporary data.")
def demo(limit: int, home: Path | None, as_json: bool, keep: bool) -> None:
    """Import flight departures of 2013 into a network of four validators; one is killed on the way."""
    if home is not None and read_network(home) is not None:
        raise Failure(f"{home} holds a network already; choose another --home, or remove it first")
    flights = load_flights(limit)
    folder, where, temporary = choose_home(
        home, "catenet-demo-", bytes_min=max(len(flights.txs) * BYTES_PER_TX, 512 << 20)
    )
    temporary = temporary and not keep
    try:
        local = _network(folder)
        say(f"  {VALIDATORS} validators  chain {local.network.chain_id}  data in {where}")
        # Not uvloop: it starts processes by fork(), which gRPC's threads in this process do not survive.
        measured, found = asyncio.run(_run(local, flights))
    finally:
        if temporary:
            shutil.rmtree(folder, ignore_errors=True)
    if not temporary:
        say(f"  data is in {folder}; go on with: catenet dev --home {folder}")
    _report(measured, found, as_json=as_json)
    raise SystemExit(0 if found.agreed and not found.lost and not found.duplicated else CHECK_FAILED)


def _network(folder: Path) -> LocalNetwork:
    layout = Layout(count=VALIDATORS)
    ports = ports_of_layout(layout)
    offset = free_offset(ports, step=PORT_STEP)
    if offset is None:
        raise Failure("no free range of ports; see: ss -ltnp")
    if offset:
        taken = next(port for port in ports if not is_free(port))
        say(f"  port {taken} is taken by {holder(taken)}; all ports are {offset} higher")
    network = make_network(
        folder,
        chain_id=f"flights-{secrets.token_hex(2)}",
        layout=Layout(count=VALIDATORS, port_offset=offset),
    )
    return LocalNetwork(network)


async def _run(local: LocalNetwork, flights: Flights) -> tuple[Measured, Verdict]:
    try:
        began = monotonic()
        for index in range(VALIDATORS):
            await local.start(index)
        if await first_block(local) is None:
            index = next((index for index in range(VALIDATORS) if not local.running(index)), 0)
            raise Failure(f"no first block; {local.network.nodes[index].name} says:\n{local.tail(index)}")
        say(f"  first block after {duration(monotonic() - began)}; importing {len(flights.txs):,} departures")
        measured = await Import(local, flights.txs).run()
        say("  reading everything back from every validator")
        genesis = read_genesis(local.network.home / local.network.nodes[0].home)
        return measured, await check_all(local.network, flights, genesis)
    finally:
        await local.stop()


def _report(measured: Measured, found: Verdict, *, as_json: bool) -> None:
    rate = measured.committed / max(measured.seconds, 1e-9)
    value: dict[str, object] = {
        "transactions": measured.transactions,
        "height": found.height,
        "seconds": round(measured.seconds, 3),
        "tx_per_s": round(rate, 1),
        "latency_ms_p50": round(measured.latency_ms(0.5), 1),
        "latency_ms_p99": round(measured.latency_ms(0.99), 1),
        "validators": VALIDATORS,
        "agreed": found.agreed,
        "lost": found.lost,
        "duplicated": found.duplicated,
    }
    signed = (
        f"{found.signers.signed} of {found.signers.of} signatures hold" if found.signers else "does not hold"
    )
    rows = [
        ("transactions", f"{measured.transactions:,}"),
        ("blocks", f"{found.height:,}"),
        ("throughput", f"{rate:,.0f} tx/s over {duration(measured.seconds)}"),
        (
            "latency",
            f"p50 {value['latency_ms_p50']} ms  p99 {value['latency_ms_p99']} ms  (submit to COMMITTED)",
        ),
        (
            "killed on the way",
            f"{measured.killed or 'none'}  ({measured.failovers} fail-overs of the client)",
        ),
        ("validators agree", "yes: every block on all of them" if found.agreed else "NO"),
        ("last commit", signed),
        ("lost, duplicated", f"{found.lost:,}  {found.duplicated:,}"),
    ]
    for fault in found.faults:
        say(f"  {fault}")
    if as_json:
        say(table(rows))
        click.echo(json.dumps(value))
    else:
        click.echo(table(rows))
