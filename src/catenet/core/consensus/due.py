"""When a height starts (consensus.md 2.7): the reasons for a block, and the timers behind two of them.

While a height is not due no timer of a round runs and nobody proposes.
"""

from catenet.core.consensus import timers
from catenet.core.consensus.context import Context
from catenet.types.ids import Address
from catenet.types.messages import Status

OTHERS_DUE_US = 1_000_000
"""How long somebody must have been due (h), and how long ago the last block must be."""


def on_ready(ctx: Context) -> None:
    """Look for reasons as soon as a block could be proposed; start the timers of those that take time."""
    hs = ctx.hs
    since_us = ctx.now.mono_us - ctx.decided_us
    if hs.first or ctx.updates_pending:  # (a), (d)
        set_due(ctx)
    if hs.due:
        return
    if ctx.proof_wanted:  # (c)
        ctx.set_timer(timers.key(timers.PROOF, hs.height), ctx.config.proof_delay_us)
    if ctx.config.heartbeat_us:  # (f)
        ctx.set_timer(timers.key(timers.HEARTBEAT, hs.height), ctx.config.heartbeat_us - since_us)


def set_due(ctx: Context) -> None:
    """Note that there is a reason for a block; from here on Status goes out often (G1)."""
    if not ctx.hs.due:
        ctx.hs.due = True
        arm_status(ctx)


def heard(ctx: Context) -> bool:
    """Rule (g): a proposal of this height, a round above 0, or votes of a third."""
    hs = ctx.hs
    if hs.due:
        return False
    if hs.round > 0 or hs.round in hs.proposals or hs.validators.third(hs.votes.heard_power):
        set_due(ctx)
        return True
    return False


def on_status(ctx: Context, peer: Address, status: Status) -> None:
    """Rule (h): somebody has been due for a second, and the last block is a second old.

    A batch that only one honest node holds must wake the others; the rate limit keeps a liar from making
    empty blocks at full speed.
    """
    state, hs, now_us = ctx.peer(peer), ctx.hs, ctx.now.mono_us
    if not status.due or status.height != hs.height or hs.validators.index_of(peer) is None:
        state.due_height = -1
        return
    if state.due_height != hs.height:
        state.due_height, state.due_since_us = hs.height, now_us
    if now_us - state.due_since_us >= OTHERS_DUE_US and now_us - ctx.decided_us >= OTHERS_DUE_US:
        set_due(ctx)


def arm_status(ctx: Context) -> None:
    """G1: the timer of Status, its own and re-armed always: often while there is work, seldom when idle."""
    config = ctx.config
    delay_us = config.idle_status_us
    if ctx.hs.due:
        delay_us = config.resend_us if len(ctx.hs.validators) <= 20 else max(config.resend_us, 1_000_000)
    ctx.set_timer(timers.key(timers.STATUS), delay_us)
