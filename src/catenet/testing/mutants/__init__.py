"""Planted faults: each removes or bends one rule of the protocol. The simulator must find every one of them.

safety        rules that keep two blocks from being decided at one height
durability    the law of durability, and what a restart restores
liveness      what keeps everybody going
hunt          how many schedules it takes to find one, and which invariant found it
"""

from collections.abc import Mapping

from catenet.testing.mutants.durability import DURABILITY
from catenet.testing.mutants.liveness import LIVENESS
from catenet.testing.mutants.mutant import Mutant
from catenet.testing.mutants.safety import SAFETY

MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in (*SAFETY, *DURABILITY, *LIVENESS)}
"""By name, in the order in which they are reported."""
