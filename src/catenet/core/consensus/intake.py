"""What peers send: votes, vote sets, proposals, committed blocks. Verified here, counted, never acted upon.

Nothing unverified changes the state of a height, but for what is parked: votes and the proposal of the next
height (G7), late precommits of the last commit (2.6).
"""

from collections.abc import Sequence

from catenet.chain.commit import BlockID, Flag
from catenet.chain.encoding import DecodeError
from catenet.chain.header import Header
from catenet.chain.keys import PublicKey
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.blocks import Fault
from catenet.core.consensus.context import Context
from catenet.core.consensus.io import Accuse
from catenet.core.consensus.state import ROUNDS_AHEAD, ROUNDS_BACK, HeightState
from catenet.core.consensus.votes import RoundCert, committed_power, polka_in, power_of
from catenet.types.batch import Compact
from catenet.types.ids import Address
from catenet.types.messages import CommittedBlock, ProposalMessage, VoteSet

FUTURE_VOTES_MAX = 4
PROPOSALS_AHEAD_MAX = 64
"""Finding the proposer of a round costs work per round: proposals further ahead are not looked at."""


def on_vote(ctx: Context, peer: Address, vote: Vote) -> None:
    """Take a single vote: G8, only from the validator that signed it. Foreign votes cannot be pushed."""
    if vote.address != peer:
        ctx.penalise(peer, "a single vote of another validator")
        return
    hs = ctx.hs
    if vote.height == hs.height:
        if _fits(hs, vote) and not _known(hs, vote) and _verified(ctx, peer, hs, vote, disconnect=False):
            count(ctx, vote)
    elif vote.height == hs.height + 1:
        _keep_future_vote(ctx, peer, vote)
    elif vote.height == hs.height - 1:
        on_late_vote(ctx, peer, vote)


def _fits(hs: HeightState, vote: Vote) -> bool:
    """Whether a vote can be one of this height: a member's, in its place, for a whole id or nil."""
    members = hs.validators.validators
    return (
        vote.height == hs.height
        and vote.index < len(members)
        and members[vote.index].address == vote.address
        and (vote.is_nil or vote.block_id.is_complete)
        and not vote.extension
    )


def _known(hs: HeightState, vote: Vote) -> bool:
    return hs.votes.held(vote.round, vote.type, vote.index) == vote


def _verified(ctx: Context, peer: Address, hs: HeightState, vote: Vote, *, disconnect: bool) -> bool:
    """Verify a vote, once: what was seen before is not verified again, the rest is on the peer's account."""
    key = hs.validators.validators[vote.index].public_key
    message = hs.sign_bytes(vote)
    if ctx.signatures.knows(key, message, vote.signature):
        return True
    if ctx.peer(peer).verifications.take(1, ctx.now.mono_us):
        return False
    if ctx.signatures(key, message, vote.signature):
        return True
    ctx.penalise(peer, f"a forged vote of {vote.address.hex()}", disconnect=disconnect)
    return False


def count(ctx: Context, vote: Vote) -> None:
    """Count a verified vote of this height; a second, different one accuses its validator (E1)."""
    hs = ctx.hs
    hs.votes.note_round(vote.index, vote.round)
    # G7: of rounds far ahead only the round is kept; those far back are over.
    if not hs.round - ROUNDS_BACK <= vote.round <= hs.round + ROUNDS_AHEAD:
        return
    held = hs.count(vote)
    if held is None:
        # 2.3: a sign of life by whatever way it came: a proposer behind a broken link is not dead.
        ctx.peer(vote.address).heard_us = ctx.now.mono_us
        ctx.remember(vote)
        ctx.fetch.stale = True
    else:
        _accuse(ctx, hs, held, vote)


def _accuse(ctx: Context, hs: HeightState, held: Vote, vote: Vote) -> None:
    """E1: both votes are verified. Those that differ only in time are no evidence in the format."""
    step = (vote.index, vote.round, vote.type)
    if held.block_id == vote.block_id or step in hs.accused:
        return
    hs.accused.add(step)
    if vote.address == ctx.address:
        ctx.notice("key-used-elsewhere", alarm=True, round=vote.round, type=int(vote.type))
    else:
        ctx.out.append(Accuse(vote_a=held, vote_b=vote))


def _keep_future_vote(ctx: Context, peer: Address, vote: Vote) -> None:
    """G7: of the next height the newest four votes of a validator, verified on entry."""
    votes = ctx.future_votes.setdefault(peer, [])
    if vote not in votes:
        votes.append(vote)
        del votes[:-FUTURE_VOTES_MAX]


