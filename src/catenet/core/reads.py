"""When a read is in real-time order: what validators say of their pledges, and what follows from it. Pure.

A block is decided by precommits of more than two thirds of the power. A validator's *pledge* is the newest
height at which it committed a block or may have precommitted one. If more than two thirds say, after a read
came in, that their pledge is not above height h, then block h + 1 was not decided when the read came: two
such groups share an honest validator. So a state at h or later holds all that was final before the read.
"""

from collections.abc import Mapping

from catenet.chain.validators import ValidatorSet
from catenet.core.guard import GuardState
from catenet.types.ids import Address

PRECOMMIT = 3
"""The guard's number of that step."""


def pledge(signed: GuardState, head: int) -> int:
    """Return the newest height that this key may have helped to decide; `head` is the newest one stored.

    The guard's state is newer than anything that has left the node, and it outlives a crash. It knows the
    last signature only: in a round above 0 a precommit of an earlier round counts, whether there was one or
    not.
    """
    may_have_precommitted = signed.step == PRECOMMIT or signed.round > 0
    return max(head, signed.height if may_have_precommitted else signed.height - 1)


def is_current(head: int, pledges: Mapping[Address, int], validators: ValidatorSet) -> bool:
    """Say whether nothing above `head` was decided when the first of the pledges was asked for.

    `validators` are those of height `head` + 1. A liar can only keep its own power out: too high a pledge is
    not counted, and too low a one is one of the third that may lie.
    """
    members = validators.validators
    return validators.two_thirds(sum([m.power for m in members if pledges.get(m.address, head + 1) <= head]))
