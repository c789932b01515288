"""`catenet.v1.Query`: reads of blocks, transactions and application state. Answers too large are cut."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from catenet import __version__
from catenet.api.blocks import block_txs, stored_block
from catenet.api.limits import Limits
from catenet.chain.commit import Commit, Flag
from catenet.chain.encoding import fields
from catenet.chain.header import Header
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import Proof, prove
from catenet.chain.results import result_bytes
from catenet.types.application import QueryResult, TxResult
from catenet.types.errors import InvalidInput, NotFound, PastTip, Unavailable
from catenet.types.ids import TxId
from catenet.types.ports import Gateway, StoredBlock, TxLocation
from catenet.wire.v1 import query_pb2 as pb

HASH_BYTES = 32

HEIGHT_S = 5.0
"""How long a read waits for the height that it asks for."""


class QueryService:
    """Answers reads from the final blocks and the application of a node."""

    def __init__(self, gateway: Gateway, limits: Limits) -> None:
        self._gateway = gateway
        self._limits = limits
        self._signatures = (0, 0)

    async def status(self) -> pb.StatusResponse:
        """Say how the node stands."""
        now = self._gateway.status()
        return pb.StatusResponse(
            chain_id=now.chain_id,
            node_id=now.node_id,
            name=now.name,
            address=now.address,
            software=f"catenet/{__version__}",
            height=now.height,
            block_hash=now.block_hash,
            app_hash=now.app_hash,
            block_time_ns=now.block_time_ns,
            lowest_height=now.lowest_height,
            catching_up=now.catching_up,
            round=now.round,
            step=now.step,
            validators=[
                pb.PeerStatus(
                    address=peer.address,
                    name=peer.name,
                    validator=True,
                    connected=peer.connected,
                    height=peer.height,
                    power=peer.power,
                    last_seen_ms=peer.last_seen_ms,
                )
                for peer in now.validators
            ],
            power_total=now.power_total,
            power_connected=now.power_connected,
            waiting_for=now.waiting_for,
            pending_transactions=now.pending_txs,
            home=now.home,
            uptime_ms=now.uptime_ms,
            last_commit_signatures=self._signatures_of(now.height),
        )

    async def block(self, request: pb.GetBlockRequest) -> pb.Block:
        """Return a block by height (0: the newest) or hash. Raises `NotFound`, `PastTip`, `InvalidInput`."""
        reader = self._gateway.reader
        tip = reader.head
        if request.WhichOneof("which") == "hash":
            found = reader.height_of(_hash(request.hash, "block hash"))
            if found is None:
                raise NotFound(f"no block has the hash {request.hash.hex()}")
            height = found
        else:
            height = request.height or tip
        if height > tip or height == 0:
            raise PastTip(f"height {height} is out of range: the tip is {tip}")
        return self._block(stored_block(reader, height))

    async def blocks(self, request: pb.GetBlocksByHeightRequest) -> pb.BlocksResponse:
        """Return blocks `first..last`, cut to what fits in one answer and to the tip; at least the first."""
        reader = self._gateway.reader
        first, last, tip = request.first, request.last, reader.head
        if first == 0 or first > tip:
            raise PastTip(f"first height {first} is out of range: heights begin at 1, the tip is {tip}")
        if last < first:
            raise InvalidInput(f"last height {last} is below the first, {first}")
        answer = pb.BlocksResponse()
        room = self._limits.answer_bytes
        for height in range(first, min(last, tip, first + self._limits.items - 1) + 1):
            block = self._block(stored_block(reader, height))
            room -= block.ByteSize() + 8
            if room < 0 and answer.blocks:
                break
            answer.blocks.append(block)
            await asyncio.sleep(0)  # Other calls get their turn between blocks.
        return answer

    async def light_block(self, request: pb.GetLightBlockRequest) -> pb.LightBlockResponse:
        """Return what a light client verifies of a height (0: the newest). Raises `NotFound`, `PastTip`."""
        reader = self._gateway.reader
        tip = reader.head
        height = request.height or tip
        if height > tip or height == 0:
            raise PastTip(f"height {height} is out of range: the tip is {tip}")
        stored, validators = stored_block(reader, height), reader.validators_at(height)
        if validators is None:
            raise NotFound(f"the validators of height {height} are not kept here")
        # The commit that the chain holds is the same on all nodes; what this node decided by need not be.
        commit = _last_commit(stored_block(reader, height + 1).raw) if height < tip else stored.commit
        block = LightBlock(header=_header(stored.raw), commit=commit, validators=validators)
        return pb.LightBlockResponse(light_block=block.encode())

    async def transaction(self, request: pb.GetTransactionRequest) -> pb.TransactionResult:
        """Look one transaction up; `proof` shows that it is in its block."""
        found = await self._look_up([_hash(request.id, "transaction id")], with_proof=request.prove)
        return found[0]

    async def transactions(self, request: pb.GetTransactionsRequest) -> pb.TransactionsResponse:
        """Look transactions up, in order. A shorter answer was cut: ask again for the rest."""
        self._check_count(len(request.ids), "ids")
        ids = [_hash(tx_id, "transaction id") for tx_id in request.ids]
        return pb.TransactionsResponse(results=await self._look_up(ids, with_proof=False))

    async def query(self, request: pb.QueryRequest) -> pb.QueryResponse:
        """Ask the application's committed state."""
        await self._wait_for(request)
        results = await self._gateway.query([(request.path, request.data)])
        return _response(results[0])

    async def query_many(self, request: pb.QueryManyRequest) -> pb.QueryManyResponse:
        """Ask the application for many things. A shorter answer was cut: ask for the rest."""
        self._check_count(len(request.data), "queries")
        await self._wait_for(request)
        path = request.path
        results = await self._gateway.query([(path, data) for data in request.data])
        return pb.QueryManyResponse(results=_cut(map(_response, results), self._limits.answer_bytes))

    async def _wait_for(self, request: pb.QueryRequest | pb.QueryManyRequest) -> None:
        """Return when the state here is as new as the request asks for. Raises `Unavailable`."""
        height = request.min_height
        try:
            async with asyncio.timeout(HEIGHT_S):
                await self._gateway.wait_height(height)
        except TimeoutError:
            head = self._gateway.reader.head
            raise Unavailable(
                f"height {height} is not here after {HEIGHT_S:g} s, the newest is {head}; ask another node"
            ) from None
        if request.linearizable:
            await self._gateway.confirm_current()

    def _check_count(self, count: int, what: str) -> None:
        if count > self._limits.items:
            raise InvalidInput(f"{count} {what} in one request; the limit is {self._limits.items}")

    def _signatures_of(self, height: int) -> int:
        """Return how many validators signed a block's commit, remembered for the newest one."""
        if height and self._signatures[0] != height and (stored := self._gateway.reader.block(height)):
            count = sum(1 for signature in stored.commit.signatures if signature.flag is Flag.COMMIT)
            self._signatures = (height, count)
        return self._signatures[1]

    def _block(self, stored: StoredBlock) -> pb.Block:
        block = pb.Block(
            height=stored.height,
            hash=stored.block_id.hash,
            block=stored.raw,
            commit=stored.commit.encode(),
            time_ns=_header(stored.raw).time_ns,
        )
        ids = [sha256(tx).digest() for tx in block_txs(stored.raw)]
        # A block of tiny transactions has more bytes of ids than of itself; the caller can compute them.
        if block.ByteSize() + len(ids) * (HASH_BYTES + 2) <= self._limits.answer_bytes:
            block.transaction_ids.extend(ids)
        return block

    async def _look_up(self, ids: Sequence[TxId], *, with_proof: bool) -> list[pb.TransactionResult]:
        locations = self._gateway.reader.locate(ids)
        blocks = _Blocks(self._gateway)
        results: list[pb.TransactionResult] = []
        room = self._limits.answer_bytes
        for tx_id in ids:
            if location := locations.get(tx_id):
                if blocks.read_bytes > self._limits.read_bytes:
                    break
                result = await blocks.result(tx_id, location, with_proof=with_proof)
            else:
                result = pb.TransactionResult(id=tx_id, pending=self._gateway.pending(tx_id))
            room -= result.ByteSize() + 8
            if room < 0 and results:
                break
            results.append(result)
        return results


