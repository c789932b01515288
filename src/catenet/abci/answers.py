"""What an application answers, as messages and back: `x_out` is for the server, `x_in` for the host.

`x_out` raises `ValueError` or `TypeError` for a value that no message can hold.
"""

from catenet.abci.values import (
    events_in,
    events_out,
    params_in,
    params_out,
    text_in,
    text_out,
    updates_in,
    updates_out,
)
from catenet.chain.params import ConsensusParams
from catenet.types.application import (
    BlockOutcome,
    CheckResult,
    Info,
    InitChainResult,
    QueryResult,
    TxResult,
)
from catenet.types.extensions import ChunkOutcome
from catenet.wire.abci import abci_pb2 as pb


def info_out(info: Info) -> pb.ResponseInfo:
    """Return the answer as a message."""
    return pb.ResponseInfo(
        data=text_out(info.data),
        version=text_out(info.version),
        app_version=info.app_version,
        last_block_height=info.last_block_height,
        last_block_app_hash=info.last_block_app_hash,
    )


def info_in(message: pb.ResponseInfo) -> Info:
    """Read the answer."""
    return Info(
        data=text_in(message.data),
        version=text_in(message.version),
        app_version=message.app_version,
        last_block_height=message.last_block_height,
        last_block_app_hash=message.last_block_app_hash,
    )


def init_chain_out(result: InitChainResult) -> pb.ResponseInitChain:
    """Return the answer as a message."""
    return pb.ResponseInitChain(
        consensus_params=None if result.params is None else params_out(result.params),
        validators=updates_out(result.validators),
        app_hash=result.app_hash,
    )


def init_chain_in(message: pb.ResponseInitChain, base: ConsensusParams) -> InitChainResult:
    """Read the answer; parameters that it leaves out are those of `base`."""
    given = message.HasField("consensus_params")
    return InitChainResult(
        params=params_in(message.consensus_params, base) if given else None,
        validators=updates_in(message.validators),
        app_hash=message.app_hash,
    )


def check_out(result: CheckResult) -> pb.ResponseCheckTx:
    """Return the answer as a message."""
    return pb.ResponseCheckTx(
        code=result.code,
        data=result.data,
        log=text_out(result.log),
        gas_wanted=result.gas_wanted,
        codespace=text_out(result.codespace),
    )


def check_in(message: pb.ResponseCheckTx) -> CheckResult:
    """Read the answer."""
    return CheckResult(
        code=message.code,
        data=message.data,
        log=text_in(message.log),
        gas_wanted=message.gas_wanted,
        codespace=text_in(message.codespace),
    )


def result_out(result: TxResult) -> pb.ExecTxResult:
    """Return one transaction's result as a message."""
    return pb.ExecTxResult(
        code=result.code,
        data=result.data,
        log=text_out(result.log),
        info=text_out(result.info),
        gas_wanted=result.gas_wanted,
        gas_used=result.gas_used,
        events=events_out(result.events),
        codespace=text_out(result.codespace),
    )


def result_in(message: pb.ExecTxResult) -> TxResult:
    """Read one transaction's result."""
    return TxResult(
        code=message.code,
        data=message.data,
        log=text_in(message.log),
        info=text_in(message.info),
        gas_wanted=message.gas_wanted,
        gas_used=message.gas_used,
        events=events_in(message.events),
        codespace=text_in(message.codespace),
    )


def outcome_out(outcome: BlockOutcome) -> pb.ResponseFinalizeBlock:
    """Return the answer as a message."""
    updates = outcome.param_updates
    return pb.ResponseFinalizeBlock(
        events=events_out(outcome.events),
        tx_results=[result_out(result) for result in outcome.results],
        validator_updates=updates_out(outcome.validator_updates),
        consensus_param_updates=None if updates is None else params_out(updates),
        app_hash=outcome.app_hash,
    )


def outcome_in(message: pb.ResponseFinalizeBlock, base: ConsensusParams) -> BlockOutcome:
    """Read the answer; `base` are the parameters that an update of some changes."""
    given = message.HasField("consensus_param_updates")
    return BlockOutcome(
        events=events_in(message.events),
        results=tuple(result_in(result) for result in message.tx_results),
        validator_updates=updates_in(message.validator_updates),
        param_updates=params_in(message.consensus_param_updates, base) if given else None,
        app_hash=message.app_hash,
    )


def query_out(result: QueryResult) -> pb.ResponseQuery:
    """Return the answer as a message."""
    return pb.ResponseQuery(
        code=result.code,
        log=text_out(result.log),
        index=result.index,
        key=result.key,
        value=result.value,
        height=result.height,
        codespace=text_out(result.codespace),
    )


def query_in(message: pb.ResponseQuery) -> QueryResult:
    """Read the answer. Proofs are not handed on: nobody behind the port asks for them."""
    return QueryResult(
        code=message.code,
        log=text_in(message.log),
        index=message.index,
        key=message.key,
        value=message.value,
        height=message.height,
        codespace=text_in(message.codespace),
    )


def chunk_out(outcome: ChunkOutcome) -> pb.ResponseApplySnapshotChunk:
    """Return what became of a chunk as a message."""
    return pb.ResponseApplySnapshotChunk(
        result=outcome.result.name,
        refetch_chunks=outcome.refetch_chunks,
        reject_senders=outcome.reject_senders,
    )
