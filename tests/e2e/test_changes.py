"""Changes that the application makes, on real nodes: a validator comes and goes, parameters change."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.chain.block import Block as ChainBlock
from catenet.chain.commit import Commit
from catenet.chain.genesis import Genesis
from catenet.chain.keys import parse_key_file
from catenet.chain.params import MIN_CATENET_BLOCK_BYTES, ConsensusParams
from catenet.client.values import Block
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.types.events import Level
from catenet.types.ports import Order
from catenet.types.query import parse
from support.cluster import Cluster, cluster, wait_signature
from support.load import check_once, settled_chain, submitting
from support.repository import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

NEW = 4
"""The node that the genesis does not know."""
WITHIN_S = 30.0
SMALLER = MIN_CATENET_BLOCK_BYTES


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Four validators, and the home of a fifth node that has all it needs but power."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    settings = ("app=support.town_hall:TownHall", "consensus.min_block_interval_ms=20")
    with cluster(tmp_path / "net", count=5, settings=settings) as made:
        for index in range(5):
            home = Home(made.home(index))
            genesis = Genesis.from_json(home.genesis.read_text())
            home.genesis.write_text(replace(genesis, validators=genesis.validators[:NEW]).to_json())
        yield made


def public_key(net: Cluster, index: int) -> bytes:
    return parse_key_file(Home(net.home(index)).validator_key.read_text()).public.data


def address(net: Cluster, index: int) -> bytes:
    return parse_key_file(Home(net.home(index)).validator_key.read_text()).public.address


def power(net: Cluster, index: int, value: int) -> bytes:
    return b"val=ed25519!%b!%d" % (b64encode(public_key(net, index)), value)


async def commit(net: Cluster, tx: bytes) -> int:
    """Have a transaction committed; returns its height."""
    async with net.client(0) as client:
        result = await client.submit([tx], Level.COMMITTED)
    assert not result.refused
    return result.height


def changes(chain: list[Block], name: str) -> list[int]:
    """Return the heights whose header has another value of a field than the one before."""
    values = [getattr(ChainBlock.decode(block.raw).header, name) for block in chain]
    return [chain[i].height for i in range(1, len(chain)) if values[i] != values[i - 1]]


def test_a_validator_joins_with_an_empty_home_and_leaves_again_under_load(net: Cluster) -> None:
    async def body() -> None:
        net.start(0, 1, 2, 3)
        await net.wait_height(1, 0, within_s=WITHIN_S)
        async with submitting(net.targets[:NEW], workers=2, pause_s=0.02, name="join") as load:
            await net.wait_height(20, 0, within_s=WITHIN_S)
            net.start(NEW)
            added = await commit(net, power(net, NEW, 10))
            await net.wait_height(added, NEW, within_s=WITHIN_S)
            signed = await wait_signature(net, NEW, after=added, within_s=WITHIN_S)
            assert net.events(NEW, "block_sync_begins")
            removed = await commit(net, power(net, NEW, 0))
            await net.wait_height(removed + 2, 0, within_s=WITHIN_S)
            net.kill(NEW)
            start = await net.head(0)
            await net.wait_height(start + 20, 0, within_s=WITHIN_S)
        print(f"\nadded at {added}, signed {signed}, removed at {removed}")
        chain = await settled_chain(net)
        check_once(chain, load)
        assert changes(chain, "next_validators_hash") == [added + 1, removed + 1]
        assert changes(chain, "validators_hash") == [added + 2, removed + 2]
        members = {block.height: len(Commit.decode(block.commit).signatures) for block in chain}
        assert {members[height] for height in range(added + 2, removed + 2)} == {5}
        assert {members[height] for height in range(removed + 2, start + 20)} == {4}
        status = await net.status(0)
        assert status is not None
        # Nobody waits for it any more.
        assert address(net, NEW) not in {view.address for view in status.validators}

    asyncio.run(body())


def test_parameters_change_with_the_next_height_on_all_nodes(net: Cluster) -> None:
    async def body() -> None:
        net.start(0, 1, 2, 3)
        await net.wait_height(1, 0, within_s=WITHIN_S)
        async with submitting(net.targets[:NEW], workers=2, pause_s=0.05, name="param") as load:
            at = await commit(net, b"param.max_bytes=%d" % SMALLER)
            await net.wait_height(at + 5, within_s=WITHIN_S)
        chain = await settled_chain(net)
        check_once(chain, load)
        assert changes(chain, "consensus_hash") == [at + 1]
        changed = ConsensusParams(max_bytes=SMALLER).hash()
        assert ChainBlock.decode(chain[at].raw).header.consensus_hash == changed
        net.kill(1)
        net.start(1)
        # More than one block of the new size takes.
        await pour(net, SMALLER + SMALLER // 2)
        chain = await settled_chain(net)
        assert max(len(block.raw) for block in chain[at:]) <= SMALLER
        assert net.stop(0) == [0]
        require_found(net, chain)

    asyncio.run(body())


async def pour(net: Cluster, size: int) -> None:
    """Have many bytes committed as fast as they go."""
    txs = [b"pour%d=%s" % (number, b"x" * 10_000) for number in range(size // 10_000)]
    async with net.client(0, 1) as client:
        await client.submit_stream(txs, Level.COMMITTED)


def require_found(net: Cluster, chain: list[Block]) -> None:
    """What the application said of each transaction and block is found in the index of a stopped node."""
    ledger = Ledger.open(Home(net.home(0)).data)
    try:
        keys = [tx.partition(b"=")[0].decode() for block in chain for tx in ChainBlock.decode(block.raw).txs]
        for key in (keys[0], keys[len(keys) // 2], keys[-1]):
            query = parse(f"tx.key='{key}'")
            total, (place,) = ledger.events.search_txs(query, page=1, per_page=2, order=Order.ASCENDING)
            assert total == 1
            assert (
                ChainBlock.decode(chain[place.height - 1].raw).txs[place.index].startswith(f"{key}=".encode())
            )
        total, _ = ledger.events.search_txs(
            parse("tx.key EXISTS"), page=1, per_page=1, order=Order.DESCENDING
        )
        assert total == len(keys)
        busy = [block.height for block in chain if ChainBlock.decode(block.raw).txs]
        _, found = ledger.events.search_blocks(
            parse("count.txs>0"), page=1, per_page=len(busy) + 1, order=Order.ASCENDING
        )
        assert list(found) == busy
    finally:
        ledger.close()
