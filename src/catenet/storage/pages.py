"""Checks an LMDB file page by page before LMDB opens it. Pure: bytes in, a fault or nothing out.

LMDB trusts its pages: one flipped bit can hide a row, serve another one, or end the process. A file that a
crash left open has no checksum as a whole, so its structure is walked instead: every reachable page is used
once and is none of the free ones, keys ascend within the bounds of their branch, counts agree, every row
passes the caller's check. What lies in unused pages does not matter.

    page := number u64 | pad u16 | flags u16 | lower u16 | upper u16 | place of each node u16 ... nodes
    node := low u16 | high u16 | flags u16 | key length u16 | key | value
    overflow page := number u64 | pad u16 | flags u16 | pages u32 | value        all integers little endian
    a branch's node has no value: low, high and flags are the number of its child
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG_VALUE, SUB_TABLE = 1, 2
INTEGER_KEYS = 8
DEPTH_MAX = 32
MAP_BYTES_MAX = 1 << 46
"""No machine could map more."""
NONE = 2**64 - 1
"""The root of an empty tree."""

_PAGE = struct.Struct("<QHHHH")
_NODE = struct.Struct("<HHHH")
_TREE = struct.Struct("<IHHQQQQQ")
_META = struct.Struct("<II8xQ")
_LAST = struct.Struct("<QQ")
_PAGE_HEAD, _NODE_HEAD = _PAGE.size, _NODE.size
_TREES_AT = _PAGE_HEAD + _META.size
_LAST_AT = _TREES_AT + 2 * _TREE.size

CheckRow = Callable[[bytes, bytes], bool]
"""Whether a row's key and value are what was stored."""


class PageFault(Exception):
    """Damage at a byte of the file."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(why)
        self.offset = offset
        self.why = why


class Tree(NamedTuple):
    """What LMDB keeps of one tree."""

    pad: int
    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int


class Walk:
    """One walk through the newest commit of a file."""

    def __init__(self, data: memoryview, check_row: CheckRow) -> None:
        self._data = data
        self._check_row = check_row
        self._size = _page_size(data)
        meta_at, last = _newest(data, self._size)
        if (last + 1) * self._size > len(data):
            raise PageFault(len(data), f"the file ends before page {last}")
        self._used = bytearray(last + 1)
        self._used[:2] = b"\1\1"
        self._trees = [
            (meta_at + at, Tree(*_TREE.unpack_from(data, meta_at + at)))
            for at in (_TREES_AT, _TREES_AT + _TREE.size)
        ]

    def run(self) -> int:
        """Return how many rows the tables hold. Raises `PageFault`."""
        rows = 0
        (free_at, free), (main_at, main) = self._trees
        self._tree(free_at, free, INTEGER_KEYS, self._free_pages)

        def table(at: int, flags: int, key: bytes, value: memoryview) -> None:
            nonlocal rows
            if flags != SUB_TABLE or len(value) != _TREE.size:
                raise PageFault(at, "a row stands where only tables are")
            tree = Tree(*_TREE.unpack(value))
            self._tree(at, tree, 0, self._row)
            rows += tree.entries

        self._tree(main_at, main, 0, table)
        return rows

    def _row(self, at: int, flags: int, key: bytes, value: memoryview) -> None:
        if flags & ~BIG_VALUE or not self._check_row(key, bytes(value)):
            raise PageFault(at, f"the row {key.hex()} does not check")

    def _free_pages(self, at: int, flags: int, key: bytes, value: memoryview) -> None:
        count = len(value) // 8
        numbers = struct.unpack(f"<{count}Q", value[: count * 8])
        if not count or numbers[0] != count - 1 or flags & ~BIG_VALUE:
            raise PageFault(at, "a list of free pages does not check")
        for number in numbers[1:]:
            self._use(number, at)

    def _tree(
        self, at: int, tree: Tree, flags: int, visit: Callable[[int, int, bytes, memoryview], None]
    ) -> None:
        """Walk a tree in the order of its keys, with every node of its leaves given to `visit`."""
        if tree.flags != flags or tree.depth > DEPTH_MAX:
            raise PageFault(at, "a tree does not check")
        counts = [0, 0, 0, 0]
        newest: bytes | None = None
        # Pages to come, deepest first: number, depth, and the keys between which theirs lie.
        todo: list[tuple[int, int, bytes | None, bytes | None]] = []
        if tree.root != NONE:
            todo.append((tree.root, 1, None, None))
        while todo:
            number, depth, low, high = todo.pop()
            if depth > tree.depth:
                raise PageFault(at, "a tree is deeper than it says")
            nodes = self._nodes(number, at, LEAF if depth == tree.depth else BRANCH)
            if depth < tree.depth:
                counts[0] += 1
                keys = [low, *(key for _, key, _, _ in nodes[1:]), high]
                children = [
                    (child, depth + 1, keys[i], keys[i + 1]) for i, (_, _, child, _) in enumerate(nodes)
                ]
                todo.extend(reversed(children))
                continue
            counts[1] += 1
            for place, key, length, node_flags in nodes:
                order = key if flags != INTEGER_KEYS else key[::-1]
                if (newest is not None and order <= newest) or not _within(key, low, high, flags):
                    raise PageFault(place, f"the key {key.hex()} is out of order")
                newest = order
                value, pages = self._value(place, len(key), length, node_flags)
                counts[2] += pages
                counts[3] += 1
                visit(place, node_flags, key, value)
        if counts != [tree.branches, tree.leaves, tree.overflows, tree.entries]:
            raise PageFault(at, f"a tree holds {counts[3]} rows, and says {tree.entries}")

    def _nodes(self, number: int, named_at: int, kind: int) -> list[tuple[int, bytes, int, int]]:
        """Return place, key, length of the value (number of the child) and flags of a page's nodes."""
        self._use(number, named_at)
        data, start, size = self._data, number * self._size, self._size
        found, _, flags, lower, upper = _PAGE.unpack_from(data, start)
        count = (lower - _PAGE_HEAD) // 2
        if found != number or flags != kind or count < 1 or lower % 2 or not lower <= upper <= size:
            raise PageFault(start, f"page {number} does not check")
        nodes: list[tuple[int, bytes, int, int]] = []
        taken = 0
        for place in struct.unpack_from(f"<{count}H", data, start + _PAGE_HEAD):
            if not upper <= place <= size - _NODE_HEAD:
                raise PageFault(start, f"page {number} names a node outside of itself")
            low, high, node_flags, key_length = _NODE.unpack_from(data, start + place)
            length = low | high << 16
            end = place + _NODE_HEAD + key_length
            key = bytes(data[start + place + _NODE_HEAD : start + end])
            if kind == BRANCH:
                nodes.append((start + place, key, length | node_flags << 32, 0))
            else:
                nodes.append((start + place, key, length, node_flags))
                end += 8 if node_flags & BIG_VALUE else length
            if end > size:
                raise PageFault(start + place, f"page {number} holds a node that is longer than itself")
            taken += end - place + (end - place) % 2
        if taken != size - upper:
            raise PageFault(start, f"the nodes of page {number} do not fill it")
        return nodes

    def _value(self, place: int, key_length: int, length: int, flags: int) -> tuple[memoryview, int]:
        """Return a node's value, and how many pages of its own that takes."""
        at = place + _NODE_HEAD + key_length
        if not flags & BIG_VALUE:
            return self._data[at : at + length], 0
        (number,) = struct.unpack_from("<Q", self._data, at)
        pages = (_PAGE_HEAD - 1 + length) // self._size + 1
        for one in range(number, number + pages):
            self._use(one, place)
        start = number * self._size
        found, _, page_flags = struct.unpack_from("<QHH", self._data, start)
        (said,) = struct.unpack_from("<I", self._data, start + 12)
        if (found, page_flags, said) != (number, OVERFLOW, pages):
            raise PageFault(start, f"page {number} does not check")
        return self._data[start + _PAGE_HEAD : start + _PAGE_HEAD + length], pages

    def _use(self, number: int, at: int) -> None:
        if number >= len(self._used) or self._used[number]:
            raise PageFault(at, f"page {number} is used twice, or lies outside of the file")
        self._used[number] = 1