class _Blocks:
    """The blocks that one look-up reads; a few stay decoded, as ids of one block tend to come together."""

    KEPT = 4

    def __init__(self, gateway: Gateway) -> None:
        self._reader = gateway.reader
        self._read_already: dict[int, tuple[Sequence[bytes], Sequence[TxResult]]] = {}
        self.read_bytes = 0

    async def result(self, tx_id: TxId, location: TxLocation, *, with_proof: bool) -> pb.TransactionResult:
        """Return what is known of a committed transaction; without its bytes when the block is pruned."""
        answer = pb.TransactionResult(
            id=tx_id, found=True, height=location.height, index=location.index, code=location.code
        )
        txs, results = await self._read(location.height)
        if txs:
            answer.transaction = txs[location.index]
            if with_proof:
                answer.proof.CopyFrom(_proof(prove([sha256(tx).digest() for tx in txs], location.index)))
        if results:
            result = results[location.index]
            answer.log, answer.data = result.log, result.data
            answer.gas_wanted, answer.gas_used = result.gas_wanted, result.gas_used
            if with_proof:
                leaves = [result_bytes(one.code, one.data, one.gas_wanted, one.gas_used) for one in results]
                answer.result_proof.CopyFrom(_proof(prove(leaves, location.index)))
        return answer

    async def _read(self, height: int) -> tuple[Sequence[bytes], Sequence[TxResult]]:
        if height not in self._read_already:
            await asyncio.sleep(0)  # Other calls get their turn between blocks.
            stored, outcome = self._reader.block(height), self._reader.outcome(height)
            self.read_bytes += 0 if stored is None else len(stored.raw)
            if len(self._read_already) >= self.KEPT:
                self._read_already.pop(next(iter(self._read_already)))
            self._read_already[height] = (
                () if stored is None else block_txs(stored.raw),
                () if outcome is None else outcome.results,
            )
        return self._read_already[height]


def _header(raw: bytes) -> Header:
    _, _, value = next(fields(raw))
    assert isinstance(value, bytes), "a stored block begins with its header"
    return Header.decode(value)


def _last_commit(raw: bytes) -> Commit:
    commits = [value for number, _, value in fields(raw) if number == 4]
    assert isinstance(commits[0], bytes), "a stored block holds the commit of the height before"
    return Commit.decode(commits[0])


def _proof(proof: Proof) -> pb.Proof:
    return pb.Proof(total=proof.total, index=proof.index, leaf_hash=proof.leaf_hash, aunts=proof.aunts)


def _hash(value: bytes, what: str) -> bytes:
    if len(value) != HASH_BYTES:
        raise InvalidInput(f"a {what} has {HASH_BYTES} bytes, not {len(value)}")
    return value


def _response(result: QueryResult) -> pb.QueryResponse:
    return pb.QueryResponse(
        code=result.code, log=result.log, key=result.key, value=result.value, height=result.height
    )


def _cut(responses: Iterable[pb.QueryResponse], room: int) -> Iterator[pb.QueryResponse]:
    """Yield responses while they fit; the first one always."""
    for number, response in enumerate(responses):
        room -= response.ByteSize() + 8
        if room < 0 and number:
            return
        yield response
