"""Planted faults of the rules that keep two blocks from being decided at one height."""

from collections.abc import Sequence

from catenet.chain import state as chain_state
from catenet.chain.commit import BlockID, Commit
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus import intake, rules, signing, votes
from catenet.core.consensus.context import Context
from catenet.core.consensus.state import HeightState, Step
from catenet.core.consensus.votes import Polka, VoteBook
from catenet.testing.mutants.bend import Bend, without
from catenet.testing.mutants.mutant import Kind, Mutant


def half_is_a_quorum(bend: Bend) -> None:
    """Half of the power is a quorum, instead of more than two thirds."""
    bend.set(ValidatorSet, "two_thirds", lambda self, power: 2 * power >= self.total_power)


def _answer_without_lock(bend: Bend, *, fresh: bool) -> None:
    answer = rules._answer_to

    def double(hs: HeightState, proposal: Proposal) -> BlockID | None:
        if (proposal.pol_round == -1) is not fresh:
            return answer(hs, proposal)
        with without(hs, "locked"):
            return answer(hs, proposal)

    bend.set(rules, "_answer_to", double)


def lock_ignored_for_fresh_blocks(bend: Bend) -> None:
    """T4 prevotes a fresh block although another one is locked."""
    _answer_without_lock(bend, fresh=True)


def lock_ignored_for_reproposals(bend: Bend) -> None:
    """T4 follows a polka older than the lock."""
    _answer_without_lock(bend, fresh=False)


def polka_not_needed(bend: Bend) -> None:
    """T4 believes a proposal that names a round of a polka, without having the polka."""
    answer = rules._answer_to

    def double(hs: HeightState, proposal: Proposal) -> BlockID | None:
        round, block_id = proposal.pol_round, proposal.block_id
        known = hs.polkas.get(round)
        if not 0 <= round < hs.round or (known is not None and known.block_id == block_id):
            return answer(hs, proposal)
        hs.polkas[round] = Polka(round=round, block_id=block_id, votes=())
        try:
            return answer(hs, proposal)
        finally:
            if known is None:
                del hs.polkas[round]
            else:
                hs.polkas[round] = known

    bend.set(rules, "_answer_to", double)


def _vote_anew(ctx: Context, type: VoteType, block_id: BlockID) -> None:
    """Vote in a step in which there was a vote already."""
    ctx.hs.mine.pop((ctx.hs.round, type), None)
    signing.cast(ctx, type, block_id)


def precommit_after_precommit(bend: Bend) -> None:
    """T6 locks and precommits although this round was precommitted already."""
    lock = rules.lock

    def double(ctx: Context) -> bool:
        hs, before = ctx.hs, ctx.hs.step
        acted = lock(ctx)
        mine = hs.mine.get((hs.round, VoteType.PRECOMMIT))
        if acted and before is Step.PRECOMMIT and mine is not None and mine.is_nil:
            _vote_anew(ctx, VoteType.PRECOMMIT, hs.polkas[hs.round].block_id)
        return acted

    _replace_rule(bend, lock, double)


def precommit_on_any_prevotes(bend: Bend) -> None:
    """T5 precommits the proposed block on two thirds of prevotes for anything."""
    wait = rules.wait_for_prevotes

    def double(ctx: Context) -> bool:
        hs = ctx.hs
        proposal = hs.proposals.get(hs.round)
        if hs.step is Step.PREVOTE and proposal and hs.votes.two_any(hs.round, VoteType.PREVOTE):
            hs.step = Step.PRECOMMIT
            signing.cast(ctx, VoteType.PRECOMMIT, proposal.block_id)
            return True
        return wait(ctx)

    _replace_rule(bend, wait, double)


def prevote_twice(bend: Bend) -> None:
    """T4 prevotes a block that comes after the prevote for nil."""
    prevote = rules.prevote

    def double(ctx: Context) -> bool:
        hs = ctx.hs
        proposal, mine = hs.proposals.get(hs.round), hs.mine.get((hs.round, VoteType.PREVOTE))
        if hs.step is Step.PREVOTE and hs.ready and proposal and mine and mine.is_nil:
            choice = rules._answer_to(hs, proposal)
            if choice is not None and not choice.is_nil:
                _vote_anew(ctx, VoteType.PREVOTE, choice)
                return True
        return prevote(ctx)

    _replace_rule(bend, prevote, double)


def second_votes_count(bend: Bend) -> None:
    """A second, different vote of one validator in one step is counted as well."""
    add = VoteBook.add

    def double(self: VoteBook, vote: Vote) -> Vote | None:
        held = add(self, vote)
        if held is None or held == vote:
            return held
        of = self.of(vote.round, vote.type)
        assert of is not None
        power = self._validators.validators[vote.index].power
        of.power += power
        of.power_of[vote.block_id] = total = of.power_of.get(vote.block_id, 0) + power
        if of.quorum is None and self._validators.two_thirds(total):
            of.quorum = vote.block_id
            if vote.type is VoteType.PRECOMMIT and not vote.is_nil:
                self.precommit_quorums[vote.round] = vote.block_id
        return held

    bend.set(VoteBook, "add", double)


def old_precommits_count(bend: Bend) -> None:
    """T9 counts precommits whose time is not above the block's."""

    def power(commit: Commit, validators: ValidatorSet, block_time_ns: int) -> int:
        return committed(commit, validators, -(1 << 62))

    committed = votes.committed_power
    bend.set(votes, "eligible", lambda vote, *, block_id, block_time_ns: vote.block_id == block_id)
    bend.set(rules, "committed_power", power)
    bend.set(intake, "committed_power", power)


def header_time_unchecked(bend: Bend) -> None:
    """A block may have any time (consensus.md 2.4)."""
    bend.set(chain_state, "_check_time", lambda *args, **kwargs: None)


def _replace_rule(bend: Bend, rule: rules.Rule, double: rules.Rule) -> None:
    bend.set(rules, "RULES", tuple([double if each is rule else each for each in rules.RULES]))


SAFETY: Sequence[Mutant] = [
    Mutant(name=bend.__name__.replace("_", "-"), kind=Kind.SAFETY, rule=rule, bend=bend)
    for rule, bend in (
        ("quorum", half_is_a_quorum),
        ("T4", lock_ignored_for_fresh_blocks),
        ("T4", lock_ignored_for_reproposals),
        ("T4", polka_not_needed),
        ("T6", precommit_after_precommit),
        ("T5, T6", precommit_on_any_prevotes),
        ("T4", prevote_twice),
        ("E1", second_votes_count),
        ("T9", old_precommits_count),
        ("2.4", header_time_unchecked),
    )
]
