"""Every folder of examples/ runs: its application orders transactions on a real node, over a restart."""

import asyncio
from pathlib import Path

import pytest

from catenet.client.sdk import Client
from catenet.types.events import Level
from support.cluster import cluster
from support.repository import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

EXAMPLES = {"01-counter": "counter:Counter"}


def test_every_example_is_tested() -> None:
    assert {path.name for path in (ROOT / "examples").iterdir() if path.is_dir()} == set(EXAMPLES)


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
