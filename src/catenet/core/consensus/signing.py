"""Own votes and proposals: asked for once per step, counted when signed, held while a start is unproven.

The decision whether the key may sign is the guard's, outside. Here: when to ask, and consensus.md 4 (8).
"""

from catenet.chain.commit import BlockID
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.blocks import Verdict
from catenet.core.consensus.context import Context, place
from catenet.core.consensus.state import HeightState
from catenet.types.effects import Append, Broadcast, Sign
from catenet.types.messages import ProposalMessage, VoteMessage
from catenet.types.records import ProposalRecord, VoteRecord

_MS = 1_000_000


def may_sign(ctx: Context) -> bool:
    """Whether this node votes at the present height: a member, not rejoining, not barred (G10, 4)."""
    gate = ctx.gate
    return ctx.hs.index is not None and gate.rejoining is None and ctx.hs.height > gate.rejoin_height


def vote_time_ns(ctx: Context) -> int:
    """Return the time of a vote (2.5): after the last block and after the block at stake, for nil votes too.

    A proposed block gives its time only when its header rules hold: a proposer must not set our clock.
    """
    hs = ctx.hs
    time_ns = max(ctx.now.wall_ns, hs.last_time_ns + _MS)
    entry = hs.proposed_entry() if hs.locked is None else hs.blocks.get(hs.locked.block_id)
    if entry is None or entry.header is None:
        return time_ns
    if hs.locked is None and (not entry.header_judged or entry.verdict is Verdict.INVALID):
        return time_ns
    return max(time_ns, entry.header.time_ns + _MS)


def cast(ctx: Context, type: VoteType, block_id: BlockID) -> None:
    """Vote in this round: `Sign`, then `Append` and `Broadcast` when the signature is back."""
    hs = ctx.hs
    key = (hs.round, type)
    if hs.index is None or ctx.address is None or key in hs.mine or not may_sign(ctx):
        return
    vote = Vote(
        type=type,
        height=hs.height,
        round=hs.round,
        block_id=block_id,
        time_ns=vote_time_ns(ctx),
        address=ctx.address,
        index=hs.index,
    )
    hs.mine[key] = vote
    _request(ctx, vote)


def propose(ctx: Context, message: ProposalMessage) -> None:
    """Propose in this round: the proposal counts as mine from here on, and is never made twice."""
    if may_sign(ctx):
        ctx.hs.mine_proposals[message.signed.round] = message
        _request(ctx, message.signed)


def _request(ctx: Context, item: Vote | Proposal) -> None:
    sign = Sign(item=item)
    if ctx.gate.waiting:
        # Not yet signed: what others report as `yours` is not compared with it.
        ctx.gate.queue.append(sign)
    else:
        release(ctx, sign)


def release(ctx: Context, sign: Sign) -> None:
    """Have the guard sign."""
    if isinstance(sign.item, Vote):
        note_signed(ctx, sign.item)
    ctx.out.append(sign)


def note_signed(ctx: Context, vote: Vote) -> None:
    """Remember the newest own vote: what others report as `yours` is compared with it."""
    if ctx.gate.last is None or place(vote) > ctx.gate.last:
        ctx.gate.last, ctx.gate.last_vote = place(vote), vote


def on_signed(ctx: Context, item: Vote | Proposal) -> None:
    """Take a signature: record, send, and only then count."""
    if isinstance(item, Vote):
        _on_signed_vote(ctx, item)
        return
    message = ctx.hs.mine_proposals.get(item.round)
    if item.height != ctx.hs.height or message is None or message.signed.block_id != item.block_id:
        return
    signed = ProposalMessage(signed=item, compact=message.compact, pol=message.pol)
    ctx.hs.mine_proposals[item.round] = signed
    ctx.out.append(Append(record=ProposalRecord(proposal=signed)))
    ctx.out.append(Broadcast(message=signed))
    # T3: own proposal then passes T4 like anyone's.
    ctx.hs.proposals.setdefault(item.round, item)
    if ctx.hs.index is not None:
        ctx.hs.votes.note_round(ctx.hs.index, item.round)


def _on_signed_vote(ctx: Context, vote: Vote) -> None:
    ctx.out.append(Append(record=VoteRecord(vote=vote)))
    ctx.out.append(Broadcast(message=VoteMessage(vote=vote)))
    ctx.remember(vote)
    hs = ctx.hs
    if vote.height == hs.height:
        hs.mine[(vote.round, vote.type)] = vote
        _remember_signature(ctx, hs, vote)
        count_own(ctx, vote)
    elif ctx.previous is not None and vote.height == ctx.previous.height:
        _remember_signature(ctx, ctx.previous, vote)
        last = hs.last_commit
        if last is not None and (vote.type, vote.round) == (VoteType.PRECOMMIT, last.round):
            last.votes[vote.index] = last.votes[vote.index] or vote


def _remember_signature(ctx: Context, hs: HeightState, vote: Vote) -> None:
    key = hs.validators.validators[vote.index].public_key
    ctx.signatures.remember(key, hs.sign_bytes(vote), vote.signature)


def count_own(ctx: Context, vote: Vote) -> None:
    """Count an own vote; a different one in its place means a second holder of this key."""
    held = ctx.hs.count(vote)
    if held is not None and held.block_id != vote.block_id:
        ctx.notice("key-used-elsewhere", alarm=True, round=vote.round, type=int(vote.type))
    ctx.fetch.stale = True
