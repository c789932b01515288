"""An application with vote extensions and snapshots, for a real engine to ask for them.

Each validator says a number with its vote; the next proposer puts their sum into its block.
"""

from collections.abc import Sequence
from hashlib import sha256

from catenet.types.application import (
    OK,
    Application,
    BlockOutcome,
    CommitResult,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    PrepareProposal,
    Query,
    QueryResult,
)
from catenet.types.extensions import (
    ChunkOutcome,
    ChunkResult,
    ExtendVote,
    OfferResult,
    Snapshot,
    VerifyVoteExtension,
)
from catenet.types.ports import StateStore

SAID = b"7"
START = sha256(b"voices").digest()
CHUNK = 64
EVERY = 5


class Voices(Application):
    """Keeps the newest sum, and every transaction under its hash."""

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._height = store.height
        self._changes: dict[bytes, bytes] = {}
        self._kept: dict[int, bytes] = {}
        self._offered: Snapshot | None = None
        self._chunks: list[bytes] = []

    def info(self) -> Info:
        return Info(last_block_height=self._store.height, last_block_app_hash=self._hash())

    def init_chain(self, request: InitChain) -> InitChainResult:
        return InitChainResult(app_hash=START)

    def _hash(self) -> bytes:
        return self._changes.get(b"hash") or self._store.get(b"hash") or START

    def prepare_proposal(self, request: PrepareProposal) -> Sequence[bytes]:
        said = [int(one) for one in request.vote_extensions if one]
        return [*request.txs, *([b"sum:%d:%d" % (request.height, sum(said))] if said else [])]

    def extend_vote(self, request: ExtendVote) -> bytes:
        return SAID

    def verify_vote_extension(self, request: VerifyVoteExtension) -> bool:
        return request.vote_extension == SAID

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        self._height, self._changes = request.height, {}
        for tx in request.txs:
            self._changes[b"hash"] = sha256(self._hash() + tx).digest()
            if tx.startswith(b"sum:"):
                self._changes[b"sum"] = tx.rpartition(b":")[2]
            else:
                self._changes[b"tx:" + tx] = b"1"
        return BlockOutcome(results=(OK,) * len(request.txs), app_hash=self._hash())

    def commit(self) -> CommitResult:
        self._store.write(self._height, self._changes.items())
        self._changes = {}
        if self._height % EVERY == 0:
            self._kept[self._height] = self._written()
        return CommitResult()

    def query(self, request: Query) -> QueryResult:
        value = self._store.get(request.data)
        return QueryResult(code=0 if value else 1, value=value or b"", height=self._store.height)

    def _written(self) -> bytes:
        rows = self._store.items(b"", limit=100_000)
        return b"\n".join(key.hex().encode() + b" " + value.hex().encode() for key, value in rows)

    def list_snapshots(self) -> Sequence[Snapshot]:
        return [
            Snapshot(height=height, format=1, chunks=-(-len(data) // CHUNK), hash=sha256(data).digest())
            for height, data in sorted(self._kept.items())[-3:]
        ]

    def load_snapshot_chunk(self, height: int, format: int, chunk: int) -> bytes:
        return self._kept[height][chunk * CHUNK : (chunk + 1) * CHUNK]

    def offer_snapshot(self, snapshot: Snapshot, app_hash: bytes) -> OfferResult:
        if snapshot.format != 1:
            return OfferResult.REJECT_FORMAT
        self._offered, self._chunks = snapshot, []
        return OfferResult.ACCEPT

    def apply_snapshot_chunk(self, index: int, chunk: bytes, sender: str) -> ChunkOutcome:
        assert self._offered is not None
        self._chunks.append(chunk)
        if len(self._chunks) < self._offered.chunks:
            return ChunkOutcome()
        data = b"".join(self._chunks)
        if sha256(data).digest() != self._offered.hash:
            return ChunkOutcome(result=ChunkResult.REJECT_SNAPSHOT, reject_senders=(sender,))
        rows = [line.split(b" ") for line in data.split(b"\n")]
        pairs = [(bytes.fromhex(k.decode()), bytes.fromhex(v.decode())) for k, v in rows]
        self._store.write(self._offered.height, pairs)
        return ChunkOutcome()