def check_pages(data: memoryview, check_row: CheckRow) -> int:
    """Check the newest commit of an LMDB file; return how many rows it holds. Raises `PageFault`."""
    return Walk(data, check_row).run()


def _within(key: bytes, low: bytes | None, high: bytes | None, flags: int) -> bool:
    if flags == INTEGER_KEYS:
        key, low, high = key[::-1], low and low[::-1], high and high[::-1]
    return (low is None or low <= key) and (high is None or key < high)


def _page_size(data: memoryview) -> int:
    if len(data) < _LAST_AT + _LAST.size:
        raise PageFault(len(data), "the file is too short")
    size: int = _TREE.unpack_from(data, _TREES_AT)[0]
    if not 512 <= size <= 65536 or size & (size - 1) or len(data) < 2 * size:
        raise PageFault(_TREES_AT, f"the size of a page is {size}")
    return size


def _newest(data: memoryview, size: int) -> tuple[int, int]:
    """Return where the newest commit's meta page begins, and the number of the last page in use."""
    found: list[tuple[int, int, int]] = []
    for at in (0, size):
        flags = _PAGE.unpack_from(data, at)[2]
        page_size = _TREE.unpack_from(data, at + _TREES_AT)[0]
        magic, version, map_bytes = _META.unpack_from(data, at + _PAGE_HEAD)
        is_head = (flags, magic, version, page_size) == (META, 0xBEEFC0DE, 1, size)
        if not is_head or map_bytes > MAP_BYTES_MAX or map_bytes % size:
            raise PageFault(at, "the head of the file does not check")
        last, commit = _LAST.unpack_from(data, at + _LAST_AT)
        found.append((commit, at, last))
    newest = found[0] if found[0][0] >= found[1][0] else found[1]
    return newest[1], max(newest[2], 1)
