"""One application file gives the same on our node, on our node over ABCI, and under real CometBFT."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.cometbft import Setting, real_nodes
from support.engines import APP, EXAMPLE, Seen, on_our_node, on_real_nodes, served, transactions

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

COUNT = 1000

ALONE: Mapping[str, Setting] = {
    # Gossip brings transactions past each other, and one that is just checked into a second block.
    "mempool.broadcast": False,
    # So they wait for the turns of one proposer; checking them again after each block takes a second.
    "mempool.recheck": False,
    "consensus.timeout_propose": "3s",
}


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What our node makes of the transactions with the application in its process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(EXAMPLE)
        seen = on_our_node(tmp_path_factory.mktemp("ours"), f"app={APP}", transactions(COUNT))
    assert seen.txs == transactions(COUNT)
    codes = [result[0] for result in seen.results]
    assert {0, 2, 3, 4} == set(codes), "payments succeed, and fail in each way there is"
    return seen


def test_our_node_gives_the_same_over_abci(tmp_path: Path, in_process: Seen) -> None:
    with served(tmp_path / "state") as app:
        seen = on_our_node(tmp_path / "net", f"proxy_app=grpc://{app.address}", transactions(COUNT))
        assert app.stop() == 0
    assert seen == in_process


@pytest.mark.parametrize("count", [1, 4])
def test_real_validators_give_the_same(tmp_path: Path, in_process: Seen, count: int) -> None:
    assert under_cometbft(tmp_path, count) == in_process


def under_cometbft(folder: Path, count: int) -> Seen:
    """Return what real validators, each with the application in a process beside it, make of it."""
    with ExitStack() as stack:
        apps = [stack.enter_context(served(folder / f"state{index}")) for index in range(count)]
        addresses = [app.address for app in apps]
        settings = ALONE if count > 1 else {}
        nodes = stack.enter_context(
            real_nodes(folder, count=count, apps=addresses, abci="grpc", settings=settings)
        )
        for node in nodes:
            node.start()
        return on_real_nodes(nodes, transactions(COUNT))
