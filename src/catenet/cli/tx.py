"""`catenet tx`: send, look up and wait for transactions."""

import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from catenet.cli.connect import Reach, reach, reach_options, run
from catenet.cli.output import as_text, duration, emit, json_option, printable, say, short
from catenet.cli.places import noted_dev, read_network
from catenet.cli.shape import NOT_COMMITTED, Failure, Group
from catenet.types.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from catenet.client.sdk import Client
    from catenet.client.values import Receipt, Status, Transaction

SHOWN = 60
"""Characters of a transaction in a message."""

LEVELS = ("accepted", "replicated", "committed")


@click.group(
    cls=Group,
    examples=["catenet tx send 'name=Wei' --wait", "catenet tx get 4F1C...E2"],
    next_step="catenet query name",
    lazy={
        "receipt": ("catenet.cli.receipts", "receipt", "Write a receipt that others can verify offline."),
    },
)
def tx() -> None:
    """Send, look up and wait for transactions."""


@tx.command(
    examples=[
        "catenet tx send 'name=Wei' --wait",
        "catenet tx send 'name=Eve' --timeout 3s",
        "catenet tx send --hex 613d62 --level accepted",
    ],
    next_step="catenet tx get ID",
)
@click.argument("data")
@click.option("--hex", "in_hex", is_flag=True, help="DATA is given in hex.")
@click.option("--wait", is_flag=True, help="Wait for the block and check the proof; so does --timeout.")
@click.option("--level", type=click.Choice(LEVELS), help="What to wait for.  [default: replicated]")
@reach_options
@json_option
@click.pass_context
def send(
    ctx: click.Context,
    data: str,
    in_hex: bool,
    wait: bool,
    level: str | None,
    nodes: tuple[str, ...],
    tls_ca: Path | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Send DATA as one transaction. Without --wait it is enough that f faults cannot lose it."""
    payload = _payload(data, in_hex)
    timed = ctx.get_parameter_source("timeout_s") is ParameterSource.COMMANDLINE
    prove = wait or (timed and level is None)
    wanted = "committed" if prove else level or "replicated"
    try:
        sent = run_send(reach(nodes, tls_ca, timeout_s), payload, wanted, prove=prove)
    except _NotYet as error:
        raise Failure(f"not {wanted} in {duration(timeout_s)}: {error}", NOT_COMMITTED) from None
    except Rejected as error:
        raise Failure(f"{printable(payload)[:SHOWN]!r} is refused: {error}", NOT_COMMITTED) from None
    receipt = sent.receipt
    value = {**_receipt_value(receipt, wanted), "seconds": round(sent.seconds, 4), "proof": sent.proof}
    emit(value, _sent_text(sent, wanted), as_json=as_json)
    if not as_json and wanted != "committed":
        say(f"  next: catenet tx wait {receipt.id.hex().upper()}")
    if receipt.code:
        raise SystemExit(NOT_COMMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A transaction that was taken in."""

    receipt: "Receipt"
    seconds: float
    """From sending to the answer."""
    proof: str
    """A sentence about its proof; empty when none was asked for."""


class _NotYet(Exception):
    """The time was over before the transaction was at its level; the text says who is missing."""


def run_send(to: Reach, payload: bytes, level: str, *, prove: bool) -> Sent:
    """Send one transaction; with `prove`, check its proof."""
    from catenet.types.events import Level

    async def work(client: "Client") -> Sent:
        began = time.monotonic()
        try:
            receipt = await client.send(payload, Level[level.upper()], timeout_s=to.timeout_s)
        except (Unavailable, TimeoutError) as error:
            reason = await _who_is_missing(client, sha256(payload).digest())
            if reason:
                raise _NotYet(reason) from error
            raise
        seconds = time.monotonic() - began
        proof = await _prove(client, receipt.id) if prove and receipt.height else ""
        return Sent(receipt=receipt, seconds=seconds, proof=proof)

    return run(to, work)


def _sent_text(sent: Sent, level: str) -> str:
    receipt = sent.receipt
    parts = [level, f"tx {short(receipt.id)}", duration(sent.seconds)]
    if receipt.height:
        parts[1:1] = [f"block {receipt.height}", f"index {receipt.index}"]
    if receipt.code:
        parts.append(f"code {receipt.code} {receipt.log}")
    return "  ".join([*parts, sent.proof]).rstrip()


async def _who_is_missing(client: "Client", tx_id: bytes) -> str:
    """Return how many validators the network has and what would help; empty when no node answers."""
    try:
        status = await client.status(timeout_s=2.0)
        found = await client.transaction(tx_id)
    except (Unavailable, TimeoutError):
        return ""
    text = _reachable_text(status)
    if 3 * status.power_connected <= 2 * status.power_total:
        return f"{text} {_advice(status)}"
    if not found.found and not found.pending:
        return f"{text} The transaction is not known there: was it sent? Try: catenet tx send"
    waiting = status.waiting_for or "nothing"
    return f"{text} The node waits for {waiting}; look again: catenet tx wait {tx_id.hex().upper()}"


def _reachable_text(status: "Status") -> str:
    """Say how much is reachable of what is needed: validators when all are alike, else power."""
    total = len(status.validators)
    if len({peer.power for peer in status.validators}) == 1:
        away = len(_away(status))
        return f"{total - away} of {total} validators reachable, {2 * total // 3 + 1} needed."
    needed = 2 * status.power_total // 3 + 1
    return f"power {status.power_connected} of {status.power_total} reachable, {needed} needed."


def _advice(status: "Status") -> str:
    away = _away(status)
    digits = away[0].removeprefix("node") if away else ""
    return f"Try: catenet dev start {digits}" if digits.isdecimal() else f"Missing: {', '.join(away)}"


def _away(status: "Status") -> list[str]:
    return [
        peer.name or peer.address.hex().upper()
        for peer in status.validators
        if not peer.connected and peer.address != status.address
    ]


async def _prove(client: "Client", tx_id: bytes) -> str:
    from catenet.cli.proving import Unproven, check_commit, check_inclusion, trusted_genesis

    home = noted_dev()
    genesis = trusted_genesis(read_network(home) if home else None)
    transaction = await client.transaction(tx_id, prove=True)
    block = await client.block(transaction.height)
    try:
        check_inclusion(transaction, block)
        if genesis is None:
            return "proof leads to the block's header; its validators are not known here"
        signers = check_commit(block, genesis)
    except Unproven as error:
        raise Failure(f"committed, but {error}") from None
    return f"proof verified against {signers.signed} of {signers.of} validators"


@tx.command(
    examples=["catenet tx get 4F1C...E2", "catenet tx get ID --json"], next_step="catenet block HEIGHT"
)
@click.argument("tx_id", metavar="ID")
@reach_options
@json_option
def get(tx_id: str, nodes: tuple[str, ...], tls_ca: Path | None, timeout_s: float, as_json: bool) -> None:
    """Look a transaction up by its ID (sha256 in hex). Ends with code 1 when it is unknown."""
    wanted = parse_id(tx_id)
    found = run(reach(nodes, tls_ca, timeout_s), lambda client: client.transaction(wanted))
    _show(found, as_json)
    if not found.found and not found.pending:
        raise Failure(f"transaction {tx_id} is not known there")


@tx.command(examples=["catenet tx wait 4F1C...E2 --timeout 30s"], next_step="catenet tx get ID")
@click.argument("tx_id", metavar="ID")
@reach_options
@json_option
def wait(tx_id: str, nodes: tuple[str, ...], tls_ca: Path | None, timeout_s: float, as_json: bool) -> None:
    """Wait until a transaction is in a block. Ends with code 5 when the time is over."""
    wanted = parse_id(tx_id)

    async def work(client: "Client") -> "Transaction":
        try:
            return await client.wait(wanted, timeout_s=timeout_s)
        except (Unavailable, TimeoutError) as error:
            reason = await _who_is_missing(client, wanted)
            if reason:
                raise Failure(f"not committed in {duration(timeout_s)}: {reason}", NOT_COMMITTED) from error
            raise

    _show(run(reach(nodes, tls_ca, timeout_s), work), as_json)


def _payload(data: str, in_hex: bool) -> bytes:
    try:
        payload = bytes.fromhex(data.removeprefix("0x")) if in_hex else data.encode()
    except ValueError:
        raise click.UsageError(f"{data[:40]!r} is not hex; leave --hex out for text") from None
    if not payload:
        raise click.UsageError("the transaction is empty; write for example 'name=Wei'")
    return payload


def parse_id(text: str) -> bytes:
    """Read a transaction's id; fails as click does."""
    try:
        data = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        data = b""
    if len(data) != sha256().digest_size:
        raise click.UsageError(
            f"{text!r} is no transaction id; it has 64 hex digits, as `catenet tx send --json` shows"
        )
    return data


def _receipt_value(receipt: "Receipt", level: str) -> dict[str, object]:
    return {
        "id": receipt.id.hex().upper(),
        "level": level,
        "height": receipt.height,
        "index": receipt.index,
        "code": receipt.code,
        "log": receipt.log,
    }


def _show(found: "Transaction", as_json: bool) -> None:
    state = "committed" if found.found else "pending" if found.pending else "unknown"
    value: dict[str, object] = {
        "id": found.id.hex().upper(),
        "state": state,
        "height": found.height,
        "index": found.index,
        "code": found.code,
        "log": found.log,
        "data_hex": found.data.hex(),
        "hex": found.tx.hex(),
        "text": as_text(found.tx),
    }
    place = (
        f"  block {found.height}  index {found.index}  code {found.code} {found.log}".rstrip()
        if found.found
        else ""
    )
    text = f"{state}{place}\n{printable(found.tx)}" if found.tx else f"{state}{place}"
    if as_json or state != "unknown":
        emit(value, text, as_json=as_json)
