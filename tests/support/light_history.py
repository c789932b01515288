"""A history of a real network that light clients have to get over, made while they follow."""

from base64 import b64encode

import httpx

from catenet.chain.keys import parse_key_file
from catenet.types.events import Level
from support.cluster import Cluster

QUICK = ("consensus.heartbeat_interval_ms=100", "consensus.min_block_interval_ms=20")
"""Settings of a network that makes blocks without being asked to."""


async def change_power(net: Cluster, index: int, power: int) -> int:
    """Give a validator another power; returns the height of the block that says so."""
    key = parse_key_file((net.home(index) / "config" / "priv_validator_key.json").read_text()).public
    async with net.client() as client:
        update = b"val=ed25519!%b!%d" % (b64encode(key.data), power)
        return (await client.send(update, Level.COMMITTED)).height


async def make_history(net: Cluster) -> None:
    """Change the set of validators, and commit some blocks without one of them."""
    await change_power(net, 2, 17)
    net.kill(3)
    head = await net.head(0)
    await net.wait_height(head + 5, 0)
    net.start(3)
    await net.wait_height(head + 15, 0)


def commit_of(http: httpx.Client, height: int) -> dict[str, object]:
    """Return what a node answers to `commit` at a height."""
    found: dict[str, object] = http.get(f"/commit?height={height}").json()["result"]
    return found


def check_history(http: httpx.Client, head: int) -> None:
    """Check that the chain holds what the light client is to get over."""
    commits = [commit_of(http, height)["signed_header"] for height in range(1, head + 1)]
    hashes = {one["header"]["validators_hash"] for one in commits if isinstance(one, dict)}
    absent = [
        entry
        for one in commits
        if isinstance(one, dict)
        for entry in one["commit"]["signatures"]
        if entry["block_id_flag"] == 1
    ]
    assert len(hashes) > 1, "the set of validators changed"
    assert absent, "a commit has an absent vote"
