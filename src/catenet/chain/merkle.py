"""RFC 6962 Merkle trees over SHA-256 (chain-format.md 1.1): roots and proofs, of any items."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

EMPTY_HASH = sha256(b"").digest()
"""The root of an empty list."""


def leaf_hash(b: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\0" + b).digest()


def inner_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def root(items: Iterable[bytes]) -> bytes:
    """Return the root over items."""
    return root_of_hashes([sha256(b"\0" + item).digest() for item in items])


def root_of_hashes(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes that are known already."""
    if not leaf_hashes:
        return EMPTY_HASH
    level = list(leaf_hashes)
    # Pairing level by level and promoting an odd last node splits at the largest power of two below n.
    while len(level) > 1:
        odd = level.pop() if len(level) & 1 else None
        nodes = iter(level)
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(nodes, nodes, strict=True)]
        if odd is not None:
            level.append(odd)
    return level[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Shows that an item stands at `index` of a list of `total` items with a known root."""

    total: int
    index: int
    leaf_hash: bytes
    aunts: tuple[bytes, ...]
    """Siblings from the leaf upwards."""

    def verify(self, root: bytes, item: bytes) -> bool:
        """Say whether `item` stands there under `root`."""
        if not 0 <= self.index < self.total or self.leaf_hash != leaf_hash(item):
            return False
        index, last, node, used = self.index, self.total - 1, self.leaf_hash, 0
        while last:
            if index & 1 or index < last:
                if used == len(self.aunts):
                    return False
                aunt = self.aunts[used]
                used += 1
                node = inner_hash(aunt, node) if index & 1 else inner_hash(node, aunt)
            index, last = index >> 1, last >> 1
        return used == len(self.aunts) and node == root


def prove(items: Sequence[bytes], index: int) -> Proof:
    """Return the proof that `items[index]` is in the tree over `items`."""
    if not 0 <= index < len(items):
        raise IndexError(f"index {index} of {len(items)} items")
    level = [leaf_hash(item) for item in items]
    leaf, place, aunts = level[index], index, []
    while len(level) > 1:
        sibling = place ^ 1
        if sibling < len(level):
            aunts.append(level[sibling])
        pairs = [inner_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[2 * len(pairs) :]
        place >>= 1
    return Proof(total=len(items), index=index, leaf_hash=leaf, aunts=tuple(aunts))
