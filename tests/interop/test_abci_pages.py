"""The pages about CometBFT: each of their commands is run, in order, and does what the page says."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catenet.cli.abci import ADDRESS
from catenet.node.config import NodeConfig, settings
from support.cluster import HOST, free_ports
from support.cometbft import VERSION, RealNode, abci_cli_binary, cometbft_binary
from support.engines import EXAMPLE
from support.pages import Reader, commands
from support.repository import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MOVE = "docs/howto/move-your-application-to-cometbft.md"
BRING = "docs/howto/bring-an-abci-application.md"

RPC, APP = "26657", "26658"


@contextmanager
def reader(folder: Path, first: int, program: Path) -> Iterator[Reader]:
    """Return who runs a page's commands, at ports from `first` on."""
    made = Reader(
        folder,
        cwd=EXAMPLE,
        path=[program.parent],
        ports={APP: first, RPC: first + 1},
        environment={
            "CATENET_LISTEN_PEER": f"{HOST}:{first + 2}",
            "CATENET_LISTEN_PUBLIC_PLAINTEXT": f"{HOST}:{first + 3}",
            "CATENET_LISTEN_PUBLIC_TLS": f"{HOST}:{first + 4}",
            "CATENET_NODE": f"{HOST}:{first + 3}",
        },
    )
    try:
        yield made
    finally:
        made.close()


def test_an_application_of_ours_moves_to_cometbft(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        # The page's commands use it; `.ci/run` installs it.
        assert os.environ.get("CATENET_REQUIRE_GO") != "1", "there is no `curl` on the PATH"
        pytest.skip("there is no `curl` on the PATH")
    program = cometbft_binary()
    first = free_ports(5)
    serve, install, init, edit, start, *asks = commands(MOVE)
    with reader(tmp_path, first, program) as shell:
        # The page leaves the address as it is by default.
        shell.stay(f"{serve} --address {ADDRESS}")
        assert install == f"go install github.com/cometbft/cometbft/cmd/cometbft@{VERSION}"
        shell.run(init)
        shell.run(edit)
        node = RealNode(tmp_path / "validator", rpc_port=first + 1, p2p_port=first + 2)
        # Only what keeps test runs apart.
        node.edit({"rpc.laddr": f"tcp://{HOST}:{first + 1}", "p2p.laddr": f"tcp://{HOST}:{first + 2}"})
        shell.stay(start)
        answers = [json.loads(shell.run(ask))["result"] for ask in asks]
    for answer in answers[:-1]:
        assert (answer["check_tx"]["code"], answer["tx_result"]["code"]) == (0, 0)
    value = answers[-1]["response"]["value"]
    assert value == "MzU="
    assert f"`{value}`" in (ROOT / MOVE).read_text()


def test_a_foreign_application_comes_to_our_node(tmp_path: Path) -> None:
    program = abci_cli_binary()
    install, serve, init, start, send, query = commands(BRING)
    with reader(tmp_path, free_ports(5), program) as shell:
        assert install == f"go install github.com/cometbft/cometbft/abci/cmd/abci-cli@{VERSION}"
        shell.stay(serve)
        shell.run(init)
        shell.stay(start)
        shell.run(send)
        assert shell.run(query).strip() == "Wei"


def test_the_settings_that_the_pages_name_exist() -> None:
    named = set(re.findall(r"`(abci\.\w+|proxy_app)`", (ROOT / BRING).read_text()))
    assert named == {"abci.away_timeout_ms", "abci.answer_timeout_ms"}
    assert {*named, "proxy_app"} <= set(settings(NodeConfig()))
