"""Byzantine validators: one named fault a file. Each runs the production core and lies beyond it.

A traitor signs with its own key only, and all traitors of a run have less than a third of the power.
"""

from collections.abc import Callable, Mapping

from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors.chaos import Chaos
from catenet.testing.traitors.double_voter import DoubleVoter
from catenet.testing.traitors.equivocating_proposer import EquivocatingProposer
from catenet.testing.traitors.hidden_lock import HiddenLock
from catenet.testing.traitors.silent import Silent
from catenet.testing.traitors.twins import Twin

TRAITORS: Mapping[str, Callable[[], Conduct]] = {
    "chaos": Chaos,
    "double-voter": DoubleVoter,
    "equivocating-proposer": EquivocatingProposer,
    "hidden-lock": HiddenLock,
    "silent": Silent,
    "twins": Twin,
}
"""By the name that `SimulationConfig.traitors` and `catenet simulate` know."""
