"""What is known of the blocks of one height, and what may be thought of each: PENDING, VALID or INVALID.

Rebuild first (consensus.md 2.1): a compact block that does not rebuild to the id it came for says nothing
about that id. Missing things make PENDING, never INVALID.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import assert_never

from catenet.chain.commit import BlockID
from catenet.chain.encoding import DecodeError
from catenet.chain.header import Header
from catenet.core.consensus.io import CannotJudge, HeaderCheck
from catenet.types.assembly import Assembled, BlockAssembler, Broken, Missing
from catenet.types.batch import Compact
from catenet.types.ids import Address, Digest

BLOCKS_MAX = 16
"""Blocks kept per height, besides those that are pinned (consensus.md 3, bounds)."""


class Verdict(Enum):
    """Of a block at this node; final and cached per height once it is not PENDING."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"


@dataclass(slots=True, kw_only=True)
class BlockEntry:
    """One block id that somebody named."""

    block_id: BlockID
    sources: list[Address] = field(default_factory=list)
    """Who named it, in order."""
    compact: Compact | None = None
    compact_from: Address = b""
    header: Header | None = None
    """Of `compact`; its hash is that of `block_id`."""
    assembled: Assembled | None = None
    """Rebuilt, and to this very id."""
    missing: tuple[Digest, ...] = ()
    missing_since_us: int = 0
    header_judged: bool = False
    header_fault: str | None = None
    unjudgeable: bool = False
    asked: bool = False
    """The application was asked: that happens once per id."""
    accepted: bool | None = None

    @property
    def verdict(self) -> Verdict:
        """What is thought of the block."""
        if self.header_fault is not None or self.accepted is False:
            return Verdict.INVALID
        if self.header_judged and self.accepted:
            return Verdict.VALID
        return Verdict.PENDING

    def judge_header(self, check: HeaderCheck) -> None:
        """Apply the header rules to the rebuilt block, once; missing history leaves it PENDING (E2)."""
        if self.header_judged or self.unjudgeable or self.assembled is None:
            return
        verdict = check(self.assembled)
        if isinstance(verdict, CannotJudge):
            self.unjudgeable = True
        else:
            self.header_fault, self.header_judged = verdict, True

    def drop_compact(self) -> None:
        """Forget the content: it did not prove to be that of the id."""
        self.compact, self.compact_from, self.header = None, b"", None
        self.missing, self.missing_since_us = (), 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A peer sent content that cannot belong to the id it was sent for."""

    peer: Address
    reason: str


class BlockTable:
    """The blocks of one height by id."""

    def __init__(self, assembler: BlockAssembler) -> None:
        self._assembler = assembler
        self._entries: dict[BlockID, BlockEntry] = {}

    def __iter__(self) -> Iterator[BlockEntry]:
        return iter(self._entries.values())

    def get(self, block_id: BlockID) -> BlockEntry | None:
        """Return what is known of an id."""
        return self._entries.get(block_id)

    def name(self, block_id: BlockID, peer: Address = b"") -> BlockEntry:
        """Note that an id was named, and by whom."""
        entry = self._entries.get(block_id)
        if entry is None:
            entry = self._entries[block_id] = BlockEntry(block_id=block_id)
        if peer and peer not in entry.sources:
            entry.sources.append(peer)
        return entry

    def offer(self, block_id: BlockID, compact: Compact, peer: Address, now_us: int) -> Fault | None:
        """Take content for an id unless it is here; return why it cannot be that of the id."""
        entry = self.name(block_id, peer)
        if entry.compact is not None:
            return None
        try:
            header = Header.decode(compact.header)
        except DecodeError as error:
            return Fault(peer=peer, reason=f"a header that does not parse: {error}")
        if header.hash() != block_id.hash:
            return Fault(peer=peer, reason="a header that has not the hash of the block id")
        entry.compact, entry.compact_from, entry.header = compact, peer, header
        return self.rebuild(entry, now_us)

    def rebuild(self, entry: BlockEntry, now_us: int) -> Fault | None:
        """Put the block together if all of its batches are here; return why its content is worthless."""
        if entry.compact is None or entry.assembled is not None:
            return None
        match self._assembler.assemble(entry.compact):
            case Missing(digests=digests):
                if not entry.missing:
                    entry.missing_since_us = now_us
                entry.missing = digests
                return None
            case Broken(reason=reason):
                pass
            case Assembled() as assembled:
                if assembled.block_id == entry.block_id:
                    entry.assembled, entry.missing = assembled, ()
                    return None
                reason = "a compact block that rebuilds to another id"
            case other:
                assert_never(other)
        fault = Fault(peer=entry.compact_from, reason=reason)
        entry.drop_compact()
        return fault

    def with_hash(self, block_hash: bytes) -> list[BlockEntry]:
        """Return the entries whose id has a header hash: the same hash with other parts is another value."""
        return [entry for entry in self._entries.values() if entry.block_id.hash == block_hash]

    def trim(self, pinned: set[BlockID]) -> None:
        """Keep the newest blocks and those that are pinned."""
        surplus = len(self._entries) - BLOCKS_MAX
        for block_id in list(self._entries):
            if surplus <= 0:
                break
            if block_id not in pinned:
                del self._entries[block_id]
                surplus -= 1
