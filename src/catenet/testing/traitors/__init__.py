"""Byzantine validators: one named fault a file. Each runs the production core and lies beyond it.

A traitor signs with its own key only, and all traitors of a run have less than a third of the power.
"""

from collections.abc import Callable, Mapping

from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors.amnesiac import Amnesiac
from catenet.testing.traitors.batch_withholder import BatchWithholder
from catenet.testing.traitors.chaos import Chaos
from catenet.testing.traitors.commit_forger import CommitForger
from catenet.testing.traitors.double_voter import DoubleVoter
from catenet.testing.traitors.equivocating_proposer import EquivocatingProposer
from catenet.testing.traitors.evidence_forger import EvidenceForger
from catenet.testing.traitors.false_time import FalseTime
from catenet.testing.traitors.have_liar import HaveLiar
from catenet.testing.traitors.height_liar import HeightLiar
from catenet.testing.traitors.hidden_lock import HiddenLock
from catenet.testing.traitors.late import Late
from catenet.testing.traitors.proposal_withholder import ProposalWithholder
from catenet.testing.traitors.replayer import Replayer
from catenet.testing.traitors.silent import Silent
from catenet.testing.traitors.turncoat import Turncoat
from catenet.testing.traitors.twins import Twin
from catenet.testing.traitors.vote_flooder import VoteFlooder

TRAITORS: Mapping[str, Callable[[], Conduct]] = {
    "amnesiac": Amnesiac,
    "batch-withholder": BatchWithholder,
    "chaos": Chaos,
    "commit-forger": CommitForger,
    "double-voter": DoubleVoter,
    "equivocating-proposer": EquivocatingProposer,
    "evidence-forger": EvidenceForger,
    "false-time": FalseTime,
    "have-liar": HaveLiar,
    "height-liar": HeightLiar,
    "hidden-lock": HiddenLock,
    "late": Late,
    "proposal-withholder": ProposalWithholder,
    "replayer": Replayer,
    "silent": Silent,
    "turncoat": Turncoat,
    "twins": Twin,
    "vote-flooder": VoteFlooder,
}
"""By the name that `SimulationConfig.traitors` and `catenet simulate` know."""
