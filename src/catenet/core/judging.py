"""Judging a rebuilt block by every deterministic rule (consensus.md 2.4), with what machines know. Pure."""

from catenet.chain import evidence as evidence_format
from catenet.chain import state as chain_state
from catenet.chain.keys import Verify
from catenet.chain.state import ChainState, InvalidBlock
from catenet.core.batches.machine import Batches
from catenet.core.consensus.io import CannotJudge
from catenet.core.evidence import EvidencePool, HistoryMissing
from catenet.types.assembly import Assembled


def judge(
    assembled: Assembled, state: ChainState, *, verify: Verify, pool: Batches, evidence: EvidencePool
) -> str | CannotJudge | None:
    """Return the rule that a block after `state` breaks, or None. The application's opinion is not asked."""
    block = assembled.block
    header = block.header
    if header.height != state.height:
        return f"height {header.height} does not follow {state.last_height}"
    # The transactions were hashed when their batches came; only the root is compared.
    if assembled.data_hash != header.data_hash:
        return "data_hash is not that of the transactions"
    if header.last_commit_hash != block.last_commit.hash():
        return "last_commit_hash is not that of last_commit"
    if header.evidence_hash != evidence_format.list_hash(block.evidence):
        return "evidence_hash is not that of the evidence"
    try:
        chain_state.check_rules(state, block, raw_size=len(assembled.raw), verify=verify)
    except InvalidBlock as error:
        return error.reason
    if pool.repeated(assembled.tx_ids):
        return "a transaction stands twice in the block, or was committed in the window before"
    try:
        return evidence.check(block.evidence, state)
    except HistoryMissing as error:
        # E2: who cannot know waits; others with the history decide.
        return CannotJudge(reason=str(error))
