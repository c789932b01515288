"""Prove a transaction to oneself: python prove.py TX-ID GENESIS NODE NODE..."""

import asyncio
import sys
from pathlib import Path

from catenet.chain.genesis import Genesis
from catenet.chain.light import Terms
from catenet.client.light.connect import connect
from catenet.client.light.session import LightClient
from catenet.client.light.store import TrustedStore

TWO_WEEKS_NS = 14 * 86_400 * 10**9


async def prove(tx_id: bytes, genesis: Genesis, urls: list[str]) -> None:
    """Ask the first node; the others are the witnesses that it is compared with."""
    primary, *witnesses = map(connect, urls)
    store = TrustedStore(Path("trusted"), genesis.chain_id)
    terms = Terms(trusting_period_ns=TWO_WEEKS_NS)
    client = LightClient(genesis.chain_id, primary, witnesses, store, terms, tell=print)
    await client.begin_at_genesis(genesis)
    found = await client.verified_tx(tx_id)
    code = "not known yet" if found.outcome is None else found.outcome.code
    print(f"{found.tx!r} is in block {found.block.height} at index {found.index}; its code is {code}")
    await client.close()


if __name__ == "__main__":
    genesis = Genesis.from_json(Path(sys.argv[2]).read_text())
    asyncio.run(prove(bytes.fromhex(sys.argv[1]), genesis, sys.argv[3:]))
