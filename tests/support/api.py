"""A node in memory behind `ports.Gateway`, and the real public server over it.

It stands in for the node at the port boundary and nowhere else: real blocks, real ids, no consensus. Several
nodes may share one `Ledger`, as the nodes of a network do. `python -m support.api` serves one, prints its
address, and ends with its stdin.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256

from catenet.api.limits import Limits
from catenet.api.server import Listener, PublicServer
from catenet.chain.block import block_id, data_hash, encode_block, encode_txs
from catenet.chain.commit import ABSENT, EMPTY_COMMIT, NIL, BlockID, Commit, CommitSig, Flag
from catenet.chain.header import Header
from catenet.chain.validators import ValidatorSet
from catenet.types.application import BlockOutcome, QueryResult, TxResult
from catenet.types.effects import TxRefusal
from catenet.types.errors import Unavailable
from catenet.types.events import Level
from catenet.types.ids import TxId
from catenet.types.ports import (
    BlockReader,
    CommittedTx,
    NodeStatus,
    PeerView,
    StoredBlock,
    SubmitOutcome,
    TxLocation,
)

CHAIN_ID = "test-chain"
REFUSED = b"refuse:"
FAILING = b"fail:"
FIRST_TIME_NS = 1_700_000_000 * 10**9


def tx_id(tx: bytes) -> TxId:
    return sha256(tx).digest()


def result_of(tx: bytes) -> TxResult:
    return TxResult(code=7, log="told to fail") if tx.startswith(FAILING) else TxResult(data=b"did " + tx[:8])


class Ledger:
    """Final blocks in memory: a `ports.BlockReader` with a way to add blocks."""

    def __init__(self) -> None:
        self._blocks: list[StoredBlock] = []
        self._heights: dict[bytes, int] = {}
        self._outcomes: dict[int, BlockOutcome] = {}
        self._locations: dict[TxId, TxLocation] = {}
        self._grown = asyncio.Event()
        self.lowest = 1
        self.reads = 0

    @property
    def head(self) -> int:
        return len(self._blocks)

    def block(self, height: int) -> StoredBlock | None:
        self.reads += 1
        return self._blocks[height - 1] if self.lowest <= height <= self.head else None

    def height_of(self, block_hash: bytes) -> int | None:
        return self._heights.get(block_hash)

    def locate(self, ids: Sequence[TxId]) -> Mapping[TxId, TxLocation]:
        return {one: self._locations[one] for one in ids if one in self._locations}

    def outcome(self, height: int) -> BlockOutcome | None:
        return self._outcomes.get(height)

    def validators_at(self, height: int) -> ValidatorSet | None:
        return None

    def commit(self, txs: Sequence[bytes]) -> StoredBlock:
        """Make a block of the transactions that are new."""
        fresh = [tx for tx in dict.fromkeys(txs) if tx_id(tx) not in self._locations]
        height = self.head + 1
        before = self._blocks[-1] if self._blocks else None
        last_commit = before.commit if before else EMPTY_COMMIT
        header = Header(
            chain_id=CHAIN_ID,
            height=height,
            time_ns=FIRST_TIME_NS + height * 10**9,
            last_block_id=before.block_id if before else NIL,
            last_commit_hash=last_commit.hash(),
            data_hash=data_hash(map(tx_id, fresh)),
            validators_hash=bytes(32),
            next_validators_hash=bytes(32),
            consensus_hash=bytes(32),
            app_hash=height.to_bytes(8, "big"),
            last_results_hash=bytes(32),
            evidence_hash=bytes(32),
            proposer_address=bytes(20),
        )
        raw = encode_block(header.encode(), encode_txs(fresh), b"", last_commit.encode())
        stored = StoredBlock(
            height=height, block_id=block_id(raw, header), raw=raw, commit=self._commit_of(raw, header)
        )
        for index, tx in enumerate(fresh):
            self._locations[tx_id(tx)] = TxLocation(
                height=height, index=index, code=result_of(tx).code, time_ns=header.time_ns
            )
        self._outcomes[height] = BlockOutcome(results=tuple(map(result_of, fresh)), app_hash=header.app_hash)
        self._add(stored)
        return stored

    def _add(self, stored: StoredBlock) -> None:
        self._heights[stored.block_id.hash] = stored.height
        self._blocks.append(stored)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def wait_height(self, height: int) -> None:
        while self.head < height:
            await self._grown.wait()

    @staticmethod
    def _commit_of(raw: bytes, header: Header) -> Commit:
        signed: BlockID = block_id(raw, header)
        entries = [
            CommitSig(flag=Flag.COMMIT, address=bytes([n]) * 20, time_ns=header.time_ns, signature=bytes(64))
            for n in range(3)
        ]
        return Commit(height=header.height, round=0, block_id=signed, signatures=(*entries, ABSENT))


@dataclass
class MemoryNode:
    """A `ports.Gateway`. Each submission becomes a block at once, unless `gate` is closed."""

    ledger: Ledger = field(default_factory=Ledger)
    faults: list[Exception] = field(default_factory=list)
    """Raised by the next submissions, one each."""
    catching_up: bool = False
    value: bytes = b""
    """Added to the value of each query."""
    current: bool = True
    """Whether it can confirm that it is current."""

    def __post_init__(self) -> None:
        self.submitted: list[tuple[Sequence[bytes], Level, str]] = []
        self.waiting: set[TxId] = set()
        self.confirmations = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self._entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def reader(self) -> BlockReader:
        return self.ledger

    async def submit(self, txs: Sequence[bytes], level: Level, *, client: str) -> SubmitOutcome:
        self.submitted.append((txs, level, client))
        if self.faults:
            raise self.faults.pop(0)
        self.waiting.update(map(tx_id, txs))
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        self._entered.set()
        try:
            await self.gate.wait()
        finally:
            self.in_flight -= 1
        self.waiting.difference_update(map(tx_id, txs))
        refused = [index for index, tx in enumerate(txs) if tx.startswith(REFUSED)]
        taken = [tx for tx in txs if not tx.startswith(REFUSED)]
        self.ledger.commit(taken)
        return SubmitOutcome(
            reached=level,
            refused=tuple(TxRefusal(index=index, code=3, reason="told to refuse") for index in refused),
            committed=tuple(map(self._committed, taken)) if level is Level.COMMITTED else (),
        )

    async def entered(self, count: int) -> None:
        """Wait until `count` submissions are in processing."""
        while self.in_flight < count:
            self._entered.clear()
            await self._entered.wait()

    async def query(self, requests: Sequence[tuple[str, bytes]]) -> Sequence[QueryResult]:
        return [
            QueryResult(key=data, value=path.encode() + b"/" + data + self.value, height=self.ledger.head)
            for path, data in requests
        ]

    def status(self) -> NodeStatus:
        newest = self.ledger.block(self.ledger.head)
        return NodeStatus(
            chain_id=CHAIN_ID,
            node_id="ab" * 20,
            name="memory",
            address=b"\x01" * 20,
            height=self.ledger.head,
            block_hash=newest.block_id.hash if newest else b"",
            app_hash=b"app",
            block_time_ns=FIRST_TIME_NS,
            lowest_height=self.ledger.lowest,
            catching_up=self.catching_up,
            round=0,
            step="propose",
            validators=(
                PeerView(
                    address=b"\x02" * 20, name="other", connected=True, height=1, power=10, last_seen_ms=5
                ),
            ),
            power_total=40,
            power_connected=20,
            waiting_for="10 more power of 40",
            pending_txs=len(self.waiting),
            home="/nowhere",
            uptime_ms=1,
        )

    def pending(self, tx_id: TxId) -> bool:
        return tx_id in self.waiting

    async def wait_height(self, height: int) -> None:
        await self.ledger.wait_height(height)

    async def confirm_current(self) -> None:
        self.confirmations += 1
        if not self.current:
            raise Unavailable("not confirmed")

    async def heights(self, after: int) -> AsyncIterator[int]:
        while True:
            after += 1
            await self.wait_height(after)
            yield after

    def _committed(self, tx: bytes) -> CommittedTx:
        name = tx_id(tx)
        return CommittedTx(id=name, location=self.ledger.locate([name])[name], result=result_of(tx))


@asynccontextmanager
async def serving(
    node: MemoryNode, *, limits: Limits | None = None, address: str = "127.0.0.1:0"
) -> AsyncIterator[PublicServer]:
    """Serve a node in plaintext on loopback for the length of the body."""
    server = PublicServer(node, [Listener(address=address)], limits=limits)
    await server.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        try:
            yield server
        finally:
            await server.stop(0)


async def serve_until_eof() -> None:
    """Serve a node with a few blocks; print its address; stop when stdin ends."""
    node = MemoryNode()
    node.ledger.commit([b"name=Wei", b"name=Ada"])
    node.ledger.commit([b"city=Basel"])
    async with serving(node) as server:
        print(server.addresses[0], flush=True)
        await asyncio.to_thread(input_ended)


def input_ended() -> None:
    try:
        while input():
            pass
    except EOFError:
        return


if __name__ == "__main__":
    asyncio.run(serve_until_eof())
