"""Each traitor really does what its name says, and the others go on and agree beside it."""

from collections import Counter
from dataclasses import replace

import pytest

from catenet.testing.simulator.profile import STORM
from catenet.testing.simulator.run import run
from catenet.testing.traitors import TRAITORS

ACTS = {
    "chaos": ("voted for anything", "proposed anything"),
    "double-voter": ("voted twice",),
    "equivocating-proposer": ("proposed two blocks for one round",),
    "hidden-lock": ("hid its proposal from some", "helped one node to a polka"),
    "silent": ("kept silent",),
    "twins": ("changed sides",),
}
"""What the reports of its runs must count of each."""

CONVICTED = ("chaos", "double-voter", "equivocating-proposer")
"""Double votes of theirs reach the others, who put evidence into blocks."""

PENALISED: dict[str, str] = {}
"""What honest nodes say of some."""

SEEDS_MAX = 30


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRAITORS))
def test_a_traitor_acts_and_the_others_go_on(name: str) -> None:
    config = replace(STORM, traitors=(name,), loss=0.05)
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
