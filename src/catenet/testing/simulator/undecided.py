"""Invariant 14 of consensus.md 10.2 from within: what two thirds decided and a node holds, it decides (T9).

Looked at from outside, as invariant 13 is: others may hand over the next block and hide that a node is stuck.
"""

from catenet.chain.commit import BlockID
from catenet.chain.vote import VoteType
from catenet.core.consensus.state import HeightState
from catenet.core.consensus.votes import eligible
from catenet.core.node import Node


def undecided(core: Node) -> str | None:
    """Say which block a core ought to have decided; None: none."""
    ctx = core.consensus._ctx
    state = ctx.hs
    if not ctx.active or not state.ready:
        return None
    decided = [*state.certificates]
    decided += [id for round, id in state.votes.precommit_quorums.items() if _enough(state, round, id)]
    for block_id in decided:
        entry = state.blocks.get(block_id)
        if entry is not None and entry.assembled and entry.compact and not entry.unjudgeable:
            return f"block {block_id.hash.hex()[:8]} of height {state.height}, which two thirds decided"
    return None


def _enough(state: HeightState, round: int, block_id: BlockID) -> bool:
    """Whether the precommits of a round that count for its block have two thirds (2.5)."""
    entry, votes = state.blocks.get(block_id), state.votes.of(round, VoteType.PRECOMMIT)
    if entry is None or entry.header is None or votes is None:
        return False
    members, time_ns = state.validators.validators, entry.header.time_ns
    counted = [v for v in votes.present() if eligible(v, block_id=block_id, block_time_ns=time_ns)]
    return state.validators.two_thirds(sum([members[vote.index].power for vote in counted]))
