"""Ordered tables, bytes to bytes, on LMDB under an overlay in memory.

`put` changes only the overlay, so that storing a block costs no disk work; `freeze` and `commit` move the
overlay into LMDB as one synced transaction. A crash of any kind falls back to the newest commit: nothing in
between can exist, and the rest is put again from a log. Every row carries a checksum; a closed file is
checksummed as a whole, because LMDB trusts its pages. What fails a check is `Corrupt`, never an answer.
"""

import mmap
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import merge
from pathlib import Path

import lmdb

from catenet.storage.fault import damaged, fsync_directory, make_directory
from catenet.storage.home import write_private
from catenet.storage.pages import PageFault, check_pages
from catenet.types.errors import Corrupt, WrongState

KEY_BYTES_MAX = 511
"""LMDB's limit. A key has at least one byte."""

MAP_BYTES = 64 << 20
DATA_FILE = "data.mdb"
CLEAN_MARK = "CLEAN"
SUSPECT_MARK = "SUSPECT"
_CHUNK = 1 << 20
SCAN_PIECE = 1_000
"""Rows that one read transaction of a scan covers."""

_DAMAGE = (
    lmdb.CorruptedError,
    lmdb.IncompatibleError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)
"""What LMDB says of a file that is not in order; the rest of its errors are the machine's."""

Rows = dict[bytes, bytes | None]
Changes = Mapping[str, Mapping[bytes, bytes | None]]


def _checks(key: bytes, sealed: bytes) -> bool:
    return zlib.crc32(sealed[:-4], zlib.crc32(key)) == int.from_bytes(sealed[-4:], "little")


def _sealed(key: bytes, value: bytes) -> bytes:
    return value + zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "little")


def _file_checksum(path: Path) -> bytes:
    crc = size = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
            size += len(chunk)
    return b"%d %08x" % (size, crc)


