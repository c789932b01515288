"""Blocks, index and application state in memory, as a node stores them: they lag behind the journal.

A crash takes back what was not flushed; a restart brings it again from the journal. Blocks are never
behind the application, as in production, where a block is stored before the application commits it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from catenet.chain.block import Block
from catenet.chain.light_block import LightBlock
from catenet.chain.state import ChainState
from catenet.chain.validators import ValidatorSet
from catenet.testing.simulator.chooser import Chooser
from catenet.types.application import BlockOutcome
from catenet.types.effects import CommitBlock
from catenet.types.ids import TxId
from catenet.types.ports import StoredBlock, TxLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Height:
    """All that is stored of one height."""

    stored: StoredBlock
    outcome: BlockOutcome
    state: ChainState
    tx_ids: Sequence[TxId]
    evidence: tuple[bytes, ...]
    """Hashes of the evidence in the block."""
    time_ns: int


class ChainStore:
    """Final blocks: `BlockReader`, `TxWindow`, and the history that a handshake replays."""

    def __init__(self) -> None:
        self._heights: list[Height] = []
        self._index: dict[TxId, TxLocation] = {}
        self._by_hash: dict[bytes, int] = {}
        self._evidence: set[bytes] = set()
        self._flushed = 0

    @property
    def lowest(self) -> int:
        """Lowest height kept."""
        return 1

    @property
    def head(self) -> int:
        """Newest final height; 0 before the first block."""
        return len(self._heights)

    def block(self, height: int) -> StoredBlock | None:
        """Return the block of a height, or None."""
        found = self._at(height)
        return None if found is None else found.stored

    def height_of(self, block_hash: bytes) -> int | None:
        """Return the height of a block hash, or None."""
        return self._by_hash.get(block_hash)

    def locate(self, ids: Sequence[TxId]) -> Mapping[TxId, TxLocation]:
        """Return where transactions were committed."""
        return {tx_id: self._index[tx_id] for tx_id in ids if tx_id in self._index}

    def committed(self, ids: Sequence[TxId]) -> Mapping[TxId, int]:
        """Return the block time of each id that was committed."""
        return {tx_id: place.time_ns for tx_id, place in self.locate(ids).items()}

    def outcome(self, height: int) -> BlockOutcome | None:
        """Return what executing a height gave."""
        found = self._at(height)
        return None if found is None else found.outcome

    def state_at(self, height: int) -> ChainState | None:
        """Return the state after a height."""
        found = self._at(height)
        return None if found is None else found.state

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Return who could sign at a height, when the height before is stored."""
        before = self._at(height - 1)
        return None if before is None else before.state.validators

    def time_at(self, height: int) -> int | None:
        """Return the block time of a height in nanoseconds."""
        found = self._at(height)
        return None if found is None else found.time_ns

    def light_block_at(self, height: int) -> LightBlock | None:
        """Return a header with its validators, and with the commit in the next block when there is one."""
        found, after, validators = self._at(height), self._at(height + 1), self.validators_at(height)
        if found is None or validators is None:
            return None
        commit = Block.decode(after.stored.raw).last_commit if after else found.stored.commit
        header = Block.decode(found.stored.raw).header
        return LightBlock(header=header, commit=commit, validators=validators)

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        """Whether a block of the chain holds this evidence."""
        return evidence_hash in self._evidence

    def _at(self, height: int) -> Height | None:
        return self._heights[height - 1] if 1 <= height <= len(self._heights) else None

    def store(self, effect: CommitBlock) -> None:
        """Store one height; a height that is there already stays as it is."""
        if effect.height <= self.head:
            return
        assert effect.height == self.head + 1, f"height {effect.height} is stored above {self.head}"
        time_ns = effect.block.header.time_ns
        stored = StoredBlock(
            height=effect.height, block_id=effect.block_id, raw=effect.raw, commit=effect.commit
        )
        kept = Height(
            stored=stored,
            evidence=tuple(item.hash() for item in effect.block.evidence),
            outcome=effect.outcome,
            state=effect.state,
            tx_ids=tuple(effect.tx_ids),
            time_ns=time_ns,
        )
        self._heights.append(kept)
        self._enter(kept)

    def _enter(self, kept: Height) -> None:
        self._by_hash[kept.stored.block_id.hash] = kept.stored.height
        self._evidence.update(kept.evidence)
        for index, (tx_id, result) in enumerate(zip(kept.tx_ids, kept.outcome.results, strict=True)):
            self._index[tx_id] = TxLocation(
                height=kept.stored.height, index=index, code=result.code, time_ns=kept.time_ns
            )

    def flush(self) -> None:
        """What is here survives every crash."""
        self._flushed = self.head

    def crash(self, chooser: Chooser) -> None:
        """Take back some of what was not flushed."""
        self.cut(chooser.between(self._flushed, self.head))

    def cut(self, keep: int) -> None:
        """Take back all above a height."""
        self._put(self._heights[:keep])

    def back_up(self) -> Callable[[], None]:
        """Return what brings back the chain of now."""
        heights = list(self._heights)
        return lambda: self._put(heights)

    def _put(self, heights: Sequence[Height]) -> None:
        self._heights = list(heights)
        self._flushed = len(heights)
        self._index, self._by_hash, self._evidence = {}, {}, set()
        for kept in self._heights:
            self._enter(kept)


