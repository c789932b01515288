"""The production core, driven exhaustively within small bounds; and broken rules, which must be found."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from catenet.chain.block_id import BlockID
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Proposal, VoteType
from catenet.core.consensus import restore, rules, signing
from catenet.core.consensus.blocks import Verdict
from catenet.core.consensus.context import Context
from catenet.core.consensus.state import HeightState, RoundValue, Step
from catenet.core.consensus.votes import Polka
from catenet.testing.model.alphabet import possible
from catenet.testing.model.automaton import Automaton
from catenet.testing.model.config import ModelConfig, Progress
from catenet.testing.model.explore import Search, explore
from catenet.testing.model.moves import Fact
from catenet.testing.model.scene import Scene

Mutant = Callable[[pytest.MonkeyPatch], None]


def lock_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """T4: the lock does not count against a fresh proposal."""
    answer = rules._answer_to

    def answer_without_lock(hs: HeightState, proposal: Proposal) -> BlockID | None:
        if proposal.pol_round >= 0:
            return answer(hs, proposal)
        locked, hs.locked = hs.locked, None
        try:
            return answer(hs, proposal)
        finally:
            hs.locked = locked

    patch.setattr(rules, "_answer_to", answer_without_lock)


def polka_of_a_proposal_is_believed(patch: pytest.MonkeyPatch) -> None:
    """T4: a pol_round is taken at its word."""
    answer = rules._answer_to

    def answer_without_polka(hs: HeightState, proposal: Proposal) -> BlockID | None:
        claimed = Polka(round=proposal.pol_round, block_id=proposal.block_id, votes=())
        known, hs.polkas = hs.polkas, {**hs.polkas, proposal.pol_round: claimed}
        try:
            return answer(hs, proposal)
        finally:
            hs.polkas = known

    patch.setattr(rules, "_answer_to", answer_without_polka)


def half_is_a_quorum(patch: pytest.MonkeyPatch) -> None:
    """Quorums: half of the power instead of more than two thirds."""
    patch.setattr(ValidatorSet, "two_thirds", lambda self, power: 2 * power >= self.total_power)


def verdict_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    """T4: a block that breaks a rule is prevoted."""
    answer = rules._answer_to

    def answer_anything(hs: HeightState, proposal: Proposal) -> BlockID | None:
        entry = hs.blocks.get(proposal.block_id)
        if entry is not None and entry.verdict is Verdict.INVALID:
            return proposal.block_id
        return answer(hs, proposal)

    patch.setattr(rules, "_answer_to", answer_anything)


def late_polka_is_precommitted(patch: pytest.MonkeyPatch) -> None:
    """T6: who has precommitted already locks and precommits again."""
    lock = rules.lock

    def lock_always(ctx: Context) -> bool:
        if not lock(ctx):
            return False
        hs = ctx.hs
        polka = hs.polkas[hs.round]
        key = (hs.round, VoteType.PRECOMMIT)
        if hs.mine.get(key) is not None and hs.mine[key].block_id != polka.block_id:
            hs.locked = RoundValue(hs.round, polka.block_id)
            del hs.mine[key]
            signing.cast(ctx, VoteType.PRECOMMIT, polka.block_id)
        return True

    patch.setattr(rules, "RULES", tuple(lock_always if rule is lock else rule for rule in rules.RULES))


def precommit_on_any_prevotes(patch: pytest.MonkeyPatch) -> None:
    """T6: two thirds of prevotes for whatever are taken for a polka of the proposal."""

    def lock_early(ctx: Context) -> bool:
        hs = ctx.hs
        proposal = hs.proposals.get(hs.round)
        if hs.step is not Step.PREVOTE or proposal is None:
            return False
        if not hs.votes.two_any(hs.round, VoteType.PREVOTE):
            return False
        hs.step = Step.PRECOMMIT
        signing.cast(ctx, VoteType.PRECOMMIT, proposal.block_id)
        return True

    patch.setattr(rules, "RULES", tuple(lock_early if rule is rules.lock else rule for rule in rules.RULES))


def one_is_a_third(patch: pytest.MonkeyPatch) -> None:
    """T10: a single validator pulls everybody into its round."""
    patch.setattr(ValidatorSet, "third", lambda self, power: power > 0)


def lock_is_not_restored(patch: pytest.MonkeyPatch) -> None:
    """Restart: the lock of own precommits is forgotten."""
    apply = restore.apply

    def apply_without_lock(ctx: Context) -> None:
        apply(ctx)
        ctx.hs.locked = None

    patch.setattr(restore, "apply", apply_without_lock)


FORK = "agreement"
FRESH = "a lock is left for a newer polka only"
TWICE = "one signature a step"
POLKA = "a precommit has a polka"
BLAMED = "no honest validator halts, is refused or is blamed"

MUTANTS: tuple[tuple[Mutant, ModelConfig, str], ...] = (
    (lock_is_ignored, ModelConfig(values=1), FRESH),
    (polka_of_a_proposal_is_believed, ModelConfig(values=1, traitor=1), FRESH),
    (half_is_a_quorum, ModelConfig(rounds=1), POLKA),
    (half_is_a_quorum, ModelConfig(rounds=1, only=FORK), FORK),
    (lock_is_ignored, ModelConfig(values=1, only=FORK), FORK),
    (verdict_is_not_asked, ModelConfig(rounds=1), "validity"),
    (late_polka_is_precommitted, ModelConfig(rounds=1), BLAMED),
    (precommit_on_any_prevotes, ModelConfig(rounds=1), POLKA),
    (one_is_a_third, ModelConfig(values=1), "a round follows precommits of the one before"),
    (lock_is_not_restored, ModelConfig(values=1, crashes=1), FRESH),
)


@pytest.mark.slow
@pytest.mark.parametrize("turn", [0, 1])
def test_every_schedule_of_one_round_keeps_the_invariants_and_comes_to_an_end(turn: int) -> None:
    found = explore(ModelConfig(rounds=1, traitor=turn, completions=20))
    assert not found.violations, str(found.violations[0])
    assert found.complete
    assert found.states > 200
    assert found.completions == 20
    assert found.decided_rounds == (0,)


@pytest.mark.slow
def test_from_signature_to_signature_nothing_is_missed() -> None:
    config = ModelConfig(rounds=1, completions=0)
    by_turns, by_moves = Search(config), Search(replace(config, every_move=True))
    fewer, more = by_turns.run(), by_moves.run()
    assert fewer.complete
    assert more.complete
    assert more.states > fewer.states
    assert by_moves.signings() == by_turns.signings()


@pytest.mark.slow
def test_votes_in_groups_do_all_that_single_votes_do() -> None:
    """One validator is shown what the others sign, a piece at a time, in all ways that the model knows."""
    config = ModelConfig(rounds=1, values=1, completions=0)
    search = Search(config)
    search.run()
    grouped = Automaton(Scene(config), turn=1)
    single = Automaton(Scene(replace(config, single_votes=True)), turn=1)
    growths = {growth_of_others(search, state): None for state in search.visited()}
    whole = [
        one for one in growths if not any(one == other[: len(one)] and one != other for other in growths)
    ]
    assert len(whole) >= 30
    known: tuple[dict[Growth, frozenset[int]], ...] = ({}, {})
    for growth in whole[::6]:
        assert signed_by(grouped, growth, known[0]) == signed_by(single, growth, known[1])
    assert len(single.views) > 5 * len(grouped.views)


Facts = frozenset[Fact]
Growth = tuple[tuple[Facts, ...], ...]


def growth_of_others(search: Search, state: tuple[int, ...]) -> Growth:
    """Return what all but the first validator had signed, step by step, on the way to a state."""
    growth = [tuple([Facts() for _ in state[1:]])]
    for visited in search.way(state):
        signed = tuple([view.facts for view in search.views(visited)[1:]])
        if signed != growth[-1]:
            growth.append(signed)
    return tuple(growth)


def signed_by(automaton: Automaton, growth: Growth, known: dict[Growth, frozenset[int]]) -> list[set[object]]:
    """Return all that a validator could have signed and decided, after each step of the others."""
    reached = frozenset({0})
    found: list[set[object]] = []
    for step in range(len(growth)):
        so_far = growth[: step + 1]
        if so_far not in known:
            known[so_far] = closure(automaton, reached, growth[step])
        reached = known[so_far]
        views = [automaton.views[state] for state in reached]
        found.append({(view.facts, view.decided) for view in views})
    return found


def closure(automaton: Automaton, start: frozenset[int], others: tuple[Facts, ...]) -> frozenset[int]:
    """Return the states that a validator can come to by itself."""
    signed = Facts().union(*others)
    reached, waiting = set(start), list(start)
    while waiting:
        state = waiting.pop()
        for move in possible(automaton.scene, automaton.views[state], others):
            target = automaton.step(state, move, signed)
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return frozenset(reached)


@pytest.mark.slow
def test_every_schedule_of_two_rounds_keeps_the_invariants_and_comes_to_an_end() -> None:
    """The traitor votes only: the proposers of both rounds are honest."""
    found = explore(ModelConfig(traitor=3, completions=20))
    assert not found.violations, str(found.violations[0])
    assert found.complete
    assert found.states > 50_000
    assert found.completions == 20
    assert found.decided_rounds == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("turn", [0, 1])
def test_two_rounds_with_a_byzantine_proposer_begin_without_a_breach(turn: int) -> None:
    """All of them take minutes: `.ci/run` visits them with `catenet simulate model --traitor`."""
    found = explore(ModelConfig(traitor=turn, values=1, completions=10, budget=5_000))
    assert not found.violations, str(found.violations[0])
    assert found.completions == 10


@pytest.mark.slow
@pytest.mark.parametrize("turn", [0, 1])
def test_two_crashes_at_any_record_boundary_of_one_round(turn: int) -> None:
    found = explore(ModelConfig(rounds=1, values=1, traitor=turn, crashes=2, completions=10))
    assert not found.violations, str(found.violations[0])
    assert found.complete


@pytest.mark.slow
@pytest.mark.parametrize(("mutant", "config", "invariant"), MUTANTS, ids=[m.__name__ for m, _, _ in MUTANTS])
def test_a_broken_rule_is_found_with_the_way_there(
    mutant: Mutant, config: ModelConfig, invariant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    found = explore(config)
    assert [breach.invariant for breach in found.violations] == [invariant]
    print(found.violations[0])
    assert "->" in found.violations[0].path[-1]


def test_a_budget_ends_the_search_and_says_so() -> None:
    seen: list[Progress] = []
    found = explore(ModelConfig(values=1, budget=100, completions=0), seen.append)
    assert not found.complete
    assert 100 <= found.states < 200
