"""What a real engine asks of our server besides blocks: after crashes, vote extensions, snapshots."""

import base64
import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.cometbft import RealNode, real_nodes
from support.engines import served

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

REFUSED = "the application is at height 0 since it was started; start the engine again"

FAILED = "CONSENSUS FAILURE"
"""What the engine says when its consensus ends."""

APPS = Path(__file__).parent / "apps"


def value_of(node: RealNode, key: bytes) -> bytes:
    return base64.b64decode(str(node.query(key)["value"] or ""))


def test_the_engine_and_the_application_go_on_after_both_crashed(tmp_path: Path) -> None:
    with (
        served(tmp_path / "app", "kv") as app,
        real_nodes(tmp_path, apps=[app.address], abci="grpc") as (node,),
    ):
        node.start()
        node.wait_height(1)
        node.commit_tx(b"ann=1")
        # The engine waits for its application, and goes on without asking where it stands. When that one dies
        # within a call, the consensus of the engine ends instead, and the engine is to be started again.
        app.kill()
        app.start()
        goal = node.height() + 2
        node.wait(lambda: node.height() >= goal or FAILED in node.log(), what=f"height {goal}")
        if node.height() < goal:
            node.kill()
            node.start()
            node.wait_height(goal)
        assert value_of(node, b"ann") == b"1"
        node.commit_tx(b"bob=2")
        # The engine crashes, the application does not.
        node.kill()
        node.start()
        node.wait_height(node.height() + 2)
        assert value_of(node, b"bob") == b"2"
        height = node.height()
        node.kill()
        node.start()
        node.wait_height(height + 2)
        # All of the application's state is lost: going on would fork it, so the engine is told to start anew.
        failures = node.log().count(FAILED)
        app.kill()
        shutil.rmtree(app.folder / "data")
        app.start()
        node.wait(
            lambda: REFUSED in node.log() or node.log().count(FAILED) > failures, what="a refusal or the end"
        )
        node.kill()
        node.start()
        node.wait_height(height + 4)
        assert (value_of(node, b"ann"), value_of(node, b"bob")) == (b"1", b"2")
        assert "application_failed" not in app.log()


def test_what_validators_add_to_their_votes_comes_to_the_next_proposer(tmp_path: Path) -> None:
    with ExitStack() as stack:
        apps = [
            stack.enter_context(served(tmp_path / f"app{i}", "voices:Voices", cwd=APPS)) for i in range(2)
        ]
        addresses = [app.address for app in apps]
        nodes = stack.enter_context(real_nodes(tmp_path, count=2, apps=addresses, abci="grpc"))
        for node in nodes:
            genesis = node.genesis()
            params = genesis["consensus_params"]
            assert isinstance(params, dict)
            params["abci"] = {"vote_extensions_enable_height": "2"}
            node.write_genesis(genesis)
        for node in nodes:
            node.start()
        for node in nodes:
            wait_sum(node, b"14")


def wait_sum(node: RealNode, wanted: bytes) -> None:
    """Wait until the application holds a sum. Two validators say 7 each, and a commit needs both."""
    node.wait_height(1)
    node.wait(lambda: value_of(node, b"sum") == wanted, what=f"the sum {wanted!r}")


def test_a_new_node_gets_a_snapshot_of_our_application(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(served(tmp_path / "app", "voices:Voices", cwd=APPS))
        fresh = stack.enter_context(served(tmp_path / "fresh", "voices:Voices", cwd=APPS))
        (node,) = stack.enter_context(real_nodes(tmp_path / "net", apps=[first.address], abci="grpc"))
        node.start()
        node.wait_height(1)
        for number in range(5):
            node.commit_tx(b"tx%d" % number)
        node.wait_height(12)
        (late,) = stack.enter_context(real_nodes(tmp_path / "late", apps=[fresh.address], abci="grpc"))
        late.write_genesis(node.genesis())
        trusted = node.rpc("block", height="2")["block_id"]
        assert isinstance(trusted, dict)
        late.edit(
            {
                "p2p.persistent_peers": f"{node.node_id}@127.0.0.1:{node.p2p_port}",
                "statesync.enable": True,
                "statesync.rpc_servers": f"127.0.0.1:{node.rpc_port},127.0.0.1:{node.rpc_port}",
                "statesync.trust_height": 2,
                "statesync.trust_hash": trusted["hash"],
                "statesync.discovery_time": "5s",
            }
        )
        late.start()
        late.wait(lambda: late.height() > 12, within_s=60, what="a synced node")
        info = late.rpc("status")["sync_info"]
        assert isinstance(info, dict)
        assert int(info["earliest_block_height"]) > 1, "it began with a snapshot"
        assert value_of(late, b"tx:tx3") == b"1"
