"""A home that does not fit together is refused before anything runs, with the file and what to do."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.cli.homes import Layout, make_home
from catenet.node.assemble import run_node
from catenet.node.config import Endpoint, ListenConfig, NodeConfig
from catenet.node.supervise import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, Supervisor

FREE = ListenConfig(peer=Endpoint("127.0.0.1", 0), public_plaintext=Endpoint("127.0.0.1", 0), public_tls=None)


@pytest.fixture
def home(tmp_path: Path) -> tuple[Path, NodeConfig]:
    root = tmp_path / "home"
    config = make_home(root, chain_id="refusals", name="node0", layout=Layout(count=1))
    return root, replace(config, listen=FREE)


def refusal(root: Path, config: NodeConfig, capfd: pytest.CaptureFixture[str]) -> str:
    assert asyncio.run(run_node(root, config=config)) == EXIT_FAILED
    return capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("priv_validator_key.json", "{}", "restore the file from a backup"),
        ("node_key.json", "no json", "restore the file from a backup"),
        ("genesis.json", "{}", "genesis.json"),
        ("tls/ca.pem", "no certificate", "ca.pem"),
        ("tls/ca.pem", None, "copy there what the chain's authority issued"),
        ("tls/node.pem", None, "copy there what the chain's authority issued"),
    ],
)
def test_a_file_that_is_damaged_or_missing_is_named(
    home: tuple[Path, NodeConfig],
    name: str,
    content: str | None,
    said: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    root, config = home
    path = root / "config" / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    words = refusal(root, config, capfd)
    assert said in words
    assert path.name in words
    assert "Traceback" not in words


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, EXIT_OK), (signal.SIGINT, EXIT_INTERRUPTED)])
def test_the_exit_code_says_how_the_node_was_ended(number: signal.Signals, code: int) -> None:
    async def nothing(_: float) -> None:
        return

    async def body() -> int:
        supervisor = Supervisor()
        supervisor.listen()
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            return await supervisor.run(nothing, lambda _: None)

    with asyncio.Runner() as runner:
        assert runner.run(body()) == code
