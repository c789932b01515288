"""The demonstration's last part: whether all validators hold the same, nothing lost and nothing twice.

Everything is read back over the public services of each validator, and compared with what was sent.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from catenet.chain.genesis import Genesis
from catenet.cli.flights import Flights
from catenet.cli.places import Network
from catenet.cli.proving import Signers, Unproven, check_commit
from catenet.client.sdk import Client
from catenet.types.errors import CatenetError

CATCH_UP_S = 60.0
POLL_S = 0.2
KEYS_AT_ONCE = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What one validator holds."""

    name: str
    chain: tuple[bytes, ...]
    """For each height from 1: hash of the block, and of its bytes."""
    found: Counter[bytes]
    """How often each transaction is in blocks, by id."""
    unreadable: tuple[int, ...]
    """Places of the records whose value is not what was sent."""
    signers: Signers | None
    """Who signed the last block; None when its commit does not hold."""
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All validators together."""

    height: int
    agreed: bool
    lost: int
    duplicated: int
    signers: Signers | None
    faults: tuple[str, ...]


async def check_all(network: Network, flights: Flights, genesis: Genesis) -> Verdict:
    """Read everything back from every validator."""
    height = await _common_height(network)
    views = [await _view(node.name, node.plaintext, height, flights, genesis) for node in network.nodes]
    return verdict(views, flights.txs, height)


def verdict(views: Sequence[NodeView], txs: Sequence[bytes], height: int) -> Verdict:
    """Judge what the validators hold."""
    ids = [sha256(tx).digest() for tx in txs]
    found = views[0].found
    bad = {index for view in views for index in view.unreadable}
    bad.update(index for view in views for index, tx_id in enumerate(ids) if tx_id not in view.found)
    same = all(view.chain == views[0].chain for view in views) and len(views[0].chain) == height
    held = all(view.signers is not None for view in views)
    return Verdict(
        height=height,
        agreed=same and held and height > 0,
        lost=len(bad),
        duplicated=max(sum(count - 1 for count in view.found.values()) for view in views) if found else 0,
        signers=views[0].signers,
        faults=tuple(f"{view.name}: {view.fault}" for view in views if view.fault),
    )


async def _common_height(network: Network) -> int:
    """Return the newest height of all; waits until every validator is there, or the time is over."""
    async with asyncio.TaskGroup() as tasks:
        first = [tasks.create_task(_height(node.plaintext, 0)) for node in network.nodes]
    height = max(task.result() for task in first)
    async with asyncio.TaskGroup() as tasks:
        for node in network.nodes:
            tasks.create_task(_height(node.plaintext, height))
    return height


async def _height(target: str, least: int) -> int:
    """Return a validator's height once it is at `least`; what it has when the time is over."""
    height = 0
    try:
        async with asyncio.timeout(CATCH_UP_S), Client([target], timeout_s=CATCH_UP_S) as client:
            while True:
                height = (await client.status()).height
                if height >= max(least, 1):
                    return height
                await asyncio.sleep(POLL_S)
    except (TimeoutError, CatenetError):
        pass
    return height


async def _view(name: str, target: str, height: int, flights: Flights, genesis: Genesis) -> NodeView:
    chain: list[bytes] = []
    found: Counter[bytes] = Counter()
    unreadable: list[int] = []
    signers = None
    fault = ""
    try:
        async with Client([target], timeout_s=CATCH_UP_S) as client:
            async for block in client.blocks(1, height, raw=True):
                chain.append(block.hash + sha256(block.raw).digest())
                found.update(sha256(tx).digest() for tx in block.txs)
            signers = check_commit(await client.block(height), genesis)
            unreadable = await _unreadable(client, flights)
    except (CatenetError, Unproven, TimeoutError) as error:
        fault = str(error) or type(error).__name__
        unreadable = list(range(len(flights.keys)))
    return NodeView(
        name=name, chain=tuple(chain), found=found, unreadable=tuple(unreadable), signers=signers, fault=fault
    )


async def _unreadable(client: Client, flights: Flights) -> list[int]:
    bad: list[int] = []
    for start in range(0, len(flights.keys), KEYS_AT_ONCE):
        keys = flights.keys[start : start + KEYS_AT_ONCE]
        results = await client.query_many("/store", keys)
        for index, (key, result) in enumerate(zip(keys, results, strict=True), start):
            if result.code != 0 or key + b"=" + result.value != flights.txs[index]:
                bad.append(index)
    return bad
