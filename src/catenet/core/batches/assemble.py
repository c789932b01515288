"""From a compact block and batches to the block (consensus.md 1, 2.4). It judges manifests, never headers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from catenet.chain import evidence as evidence_format
from catenet.chain import merkle
from catenet.chain.block import Block, block_id, encode_block, encode_txs
from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError
from catenet.chain.header import Header
from catenet.core.batches.store import Store, leaf_hashes, tx_ids
from catenet.types.assembly import Assembled, Assembly, Broken, Missing
from catenet.types.batch import Compact, Inline, Pick, Ref
from catenet.types.ids import Digest, TxId

_CACHED = 32


class _BadManifest(Exception):
    """A rule of manifests is broken."""


@dataclass(slots=True)
class _Data:
    pieces: list[bytes] = field(default_factory=list)
    txs: list[bytes] = field(default_factory=list)
    ids: list[TxId] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    bytes: int = 0
    inline_bytes: int = 0
    missing: dict[Digest, None] = field(default_factory=dict)


class Assembler:
    """Rebuilds blocks (`types.assembly.BlockAssembler`). Answers are kept until the height is decided."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._junk: dict[Digest, None] = {}
        # By identity: a compact block is a value of many fields, and the same object comes again and again.
        self._cache: dict[int, tuple[Compact, Assembled | Broken]] = {}

    def junk(self, digest: Digest) -> None:
        """A batch that was fetched under its right name is no run of transactions: naming it is a fault."""
        self._junk[digest] = None

    def forget(self) -> None:
        """The height is decided."""
        self._cache.clear()
        self._junk.clear()

    def assemble(self, compact: Compact) -> Assembly:
        """Rebuild the block of a compact block."""
        known = self._cache.get(id(compact))
        if known is not None:
            return known[1]
        answer = self._assemble(compact)
        if not isinstance(answer, Missing):
            if len(self._cache) >= _CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[id(compact)] = (compact, answer)
        return answer

    def _assemble(self, compact: Compact) -> Assembly:
        try:
            data = self._gather(compact)
        except _BadManifest as error:
            return Broken(reason=str(error))
        if data.missing:
            return Missing(digests=tuple(data.missing))
        try:
            block = Block(
                header=Header.decode(compact.header),
                txs=data.txs,
                evidence=evidence_format.decode_list(compact.evidence),
                last_commit=Commit.decode(compact.last_commit),
            )
        except DecodeError as error:
            return Broken(reason=str(error))
        # Whole batches are joined: a payload is the encoding of its transactions.
        raw = encode_block(compact.header, b"".join(data.pieces), compact.evidence, compact.last_commit)
        return Assembled(
            block=block,
            raw=raw,
            block_id=block_id(raw, block.header),
            tx_ids=data.ids,
            data_hash=merkle.root_of_hashes(data.leaves),
        )

    def _gather(self, compact: Compact) -> _Data:
        config = self._store.config
        if len(compact.manifest) > config.segments:
            raise _BadManifest(f"{len(compact.manifest)} segments, {config.segments} is the limit")
        data = _Data()
        for named in compact.manifest:
            if isinstance(named, Inline):
                self._add_inline(data, named.txs)
            else:
                self._add_batch(data, named)
            # Checked on the way: a manifest may name one batch thousands of times.
            if data.bytes > config.block_bytes:
                raise _BadManifest(f"more than {config.block_bytes} bytes of transactions")
        return data

    def _add_inline(self, data: _Data, txs: Sequence[bytes]) -> None:
        data.inline_bytes += sum(map(len, txs))
        if data.inline_bytes > self._store.config.inline_bytes:
            raise _BadManifest(f"more than {self._store.config.inline_bytes} bytes inline")
        piece = encode_txs(txs)
        ids = tx_ids(txs)
        _extend(data, piece, txs, ids, leaf_hashes(ids))

    def _add_batch(self, data: _Data, named: Ref | Pick) -> None:
        if named.digest in self._junk:
            raise _BadManifest(f"batch {named.digest.hex()} holds no transactions")
        held = self._store.held.get(named.digest)
        if held is None:
            data.missing[named.digest] = None
            return
        count = len(held.ids)
        indices: Sequence[int]
        if isinstance(named, Ref):
            if not named.excluded:
                _extend(data, held.batch.payload, held.txs, held.ids, held.leaves)
                return
            indices = _included(named.excluded, count)
        else:
            indices = named.indices
            if indices and not 0 <= min(indices) <= max(indices) < count:
                raise _BadManifest(f"an index beyond the {count} transactions of a batch")
        if len(indices) > count:
            raise _BadManifest("a transaction is picked twice")
        txs = [held.txs[index] for index in indices]
        ids = [held.ids[index] for index in indices]
        _extend(data, encode_txs(txs), txs, ids, [held.leaves[index] for index in indices])


def _included(excluded: Sequence[int], count: int) -> list[int]:
    if not 0 <= excluded[0] <= excluded[-1] < count:
        raise _BadManifest(f"an excluded index beyond the {count} transactions of a batch")
    if not all([a < b for a, b in pairwise(excluded)]):
        raise _BadManifest("excluded indices are not ascending")
    gone = set(excluded)
    return [index for index in range(count) if index not in gone]


def _extend(
    data: _Data, piece: bytes, txs: Sequence[bytes], ids: Sequence[TxId], leaves: Sequence[bytes]
) -> None:
    data.pieces.append(piece)
    data.txs.extend(txs)
    data.ids.extend(ids)
    data.leaves.extend(leaves)
    data.bytes += len(piece)
