"""The rules T1 to T13 (consensus.md 2.2), each a predicate over the state with what follows from it.

A rule returns whether it acted. After every event all are tried in order until none applies: T9, T10, then
the rest. So a rule fires when its state is reached, whichever message came last. (Lnn) is a line of
Algorithm 1 in the Tendermint paper, arXiv 1807.04938. T3 is in `proposing`.
"""

from collections.abc import Callable, Iterator

from catenet.chain.commit import NIL, BlockID, Commit
from catenet.chain.vote import Proposal, VoteType
from catenet.core.consensus import due, heights, intake, liveness, proposing, signing, timers
from catenet.core.consensus.blocks import BlockEntry, Verdict
from catenet.core.consensus.context import Context
from catenet.core.consensus.io import CheckBlock
from catenet.core.consensus.state import HeightState, RoundValue, Step
from catenet.core.consensus.votes import Polka, RoundCert, commit_of, committed_power
from catenet.types.effects import Append
from catenet.types.events import TimerKey
from catenet.types.records import PolkaRecord, RoundCertRecord

Rule = Callable[[Context], bool]


def settle(ctx: Context) -> None:
    """Try the rules in order, from the first again after each that acted, until none applies."""
    acted = True
    while acted and ctx.active:
        acted = False
        for rule in RULES:
            if rule(ctx):
                acted = True
                break


def start_round(ctx: Context, round: int) -> None:
    """T1 START (L11): begin a round above the present one."""
    hs = ctx.hs
    hs.round, hs.step = round, Step.PROPOSE
    hs.forget_old_rounds()
    if hs.round_cert is not None and hs.round_cert.round > hs.logged_cert_round:
        # A restarted node must be able to pull the others into its round.
        hs.logged_cert_round = hs.round_cert.round
        ctx.out.append(Append(record=RoundCertRecord(votes=hs.round_cert.votes)))
    liveness.broadcast_status(ctx)
    ctx.fetch.stale = True


def decide(ctx: Context) -> bool:
    """T9 DECIDE (L49): in any round, two thirds of eligible precommits for a block that is here."""
    hs = ctx.hs
    if not hs.ready or not (hs.certificates or hs.votes.precommit_quorums):
        return False
    for entry, commit in _decisions(hs):
        if commit is None or entry.assembled is None or entry.compact is None:
            continue
        entry.judge_header(ctx.check)
        if not entry.header_judged:
            continue
        if entry.header_fault is not None:
            # The application's opinion is not asked, but a broken header rule is a broken assumption.
            ctx.halt(
                f"two thirds signed block {entry.block_id.hash.hex()} of height {hs.height}, "
                f"which breaks a rule: {entry.header_fault}"
            )
            return True
        heights.decide(ctx, entry, commit)
        return True
    return False


def _decisions(hs: HeightState) -> list[tuple[BlockEntry, Commit | None]]:
    """Return the blocks with two thirds of precommits, and the commit when enough of them are eligible."""
    found: list[tuple[BlockEntry, Commit | None]] = []
    for block_id, commit in hs.certificates.items():
        found.append((hs.blocks.name(block_id), commit))
    for round, block_id in sorted(hs.votes.precommit_quorums.items()):
        entry = hs.blocks.name(block_id)
        votes = hs.votes.of(round, VoteType.PRECOMMIT)
        if entry.header is None or votes is None:
            found.append((entry, None))
            continue
        time_ns = entry.header.time_ns
        made = commit_of(
            votes.by_index, height=hs.height, round=round, block_id=block_id, block_time_ns=time_ns
        )
        decides = hs.validators.two_thirds(committed_power(made, hs.validators, time_ns))
        found.append((entry, made if decides else None))
    return found


def skip(ctx: Context) -> bool:
    """T10 SKIP (L55): a third is in a higher round, so somebody honest is.

    A round certificate (G3) needs no rule of its own: whoever signed it was in its round, and T8 takes it up.
    """
    round = ctx.hs.votes.skip_round(ctx.hs.round)
    if round is None:
        return False
    start_round(ctx, round)
    return True


