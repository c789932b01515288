"""T3 (consensus.md 2.2): what the proposer of a round proposes, and when.

What goes into a block is the business of others: `BuildBlock` asks for one.
"""

from catenet.chain.commit import EMPTY_COMMIT
from catenet.chain.vote import Proposal, VoteType
from catenet.core.consensus import intake, signing, timers
from catenet.core.consensus.context import Context
from catenet.core.consensus.io import BuildBlock, Built
from catenet.core.consensus.state import RoundValue, Step
from catenet.types.effects import Broadcast
from catenet.types.messages import ProposalMessage, VoteSet


def propose(ctx: Context) -> bool:
    """T3 PROPOSE (L15-19): my own again, or the newest valid value, or a block to be built."""
    hs = ctx.hs
    if hs.entered_round != hs.round or hs.step is not Step.PROPOSE or hs.built_round >= hs.round:
        return False
    if hs.proposer(hs.round).address != ctx.address or not signing.may_sign(ctx):
        return False
    own = hs.mine_proposals.get(hs.round)
    if own is not None:
        hs.built_round = hs.round
        if own.signed.signature:
            ctx.out.append(Broadcast(message=own))
        return True
    if any((hs.round, type) in hs.mine for type in (VoteType.PREVOTE, VoteType.PRECOMMIT)):
        hs.built_round = hs.round
        return True
    if hs.valid is not None:
        hs.built_round = hs.round
        _propose_again(ctx, hs.valid)
        return True
    return _build(ctx)


def _propose_again(ctx: Context, valid: RoundValue) -> None:
    """T3: re-propose the valid value with its polka (L15-16): it shows locked nodes that they may follow."""
    hs = ctx.hs
    entry, polka = hs.blocks.get(valid.block_id), hs.polkas.get(valid.round)
    if entry is None or entry.compact is None or polka is None:
        return
    signed = Proposal(
        height=hs.height,
        round=hs.round,
        pol_round=valid.round,
        block_id=valid.block_id,
        time_ns=ctx.now.wall_ns,
    )
    pol = VoteSet(votes=polka.votes)
    signing.propose(ctx, ProposalMessage(signed=signed, compact=entry.compact, pol=pol))


def _build(ctx: Context) -> bool:
    """T3: have a block built, not before `min_block_interval` after the last one."""
    hs, now_us = ctx.hs, ctx.now.mono_us
    at_us = ctx.decided_us + _interval_us(ctx)
    if hs.last_commit is not None and not hs.last_commit.complete:
        at_us = max(at_us, ctx.decided_us + ctx.config.commit_grace_us)
    if now_us < at_us and not hs.first:
        if hs.interval_round < hs.round:
            hs.interval_round = hs.round
            ctx.set_timer(timers.key(timers.INTERVAL, hs.height, hs.round), at_us - now_us)
        return False
    hs.built_round = hs.round
    intake.verify_parked(ctx)
    last_commit = EMPTY_COMMIT if hs.last_commit is None else hs.last_commit.build()
    ctx.out.append(BuildBlock(height=hs.height, round=hs.round, last_commit=last_commit))
    return True


def _interval_us(ctx: Context) -> int:
    interval_us = ctx.config.min_block_interval_us
    if len(ctx.hs.validators) > 20:
        interval_us = max(interval_us, 200_000)
    return min(interval_us, ctx.config.propose_us // 4)


def on_built(ctx: Context, built: Built) -> None:
    """T3: propose what was built, if it is still wanted (L18)."""
    hs = ctx.hs
    if (built.height, built.round) != (hs.height, hs.round) or hs.step is not Step.PROPOSE:
        return
    if built.round in hs.mine_proposals:
        return
    intake.offer(ctx, built.block_id, built.compact, ctx.address or b"")
    signed = Proposal(
        height=hs.height,
        round=hs.round,
        pol_round=-1,
        block_id=built.block_id,
        time_ns=ctx.now.wall_ns,
    )
    signing.propose(ctx, ProposalMessage(signed=signed, compact=built.compact))
