"""Methods about transactions: handing them in, looking them up, what waits for a block."""

import asyncio
from base64 import b64encode
from hashlib import sha256

from catenet.chain import merkle
from catenet.rpc import results, shapes
from catenet.rpc.blocks import decoded
from catenet.rpc.context import Context
from catenet.rpc.errors import failed
from catenet.rpc.paging import page_size
from catenet.rpc.params import Arguments
from catenet.rpc.shapes import Json, hexed
from catenet.types.application import ADMITTED, OK, CheckResult
from catenet.types.effects import TxRefusal
from catenet.types.events import Level
from catenet.types.ports import BlockReader, SubmitOutcome


async def broadcast_tx_async(context: Context, args: Arguments) -> object:
    """Answer `broadcast_tx_async`: nothing is known of the transaction yet."""
    tx = args.data("tx")
    context.service.submissions.start(tx, context.client)
    return _broadcast(tx, ADMITTED)


async def broadcast_tx_sync(context: Context, args: Arguments) -> object:
    """Answer `broadcast_tx_sync`: the application's check; nothing is promised about a block."""
    tx = args.data("tx")
    outcome = await _submit(context, tx, Level.ACCEPTED, context.service.limits.admit_s)
    if outcome is None:
        raise failed("broadcast confirmation not received: the application did not answer in time")
    return _broadcast(tx, _check_of(outcome))


async def broadcast_tx_commit(context: Context, args: Arguments) -> object:
    """Answer `broadcast_tx_commit`: waits for the block, or for the application's refusal."""
    tx = args.data("tx")
    outcome = await _submit(context, tx, Level.COMMITTED, context.service.limits.commit_s)
    if outcome is None:
        raise failed("timed out waiting for tx to be included in a block")
    final = outcome.committed[0] if outcome.committed else None
    return {
        "check_tx": results.check(_check_of(outcome)),
        "tx_result": results.tx_result(final.result if final else OK),
        "hash": hexed(sha256(tx).digest()),
        "height": str(final.location.height if final else 0),
    }


async def check_tx(context: Context, args: Arguments) -> object:
    """Answer `check_tx`: the application's check, and nothing else."""
    return results.check(await context.service.desk.check(args.data("tx")))


async def tx(context: Context, args: Arguments) -> object:
    """Answer `tx`: a committed transaction by its hash, with the proof that it is in its block."""
    name = args.data("hash")
    location = context.service.gateway.reader.locate([name]).get(name)
    if location is None:
        raise failed(f"tx ({hexed(name)}) not found")
    reader, prove = context.service.gateway.reader, args.flag("prove")
    return shaped_tx(reader, height=location.height, index=location.index, with_proof=prove)


async def unconfirmed_txs(context: Context, args: Arguments) -> object:
    """Answer `unconfirmed_txs`: transactions of batches that are here and not yet in a block."""
    limit = page_size(args.optional("limit"), context.service.limits)
    waiting = context.service.desk.pending_txs(limit)
    return {
        "n_txs": str(len(waiting.txs)),
        "total": str(waiting.count),
        "total_bytes": str(waiting.bytes),
        "txs": [b64encode(tx).decode() for tx in waiting.txs],
    }


async def num_unconfirmed_txs(context: Context, args: Arguments) -> object:
    """Answer `num_unconfirmed_txs`."""
    waiting = context.service.desk.pending_txs(0)
    return {
        "n_txs": str(waiting.count),
        "total": str(waiting.count),
        "total_bytes": str(waiting.bytes),
        "txs": None,
    }


def shaped_tx(reader: BlockReader, *, height: int, index: int, with_proof: bool) -> Json:
    """Return a committed transaction with its result. Raises `RpcError` when its block is pruned."""
    stored, outcome = reader.block(height), reader.outcome(height)
    if stored is None or outcome is None:
        raise failed(f"tx {index} of height {height} is not available, lowest height is {reader.lowest}")
    block = decoded(stored.raw)
    tx = block.txs[index]
    answer: Json = {
        "hash": hexed(sha256(tx).digest()),
        "height": str(height),
        "index": index,
        "tx_result": results.tx_result(outcome.results[index]),
        "tx": b64encode(tx).decode(),
    }
    if with_proof:
        proof = merkle.prove([sha256(other).digest() for other in block.txs], index)
        answer["proof"] = shapes.tx_proof(block.header.data_hash, tx, proof)
    return answer


async def _submit(context: Context, tx: bytes, level: Level, wait_s: float) -> SubmitOutcome | None:
    """Hand a transaction in; None when its time is over."""
    try:
        async with asyncio.timeout(wait_s):
            return await context.service.gateway.submit([tx], level, client=context.client)
    except TimeoutError:
        return None


def _broadcast(tx: bytes, check: CheckResult) -> Json:
    return {
        "code": check.code,
        "data": hexed(check.data),
        "log": check.log,
        "codespace": check.codespace,
        "hash": hexed(sha256(tx).digest()),
    }


def _check_of(outcome: SubmitOutcome) -> CheckResult:
    """Return the application's word on the one transaction of a submission. Raises `RpcError` for ours."""
    return refusal_check(outcome.refused[0]) if outcome.refused else ADMITTED


def refusal_check(refusal: TxRefusal) -> CheckResult:
    """Return an application's refusal as its check. Raises `RpcError` when the node itself refused."""
    if refusal.code == 0:
        raise failed(refusal.reason)
    return CheckResult(code=refusal.code, log=refusal.reason, codespace=refusal.codespace)
