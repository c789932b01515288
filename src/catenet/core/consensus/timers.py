"""How long the timers of a round run (consensus.md 2.3), and the names of all timers of the machine.

Integers only: the same round gives the same duration on every machine.
"""

from catenet.types.events import TimerKey

PREFIX = "consensus/"
PROPOSE = PREFIX + "propose"
PREVOTE = PREFIX + "prevote"
PRECOMMIT = PREFIX + "precommit"
INTERVAL = PREFIX + "interval"
"""The proposer may build: `min_block_interval` and `commit_grace` have passed."""
STATUS = PREFIX + "status"
FETCH = PREFIX + "fetch"
PROOF = PREFIX + "proof"
HEARTBEAT = PREFIX + "heartbeat"
FIRST = PREFIX + "first-signature"

LEVEL_MAX = 6
DEAD_PROPOSER_US = 50_000
DEAD_AFTER_US = 5_000_000


def key(name: str, height: int = 0, round: int = 0) -> TimerKey:
    """Return the key of a timer of this machine."""
    return TimerKey(name=name, height=height, round=round)


def duration_us(base_us: int, *, round: int, level: int, cap_us: int) -> int:
    """Return `min(base * 1.5^(round + level), cap)`."""
    duration = base_us
    for _ in range(round + level):
        if duration >= cap_us:
            break
        duration = duration * 3 // 2
    return min(duration, cap_us)


def next_level(level: int, decided_round: int) -> int:
    """Return the level after a decision: a slow network is learnt once, not in every height."""
    if decided_round >= 2:
        return min(LEVEL_MAX, max(level, decided_round - 1))
    return level // 2
