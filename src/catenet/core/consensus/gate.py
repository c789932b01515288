"""The first signature after a start (consensus.md 4 (8)), and what to do when what was signed is not known.

Until enough others have said what they hold of ours, `Sign` effects wait in order; they are never refused.
"""

from catenet.chain.encoding import DecodeError
from catenet.chain.vote import Vote
from catenet.core.consensus import signing, timers
from catenet.core.consensus.context import Context, place
from catenet.types.effects import Append
from catenet.types.ids import Address
from catenet.types.messages import Status
from catenet.types.records import Record, RejoinRecord

REJOIN_AFTER = 2
"""Above the highest committed height found: a quorum signed at most there (4, lost journal)."""


def records(ctx: Context) -> list[Record]:
    """Return what a journal must go on to say of what this node may sign; the last one counts."""
    gate = ctx.gate
    found: list[Record] = [RejoinRecord(height=gate.rejoin_height)] if gate.rejoin_height else []
    return [*found, RejoinRecord(height=0)] if gate.rejoining is not None else found


def on_start(ctx: Context) -> None:
    """Begin to wait, unless nobody else could know of an own vote."""
    ctx.gate.started_us = ctx.now.mono_us
    if ctx.hs.index is None or len(ctx.hs.validators) == 1:
        ctx.gate.waiting = False
    else:
        ctx.set_timer(timers.key(timers.FIRST), ctx.config.first_signature_wait_us)


def on_status(ctx: Context, peer: Address, status: Status) -> None:
    """Take a Status as the answer of a validator: what it holds of ours, and where it is."""
    if ctx.hs.validators.index_of(peer) is None:
        return
    if ctx.address is not None and status.yours:
        _check_yours(ctx, peer, status.yours)
    if ctx.gate.rejoining is not None:
        ctx.gate.rejoining.setdefault(peer, status.height - 1)
    ctx.gate.answered[peer] = None


def _check_yours(ctx: Context, peer: Address, data: bytes) -> None:
    """Compare the newest own vote that a peer holds with the newest that this node knows of."""
    gate = ctx.gate
    newest = ctx.newest.get(ctx.address or b"")
    try:
        # Nearly every Status names the vote that is known here, and need not be parsed for it.
        vote = newest if newest is not None and data == newest.encode() else Vote.decode(data)
    except DecodeError:
        ctx.penalise(peer, "a vote of ours that does not parse")
        return
    if gate.last is not None and gate.last_vote is not None:
        if place(vote) < gate.last:
            return
        if place(vote) == gate.last and vote.block_id == gate.last_vote.block_id:
            return
    if vote.height <= gate.rejoin_height:
        # The consequence is drawn already: nothing is signed there.
        return
    member = ctx.hs.validators.by_address(ctx.address or b"")
    if gate.rejoining is not None or vote.address != ctx.address or member is None:
        return
    if ctx.peer(peer).verifications.take(1, ctx.now.mono_us):
        return
    # It counts only if it verifies under my key: otherwise anybody could silence me.
    if not ctx.signatures(member.public_key, vote.sign_bytes(ctx.chain.chain_id), vote.signature):
        ctx.penalise(peer, "a forged vote of ours", disconnect=True)
        return
    # This home is an old copy, or the key is in use elsewhere. Durable at once: what follows must not be
    # forgotten by a restart in which nobody speaks up.
    gate.rejoining = {}
    gate.queue.clear()
    ctx.out.append(Append(record=RejoinRecord(height=0)))
    ctx.notice(
        "own-vote-unknown-here",
        alarm=True,
        vote_height=vote.height,
        vote_round=vote.round,
        type=int(vote.type),
    )


def try_open(ctx: Context) -> None:
    """Let the waiting signatures go when two thirds have answered, or after a while all that speak."""
    gate = ctx.gate
    if gate.rejoining is not None:
        _try_rejoin(ctx, gate.rejoining)
    if not gate.waiting or not ctx.started or not _answered(ctx):
        return
    gate.waiting = False
    queue, gate.queue = gate.queue, []
    # What is over is not worth a signature; the rest goes in the order in which it was asked for.
    for sign in queue:
        if sign.item.height == ctx.hs.height:
            signing.release(ctx, sign)


def _answered(ctx: Context) -> bool:
    hs, gate = ctx.hs, ctx.gate
    members = hs.validators.validators
    own = 0 if hs.index is None else members[hs.index].power
    if hs.validators.two_thirds(own + sum([m.power for m in members if m.address in gate.answered])):
        return True
    wait_us = ctx.config.first_signature_wait_us
    if ctx.now.mono_us - gate.started_us < wait_us or not gate.answered:
        return False
    # A link that was up for so long and brought no answer leads to somebody who keeps silent on purpose.
    return all(
        peer in gate.answered or ctx.now.mono_us - ctx.peer(peer).linked_us >= wait_us
        for peer in ctx.linked()
        if hs.validators.index_of(peer) is not None
    )


def _try_rejoin(ctx: Context, answers: dict[Address, int]) -> None:
    """Find c, the highest committed height that validators with two() power report and we verified.

    We signed at x only if a quorum was at x - 1, and one honest member of it is among those who answered:
    so nothing of ours lies above c + 2. Whoever claims more than we verified does not count.
    """
    hs = ctx.hs
    committed = hs.height - 1
    power = sum(
        [m.power for m in hs.validators.validators if answers.get(m.address, committed + 1) <= committed]
    )
    if not hs.validators.two_thirds(power) and len(hs.validators) > 1:
        return
    gate = ctx.gate
    gate.rejoining = None
    gate.rejoin_height = max(gate.rejoin_height, committed + REJOIN_AFTER)
    ctx.out.append(Append(record=RejoinRecord(height=gate.rejoin_height)))
    ctx.notice("rejoin", alarm=True, signs_above=gate.rejoin_height)