class Tables:
    """Open tables. One thread puts at a time; reads may come from any thread, and see each row whole."""

    def __init__(self, path: Path, names: Sequence[str], *, map_bytes: int = MAP_BYTES) -> None:
        """Open or create the tables under directory `path`. Raises `Corrupt` when they cannot be trusted."""
        self.path = path
        self._names = tuple(names)
        self._pending: dict[str, Rows] = {name: {} for name in names}
        self._frozen: dict[str, Rows] = {name: {} for name in names}
        self._mutex = threading.Lock()  # overlay
        self._flush_lock = threading.Lock()
        self._gate = threading.Lock()  # read transactions against a change of the map's size
        make_directory(path)
        self._check_marks()
        try:
            self._env = lmdb.open(
                str(path), map_size=map_bytes, max_dbs=len(names), mode=0o600, max_spare_txns=4
            )
            self._tables = {name: self._env.open_db(name.encode()) for name in names}
        except _DAMAGE as error:
            raise self._fault(str(error)) from error
        except lmdb.Error as error:
            # A full disk must not be taken for damage: what is damaged is thrown away.
            raise OSError(f"{self.path}: {error}") from error
        # A map smaller than the file would be refused by the first commit only.
        self._map_bytes: int = self._env.info()["map_size"]
        fsync_directory(path)
        self._open = True

    @property
    def pending_rows(self) -> int:
        """Number of changed rows that no commit holds yet."""
        return sum(map(len, self._pending.values())) + sum(map(len, self._frozen.values()))

    def put(self, changes: Changes) -> None:
        """Change rows (None deletes). Seen by reads at once; durable after `freeze` and `commit`."""
        with self._mutex:
            for name, rows in changes.items():
                self._pending[name].update(rows)

    def get(self, name: str, key: bytes) -> bytes | None:
        """Return a row, or None. Raises `Corrupt`."""
        return self.get_many(name, (key,)).get(key)

    def get_many(self, name: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return those rows that exist, by key. Raises `Corrupt`."""
        # Rows move from pending to frozen to LMDB: looking in this order misses none on its way.
        overlays = (self._pending[name], self._frozen[name])
        found: dict[bytes, bytes] = {}
        unseen: list[bytes] = []
        for key in keys:
            for overlay in overlays:
                if key in overlay:
                    row = overlay[key]
                    if row is not None:
                        found[key] = row
                    break
            else:
                unseen.append(key)
        if unseen:
            with self._reading(name) as cursor:
                rows = cursor.getmulti(unseen)
            for key, sealed in rows:
                found[key] = self._unsealed(key, sealed)
        return found

    def items(self, name: str, prefix: bytes, after: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """Return up to `limit` rows whose key starts with `prefix` and is above `after`, ascending."""
        with self._mutex:
            changed = {
                key: row
                for overlay in (self._frozen[name], self._pending[name])
                for key, row in overlay.items()
                if key.startswith(prefix) and key > after
            }
        rows: list[tuple[bytes, bytes]] = []
        with self._reading(name) as cursor:
            stored = self._stored(cursor, prefix, after, changed)
            for key, row in merge(stored, iter(sorted(changed.items())), key=lambda item: item[0]):
                if len(rows) == limit:
                    break
                if row is not None:
                    rows.append((key, row))
        return rows

    def scan(self, name: str, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows with `start` <= key < `end`, ascending: all that are here now, maybe newer ones too.

        However many there are, others read and write between pieces of the way. Raises `Corrupt`.
        """
        with self._mutex:
            overlays = [dict(overlay) for overlay in (self._frozen[name], self._pending[name])]
        changed = {key: row for overlay in overlays for key, row in overlay.items() if start <= key < end}
        stored = self._pieces(name, start, end)
        if not changed:
            yield from stored
            return
        kept = (item for item in stored if item[0] not in changed)
        for key, row in merge(kept, iter(sorted(changed.items())), key=lambda item: item[0]):
            if row is not None:
                yield key, row

    def freeze(self) -> None:
        """Set apart what the next commit writes. What is put from now on belongs to the one after."""
        with self._mutex:
            for name in self._names:
                # A commit that failed left its rows here: they go along again.
                kept, pending = self._frozen[name], self._pending[name]
                self._frozen[name] = {**kept, **pending} if kept else pending
                self._pending[name] = {}

    def commit(self) -> None:
        """Write what was frozen as one transaction and sync it. Raises OSError; the rows then stay frozen."""
        changes = {name: sorted(rows.items()) for name, rows in self._frozen.items() if rows}
        while changes:
            try:
                self._write(changes)
                break
            except lmdb.MapFullError:
                self._map_bytes *= 2
                with self._gate:  # the map may only move while no transaction reads it
                    self._env.set_mapsize(self._map_bytes)
            except lmdb.Error as error:
                raise OSError(f"{self.path}: {error}") from error
        self._frozen = {name: {} for name in self._names}

    def flush(self, between: Callable[[], object] = lambda: None) -> None:
        """Freeze, do what lies `between`, commit; one caller at a time gets through. Raises OSError."""
        with self._flush_lock:
            self.freeze()
            between()
            self.commit()

    def verify(self) -> int:
        """Check every row; return how many there are. Raises `Corrupt`."""
        count = 0
        for name in self._names:
            with self._reading(name) as cursor:
                for key, sealed in cursor:
                    self._unsealed(key, sealed)
                    count += 1
        return count

    def close(self) -> None:
        """Commit, and leave a mark by which the next open checks the whole file. Raises OSError."""
        if not self._open:
            return
        self._open = False
        try:
            self.flush()
        finally:
            self._env.close()
        if not (self.path / SUSPECT_MARK).exists():
            # Whole or not at all: half a mark would condemn a file that is in order.
            write_private(self.path / CLEAN_MARK, _file_checksum(self.path / DATA_FILE))

    def abandon(self) -> None:
        """Close without committing, as a crash would."""
        self._open = False
        self._env.close()

    def _check_marks(self) -> None:
        """Check the file before LMDB sees it; take the mark of a clean close away while it is open."""
        if (self.path / SUSPECT_MARK).exists():
            raise self._fault("a row did not check when it was read")
        mark, data = self.path / CLEAN_MARK, self.path / DATA_FILE
        if mark.exists():
            if not data.exists() or mark.read_bytes() != _file_checksum(data):
                raise self._fault("the file is not what was closed")
            mark.unlink()
            fsync_directory(self.path)
        elif data.exists() and data.stat().st_size:
            self._check_pages(data)

    def _check_pages(self, data: Path) -> None:
        with data.open("rb") as file:
            # Not closed by hand: a fault's traceback still refers to pieces of it.
            whole = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        try:
            check_pages(memoryview(whole), _checks)
        except PageFault as fault:
            raise self._fault(fault.why, fault.offset) from None

    @contextmanager
    def _reading(self, name: str) -> Iterator["lmdb.Cursor[bytes]"]:
        try:
            with self._gate, self._env.begin(db=self._tables[name]) as txn:
                yield txn.cursor()
        except lmdb.Error as error:
            self._suspect()
            raise self._fault(str(error)) from error

    def _suspect(self) -> None:
        """Have the next start rebuild instead of meeting the same damage again."""
        (self.path / SUSPECT_MARK).touch()

    def _write(self, changes: Mapping[str, Sequence[tuple[bytes, bytes | None]]]) -> None:
        with self._env.begin(write=True) as txn:
            for name, rows in changes.items():
                cursor = txn.cursor(self._tables[name])
                cursor.putmulti([(key, _sealed(key, row)) for key, row in rows if row is not None])
                for key, row in rows:
                    if row is None and cursor.set_key(key):
                        cursor.delete()

    def _stored(
        self, cursor: "lmdb.Cursor[bytes]", prefix: bytes, after: bytes, changed: Rows
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield what LMDB holds in the range, without the rows that the overlay changed."""
        start = max(prefix, after)
        at_row = cursor.set_range(start) if start else cursor.first()
        while at_row:
            key, sealed = cursor.item()
            if not key.startswith(prefix):
                return
            if key > after and key not in changed:
                yield key, self._unsealed(key, sealed)
            at_row = cursor.next()

    def _pieces(self, name: str, start: bytes, end: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what LMDB holds in the range; no transaction stays open while the caller works."""
        while True:
            rows: list[tuple[bytes, bytes]] = []
            with self._reading(name) as cursor:
                at_row = cursor.set_range(start)
                while at_row and len(rows) < SCAN_PIECE:
                    key, sealed = cursor.item()
                    if key >= end:
                        break
                    rows.append((key, self._unsealed(key, sealed)))
                    at_row = cursor.next()
            yield from rows
            if len(rows) < SCAN_PIECE:
                return
            start = rows[-1][0] + b"\0"

    def _unsealed(self, key: bytes, sealed: bytes) -> bytes:
        if not _checks(key, sealed):
            self._suspect()
            raise self._fault(f"the row {key.hex()} does not check")
        return sealed[:-4]

    def _fault(self, why: str, offset: int = 0) -> Corrupt:
        return damaged(
            self.path / DATA_FILE, offset, why, remedy="Start the node again: it is rebuilt from the log"
        )


def check_keys(keys: Iterable[bytes]) -> None:
    """Raise `WrongState` unless each key can be stored."""
    for key in keys:
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise WrongState(f"a key of {len(key)} bytes: 1 to {KEY_BYTES_MAX} are possible")


def destroy(path: Path) -> None:
    """Remove closed tables for good."""
    if path.exists():
        shutil.rmtree(path)
        fsync_directory(path.parent)