def on_late_vote(ctx: Context, peer: Address, vote: Vote) -> None:
    """Take a vote of the height before: it may still join the last commit (2.6), or accuse (E1)."""
    hs = ctx.previous
    if hs is None or hs.height != vote.height or not _fits(hs, vote):
        return
    held = hs.votes.held(vote.round, vote.type, vote.index)
    if held is not None and held.block_id != vote.block_id:
        step = (vote.index, vote.round, vote.type)
        if step not in hs.accused and _verified(ctx, peer, hs, vote, disconnect=False):
            _accuse(ctx, hs, held, vote)
        return
    last = ctx.hs.last_commit
    if last is not None and (vote.type, vote.round) == (VoteType.PRECOMMIT, last.round):
        last.park(vote)


def verify_parked(ctx: Context) -> None:
    """Verify late precommits: only who is about to propose needs them (2.6)."""
    last, hs = ctx.hs.last_commit, ctx.previous
    if last is None or hs is None:
        return
    for index, vote in sorted(last.parked.items()):
        if last.votes[index] is None and _verified(ctx, vote.address, hs, vote, disconnect=False):
            last.votes[index] = vote
            ctx.remember(vote)
    last.parked.clear()


def on_vote_set(ctx: Context, peer: Address, votes: Sequence[Vote], *, answer: bool) -> None:
    """G3: take a polka or round certificate from anyone, other votes only as an answer to my Status (G8)."""
    hs = ctx.hs
    if len(votes) > 2 * len(hs.validators):
        ctx.penalise(peer, f"a set of {len(votes)} votes")
        return
    groups: dict[tuple[int, VoteType], dict[int, Vote]] = {}
    for vote in votes:
        if _fits(hs, vote):
            groups.setdefault((vote.round, vote.type), {}).setdefault(vote.index, vote)
    for (_, type), group in groups.items():
        members = list(group.values())
        if not answer and not _is_whole(hs, type, members):
            continue
        good = []
        for vote in members:
            if not _known(hs, vote) and not _verified(ctx, peer, hs, vote, disconnect=True):
                break
            good.append(vote)
        whole = len(good) == len(members)
        for vote in good if answer or whole else ():
            if not _known(hs, vote):
                count(ctx, vote)
        if whole:
            _take_whole(ctx, type, members)


def _is_whole(hs: HeightState, type: VoteType, votes: list[Vote]) -> bool:
    if type is VoteType.PREVOTE:
        return polka_in(votes, hs.validators) is not None
    return hs.validators.two_thirds(power_of(votes, hs.validators))


def _take_whole(ctx: Context, type: VoteType, votes: list[Vote]) -> None:
    """G3: a whole polka or certificate counts even if the first-vote slot of an equivocator differs."""
    hs = ctx.hs
    if type is VoteType.PREVOTE:
        polka = polka_in(votes, hs.validators)
        if polka is not None and hs.set_polka(polka):
            ctx.fetch.stale = True
    elif hs.validators.two_thirds(power_of(votes, hs.validators)):
        take_round_cert(hs, RoundCert(round=votes[0].round, votes=tuple(votes)))


def take_round_cert(hs: HeightState, cert: RoundCert) -> None:
    """Keep the round certificate of the highest round."""
    if hs.round_cert is None or cert.round > hs.round_cert.round:
        hs.round_cert = cert


def on_proposal(ctx: Context, peer: Address, message: ProposalMessage) -> None:
    """G4: take a proposal from anyone; the proposer's signature counts. It carries its polka."""
    hs, signed = ctx.hs, message.signed
    if signed.height == hs.height + 1 and signed.round == 0:
        _keep_future_proposal(ctx, peer, message)
        return
    if signed.height != hs.height or not signed.block_id.is_complete:
        return
    if signed.round < hs.round:
        _take_pol(ctx, peer, message)
        if hs.blocks.get(signed.block_id) is not None:
            offer(ctx, signed.block_id, message.compact, peer)
        return
    if signed.round > hs.round + PROPOSALS_AHEAD_MAX or not _verified_proposal(ctx, peer, message):
        return
    index = hs.validators.index_of(hs.proposer(signed.round).address)
    if index is not None:
        hs.votes.note_round(index, signed.round)
    if signed.round > hs.round + ROUNDS_AHEAD:
        return
    held = hs.proposals.setdefault(signed.round, signed)
    _take_pol(ctx, peer, message)
    if held.block_id == signed.block_id or hs.blocks.get(signed.block_id) is not None:
        offer(ctx, signed.block_id, message.compact, peer)
    hs.blocks.trim(hs.pinned_blocks())


def _keep_future_proposal(ctx: Context, peer: Address, message: ProposalMessage) -> None:
    """G7: one proposal of (h + 1, 0), verified on entry, or at once when its proposer is known already."""
    if ctx.future_proposal is not None:
        return
    if ctx.chain.height == ctx.hs.height:
        key = ctx.chain.next_validators.proposer.public_key
        if not _verified_by(ctx, peer, key, message.signed):
            return
    ctx.future_proposal = (peer, message)


def _take_pol(ctx: Context, peer: Address, message: ProposalMessage) -> None:
    if message.pol is not None:
        on_vote_set(ctx, peer, message.pol.votes, answer=False)


