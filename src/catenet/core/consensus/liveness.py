"""What keeps everybody going: Status (G1), answers to it (G2), catch-up (G6), noticing to be behind (G9).

A pull: a Status says what I have, the peer answers with what I lack. Nothing is sent again blindly.
"""

from catenet.chain.vote import Vote, VoteType
from catenet.core.consensus import due, gate
from catenet.core.consensus.context import Context, PeerState
from catenet.core.consensus.io import Behind, SpeculativeFetch
from catenet.core.consensus.state import Step
from catenet.core.consensus.votes import has_bit
from catenet.types.effects import Send
from catenet.types.ids import Address
from catenet.types.messages import ProposalMessage, Status, VoteSet

SYNC_DISTANCE = 3
"""Others this far ahead: G6 covers one and two heights, block sync the rest."""
STUCK_US = 2_000_000
"""Without a new height for so long, a single peer's claim to be ahead is worth a look."""


def send_status(ctx: Context, peer: Address) -> None:
    """G1: tell one peer what is here; `yours` differs from peer to peer."""
    hs = ctx.hs
    decided = ctx.decided.get(hs.height - 1)
    head_hash = ctx.chain.last_block_id.hash if decided is None else decided.commit.block_id.hash
    yours = ctx.newest.get(peer)
    status = Status(
        height=hs.height,
        round=hs.round,
        step=int(hs.step),
        due=hs.due,
        prevotes=hs.votes.bitmap(hs.round, VoteType.PREVOTE),
        precommits=hs.votes.bitmap(hs.round, VoteType.PRECOMMIT),
        proposal=_holds_proposal(ctx),
        valid_round=hs.valid_round,
        lowest=ctx.lowest,
        head_hash=head_hash,
        yours=b"" if yours is None else yours.encode(),
    )
    ctx.out.append(Send(peer=peer, message=status))


def _holds_proposal(ctx: Context) -> bool:
    entry = ctx.hs.proposed_entry()
    return entry is not None and entry.compact is not None


def broadcast_status(ctx: Context) -> None:
    """G1: tell every connected peer."""
    for peer in ctx.linked():
        send_status(ctx, peer)


def on_status_timer(ctx: Context) -> None:
    """G1: again and again, whatever happens."""
    broadcast_status(ctx)
    due.arm_status(ctx)
    _look_ahead(ctx)


def on_status(ctx: Context, peer: Address, status: Status) -> None:
    """Answer a Status, and learn from it where the others are."""
    state, hs = ctx.peer(peer), ctx.hs
    before = state.status
    same_place = before is not None and (before.height, before.round, before.step) == (
        status.height,
        status.round,
        status.step,
    )
    state.status = status
    state.repeats = state.repeats + 1 if same_place else 0
    gate.on_status(ctx, peer, status)
    if not ctx.active:
        return
    due.on_status(ctx, peer, status)
    if status.height == hs.height:
        if not state.answers.take(1, ctx.now.mono_us):
            _answer(ctx, peer, state, status)
    elif status.height < hs.height:
        _catch_up(ctx, peer, state, status.height)
    else:
        _notice_behind(ctx)
        _tell(ctx, peer, state)


def _tell(ctx: Context, peer: Address, state: PeerState) -> None:
    """Send my Status to one peer, at most once per RESEND: it asks for what the peer has more."""
    now_us = ctx.now.mono_us
    if state.told_us is None or now_us - state.told_us >= ctx.config.resend_us:
        state.told_us = now_us
        send_status(ctx, peer)


def _answer(ctx: Context, peer: Address, state: PeerState, status: Status) -> None:
    """G2: send what a peer at this height lacks."""
    hs = ctx.hs
    if hs.valid is not None and status.valid_round < hs.valid.round:
        # The block follows by G5.
        ctx.out.append(Send(peer=peer, message=VoteSet(votes=hs.polkas[hs.valid.round].votes)))
    if status.round < hs.round:
        if hs.round_cert is not None and hs.round_cert.round >= status.round:
            ctx.out.append(Send(peer=peer, message=VoteSet(votes=hs.round_cert.votes)))
        _send_votes(ctx, peer, [vote for vote in _own_votes(ctx) if vote.round == hs.round])
    elif status.round == hs.round:
        _complete(ctx, peer, status, everybody=state.repeats > 0)


def _complete(ctx: Context, peer: Address, status: Status, *, everybody: bool) -> None:
    """Send what the bitmaps lack: my own, and everybody's to a peer that is stuck: links may be broken."""
    hs = ctx.hs
    lacking: list[Vote] = []
    for type, bitmap in ((VoteType.PREVOTE, status.prevotes), (VoteType.PRECOMMIT, status.precommits)):
        votes = hs.votes.of(hs.round, type)
        lacking.extend(
            [
                vote
                for vote in (() if votes is None else votes.present())
                if not has_bit(bitmap, vote.index) and (everybody or vote.index == hs.index)
            ]
        )
    if not status.proposal:
        _send_proposal(ctx, peer, everybody=everybody)
    _send_votes(ctx, peer, lacking)


