"""The pytest plugin: the fixture `catenet_network`, there wherever Catenet and pytest are installed.

    def test_a_counter_counts(catenet_network):
        network = catenet_network(Counter)

What lives here chooses the seed of a test and shows it when the test fails. Of Catenet it imports nothing
before a test asks for it; nothing else in Catenet imports pytest.

    @pytest.mark.catenet(seed=7)      this seed
    @pytest.mark.catenet(seeds=20)    the test runs twenty times, with the seeds 1 to 20
    pytest --catenet-seed 7           this seed, whatever the test says
"""

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from catenet.node.application import Factory
    from catenet.testing.network import NetworkFactory, SimulatedNetwork

OPTION = "--catenet-seed"
MARKER = "catenet"
SEED = "catenet_seed"

_NETWORKS = pytest.StashKey["list[SimulatedNetwork]"]()
"""The networks that a test has made."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the seed from the command line."""
    group = parser.getgroup("catenet", "Catenet: tests of applications on simulated networks")
    group.addoption(OPTION, type=int, metavar="N", help="run every simulated network with this seed")


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    text = (
        "catenet(seed=N, seeds=COUNT): the seed of the test's simulated networks, or run with COUNT of them"
    )
    config.addinivalue_line("markers", text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test that asks for several seeds run once with each."""
    if SEED in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker(MARKER)
        if mark and "seeds" in mark.kwargs and metafunc.config.getoption(OPTION) is None:
            metafunc.parametrize(SEED, range(1, mark.kwargs["seeds"] + 1), ids="seed{}".format)


@pytest.fixture
def catenet_seed(request: pytest.FixtureRequest) -> int:
    """Return the seed of this test's simulated networks."""
    given: int | None = request.config.getoption(OPTION)
    mark = request.node.get_closest_marker(MARKER)
    seed: int = mark.kwargs.get("seed", 1) if mark else 1
    return seed if given is None else given


@pytest.fixture
def catenet_network(request: pytest.FixtureRequest, catenet_seed: int) -> "NetworkFactory":
    """Return what makes simulated networks: `catenet_network(Counter)`; see `catenet.testing.network`."""
    from catenet.testing.network import SimulatedNetwork

    networks = request.node.stash.setdefault(_NETWORKS, [])

    def make(
        application: "Factory",
        *,
        powers: Sequence[int] = (10, 10, 10, 10),
        seed: int | None = None,
        app_state: str = "{}",
    ) -> "SimulatedNetwork":
        fixed = catenet_seed if seed is None or request.config.getoption(OPTION) is not None else seed
        network = SimulatedNetwork(application, powers=powers, seed=fixed, app_state=app_state)
        networks.append(network)
        return network

    return make


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the seed and the story of each network of a test that failed."""
    report = yield
    if report.failed:
        for network in item.stash.get(_NETWORKS, []):
            given = "" if item.config.getoption(OPTION) is None else f"{OPTION} {network.seed} "
            again = f"pytest {given}'{item.nodeid}'"
            text = f"seed {network.seed}; the same run again: {again}\n{network.story()}"
            report.sections.append(("Catenet's simulated network", text))
    return report