class MemoryState:
    """An application's state: `StateStore` with crashes."""

    def __init__(self) -> None:
        self._durable: dict[bytes, bytes] = {}
        self._durable_height = 0
        self._values: dict[bytes, bytes] = {}
        self._height = 0
        self._pending: list[tuple[int, list[tuple[bytes, bytes | None]]]] = []

    @property
    def height(self) -> int:
        """The committed height; 0 before the first commit."""
        return self._height

    def get(self, key: bytes) -> bytes | None:
        """Return a committed value."""
        return self._values.get(key)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return committed values, in order."""
        return [self._values.get(key) for key in keys]

    def items(self, prefix: bytes, after: bytes = b"", limit: int = 100) -> Sequence[tuple[bytes, bytes]]:
        """Return committed items under a prefix, after a key, ascending."""
        keys = sorted(key for key in self._values if key.startswith(prefix) and key > after)
        return [(key, self._values[key]) for key in keys[:limit]]

    def write(self, height: int, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Commit changes and the height in one step."""
        listed = list(changes)
        self._pending.append((height, listed))
        self._height = height
        _apply(self._values, listed)

    def flush(self) -> None:
        """What is here survives every crash."""
        self._durable, self._durable_height = dict(self._values), self._height
        self._pending = []

    def crash(self, chooser: Chooser, height_max: int) -> None:
        """Take back some of what was not flushed, at least down to `height_max`."""
        candidates = [
            count for count in range(len(self._pending) + 1) if self._height_after(count) <= height_max
        ]
        keep = chooser.pick(candidates)
        self._values = dict(self._durable)
        for _, changes in self._pending[:keep]:
            _apply(self._values, changes)
        self._height = self._height_after(keep)
        self.flush()

    def back_up(self) -> Callable[[], None]:
        """Return what brings back the state of now."""
        values, height = dict(self._values), self._height

        def restore() -> None:
            self._values, self._height = dict(values), height
            self.flush()

        return restore

    def _height_after(self, count: int) -> int:
        return self._pending[count - 1][0] if count else self._durable_height

    def digest(self) -> bytes:
        """Return a hash of all committed values, to compare nodes."""
        listed = sorted(self._values.items())
        return sha256(b"".join([b"%d:%b%d:%b" % (len(k), k, len(v), v) for k, v in listed])).digest()


def _apply(values: dict[bytes, bytes], changes: Iterable[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            values.pop(key, None)
        else:
            values[key] = value
