"""Commands that read from a node: `status`, `block`, `query`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from catenet.cli.connect import reach, reach_options, run
from catenet.cli.output import as_text, duration, emit, json_option, printable, table
from catenet.cli.shape import CHECK_FAILED, FAILURE, Command, Failure
from catenet.types.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from catenet.client.values import Block, Status

F = TypeVar("F", bound=Callable[..., object])


@click.command(
    cls=Command,
    examples=["catenet status", "catenet status --json | jq .waiting_for"],
    next_step="catenet block",
)
@reach_options
@json_option
def status(nodes: tuple[str, ...], tls_ca: "Path | None", timeout_s: float, as_json: bool) -> None:
    """Say how a node stands, which validators it reaches, and what it waits for.

    Ends with code 4 when the node reaches too little power to commit.
    """
    found = run(reach(nodes, tls_ca, timeout_s), lambda client: client.status())
    emit(status_value(found), _status_text(found), as_json=as_json)
    if 3 * found.power_connected <= 2 * found.power_total:
        raise SystemExit(CHECK_FAILED)


def status_value(found: "Status") -> dict[str, object]:
    """Return a status as JSON shows it."""
    return {
        "chain_id": found.chain_id,
        "node_id": found.node_id,
        "name": found.name,
        "address": found.address.hex().upper(),
        "software": found.software,
        "height": found.height,
        "block_hash": found.block_hash.hex().upper(),
        "app_hash": found.app_hash.hex().upper(),
        "block_time_ns": found.block_time_ns,
        "lowest_height": found.lowest_height,
        "catching_up": found.catching_up,
        "round": found.round,
        "step": found.step,
        "power_total": found.power_total,
        "power_connected": found.power_connected,
        "waiting_for": found.waiting_for,
        "pending_transactions": found.pending_txs,
        "last_commit_signatures": found.last_commit_signatures,
        "home": found.home,
        "uptime_ms": found.uptime_ms,
        "validators": [
            {
                "address": peer.address.hex().upper(),
                "name": peer.name,
                "connected": peer.connected,
                "height": peer.height,
                "power": peer.power,
                "last_seen_ms": peer.last_seen_ms,
            }
            for peer in found.validators
        ],
    }


def _status_text(found: "Status") -> str:
    head = [
        ("node", f"{found.name}  {found.node_id}"),
        ("chain", found.chain_id),
        ("height", f"{found.height:,}  {found.block_hash.hex().upper()[:16]}"),
        ("last block", f"{found.last_commit_signatures} of {len(found.validators)} signatures"),
        ("power", f"{found.power_connected} of {found.power_total} reachable"),
        ("round, step", f"{found.round}  {found.step}{'  (catching up)' if found.catching_up else ''}"),
        ("waiting for", found.waiting_for or "nothing"),
        ("pending", f"{found.pending_txs:,} transactions"),
        ("home", f"{found.home}  up {duration(found.uptime_ms / 1000)}"),
    ]
    rows = [
        (
            peer.name or peer.address.hex().upper()[:12],
            "connected" if peer.connected or peer.address == found.address else "MISSING",
            f"height {peer.height:,}",
            f"power {peer.power}",
            _seen(peer.last_seen_ms, own=peer.address == found.address),
        )
        for peer in found.validators
    ]
    return table(head) + ("\n\n" + table(rows) if rows else "")


def _seen(milliseconds: int, *, own: bool) -> str:
    if own:
        return "this node"
    return "never seen" if milliseconds < 0 else f"seen {duration(milliseconds / 1000)} ago"


@click.command(
    cls=Command,
    examples=["catenet block", "catenet block 17 --json", "catenet block 4F1C...E2"],
    next_step="catenet tx get ID",
)
@click.argument("which", default="latest")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=20,
    show_default=True,
    help="Show at most so many transactions; 0 is all.",
)
@reach_options
@json_option
def block(
    which: str, limit: int, nodes: tuple[str, ...], tls_ca: "Path | None", timeout_s: float, as_json: bool
) -> None:
    """Show a block: WHICH is a height, a hash in hex, or `latest`."""
    wanted = _which(which)
    try:
        found = run(reach(nodes, tls_ca, timeout_s), lambda client: client.block(wanted))
    except NotFound as error:
        raise Failure(str(error), FAILURE) from None
    value = block_value(found)
    emit(value, _block_text(value, found, limit), as_json=as_json)


def _which(text: str) -> int | bytes | None:
    if text == "latest":
        return None
    if text.isdecimal() and len(text) < 20:
        return int(text)
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != 32:
        raise click.UsageError(
            f"{text!r} is neither a height nor a hash of 64 hex digits; for the newest: latest"
        )
    return data


def block_value(found: "Block") -> dict[str, object]:
    """Return a block as JSON shows it."""
    from hashlib import sha256

    from catenet.chain.block import Block as ChainBlock
    from catenet.chain.commit import Commit, Flag
    from catenet.chain.time import format_rfc3339

    header = ChainBlock.decode(found.raw).header
    commit = Commit.decode(found.commit)
    return {
        "height": found.height,
        "hash": found.hash.hex().upper(),
        "chain_id": header.chain_id,
        "time": format_rfc3339(header.time_ns),
        "proposer": header.proposer_address.hex().upper(),
        "app_hash": header.app_hash.hex().upper(),
        "round": commit.round,
        "signatures": sum(entry.flag is Flag.COMMIT for entry in commit.signatures),
        "validators": len(commit.signatures),
        "transactions": [
            {"id": sha256(tx).hexdigest().upper(), "hex": tx.hex(), "text": as_text(tx)} for tx in found.txs
        ],
    }


def _block_text(value: dict[str, object], found: "Block", limit: int) -> str:
    from hashlib import sha256

    head = [(key, str(value[key])) for key in ("height", "hash", "time", "proposer", "app_hash")]
    head.append(("signed by", f"{value['signatures']} of {value['validators']} in round {value['round']}"))
    head.append(("transactions", f"{len(found.txs):,}"))
    shown = found.txs[: limit or None]
    rows = [(f"  {sha256(tx).hexdigest().upper()}", printable(tx)[:100]) for tx in shown]
    more = len(found.txs) - len(shown)
    lines = [
        table(head),
        *([table(rows)] if rows else []),
        *([f"  ... {more:,} more: --limit 0"] if more else []),
    ]
    return "\n".join(lines)


@click.command(
    cls=Command,
    examples=["catenet query name", "catenet query a b c --json", "catenet query name --linearizable"],
    next_step="catenet status",
)
@click.argument("keys", nargs=-1, required=True)
@click.option("--path", default="/store", show_default=True, help="What to ask the application for.")
@click.option("--hex", "in_hex", is_flag=True, help="Keys are given in hex.")
@click.option("--linearizable", is_flag=True, help="A state with all that is final anywhere by now.")
@click.option("--min-height", type=click.IntRange(0), default=0, help="A state of this height or later.")
@reach_options
@json_option
def query(
    keys: tuple[str, ...],
    path: str,
    in_hex: bool,
    linearizable: bool,
    min_height: int,
    nodes: tuple[str, ...],
    tls_ca: "Path | None",
    timeout_s: float,
    as_json: bool,
) -> None:
    """Read values of the application's committed state, by default as one node has it.

    Ends with code 1 when a key has no value.
    """
    data = [_key(key, in_hex) for key in keys]
    results = run(
        reach(nodes, tls_ca, timeout_s),
        lambda client: client.query_many(path, data, linearizable=linearizable, min_height=min_height),
    )
    for key, result in zip(data, results, strict=True):
        value: dict[str, object] = {
            "key": as_text(key),
            "key_hex": key.hex(),
            "found": result.code == 0,
            "value": as_text(result.value) if result.code == 0 else None,
            "value_hex": result.value.hex(),
            "height": result.height,
            "code": result.code,
            "log": result.log,
        }
        # A single value goes to stdout as it is, for pipes.
        prefix = f"{printable(key)} = " if len(data) > 1 else ""
        if result.code == 0 or as_json:
            emit(value, prefix + printable(result.value), as_json=as_json)
    missing = [printable(key) for key, result in zip(data, results, strict=True) if result.code != 0]
    if missing:
        logs = {result.log for result in results if result.code != 0}
        raise Failure(f"no value for {', '.join(missing)} ({'; '.join(sorted(logs))})")


def _key(text: str, in_hex: bool) -> bytes:
    if not in_hex:
        return text.encode()
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise click.UsageError(f"{text!r} is not hex; leave --hex out for text") from None
