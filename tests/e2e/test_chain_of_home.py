"""A home belongs to one chain: with another chain's genesis it does not start, and says so."""

import asyncio
from pathlib import Path

import pytest

from support.cluster import cluster

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_genesis_of_another_chain_than_the_stored_one_is_refused(tmp_path: Path) -> None:
    async def body() -> None:
        with cluster(tmp_path / "net", count=1, chain_id="first-chain") as net:
            net.start()
            await net.wait_ready()
            assert net.stop() == [0]
            path = net.home(0) / "config/genesis.json"
            path.write_text(path.read_text().replace("first-chain", "other-chain"))
            net.start()
            assert net.exit_code(0, within_s=10) == 1
            words = net.log(0)
            assert "is of chain other-chain" in words
            assert "are of chain first-chain" in words

    asyncio.run(body())
