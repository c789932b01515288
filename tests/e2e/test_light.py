"""Our light client on our own network: four processes, a change of validators, a receipt, a kill."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path

import pytest

from catenet.chain.genesis import Genesis
from catenet.chain.light import Terms
from catenet.cli.root import run
from catenet.client.light.connect import connect
from catenet.client.light.session import LightClient
from catenet.client.light.store import TrustedStore
from catenet.types.events import Level
from support.cluster import Cluster, cluster
from support.light_history import change_power

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
DAY_NS = 86_400 * 10**9
TX = b"name=Wei"


def test_a_light_client_follows_our_network_and_proves_a_transaction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genesis_file = tmp_path / "net" / "node0" / "config" / "genesis.json"

    async def body(net: Cluster) -> None:
        await net.wait_ready()
        async with net.client() as sdk:
            await sdk.send(b"before=1", Level.COMMITTED)
            changed = await change_power(net, 1, 12)
            for number in range(3):
                await sdk.send(b"between=%d" % number, Level.COMMITTED)
            await sdk.send(TX, Level.COMMITTED)
        genesis = Genesis.from_json(genesis_file.read_text())
        nodes = [connect(f"grpc://{target}") for target in net.targets[:3]]
        store = TrustedStore(tmp_path / "trusted", genesis.chain_id)
        terms = Terms(trusting_period_ns=DAY_NS)
        client = LightClient(genesis.chain_id, nodes[0], nodes[1:], store, terms)
        first = await client.begin_at_genesis(genesis)
        newest = await client.update()
        assert newest.height > changed + 2
        assert newest.validators.total_power == first.validators.total_power + 2
        # The primary dies: a witness takes over, and the third node still watches.
        net.kill(0)
        proven = await client.verified_tx(sha256(TX).digest())
        assert (proven.tx, client.primary) == (TX, nodes[1])
        assert proven.outcome is not None
        assert proven.outcome.code == 0
        await client.close()

    with cluster(tmp_path / "net") as net:
        net.start(0, 1, 2, 3)
        asyncio.run(body(net))
        reach = ["--node", net.targets[1], "--genesis", str(genesis_file)]
        assert run(["tx", "receipt", sha256(TX).hexdigest(), *reach]) == 0
        receipt = tmp_path / "r.json"
        receipt.write_text(capsys.readouterr().out)
    # The network is gone.
    assert run(["verify", str(receipt), "--genesis", str(genesis_file), "--json"]) == 0
    proven = json.loads(capsys.readouterr().out)
    assert (proven["text"], proven["result"]["code"]) == (TX.decode(), 0)