def _verified_proposal(ctx: Context, peer: Address, message: ProposalMessage) -> bool:
    hs, signed = ctx.hs, message.signed
    if hs.proposals.get(signed.round) == signed:
        return True
    return _verified_by(ctx, peer, hs.proposer(signed.round).public_key, signed)


def _verified_by(ctx: Context, peer: Address, key: PublicKey, signed: Proposal) -> bool:
    data = signed.sign_bytes(ctx.hs.chain_id)
    if not ctx.signatures.knows(key, data, signed.signature):
        if ctx.peer(peer).verifications.take(1, ctx.now.mono_us):
            return False
        if not ctx.signatures(key, data, signed.signature):
            ctx.penalise(peer, f"a proposal of round {signed.round} that its proposer did not sign")
            return False
    return True


def offer(ctx: Context, block_id: BlockID, compact: Compact, peer: Address) -> None:
    """Take the content of a block that was named; content that is not its own costs the sender (2.1)."""
    blame(ctx, ctx.hs.blocks.offer(block_id, compact, peer, ctx.now.mono_us))
    ctx.fetch.stale = True


def blame(ctx: Context, fault: Fault | None) -> None:
    """Score the sender of worthless content down."""
    if fault is not None:
        ctx.penalise(fault.peer, fault.reason)
        ctx.fetch.stale = True


def on_committed(ctx: Context, peer: Address, block: CommittedBlock) -> None:
    """G6: take a decided block of this height: the commit is verified as in 2.5, then T9 has the word."""
    hs, commit = ctx.hs, block.commit
    if commit.height != hs.height or commit.block_id in hs.certificates or not commit.block_id.is_complete:
        return
    fault = _commit_fault(hs, block)
    if fault is not None:
        ctx.penalise(peer, fault)
        return
    votes = [commit.vote(i) for i, entry in enumerate(commit.signatures) if entry.flag is not Flag.ABSENT]
    if not all(_verified(ctx, peer, hs, vote, disconnect=True) for vote in votes):
        return
    if hs.certificates:
        ctx.notice("two-commits-for-one-height", alarm=True, round=commit.round)
    hs.certificates[commit.block_id] = commit
    for vote in votes:
        hs.votes.note_round(vote.index, vote.round)
        ctx.remember(vote)
    offer(ctx, commit.block_id, block.compact, peer)


def _commit_fault(hs: HeightState, block: CommittedBlock) -> str | None:
    """Return why a commit proves nothing, signatures aside."""
    commit = block.commit
    if len(commit.signatures) != len(hs.validators):
        return f"a commit of {len(commit.signatures)} entries for {len(hs.validators)} validators"
    try:
        header = Header.decode(block.compact.header)
    except DecodeError as error:
        return f"a committed block whose header does not parse: {error}"
    if header.hash() != commit.block_id.hash:
        return "a committed block that is not the one of its commit"
    present = [i for i, entry in enumerate(commit.signatures) if entry.flag is not Flag.ABSENT]
    if not all(_fits(hs, commit.vote(index)) for index in present):
        return "a commit with an entry in a foreign place"
    if not hs.validators.two_thirds(committed_power(commit, hs.validators, header.time_ns)):
        return "a commit without two thirds of eligible precommits"
    return None


def on_found_compact(ctx: Context, peer: Address, compact: Compact) -> None:
    """G5: take a fetched block by its header's hash, for every id that has it and lacks content."""
    try:
        block_hash = Header.decode(compact.header).hash()
    except DecodeError as error:
        ctx.penalise(peer, f"a fetched block whose header does not parse: {error}")
        return
    for entry in ctx.hs.blocks.with_hash(block_hash):
        if entry.assembled is None and is_stuck(entry.missing_since_us, bool(entry.missing), ctx.now.mono_us):
            # A manifest that names a batch nobody has is replaced by another peer's.
            entry.drop_compact()
        offer(ctx, entry.block_id, compact, peer)


STUCK_US = 1_000_000


def is_stuck(since_us: int, missing: bool, now_us: int) -> bool:
    """Whether a manifest has waited for a batch for a second."""
    return missing and now_us - since_us >= STUCK_US


def take_future(ctx: Context) -> None:
    """G7: verify and count what came for this height before it began."""
    votes, ctx.future_votes = ctx.future_votes, {}
    proposal, ctx.future_proposal = ctx.future_proposal, None
    for peer, kept in votes.items():
        for vote in kept:
            if vote.height == ctx.hs.height:
                on_vote(ctx, peer, vote)
    if proposal is not None and proposal[1].signed.height == ctx.hs.height:
        on_proposal(ctx, *proposal)


def on_vote_set_message(ctx: Context, peer: Address, message: VoteSet) -> None:
    """Take a `VoteSet`; only a peer that I sent Status to, that is a connected one, may answer (G8)."""
    on_vote_set(ctx, peer, message.votes, answer=message.answer and ctx.peer(peer).linked)
