"""`catenet tx receipt` and `catenet verify`: a transaction's proof for somebody else, and its check."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from catenet.cli.connect import reach, reach_options
from catenet.cli.output import as_text, emit, json_option, printable, say
from catenet.cli.places import noted_dev, read_network
from catenet.cli.shape import CHECK_FAILED, FAILURE, NOT_REACHABLE, Command, Failure
from catenet.types.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from catenet.chain.genesis import Genesis
    from catenet.chain.receipt import Proven, Receipt
    from catenet.client.light.provider import Provider

RECEIPT_BYTES_MAX = 256 << 20


@click.command(
    cls=Command,
    examples=[
        "catenet tx receipt 4F1C...E2 > r.json",
        "catenet tx receipt ID --rpc http://127.0.0.1:26657 > r.json",
    ],
    next_step="catenet verify r.json --genesis genesis.json",
)
@click.argument("tx_id", metavar="ID")
@click.option("--rpc", "rpc_url", metavar="URL", help="Ask a node's JSON-RPC, of Catenet or CometBFT.")
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The chain's genesis. Default: that of `catenet dev`, or what the RPC answers.",
)
@reach_options
def receipt(
    tx_id: str,
    rpc_url: str | None,
    genesis_file: Path | None,
    nodes: tuple[str, ...],
    tls_ca: Path | None,
    timeout_s: float,
) -> None:
    """Write the receipt of the transaction ID: what shows to others that it is in the chain."""
    from catenet.cli.tx import parse_id

    wanted = parse_id(tx_id)
    if rpc_url is None:
        targets = reach(nodes, tls_ca, timeout_s).targets
        rpc_url = f"grpc://{targets[0]}"
    found, proven = asyncio.run(_fetch(rpc_url, wanted, genesis_file, tls_ca, timeout_s))
    click.echo(found.to_json(), nl=False)
    say(f"  {_line(proven)}")


async def _fetch(
    url: str, tx_id: bytes, genesis_file: Path | None, tls_ca: Path | None, timeout_s: float
) -> "tuple[Receipt, Proven]":
    from catenet.chain.keys import PublicKey
    from catenet.chain.receipt import verify_receipt
    from catenet.client.light.connect import connect
    from catenet.client.light.receipts import fetch_receipt

    node = connect(url, tls_ca=tls_ca, timeout_s=timeout_s)
    try:
        genesis = await _genesis(genesis_file, node)
        now_ns = time.time_ns()
        found = await fetch_receipt(node, tx_id, genesis, now_ns=now_ns, wait_s=timeout_s)
        return found, verify_receipt(found, genesis, PublicKey.verify, now_ns=now_ns)
    except NotFound as error:
        raise Failure(str(error), FAILURE) from None
    except Unavailable as error:
        raise Failure(f"{error}; is the node running?", NOT_REACHABLE) from None
    finally:
        await node.close()


async def _genesis(file: Path | None, node: "Provider") -> "Genesis":
    """Return the genesis to start from: a file's, the development network's, or the node's own."""
    from catenet.chain.genesis import Genesis
    from catenet.cli.proving import trusted_genesis
    from catenet.client.light.json_rpc import RpcProvider

    if file is not None:
        return read_genesis_file(file)
    if isinstance(node, RpcProvider):
        return Genesis.from_json(await node.genesis())
    home = noted_dev()
    genesis = trusted_genesis(read_network(home) if home else None)
    if genesis is None:
        raise click.UsageError("a receipt starts from the genesis; name its file: --genesis genesis.json")
    return genesis


def read_genesis_file(path: Path) -> "Genesis":
    """Read a genesis file; fails with its path."""
    from catenet.chain.genesis import Genesis, GenesisError

    try:
        return Genesis.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, GenesisError) as error:
        raise Failure(f"{path}: {error}") from None


@click.command(
    cls=Command,
    examples=["catenet verify r.json --genesis genesis.json"],
    next_step="catenet tx receipt ID > r.json",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option(
    "--genesis",
    "genesis_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The chain's genesis file, from somebody that you trust.",
)
@json_option
def verify(file: Path, genesis_file: Path, as_json: bool) -> None:
    """Verify the receipt in FILE (-: stdin) from the genesis alone, without a network.

    Ends with code 4 and the reason when it proves nothing.
    """
    from catenet.chain.keys import PublicKey
    from catenet.chain.receipt import InvalidReceipt, Receipt, verify_receipt

    text = _text(file)
    genesis = read_genesis_file(genesis_file)
    try:
        found = Receipt.from_json(text)
        proven = verify_receipt(found, genesis, PublicKey.verify, now_ns=time.time_ns())
    except InvalidReceipt as error:
        raise Failure(f"{_named(file)} proves nothing: {error}", CHECK_FAILED) from None
    emit(proven_value(proven), _text_of(proven), as_json=as_json)


def _named(file: Path) -> str:
    return "what stdin gave" if str(file) == "-" else str(file)


def _text(file: Path) -> bytes:
    with click.open_file(str(file), "rb") as source:
        text = source.read(RECEIPT_BYTES_MAX + 1)
    if len(text) > RECEIPT_BYTES_MAX:
        raise Failure(
            f"{file} is larger than {RECEIPT_BYTES_MAX >> 20} MiB: that is no receipt", CHECK_FAILED
        )
    return bytes(text)


def proven_value(proven: "Proven") -> dict[str, object]:
    """Return what a receipt proves as JSON shows it."""
    from catenet.chain.time import format_rfc3339

    outcome = proven.outcome
    return {
        "verified": True,
        "chain_id": proven.chain_id,
        "id": proven.id.hex().upper(),
        "height": proven.height,
        "index": proven.index,
        "time": format_rfc3339(proven.time_ns),
        "block_hash": proven.block_hash.hex().upper(),
        "signatures": proven.signed,
        "validators": proven.validators,
        "headers": proven.headers,
        "hex": proven.tx.hex(),
        "text": as_text(proven.tx),
        "result": outcome
        and {
            "code": outcome.code,
            "data_hex": outcome.data.hex(),
            "gas_wanted": outcome.gas_wanted,
            "gas_used": outcome.gas_used,
        },
    }


def _line(proven: "Proven") -> str:
    result = "result not in it yet" if proven.outcome is None else f"code {proven.outcome.code}"
    return (
        f"block {proven.height}  index {proven.index}  {result}  signed by {proven.signed} of "
        f"{proven.validators}  {proven.headers} header{'s' if proven.headers > 1 else ''} from the genesis"
    )


def _text_of(proven: "Proven") -> str:
    value = proven_value(proven)
    lines = [
        f"verified  chain {proven.chain_id}  {_line(proven)}",
        f"tx        {value['id']}",
        f"          {printable(proven.tx)}",
        f"time      {value['time']}",
        f"block     {value['block_hash']}",
    ]
    if proven.outcome is not None and proven.outcome.data:
        lines.append(f"data      {printable(proven.outcome.data)}")
    return "\n".join(lines)
