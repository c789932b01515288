"""From one height to the next: what a decision leaves behind, and how a height begins.

Nothing is judged here; T9 in `rules` decided before.
"""

from catenet.chain.commit import Commit, Flag
from catenet.chain.state import ChainState
from catenet.chain.time import median_time
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.core.consensus import due, intake, liveness, restore, timers
from catenet.core.consensus.blocks import BlockEntry
from catenet.core.consensus.context import Context, FetchState
from catenet.core.consensus.io import BlockAssembler, Decided
from catenet.core.consensus.state import HeightState, LastCommit
from catenet.types.effects import Append
from catenet.types.ids import Address
from catenet.types.messages import CommittedBlock
from catenet.types.records import CommitRecord

CATCH_UP_HEIGHTS = 2
CLOCK_APART_NS = 2 * 10**9
CLOCK_NOTICE_US = 60_000_000


def state_of(
    chain: ChainState,
    *,
    address: Address | None,
    last_commit: Commit | None,
    assembler: BlockAssembler,
    now_us: int,
) -> HeightState:
    """Return the state with which the height after `chain` begins."""
    last = None
    if last_commit is not None and chain.last_validators is not None:
        last = last_commit_of(last_commit, chain.last_validators, chain.last_time_ns)
    return HeightState(
        chain_id=chain.chain_id,
        height=chain.height,
        first=chain.height == chain.initial_height,
        validators=chain.validators,
        address=address,
        last_time_ns=chain.last_time_ns,
        last_commit=last,
        assembler=assembler,
        now_us=now_us,
    )


def last_commit_of(
    commit: Commit, validators: ValidatorSet, block_time_ns: int, more: list[Vote | None] | None = None
) -> LastCommit:
    """Return the growing last commit: the entries of the commit, and other precommits of its round."""
    votes: list[Vote | None] = [None] * len(validators) if more is None else more
    for index, entry in enumerate(commit.signatures):
        if entry.flag is not Flag.ABSENT:
            votes[index] = commit.vote(index)
    return LastCommit(commit=commit, validators=validators, block_time_ns=block_time_ns, votes=votes)


def decide(ctx: Context, entry: BlockEntry, commit: Commit) -> None:
    """Record and announce a decision, then start the next height at once, not ready (T9, after Decide)."""
    hs = ctx.hs
    assert entry.compact is not None
    assert entry.header is not None
    assert entry.assembled is not None
    ctx.out.append(
        Append(record=CommitRecord(height=hs.height, compact=entry.compact, commit=commit)),
    )
    ctx.out.append(Decided(assembled=entry.assembled, commit=commit, compact=entry.compact))
    ctx.decided[hs.height] = CommittedBlock(compact=entry.compact, commit=commit)
    for height in [h for h in ctx.decided if h <= hs.height - CATCH_UP_HEIGHTS]:
        del ctx.decided[height]
    _watch_clock(ctx, commit)
    ctx.level = timers.next_level(ctx.level, commit.round)
    ctx.decided_us = ctx.now.mono_us
    _advance(ctx, entry.header.time_ns, commit)


def _watch_clock(ctx: Context, commit: Commit) -> None:
    """Warn when the own clock is far from the others' (2.5), as the precommits of this moment tell them.

    Block time itself is no measure: it is that of the height before. A commit received whole may be old.
    """
    if commit.block_id in ctx.hs.certificates:
        return
    apart_ns = ctx.now.wall_ns - median_time(commit, ctx.hs.validators)
    if abs(apart_ns) > CLOCK_APART_NS and ctx.now.mono_us >= ctx.clock_notice_us:
        ctx.clock_notice_us = ctx.now.mono_us + CLOCK_NOTICE_US
        ctx.notice("clock-apart", ahead_ms=apart_ns // 1_000_000)


def _advance(ctx: Context, block_time_ns: int, commit: Commit) -> None:
    hs = ctx.hs
    votes = hs.votes.of(commit.round, VoteType.PRECOMMIT)
    last = last_commit_of(
        commit, hs.validators, block_time_ns, more=None if votes is None else list(votes.by_index)
    )
    # The state after this block is not computed yet, but its validators are known since the block before.
    following = HeightState(
        chain_id=hs.chain_id,
        height=hs.height + 1,
        first=False,
        validators=ctx.chain.next_validators,
        address=ctx.address,
        last_time_ns=block_time_ns,
        last_commit=last,
        assembler=ctx.assembler,
        now_us=ctx.now.mono_us,
    )
    enter(ctx, following, previous=hs)


def enter(ctx: Context, following: HeightState, *, previous: HeightState | None) -> None:
    """Begin a height: restore what is mine of it, take what came early (T1 for round 0)."""
    ctx.previous, ctx.hs = previous, following
    ctx.signatures.next_height()
    ctx.fetch = FetchState()
    restore.apply(ctx)
    if previous is None or previous.certificates or liveness.is_behind(ctx):
        # G6: a peer that is ahead hands over the next committed block when it hears where I am.
        liveness.broadcast_status(ctx)
    intake.take_future(ctx)


def make_ready(ctx: Context) -> None:
    """The block of the height before is executed: this height may be proposed and judged."""
    ctx.hs.ready = True
    due.on_ready(ctx)