def enter(ctx: Context) -> bool:
    """T2 ENTER (L14-21): once per round, when a block may be proposed and there is a reason for one."""
    hs = ctx.hs
    if hs.entered_round >= hs.round or hs.step is not Step.PROPOSE or not hs.ready or ctx.gate.waiting:
        return False
    if not hs.due and hs.round == 0:
        return False
    hs.entered_round = hs.round
    ctx.set_timer(timers.key(timers.PROPOSE, hs.height, hs.round), _propose_us(ctx))
    return True


def _propose_us(ctx: Context) -> int:
    """Return the time to wait for a proposal; short when the proposer is known to be gone (2.3)."""
    hs, config = ctx.hs, ctx.config
    proposer = hs.proposer(hs.round).address
    if config.dead_proposer_shortcut and hs.round <= 1 and proposer != ctx.address:
        # From round 2 on never: it must not starve a hidden lock.
        peer = ctx.peers.get(proposer)
        heard_us = ctx.gate.started_us if peer is None or peer.heard_us is None else peer.heard_us
        gone = peer is None or not peer.linked
        if gone and ctx.now.mono_us - heard_us >= timers.DEAD_AFTER_US:
            return min(timers.DEAD_PROPOSER_US, config.propose_us)
    return _round_us(ctx, config.propose_us)


def _round_us(ctx: Context, base_us: int) -> int:
    return timers.duration_us(base_us, round=ctx.hs.round, level=ctx.level, cap_us=ctx.config.round_cap_us)


def judge(ctx: Context) -> bool:
    """Judge what T4 and T6 will ask about: header rules first, then the application, once per id (2.1)."""
    hs = ctx.hs
    if not hs.ready:
        return False
    acted = False
    for entry in _in_question(hs):
        if entry is None or entry.assembled is None or entry.asked:
            continue
        if not entry.header_judged:
            entry.judge_header(ctx.check)
            acted = entry.header_judged
        if entry.header_judged and entry.header_fault is None:
            entry.asked = acted = True
            hash = entry.block_id.hash
            ctx.out.append(CheckBlock(height=hs.height, block_hash=hash, assembled=entry.assembled))
    return acted


def _in_question(hs: HeightState) -> Iterator[BlockEntry | None]:
    proposal = hs.proposals.get(hs.round)
    if proposal is not None:
        yield hs.blocks.get(proposal.block_id)
    for round, polka in hs.polkas.items():
        if hs.valid_round < round <= hs.round and not polka.block_id.is_nil:
            yield hs.blocks.get(polka.block_id)


def prevote(ctx: Context) -> bool:
    """T4 PREVOTE (L22-33): the answer to this round's proposal, as soon as there is one."""
    hs = ctx.hs
    proposal = hs.proposals.get(hs.round)
    if hs.step is not Step.PROPOSE or not hs.ready or proposal is None:
        return False
    choice = _answer_to(hs, proposal)
    if choice is None:
        return False
    hs.step = Step.PREVOTE
    signing.cast(ctx, VoteType.PREVOTE, choice)
    return True


def _answer_to(hs: HeightState, proposal: Proposal) -> BlockID | None:
    """T4: return the id to prevote, NIL, or None to wait."""
    block_id, pol_round = proposal.block_id, proposal.pol_round
    if not -1 <= pol_round < hs.round:
        return NIL
    other_lock = hs.locked is not None and hs.locked.block_id != block_id
    entry = hs.blocks.get(block_id)
    verdict = Verdict.PENDING if entry is None else entry.verdict
    if pol_round == -1:
        if other_lock or (entry is not None and _foreign(hs, entry)):
            return NIL
    else:
        polka = hs.polkas.get(pol_round)
        if polka is None or polka.block_id != block_id:
            return None
        if other_lock and hs.locked_round > pol_round:
            return NIL
    if verdict is Verdict.PENDING:
        return None
    return block_id if verdict is Verdict.VALID else NIL


def _foreign(hs: HeightState, entry: BlockEntry) -> bool:
    """T4: whether a fresh block names another proposer than this round's."""
    proposer = hs.proposer(hs.round).address
    return entry.header is not None and entry.header.proposer_address != proposer


