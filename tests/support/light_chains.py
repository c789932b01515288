"""Chains for light clients, and who answers a walk's questions.

`python -m support.light_chains GENESIS` serves one over gRPC and writes its genesis.
"""

import asyncio
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from catenet.chain.light_block import LightBlock
from catenet.chain.validators import ValidatorSet
from catenet.types.application import BlockOutcome
from catenet.types.ports import StoredBlock, TxLocation
from support.api import Ledger, MemoryNode, input_ended, result_of, serving, tx_id
from support.chain import GENESIS_TIME_NS, SECOND_NS, Decided, LocalChain, make_genesis, make_keys

R = TypeVar("R")


def changing_chain(*, heights: int, change_at: int, time_ns: int = GENESIS_TIME_NS) -> LocalChain:
    """Return a chain whose four validators are all replaced by the block of one height: from two later on."""
    old, new = make_keys(4), make_keys(4, first=50)
    chain = LocalChain([*old, *new], replace(make_genesis(old), genesis_time_ns=time_ns))
    chain.grow(change_at - 1)
    updates = [(key.public, 0) for key in old] + [(key.public, 10) for key in new]
    chain.add(chain.build([b"all change"]), validator_updates=updates)
    chain.grow(heights - change_at)
    return chain


def drive(walk: Generator[int, LightBlock, R], chain: LocalChain) -> tuple[R, list[int]]:
    """Answer a walk from a chain; return its result and the heights that it asked for."""
    asked: list[int] = []
    try:
        height = next(walk)
        while True:
            asked.append(height)
            height = walk.send(chain.decided[height - 1].light)
    except StopIteration as done:
        return done.value, asked


class SignedLedger(Ledger):
    """Final blocks in memory whose commits are signed: those of a `LocalChain`."""

    def __init__(self, chain: LocalChain) -> None:
        super().__init__()
        self.chain = chain
        for decided in chain.decided:
            self._keep(decided)

    def commit(self, txs: Sequence[bytes]) -> StoredBlock:
        """Decide a block of the transactions."""
        results = [(one.code, one.data, one.gas_wanted, one.gas_used) for one in map(result_of, txs)]
        return self._keep(self.chain.add(self.chain.build(txs), results=results))

    def validators_at(self, height: int) -> ValidatorSet | None:
        return self.chain.decided[height - 1].light.validators if 0 < height <= self.head else None

    def _keep(self, decided: Decided) -> StoredBlock:
        height = decided.block.header.height
        for index, tx in enumerate(decided.block.txs):
            self._locations[tx_id(tx)] = TxLocation(
                height=height, index=index, code=result_of(tx).code, time_ns=decided.light.time_ns
            )
        self._outcomes[height] = BlockOutcome(
            results=tuple(map(result_of, decided.block.txs)), app_hash=decided.block.header.app_hash
        )
        stored = StoredBlock(height=height, block_id=decided.block_id, raw=decided.raw, commit=decided.commit)
        self._add(stored)
        return stored


async def serve_until_eof(ledger: SignedLedger) -> None:
    """Serve a node in a process of its own; print its address; stop when stdin ends."""
    async with serving(MemoryNode(ledger=ledger)) as server:
        print(server.addresses[0], flush=True)
        await asyncio.to_thread(input_ended)


if __name__ == "__main__":
    CHAIN = changing_chain(heights=4, change_at=2, time_ns=time.time_ns() - 60 * SECOND_NS)
    Path(sys.argv[1]).write_text(CHAIN.genesis.to_json())

    async def main() -> None:
        ledger = SignedLedger(CHAIN)
        ledger.commit([b"name=Wei", b"name=Ada"])
        ledger.commit([b"city=Basel"])
        await serve_until_eof(ledger)

    asyncio.run(main())
