"""The real node of the tests works by itself: whatever else is compared with it rests on that."""

from pathlib import Path

import pytest

from support.cometbft import RpcError, abci_cli_binary, real_nodes

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_real_node_makes_blocks_answers_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    assert abci_cli_binary().exists()
    with real_nodes(tmp_path, apps=["persistent_kvstore"]) as (node,):
        node.start()
        node.wait_height(2)
        height = int(str(node.commit_tx(b"ann=1")["height"]))
        assert node.query(b"ann")["value"] == "MQ=="
        with pytest.raises(RpcError, match="must be less than or equal"):
            node.rpc("block", height=str(height + 1000))
        node.kill()
        node.start()
        node.wait_height(height + 1)
        assert node.query(b"ann")["value"] == "MQ=="
        assert node.stop() in (0, -15, 143)


def test_two_real_nodes_agree(tmp_path: Path) -> None:
    with real_nodes(tmp_path, count=2) as nodes:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_height(2)
        assert nodes[0].rpc("header", height="2") == nodes[1].rpc("header", height="2")
