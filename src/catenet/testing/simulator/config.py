"""What a schedule is made of, and what a run reports. Plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from catenet.core.config import CoreConfig
from catenet.core.consensus.io import ConsensusConfig
from catenet.types.errors import InvalidInput


class Violation(AssertionError):
    """An invariant does not hold: the seed in the text replays the run."""


class Stall(Violation):
    """Somebody made no progress although nothing hinders it any more, or a promise was not kept in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationConfig:
    """One kind of schedule: chaos until `chaos_us`, then calm, in which everybody must gain heights."""

    validators: int = 4
    powers: tuple[int, ...] = ()
    """One per validator; empty: 10 each. With 0 it joins later, with an empty home."""
    chaos_us: int = 15_000_000
    calm_us: int = 30_000_000
    """After chaos: every node must reach the goal within this time."""
    heights: int = 3
    """How many heights every node must gain after chaos."""
    loss: float = 0.1
    """Of frames, while there is chaos."""
    duplication: float = 0.05
    delay_us: int = 5_000
    """Typical one-way delay."""
    delay_tail_us: int = 2_000_000
    """One frame in sixteen is late by up to this, while there is chaos."""
    partition_every_us: int = 3_000_000
    """Mean time between changes of partition, while there is chaos; 0: none."""
    broken_links: int = 0
    """Pairs that never hear each other; the others stay connected through node 0."""
    crashes: int = 2
    """Planned crashes while there is chaos, at any moment."""
    aimed_crashes: int = 2
    """Crashes right after a signature, before it is on disk."""
    lock_crashes: int = 0
    """Crashes of all nodes, each within a few fsyncs of the first lock of a height."""
    total_crash: bool = False
    """One crash of all nodes at once."""
    down_us: int = 2_000_000
    """How long a crashed node stays down at most, while there is chaos."""
    disk_failures: int = 0
    """How often one machine's disk refuses a write; its node stops and is started again."""
    lost_journals: int = 0
    """How often the same machine loses its journal in a crash; the guard's file stays."""
    restored_backups: int = 0
    """How often the same machine's home is replaced by an old copy of itself."""
    fsync_us: int = 2_000
    execute_us: int = 1_000
    """One call of the application."""
    propose_us: int = 1_000_000
    """How long every node waits for a proposal; for the rest of the votes a quarter of it."""
    status_us: int = 500_000
    """Time between two Status of a node while there is work."""
    clock_skew_us: int = 200_000
    """Clocks differ by up to this."""
    clock_drift_ppm: int = 0
    """Clocks run faster or slower by up to this."""
    clock_steps: int = 0
    """How often an honest node's wall clock is set, by up to an hour either way."""
    rejections: float = 0.0
    """How often one honest node's application answers ProcessProposal by chance, while there is chaos."""
    submissions: int = 40
    """Submissions of clients while there is chaos, one to five transactions each."""
    power_changes: float = 0.0
    """How often a submission also changes a validator's power."""
    traitors: tuple[str, ...] = ()
    """Names out of `catenet.testing.traitors.TRAITORS`; who they are is chosen, never node 0."""
    events_max: int = 400_000
    """More events than this are a run without end."""

    @property
    def core(self) -> CoreConfig:
        """The settings of every node."""
        votes_us = self.propose_us // 4
        return CoreConfig(
            consensus=ConsensusConfig(
                propose_us=self.propose_us,
                prevote_us=votes_us,
                precommit_us=votes_us,
                resend_us=self.status_us,
            )
        )


DEFAULTS: Mapping[str, object] = {
    each.name: getattr(SimulationConfig(), each.name) for each in fields(SimulationConfig)
}


def describe(config: SimulationConfig) -> str:
    """Return what a schedule has that is not the default."""
    return ", ".join(
        [
            f"{name}={getattr(config, name)}"
            for name, usual in DEFAULTS.items()
            if getattr(config, name) != usual
        ]
    )


def with_changes(config: SimulationConfig, changes: Mapping[str, object]) -> SimulationConfig:
    """Return a configuration with some fields changed; raises `InvalidInput` for what does not fit."""
    for name, value in changes.items():
        if name not in DEFAULTS:
            raise InvalidInput(f"a schedule has no {name!r}")
        if type(value) is not type(DEFAULTS[name]):
            raise InvalidInput(f"{name} of a schedule cannot be {value!r}")
    return replace(config, **changes)  # type: ignore[arg-type]  # each was compared with its field


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a run came to."""

    seed: int
    events: int
    heights: tuple[int, ...]
    """Final height of each honest node."""
    rounds_max: int
    """Highest round in which a block was decided."""
    submitted: int
    replicated: int
    """Transactions that were promised to be kept."""
    committed: int
    """Transactions on the chain."""
    crashes: int
    virtual_us: int
    recovery_us: int
    """From the end of chaos until every node had gained its heights."""
    digest: str
    """Hash over all that happened, in order: equal for equal seeds."""
    reached: dict[str, int] = field(default_factory=dict)
    """How often the run came to each of the hard cases (`reached.Reached`)."""
    acts: dict[str, int] = field(default_factory=dict)
    """What traitors did that no honest node does, and how often."""
    penalties: dict[str, int] = field(default_factory=dict)
    """How often honest nodes blamed each other, by reason."""
    notices: dict[str, int] = field(default_factory=dict)
    """How often each notice was given."""
