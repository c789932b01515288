"""The simulator can fail: one rule is broken at a time, and a few schedules are enough to notice."""

from collections.abc import Callable, Sequence

import pytest

from catenet.chain.commit import BlockID
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Proposal
from catenet.core.consensus import liveness, restore, rules
from catenet.core.consensus.context import Context
from catenet.core.consensus.state import HeightState
from catenet.core.consensus.votes import Polka
from catenet.node.outbox import Outbox
from catenet.testing.simulator.config import SimulationConfig, Violation
from catenet.testing.simulator.run import run
from catenet.types.effects import Effect
from catenet.types.ids import Address

STORM = SimulationConfig(
    loss=0.25,
    duplication=0.1,
    delay_us=60_000,
    delay_tail_us=3_000_000,
    partition_every_us=2_000_000,
    crashes=2,
    aimed_crashes=6,
    lock_crashes=2,
    submissions=30,
)
SEEDS = 40

Mutant = Callable[[pytest.MonkeyPatch], None]


def effects_before_fsync(patch: pytest.MonkeyPatch) -> None:
    """The law of durability: what was held back leaves at once."""
    waits = Outbox.end_turn

    def end_turn(self: Outbox) -> None:
        turn: Sequence[Effect] = self._turn
        self._turn = []
        waits(self)
        assert self._release is not None
        self._release(turn)

    patch.setattr(Outbox, "end_turn", end_turn)


def half_is_a_quorum(patch: pytest.MonkeyPatch) -> None:
    """Quorums: half of the power instead of more than two thirds."""
    patch.setattr(ValidatorSet, "two_thirds", lambda self, power: 2 * power >= self.total_power)


def lock_is_ignored(patch: pytest.MonkeyPatch) -> None:
    """T4: the lock does not count."""
    answer = rules._answer_to

    def answer_without_lock(hs: HeightState, proposal: Proposal) -> BlockID | None:
        locked, hs.locked = hs.locked, None
        try:
            return answer(hs, proposal)
        finally:
            hs.locked = locked

    patch.setattr(rules, "_answer_to", answer_without_lock)


def lock_is_not_restored(patch: pytest.MonkeyPatch) -> None:
    """Restart: the lock of own precommits is forgotten."""
    apply = restore.apply

    def apply_without_lock(ctx: Context) -> None:
        apply(ctx)
        ctx.hs.locked = None

    patch.setattr(restore, "apply", apply_without_lock)


def polka_is_not_logged(patch: pytest.MonkeyPatch) -> None:
    """T6: no record of the polka behind a lock."""
    make_valid = rules._make_valid

    def make_valid_only(ctx: Context, polka: Polka) -> bool:
        count = len(ctx.out)
        made = make_valid(ctx, polka)
        del ctx.out[count:]
        return made

    patch.setattr(rules, "_make_valid", make_valid_only)


def status_is_never_sent(patch: pytest.MonkeyPatch) -> None:
    """G1: what was lost is never asked for."""

    def send_nothing(ctx: Context, peer: Address = b"") -> None:
        return None

    patch.setattr(liveness, "broadcast_status", send_nothing)
    patch.setattr(liveness, "send_status", send_nothing)


MUTANTS: Sequence[Mutant] = (
    effects_before_fsync,
    half_is_a_quorum,
    lock_is_ignored,
    lock_is_not_restored,
    polka_is_not_logged,
    status_is_never_sent,
)


def run_all(seeds: int) -> None:
    """Run schedules until one is violated."""
    for seed in range(seeds):
        assert min(run(seed, STORM).heights) >= STORM.heights


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_rule_is_noticed(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    with pytest.raises(Violation):
        run_all(SEEDS)


@pytest.mark.slow
def test_the_same_storms_end_well_when_nothing_is_broken() -> None:
    run_all(10)
