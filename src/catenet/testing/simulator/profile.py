"""The schedules of a campaign: what kind of chaos a seed stands for.

A campaign is the seeds `first .. first + n - 1`. Every tenth has seven validators, three in five have
traitors, most have crashes; the rest has one of the faults that cost a machine its memory. The kinds are
drawn from the seed, so a seed alone names a schedule.
"""

from dataclasses import replace

from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.traitors import TRAITORS

STORM = SimulationConfig(
    chaos_us=1_800_000,
    calm_us=30_000_000,
    heights=2,
    loss=0.15,
    duplication=0.05,
    delay_us=20_000,
    delay_tail_us=1_500_000,
    partition_every_us=1_500_000,
    crashes=0,
    aimed_crashes=0,
    down_us=1_500_000,
    submissions=5,
)
"""What all schedules have in common."""

LIKELY = ("chaos", "chaos", "hidden-lock", "hidden-lock", "double-voter", "double-voter")
"""Traitors that are drawn more often than once: they break the rules that are hardest to break."""

SEVENS = 10
"""Every how many seeds there are seven validators."""

SEVENS_CHAOS_US = 1_200_000
"""How long chaos reigns over seven: they have more to say in less time."""


def schedule_of(seed: int) -> SimulationConfig:
    """Return the schedule that a seed stands for."""
    # Not the numbers of the run itself: what is chosen here must not change what is chosen there.
    draw = Chooser(seed ^ 0x5EED_0F_CA7E)
    config = STORM
    if seed % SEVENS == SEVENS - 1:
        config = replace(config, validators=7, chaos_us=SEVENS_CHAOS_US)
    config = _weather(draw, config)
    if draw.chance(0.6):
        return _crashes(draw, _betrayed(draw, config))
    return _machines(draw, _crashes(draw, config))


def _weather(draw: Chooser, config: SimulationConfig) -> SimulationConfig:
    """Choose what the links and clocks do, and how fast machines are."""
    config = replace(
        config,
        loss=draw.pick((0.0, 0.1, 0.2, 0.3)),
        duplication=draw.pick((0.0, 0.02, 0.1)),
        delay_us=draw.pick((2_000, 20_000, 80_000)),
        partition_every_us=draw.pick((0, 1_500_000, 700_000, 700_000)),
        fsync_us=draw.pick((1_000, 5_000, 30_000)),
        execute_us=draw.pick((500, 2_000, 20_000)),
        clock_skew_us=draw.pick((0, 200_000, 2_000_000)),
        clock_drift_ppm=draw.pick((0, 0, 20_000)),
        clock_steps=draw.pick((0, 0, 0, 2)),
        heights=draw.pick((1, 1, 2)),
        propose_us=draw.pick((1_000_000, 300_000, 150_000)),
        status_us=draw.pick((500_000, 1_000_000, 1_000_000)),
    )
    if draw.chance(0.15):
        # Who reaches one validator only waits half a minute for others before it signs.
        return replace(config, broken_links=draw.pick((1, 2)), calm_us=2 * config.calm_us)
    return config


def _betrayed(draw: Chooser, config: SimulationConfig) -> SimulationConfig:
    """Choose who lies: as many as the set can bear, now and then with unequal powers."""
    names = sorted([*TRAITORS, *LIKELY])
    most = (config.validators - 1) // 3
    chosen = tuple([draw.pick(names) for _ in range(draw.between(1, most))])
    config = replace(config, traitors=chosen, power_changes=draw.pick((0.0, 0.0, 0.3)))
    # With a traitor, who is not there yet must have no power: two of five are more than a set can bear.
    return _joined(config, power_changes=0.0) if draw.chance(0.06) else config


def _crashes(draw: Chooser, config: SimulationConfig) -> SimulationConfig:
    """Choose how often nodes lose power, and whether just after they signed or locked."""
    match draw.choose(6):
        case 0:
            return config
        case 1:
            return replace(config, crashes=draw.between(1, 4))
        case 2:
            return replace(config, aimed_crashes=draw.between(2, 6))
        case 3:
            return replace(config, lock_crashes=draw.between(1, 2))
        case 4:
            return replace(config, aimed_crashes=draw.between(1, 3), total_crash=True)
        case _:
            return replace(config, crashes=1, aimed_crashes=2, lock_crashes=1)


def _machines(draw: Chooser, config: SimulationConfig) -> SimulationConfig:
    """Choose what else befalls the machines of honest validators, one kind a schedule."""
    match draw.choose(8):
        case 0:
            return replace(config, powers=tuple([draw.between(1, 40) for _ in range(config.validators)]))
        case 1:
            return replace(config, power_changes=0.4)
        case 2:
            return replace(config, lost_journals=1)
        case 3:
            return replace(config, restored_backups=1)
        case 4:
            return replace(config, disk_failures=2)
        case 5:
            return replace(config, rejections=0.3)
        case _:
            return _joined(config, power_changes=0.4)


def _joined(config: SimulationConfig, *, power_changes: float) -> SimulationConfig:
    """Let a machine come later, with an empty home: it syncs, and may be given power."""
    powers = (*(10,) * config.validators, 0)
    return replace(config, validators=len(powers), powers=powers, power_changes=power_changes)
