"""An application's state (`types.ports.StateStore`): bytes to bytes, committed in one step with a height.

It is derived: a crash falls back to the newest flush, and the node executes the blocks that are missing
again. State that does not check is thrown away, and the node executes from the genesis or a snapshot.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from catenet.storage.tables import Tables, check_keys, destroy
from catenet.types.errors import Corrupt, WrongState

PENDING_ROWS_MAX = 200_000
"""So many changed rows are held in memory before a write flushes by itself."""

_STATE = "state"
_META = "meta"
_HEIGHT = b"height"


class TableState:
    """A `StateStore` in a directory of its own. `write` comes from one thread; reads from any."""

    def __init__(self, tables: Tables, *, pending_rows_max: int = PENDING_ROWS_MAX) -> None:
        self._tables = tables
        self._pending_rows_max = pending_rows_max
        row = tables.get(_META, _HEIGHT)
        self._height = int.from_bytes(row, "big") if row else 0
        self._flushed = self._height

    @property
    def height(self) -> int:
        """The committed height; 0 before the first commit."""
        return self._height

    @property
    def flushed(self) -> int:
        """The height to which a crash falls back."""
        return self._flushed

    def get(self, key: bytes) -> bytes | None:
        """Return a committed value. Raises `Corrupt`."""
        return self._tables.get(_STATE, key)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        """Return committed values, in order. Raises `Corrupt`."""
        found = self._tables.get_many(_STATE, keys)
        return [found.get(key) for key in keys]

    def items(self, prefix: bytes, after: bytes = b"", limit: int = 100) -> Sequence[tuple[bytes, bytes]]:
        """Return committed items whose key starts with `prefix`, after key `after`, ascending."""
        return self._tables.items(_STATE, prefix, after, limit)

    def write(self, height: int, changes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Commit changes (None deletes) and the height in one step; durable after `flush`.

        Raises `WrongState` for a key that is empty or over 511 bytes, and for a height that is not above the
        last one; then nothing is changed.
        """
        rows = dict(changes)
        check_keys(rows)
        if height <= self._height:
            raise WrongState(f"height {height} does not follow the committed height {self._height}")
        self._tables.put({_STATE: rows, _META: {_HEIGHT: height.to_bytes(8, "big")}})
        self._height = height
        if self._tables.pending_rows > self._pending_rows_max:
            self.flush()

    def flush(self, between: Callable[[], object] = lambda: None) -> int:
        """Make what is committed durable; return the height. May run beside `write`. Raises OSError.

        `between` makes durable what must not be older: it runs once it is settled what this flush covers.
        """
        height = self._height
        self._tables.flush(between)
        self._flushed = height
        return height

    def close(self) -> None:
        """Flush and close. Raises OSError."""
        self._tables.close()


def open_state(path: Path, *, pending_rows_max: int = PENDING_ROWS_MAX) -> tuple[TableState, bool]:
    """Open or create the state under `path`. The flag says that damaged state was thrown away: replay."""
    was_reset = False
    try:
        return TableState(Tables(path, (_STATE, _META)), pending_rows_max=pending_rows_max), was_reset
    except Corrupt:
        destroy(path)
        was_reset = True
    return TableState(Tables(path, (_STATE, _META)), pending_rows_max=pending_rows_max), was_reset
