"""A node and its application in two processes: the application dies, is lost, stays away, or hangs."""

import asyncio
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from catenet.client.sdk import Client
from catenet.types.events import Level
from support.cluster import Cluster, cluster
from support.engines import Served, served

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FAILED = 1
END_S = 30.0


async def send(net: Cluster, first: int, last: int) -> None:
    """Have transactions committed by the only node, one after the other."""
    async with Client(net.targets, timeout_s=30.0) as client:
        for number in range(first, last):
            receipt = await client.send(b"key%d=%d" % (number, number), Level.COMMITTED)
            assert (receipt.code, receipt.height > 0) == (0, True)


async def values(net: Cluster, count: int) -> list[bytes]:
    async with Client(net.targets, timeout_s=30.0) as client:
        return [one.value for one in await client.query_many("", [b"key%d" % n for n in range(count)])]


def start(net: Cluster, app: Served, *settings: str) -> None:
    net.start(0, settings=[f"proxy_app=grpc://{app.address}", *settings])
    asyncio.run(net.wait_ready())


def test_an_application_that_dies_or_is_lost_is_brought_back(tmp_path: Path) -> None:
    with served(tmp_path / "app", "kv") as app, cluster(tmp_path / "net", count=1) as net:
        start(net, app)
        asyncio.run(send(net, 0, 5))
        app.kill()
        app.start()
        asyncio.run(send(net, 5, 10))
        app.kill()
        shutil.rmtree(app.folder / "data")
        app.start()
        asyncio.run(send(net, 10, 15))
        assert asyncio.run(values(net, 15)) == [b"%d" % number for number in range(15)]
        assert len(net.events(0, "application_replayed")) >= 2
        # Both end and come back: the node waits for its application.
        net.kill(0)
        assert app.stop() == 0
        net.start(0, settings=[f"proxy_app=grpc://{app.address}"])
        app.start()
        asyncio.run(net.wait_ready())
        asyncio.run(send(net, 15, 16))
        assert asyncio.run(values(net, 16))[15] == b"15"
        assert net.stop() == [0]


def test_an_application_that_stays_away_stops_the_node_with_its_address(tmp_path: Path) -> None:
    with served(tmp_path / "app", "kv") as app, cluster(tmp_path / "net", count=1) as net:
        start(net, app, "abci.away_timeout_ms=500", "consensus.heartbeat_interval_ms=300")
        app.kill()
        assert net.exit_code(0, within_s=END_S) == FAILED
        reason = str(net.events(0, "halted")[-1]["reason"])
        assert f"the application at grpc://{app.address} was not there for 0.5 s" in reason
        # The next start refuses at once, and says the same.
        net.start(0, settings=[f"proxy_app=grpc://{app.address}", "abci.away_timeout_ms=500"])
        assert net.exit_code(0, within_s=END_S) == FAILED
        reason = str(net.events(0, "not_started")[-1]["reason"])
        assert "was not there for 0.5 s; start it, then this node" in reason


def test_an_application_that_hangs_stops_the_node_with_the_call(tmp_path: Path) -> None:
    with served(tmp_path / "app", "kv") as app, cluster(tmp_path / "net", count=1) as net:
        start(net, app, "abci.answer_timeout_ms=1000", "consensus.heartbeat_interval_ms=300")
        app.signal(signal.SIGSTOP)
        assert net.exit_code(0, within_s=END_S) == FAILED
        app.signal(signal.SIGCONT)
        reason = str(net.events(0, "halted")[-1]["reason"])
        assert "did not answer" in reason
        assert "within 1 s" in reason


def test_a_node_that_waits_for_its_application_ends_when_told_to(tmp_path: Path) -> None:
    with served(tmp_path / "app", "kv") as app, cluster(tmp_path / "net", count=1) as net:
        start(net, app, "consensus.heartbeat_interval_ms=300")
        app.kill()
        asyncio.run(noticed(net))
        assert net.stop() == [0]


async def noticed(net: Cluster) -> None:
    for _ in range(500):
        if net.events(0, "application_left"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the node did not notice that its application is gone")


def test_one_state_is_served_once_and_one_port_is_taken_once(tmp_path: Path) -> None:
    with served(tmp_path / "app", "kv") as app:
        app.wait_serving()
        command = [sys.executable, "-m", "catenet", "abci", "serve", "kv", "--address", app.address, "--home"]
        for home, said in ((app.folder, "is in use by process"), (tmp_path / "other", "port is taken")):
            done = subprocess.run([*command, str(home)], capture_output=True, text=True, check=False)
            assert done.returncode == FAILED
            assert said in done.stderr
        assert app.stop() == 0
