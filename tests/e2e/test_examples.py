"""Every folder of examples/ runs: its application orders transactions on a real node, over a restart."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from catenet.client.sdk import Client
from catenet.types.events import Level
from support.cluster import cluster
from support.repository import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

EXAMPLES = {
    "01-counter": "counter:Counter",
    "02-testing-an-application": "accounts:Accounts",
    # Run by tests/interop/test_one_application.py.
    "03-under-cometbft": "transfers:Transfers",
}
PROGRAMS = {"04-verify-without-trust"}
"""Examples without an application: tests/unit/cli/test_receipt_commands.py runs them."""


def test_every_example_is_tested() -> None:
    assert {path.name for path in (ROOT / "examples").iterdir() if path.is_dir()} == {*EXAMPLES, *PROGRAMS}


def test_the_counter_counts_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples" / "01-counter")

    async def body() -> None:
        with cluster(tmp_path / "net", count=1, settings=[f"app={EXAMPLES['01-counter']}"]) as net:
            net.start()
            await net.wait_ready()
            async with Client(net.targets) as client:
                await client.submit([b"one", b"two"], Level.COMMITTED)
                assert (await client.query("", b"count")).value == b"2"
            assert net.stop() == [0]
            net.start()
            await net.wait_ready()
            async with Client(net.targets) as client:
                await client.submit([b"three"], Level.COMMITTED)
                assert (await client.query("", b"count")).value == b"3"

    asyncio.run(body())


def test_the_accounts_keep_their_balances_over_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "02-testing-an-application"
    monkeypatch.chdir(ROOT / "examples" / name)

    async def body() -> None:
        with cluster(tmp_path / "net", count=1, settings=[f"app={EXAMPLES[name]}"]) as net:
            net.start()
            await net.wait_ready()
            async with Client(net.targets) as client:
                refused = await client.submit([b"ann+5", b"bob-1"], Level.COMMITTED)
                assert [(one.index, one.code) for one in refused.refused] == [(1, 1)]
            assert net.stop() == [0]
            net.start()
            await net.wait_ready()
            async with Client(net.targets) as client:
                await client.submit([b"ann-3"], Level.COMMITTED)
                assert (await client.query("", b"ann")).value == b"2"

    asyncio.run(body())


def test_the_test_of_the_accounts_passes_in_under_a_second() -> None:
    # A busy machine may be slow once; the quickest of three counts.
    assert any(seconds_of_the_accounts() < 1 for _ in range(3))


def seconds_of_the_accounts() -> float:
    """Run the example's test as a user does, and return how long pytest says it took."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "catenet.testing.plugin"]
    done = subprocess.run(
        [*command, "--durations=1", "--durations-min=0"],
        cwd=ROOT / "examples" / "02-testing-an-application",
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    took = re.search(r"([\d.]+)s call +test_accounts.py::test_money_survives", done.stdout)
    assert took is not None, done.stdout
    return float(took[1])
