"""What an engine asks, as messages and back: `x_out` is for the host, `x_in` for the server."""

from catenet.abci.values import (
    commit_in,
    commit_out,
    misbehavior_in,
    misbehavior_out,
    params_in,
    params_out,
    time_in,
    time_out,
    updates_in,
    updates_out,
)
from catenet.chain.params import ConsensusParams
from catenet.types.application import (
    FinalizeBlock,
    InitChain,
    PrepareProposal,
    ProcessProposal,
    Query,
)
from catenet.types.extensions import ExtendVote, VerifyVoteExtension
from catenet.wire.abci import abci_pb2 as pb

NO_STATE = b"{}"


def init_chain_out(request: InitChain) -> pb.RequestInitChain:
    """Return the request as a message."""
    return pb.RequestInitChain(
        time=time_out(request.time_ns),
        chain_id=request.chain_id,
        consensus_params=params_out(request.params),
        validators=updates_out(request.validators),
        app_state_bytes=request.app_state,
        initial_height=request.initial_height,
    )


def init_chain_in(message: pb.RequestInitChain) -> InitChain:
    """Read the request."""
    return InitChain(
        time_ns=time_in(message.time),
        chain_id=message.chain_id,
        params=params_in(message.consensus_params, ConsensusParams()),
        validators=updates_in(message.validators),
        # A genesis file without `app_state` reads alike under both engines.
        app_state=message.app_state_bytes or NO_STATE,
        initial_height=message.initial_height,
    )


def prepare_out(request: PrepareProposal) -> pb.RequestPrepareProposal:
    """Return the request as a message."""
    votes = [
        pb.ExtendedVoteInfo(validator=pb.Validator(address=address, power=power), block_id_flag=flag)
        for address, power, flag in request.last_commit.votes
    ]
    return pb.RequestPrepareProposal(
        max_tx_bytes=request.max_tx_bytes,
        txs=request.txs,
        local_last_commit=pb.ExtendedCommitInfo(round=request.last_commit.round, votes=votes),
        misbehavior=misbehavior_out(request.misbehavior),
        height=request.height,
        time=time_out(request.time_ns),
        next_validators_hash=request.next_validators_hash,
        proposer_address=request.proposer_address,
    )


def prepare_in(message: pb.RequestPrepareProposal) -> PrepareProposal:
    """Read the request."""
    return PrepareProposal(
        max_tx_bytes=message.max_tx_bytes,
        txs=tuple(message.txs),
        last_commit=commit_in(message.local_last_commit),
        misbehavior=misbehavior_in(message.misbehavior),
        height=message.height,
        time_ns=time_in(message.time),
        next_validators_hash=message.next_validators_hash,
        proposer_address=message.proposer_address,
        vote_extensions=tuple([vote.vote_extension for vote in message.local_last_commit.votes]),
    )


def process_out(request: ProcessProposal) -> pb.RequestProcessProposal:
    """Return the request as a message."""
    return pb.RequestProcessProposal(
        txs=request.txs,
        proposed_last_commit=commit_out(request.last_commit),
        misbehavior=misbehavior_out(request.misbehavior),
        hash=request.hash,
        height=request.height,
        time=time_out(request.time_ns),
        next_validators_hash=request.next_validators_hash,
        proposer_address=request.proposer_address,
    )


def process_in(message: pb.RequestProcessProposal) -> ProcessProposal:
    """Read the request."""
    return ProcessProposal(
        txs=tuple(message.txs),
        last_commit=commit_in(message.proposed_last_commit),
        misbehavior=misbehavior_in(message.misbehavior),
        hash=message.hash,
        height=message.height,
        time_ns=time_in(message.time),
        next_validators_hash=message.next_validators_hash,
        proposer_address=message.proposer_address,
    )


def finalize_out(request: FinalizeBlock) -> pb.RequestFinalizeBlock:
    """Return the request as a message."""
    return pb.RequestFinalizeBlock(
        txs=request.txs,
        decided_last_commit=commit_out(request.last_commit),
        misbehavior=misbehavior_out(request.misbehavior),
        hash=request.hash,
        height=request.height,
        time=time_out(request.time_ns),
        next_validators_hash=request.next_validators_hash,
        proposer_address=request.proposer_address,
    )


def finalize_in(message: pb.RequestFinalizeBlock) -> FinalizeBlock:
    """Read the request."""
    return FinalizeBlock(
        txs=tuple(message.txs),
        last_commit=commit_in(message.decided_last_commit),
        misbehavior=misbehavior_in(message.misbehavior),
        hash=message.hash,
        height=message.height,
        time_ns=time_in(message.time),
        next_validators_hash=message.next_validators_hash,
        proposer_address=message.proposer_address,
    )


def extend_vote_in(message: pb.RequestExtendVote) -> ExtendVote:
    """Read the request."""
    return ExtendVote(
        txs=tuple(message.txs),
        last_commit=commit_in(message.proposed_last_commit),
        misbehavior=misbehavior_in(message.misbehavior),
        hash=message.hash,
        height=message.height,
        time_ns=time_in(message.time),
        next_validators_hash=message.next_validators_hash,
        proposer_address=message.proposer_address,
    )


def verify_extension_in(message: pb.RequestVerifyVoteExtension) -> VerifyVoteExtension:
    """Read the request."""
    return VerifyVoteExtension(
        hash=message.hash,
        validator_address=message.validator_address,
        height=message.height,
        vote_extension=message.vote_extension,
    )


def query_out(request: Query) -> pb.RequestQuery:
    """Return the request as a message."""
    return pb.RequestQuery(data=request.data, path=request.path, height=request.height, prove=request.prove)


def query_in(message: pb.RequestQuery) -> Query:
    """Read the request."""
    return Query(data=message.data, path=message.path, height=message.height, prove=message.prove)
