"""Each traitor really does what its name says, and the others go on and agree beside it."""

from collections import Counter
from dataclasses import replace

import pytest

from catenet.testing.simulator.profile import STORM
from catenet.testing.simulator.run import run
from catenet.testing.traitors import TRAITORS

ACTS = {
    "amnesiac": ("restarted with nothing", "voted for what it had not seen"),
    "batch-withholder": ("withheld a batch", "answered no fetch"),
    "chaos": ("voted for anything", "proposed anything"),
    "commit-forger": ("pushed a forged commit", "bent a commit"),
    "double-voter": ("voted twice",),
    "equivocating-proposer": ("proposed two blocks for one round",),
    "evidence-forger": ("gave false evidence", "gave evidence against itself", "proposed false evidence"),
    "false-time": ("proposed a false time",),
    "have-liar": ("lied about what it holds", "had others skip its batches"),
    "height-liar": ("lied about its height", "served wrong blocks"),
    "hidden-lock": ("hid its proposal from some", "helped one node to a polka"),
    "late": ("was late",),
    "proposal-withholder": ("withheld a proposal",),
    "replayer": ("repeated its own", "repeated others", "signed for another chain"),
    "silent": ("kept silent",),
    "turncoat": ("prevoted against its lock",),
    "twins": ("changed sides",),
    "vote-flooder": ("flooded",),
}
"""What the reports of its runs must count of each."""

CONVICTED = ("chaos", "double-voter", "equivocating-proposer", "evidence-forger")
"""Double votes of theirs reach the others, who put evidence into blocks."""

PENALISED = {
    "commit-forger": "a commit without two thirds of eligible precommits",
    "evidence-forger": "evidence that proves nothing",
    "height-liar": "block sync",
    "replayer": "a forged vote",
}
"""What honest nodes say of some."""

SEEDS_MAX = 30


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRAITORS))
def test_a_traitor_acts_and_the_others_go_on(name: str) -> None:
    config = replace(STORM, traitors=(name,), loss=0.05, chaos_us=3_000_000, propose_us=300_000)
    acts: Counter[str] = Counter()
    penalties: list[str] = []
    evidence = 0
    for seed in range(SEEDS_MAX):
        report = run(seed, config)
        assert min(report.heights) >= config.heights
        assert report.committed >= report.replicated
        acts.update(report.acts)
        penalties.extend(report.penalties)
        evidence += report.reached["evidence"]
        if (
            set(ACTS[name]) <= set(acts)
            and (evidence or name not in CONVICTED)
            and any(said.startswith(PENALISED.get(name, said)) for said in [*penalties, ""])
        ):
            return
    pytest.fail(f"{name} did {dict(acts)}, was blamed for {penalties}, {evidence} pieces of evidence")


def test_each_traitor_is_known_by_what_it_does() -> None:
    assert set(ACTS) == set(TRAITORS)
