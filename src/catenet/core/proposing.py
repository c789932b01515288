"""Building the block that this node proposes: choose, check, prepare, put together (consensus.md 5.1, D5). Pure.

BuildBlock -> choose batches -> CheckTxs of foreign ones -> PrepareBlock -> manifest and header -> Built
"""

from dataclasses import dataclass

from catenet.chain import state as chain_state
from catenet.chain.commit import Commit
from catenet.chain.evidence import DuplicateVoteEvidence, encode_list, list_hash
from catenet.chain.state import ChainState
from catenet.types.batch import Compact, Segment
from catenet.types.ids import Address

BLOCK_OVERHEAD_BYTES = 11 + 626
"""What a block takes beside transactions, evidence and commit: chain-format.md 1.10."""

COMMIT_OVERHEAD_BYTES = 94
COMMIT_ENTRY_BYTES = 109
"""The largest entry of an ed25519 validator in a commit, with its key and length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposal in the making, for one height and round."""

    height: int
    round: int
    last_commit: Commit
    evidence: tuple[DuplicateVoteEvidence, ...]
    time_ns: int


def draft(
    state: ChainState,
    *,
    round: int,
    last_commit: Commit,
    evidence: tuple[DuplicateVoteEvidence, ...],
) -> Draft:
    """Begin a proposal for the height after `state`."""
    time_ns = chain_state.block_time(state, last_commit)
    return Draft(
        height=state.height, round=round, last_commit=last_commit, evidence=evidence, time_ns=time_ns
    )


def data_bytes_max(state: ChainState, evidence: tuple[DuplicateVoteEvidence, ...]) -> int:
    """Return the space for transactions, with their encoding, in a block of the next height."""
    entries = 0 if state.last_validators is None else len(state.last_validators)
    taken = BLOCK_OVERHEAD_BYTES + COMMIT_OVERHEAD_BYTES + COMMIT_ENTRY_BYTES * entries
    return state.params.max_bytes - taken - len(encode_list(evidence))


def compact(
    state: ChainState,
    made: Draft,
    *,
    proposer: Address,
    manifest: tuple[Segment, ...],
    data_hash: bytes,
) -> Compact:
    """Put header, last commit, evidence and manifest together."""
    header = chain_state.make_header(
        state,
        time_ns=made.time_ns,
        data_hash=data_hash,
        last_commit=made.last_commit,
        evidence_hash=list_hash(made.evidence),
        proposer_address=proposer,
    )
    return Compact(
        header=header.encode(),
        last_commit=made.last_commit.encode(),
        evidence=encode_list(made.evidence),
        manifest=manifest,
    )


