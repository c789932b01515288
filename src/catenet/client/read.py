"""Answers of `catenet.v1.Query` as plain values."""

from catenet.chain.encoding import DecodeError
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import Proof
from catenet.client.stream import block_txs
from catenet.client.values import Block, Status, Transaction, ValidatorStatus
from catenet.types.application import QueryResult
from catenet.types.errors import Corrupt
from catenet.wire.v1 import query_pb2 as pb


def transaction(answer: pb.TransactionResult) -> Transaction:
    """Return what a node knows of a transaction."""
    return Transaction(
        id=answer.id,
        found=answer.found,
        pending=answer.pending,
        height=answer.height,
        index=answer.index,
        code=answer.code,
        log=answer.log,
        data=answer.data,
        tx=answer.transaction,
        proof=_proof(answer.proof) if answer.HasField("proof") else None,
        gas_wanted=answer.gas_wanted,
        gas_used=answer.gas_used,
        result_proof=_proof(answer.result_proof) if answer.HasField("result_proof") else None,
    )


def _proof(answer: pb.Proof) -> Proof:
    return Proof(
        total=answer.total, index=answer.index, leaf_hash=answer.leaf_hash, aunts=tuple(answer.aunts)
    )


def light_block(answer: pb.LightBlockResponse) -> LightBlock:
    """Return what a node shows to light clients, unverified. Raises `Corrupt` when it does not read."""
    try:
        return LightBlock.decode(answer.light_block)
    except DecodeError as fault:
        raise Corrupt(f"the node's light block cannot be read: {fault}") from None


def block(answer: pb.Block) -> Block:
    """Return a block. Raises `Corrupt` when its bytes are no block."""
    try:
        txs = block_txs(answer.block)
    except DecodeError as fault:
        raise Corrupt(f"the node's block {answer.height} cannot be read: {fault}") from None
    return Block(height=answer.height, hash=answer.hash, txs=txs, raw=answer.block, commit=answer.commit)


def query_result(answer: pb.QueryResponse) -> QueryResult:
    """Return what the application answered."""
    return QueryResult(
        code=answer.code, log=answer.log, key=answer.key, value=answer.value, height=answer.height
    )


def status(answer: pb.StatusResponse) -> Status:
    """Return how a node stands."""
    return Status(
        chain_id=answer.chain_id,
        node_id=answer.node_id,
        name=answer.name,
        address=answer.address,
        software=answer.software,
        height=answer.height,
        block_hash=answer.block_hash,
        app_hash=answer.app_hash,
        block_time_ns=answer.block_time_ns,
        lowest_height=answer.lowest_height,
        catching_up=answer.catching_up,
        round=answer.round,
        step=answer.step,
        validators=tuple(
            ValidatorStatus(
                address=peer.address,
                name=peer.name,
                connected=peer.connected,
                height=peer.height,
                power=peer.power,
                last_seen_ms=peer.last_seen_ms,
            )
            for peer in answer.validators
        ),
        power_total=answer.power_total,
        power_connected=answer.power_connected,
        waiting_for=answer.waiting_for,
        pending_txs=answer.pending_transactions,
        home=answer.home,
        uptime_ms=answer.uptime_ms,
        last_commit_signatures=answer.last_commit_signatures,
    )