def wait_for_prevotes(ctx: Context) -> bool:
    """T5 (L34): two thirds prevoted, but not for one thing: wait a little for the rest."""
    hs = ctx.hs
    if hs.step is not Step.PREVOTE or hs.prevote_timer_round >= hs.round:
        return False
    if not hs.votes.two_any(hs.round, VoteType.PREVOTE):
        return False
    hs.prevote_timer_round = hs.round
    ctx.set_timer(timers.key(timers.PREVOTE, hs.height, hs.round), _round_us(ctx, ctx.config.prevote_us))
    return True


def lock(ctx: Context) -> bool:
    """T6 LOCK (L36-43): a polka of this round for a valid block; who has not precommitted yet locks on it."""
    hs = ctx.hs
    polka = hs.polkas.get(hs.round)
    if polka is None or hs.step < Step.PREVOTE or hs.polka_round >= hs.round or not _make_valid(ctx, polka):
        return False
    hs.polka_round = hs.round
    if hs.step is Step.PREVOTE:
        hs.locked = RoundValue(hs.round, polka.block_id)
        hs.step = Step.PRECOMMIT
        signing.cast(ctx, VoteType.PRECOMMIT, polka.block_id)
    return True


def learn(ctx: Context) -> bool:
    """T6b LEARN: a polka of an earlier round makes its block the valid value; never locks, never votes."""
    hs = ctx.hs
    for round in sorted(hs.polkas):
        if hs.valid_round < round < hs.round and _make_valid(ctx, hs.polkas[round]):
            return True
    return False


def _make_valid(ctx: Context, polka: Polka) -> bool:
    """Take a polka's block as the valid value when its verdict allows, and record both."""
    hs = ctx.hs
    entry = hs.blocks.get(polka.block_id)
    if polka.block_id.is_nil or entry is None or entry.compact is None or entry.verdict is not Verdict.VALID:
        return False
    hs.valid = RoundValue(polka.round, polka.block_id)
    ctx.out.append(Append(record=PolkaRecord(votes=polka.votes, compact=entry.compact)))
    return True


def precommit_nil(ctx: Context) -> bool:
    """T7 (L44): a polka for nil."""
    hs = ctx.hs
    polka = hs.polkas.get(hs.round)
    if hs.step is not Step.PREVOTE or polka is None or not polka.block_id.is_nil:
        return False
    hs.step = Step.PRECOMMIT
    signing.cast(ctx, VoteType.PRECOMMIT, NIL)
    return True


def wait_for_precommits(ctx: Context) -> bool:
    """T8 (L47): two thirds precommitted, whatever for and whatever my step: the round ends soon."""
    hs = ctx.hs
    if hs.precommit_timer_round >= hs.round:
        return False
    votes = hs.votes.of(hs.round, VoteType.PRECOMMIT)
    if votes is not None and hs.validators.two_thirds(votes.power):
        intake.take_round_cert(hs, RoundCert(round=hs.round, votes=votes.present()))
    if hs.round_cert is None or hs.round_cert.round != hs.round:
        return False
    hs.precommit_timer_round = hs.round
    delay_us = _round_us(ctx, ctx.config.precommit_us)
    ctx.set_timer(timers.key(timers.PRECOMMIT, hs.height, hs.round), delay_us)
    return True


def on_round_timer(ctx: Context, key: TimerKey) -> None:
    """T11, T12, T13: the end of a timer of this round; those of rounds that are over mean nothing."""
    hs = ctx.hs
    if (key.height, key.round) != (hs.height, hs.round):
        return
    if key.name == timers.PROPOSE and hs.step is Step.PROPOSE:
        # T11 (L57)
        hs.step = Step.PREVOTE
        signing.cast(ctx, VoteType.PREVOTE, NIL)
    elif key.name == timers.PREVOTE and hs.step is Step.PREVOTE:
        # T12 (L61)
        hs.step = Step.PRECOMMIT
        signing.cast(ctx, VoteType.PRECOMMIT, NIL)
    elif key.name == timers.PRECOMMIT:
        # T13 (L65): never earlier, also after two thirds of nil: leaving at once can leave a polka behind.
        start_round(ctx, hs.round + 1)


RULES: tuple[Rule, ...] = (
    decide,
    skip,
    due.heard,
    enter,
    proposing.propose,
    judge,
    prevote,
    lock,
    learn,
    precommit_nil,
    # After T6 and T7: with a polka there is nothing to wait for.
    wait_for_prevotes,
    wait_for_precommits,
)
"""In the order in which they are tried."""