def _own_votes(ctx: Context) -> list[Vote]:
    return [vote for vote in ctx.hs.mine.values() if vote.signature]


def _send_votes(ctx: Context, peer: Address, votes: list[Vote]) -> None:
    if votes:
        ctx.out.append(Send(peer=peer, message=VoteSet(votes=tuple(votes), answer=True)))


def _send_proposal(ctx: Context, peer: Address, *, everybody: bool) -> None:
    """Send this round's proposal when it is mine, or when others' are to be relayed (G4)."""
    hs = ctx.hs
    own = hs.mine_proposals.get(hs.round)
    if own is not None and own.signed.signature:
        ctx.out.append(Send(peer=peer, message=own))
        return
    proposal = hs.proposals.get(hs.round)
    entry = hs.proposed_entry()
    if not everybody or proposal is None or entry is None or entry.compact is None:
        return
    polka = hs.polkas.get(proposal.pol_round)
    pol = None if polka is None else VoteSet(votes=polka.votes)
    ctx.out.append(Send(peer=peer, message=ProposalMessage(signed=proposal, compact=entry.compact, pol=pol)))


def _catch_up(ctx: Context, peer: Address, state: PeerState, height: int) -> None:
    """G6: hand the committed block to a peer one or two heights behind; once per height and RESEND."""
    block = ctx.decided.get(height)
    if block is None:
        # More than two heights, or not here: my Status tells the peer where to go.
        _tell(ctx, peer, state)
        return
    now_us = ctx.now.mono_us
    last = state.served.get(height)
    if last is not None and now_us - last < ctx.config.resend_us:
        return
    state.served = {h: at for h, at in state.served.items() if h >= ctx.hs.height - SYNC_DISTANCE}
    state.served[height] = now_us
    ctx.out.append(Send(peer=peer, message=block))


def _claims(ctx: Context) -> list[tuple[int, Address]]:
    """Return (height, peer) by what connected peers said last, highest first."""
    claims = [
        (state.status.height, peer)
        for peer, state in ctx.peers.items()
        if state.linked and state.status is not None and state.status.height > ctx.hs.height
    ]
    return sorted(claims, reverse=True)


def is_behind(ctx: Context) -> bool:
    """Whether a connected peer has said that it is above this height."""
    return bool(_claims(ctx))


def _notice_behind(ctx: Context) -> None:
    """G9: a third of the power says it is three or more heights ahead: that is for block sync."""
    validators, now_us = ctx.hs.validators, ctx.now.mono_us
    if ctx.behind_us is not None and now_us - ctx.behind_us < ctx.config.resend_us:
        return
    power = 0
    for height, peer in _claims(ctx):
        if height < ctx.hs.height + SYNC_DISTANCE:
            return
        member = validators.by_address(peer)
        power += 0 if member is None else member.power
        if validators.third(power):
            ctx.behind_us = now_us
            ctx.out.append(Behind(height=height))
            return


def _look_ahead(ctx: Context) -> None:
    """G9: a claim of a single peer. A node with one link never sees a third: the commit will be the proof."""
    _notice_behind(ctx)
    if not ctx.active or ctx.now.mono_us - ctx.hs.entered_us < STUCK_US:
        return
    claims = _claims(ctx)
    if claims:
        # Turn through the claimants: one of them may lie.
        height, peer = claims[ctx.now.mono_us // STUCK_US % len(claims)]
        ctx.out.append(SpeculativeFetch(peer=peer, height=height))


def waits_for(ctx: Context) -> str:
    """Return one sentence for `status`: what has to come before anything moves."""
    hs, validators = ctx.hs, ctx.hs.validators
    linked = sum(
        [m.power for m in validators.validators if m.address == ctx.address or _is_linked(ctx, m.address)]
    )
    place = f"height {hs.height}, round {hs.round}"
    if ctx.halted:
        return "halted"
    if ctx.away:
        return f"block sync from height {hs.height}"
    if ctx.gate.rejoining is not None:
        return "the others' committed height: what this home signed before is not known (rejoin)"
    if not validators.two_thirds(linked):
        total = validators.total_power
        return f"validators: {linked} of {total} power is connected, more than two thirds are needed"
    if ctx.gate.waiting and hs.index is not None:
        return "answers of the other validators before the first signature"
    if not hs.ready:
        return f"the execution of block {hs.height - 1}"
    if not hs.due and hs.round == 0:
        return "transactions"
    missing = [entry for entry in hs.blocks if entry.missing]
    if hs.round not in hs.proposals and hs.step is Step.PROPOSE:
        return f"the proposal of {hs.proposer(hs.round).address.hex().upper()} ({place})"
    if missing:
        return f"{len(missing[0].missing)} batches of a proposed block ({place})"
    if hs.step is Step.PROPOSE:
        return f"the application's opinion on a proposed block ({place})"
    return f"{hs.step.name.lower()}s of two thirds ({place})"


def _is_linked(ctx: Context, peer: Address) -> bool:
    state = ctx.peers.get(peer)
    return state is not None and state.linked
