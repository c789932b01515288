"""What a crash must not lose, taken out of the journal again (consensus.md 4, restart steps 3, 4, 6, 7).

Records are sorted by height when the journal is read, and take effect when their height is entered.
"""

from collections.abc import Iterable
from typing import assert_never

from catenet.chain.vote import VoteType
from catenet.core.consensus import signing
from catenet.core.consensus.context import Context, OwnRecords
from catenet.core.consensus.intake import take_round_cert
from catenet.core.consensus.state import HeightState, RoundValue, Step
from catenet.core.consensus.votes import Polka, RoundCert
from catenet.types.effects import Broadcast
from catenet.types.messages import CommittedBlock, VoteMessage
from catenet.types.records import (
    BatchRecord,
    CheckpointRecord,
    CommitRecord,
    EvidenceRecord,
    ExecutedRecord,
    ForkRecord,
    IncarnationRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
)


def read(ctx: Context, records: Iterable[Record]) -> None:
    """Sort the journal's records by height."""
    for record in records:
        match record:
            case VoteRecord(vote=vote):
                _own(ctx, vote.height).votes.append(vote)
                signing.note_signed(ctx, vote)
                ctx.remember(vote)
            case ProposalRecord(proposal=proposal):
                _own(ctx, proposal.signed.height).proposals.append(proposal)
            case PolkaRecord(votes=votes):
                _own(ctx, votes[0].height).polkas.append(record)
            case RoundCertRecord(votes=votes):
                _own(ctx, votes[0].height).certificates.append(record)
            case CommitRecord(height=height, compact=compact, commit=commit):
                ctx.decided[height] = CommittedBlock(compact=compact, commit=commit)
            case RejoinRecord(height=height):
                ctx.gate.rejoin_height = max(ctx.gate.rejoin_height, height)
                ctx.gate.rejoining = None if height else {}
            case (
                BatchRecord()
                | ExecutedRecord()
                | CheckpointRecord()
                | IncarnationRecord()
                | ForkRecord()
                | EvidenceRecord()
            ):
                pass
            case _:
                assert_never(record)
    for height in [h for h in ctx.decided if not ctx.hs.height - 2 <= h < ctx.hs.height]:
        del ctx.decided[height]
    head = ctx.decided.get(ctx.hs.height - 1)
    if head is not None:
        # 2.7 (c): a block that carried something wants a header after it, also across a restart.
        ctx.proof_wanted = bool(head.compact.manifest) or bool(head.compact.evidence)


def _own(ctx: Context, height: int) -> OwnRecords:
    return ctx.own.setdefault(height, OwnRecords())


def apply(ctx: Context) -> None:
    """Give the present height what was recorded of it; forget what was recorded of those below."""
    hs = ctx.hs
    own = ctx.own.get(hs.height)
    for height in [h for h in ctx.own if h <= hs.height]:
        del ctx.own[height]
    if own is None:
        return
    for record in own.certificates:
        take_round_cert(hs, RoundCert(round=record.votes[0].round, votes=record.votes))
    cert_round = -1 if hs.round_cert is None else hs.round_cert.round
    hs.logged_cert_round = cert_round
    hs.round = max(
        [
            0,
            cert_round + 1,
            *[vote.round for vote in own.votes],
            *[message.signed.round for message in own.proposals],
        ]
    )
    _apply_polkas(ctx, hs, own)
    _apply_messages(ctx, hs, own)
    hs.forget_old_rounds()
    if (hs.round, VoteType.PRECOMMIT) in hs.mine:
        hs.step = Step.PRECOMMIT
    elif (hs.round, VoteType.PREVOTE) in hs.mine:
        hs.step = Step.PREVOTE


def _apply_polkas(ctx: Context, hs: HeightState, own: OwnRecords) -> None:
    """Polkas give `valid`: with the block beside them it can be proposed again."""
    for record in own.polkas:
        first = record.votes[0]
        hs.polkas[first.round] = Polka(round=first.round, block_id=first.block_id, votes=record.votes)
        hs.blocks.offer(first.block_id, record.compact, b"", ctx.now.mono_us)
        if first.round > hs.valid_round:
            hs.valid = RoundValue(first.round, first.block_id)
        for vote in record.votes:
            hs.count(vote)


def _apply_messages(ctx: Context, hs: HeightState, own: OwnRecords) -> None:
    """Own votes give the lock; own proposals are never made twice."""
    for vote in own.votes:
        hs.mine[(vote.round, vote.type)] = vote
        signing.count_own(ctx, vote)
        if vote.type is VoteType.PRECOMMIT and not vote.is_nil and vote.round > hs.locked_round:
            hs.locked = RoundValue(vote.round, vote.block_id)
    for message in own.proposals:
        hs.mine_proposals[message.signed.round] = message
        hs.proposals[message.signed.round] = message.signed
        hs.blocks.offer(message.signed.block_id, message.compact, b"", ctx.now.mono_us)
        if message.pol is not None and message.pol.votes:
            first = message.pol.votes[0]
            hs.set_polka(Polka(round=first.round, block_id=first.block_id, votes=message.pol.votes))


def send_again(ctx: Context) -> None:
    """Broadcast the stored messages of this round again, oldest step first (restart step 6)."""
    hs = ctx.hs
    message = hs.mine_proposals.get(hs.round)
    if message is not None:
        ctx.out.append(Broadcast(message=message))
    for type in (VoteType.PREVOTE, VoteType.PRECOMMIT):
        vote = hs.mine.get((hs.round, type))
        if vote is not None and vote.signature:
            ctx.out.append(Broadcast(message=VoteMessage(vote=vote)))
