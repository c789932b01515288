"""Keeps the disk small: now and then everything derived is made durable, then the journal's past is dropped.

flush blocks, index, application state  ->  copy forward what lives  ->  Checkpoint  ->  trim
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from catenet.storage.ledger import Ledger
from catenet.storage.state import TableState
from catenet.types.records import CheckpointRecord, Record

log = logging.getLogger(__name__)

LOOK_S = 1.0
CHECKPOINT_BYTES = 48 << 20
"""A checkpoint is made when the blocks since the last one hold so much."""

CHECKPOINT_HEIGHTS = 2000
KEPT_HEIGHTS = 3
"""Records of the heights just below the checkpoint stay, for peers that catch up (G6)."""


class Maintenance:
    """Makes checkpoints."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        app_state: TableState,
        write: Callable[[Sequence[Record]], int],
        trim: Callable[[int], int],
        live_records: Callable[[], Sequence[Record]],
        newest_ticket: Callable[[], int],
    ) -> None:
        """`write` appends records and returns their ticket; `trim` drops what is older than a ticket."""
        self._ledger = ledger
        self._app_state = app_state
        self._write = write
        self._trim = trim
        self._live_records = live_records
        self._newest_ticket = newest_ticket
        self._tickets: deque[tuple[int, int]] = deque()
        self._at = ledger.head
        self._bytes = 0

    def on_final(self, height: int, size: int) -> None:
        """Note a final block of `size` bytes."""
        self._tickets.append((height, self._newest_ticket()))
        self._bytes += size

    async def run(self) -> None:
        """Look now and then until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._bytes >= CHECKPOINT_BYTES or self._ledger.head - self._at >= CHECKPOINT_HEIGHTS:
                await self._checkpoint()

    async def _checkpoint(self) -> None:
        self._at, self._bytes = self._ledger.head, 0
        # Taken before the flush: a batch that is spent meanwhile may be needed for a block above `height`.
        live, newest = list(self._live_records()), self._newest_ticket()
        height = await asyncio.to_thread(self._flush)
        keep_from = min(self._ticket_of(height - KEPT_HEIGHTS), newest)
        self._write([*live, CheckpointRecord(height=height)])
        if keep_from:
            self._trim(keep_from)
        log.info("checkpoint", extra={"height": height})

    def _flush(self) -> int:
        # The blocks before the state that follows from them, whatever comes in meanwhile: what block sync
        # brought is in no journal, and an application ahead of the stored chain does not start.
        state_height = self._app_state.flush(self._ledger.flush)
        return min(state_height, self._ledger.flushed)

    def _ticket_of(self, height: int) -> int:
        """Return a ticket below which lies nothing of the heights above `height`; 0: not known."""
        found = 0
        while self._tickets and self._tickets[0][0] <= height:
            found = self._tickets.popleft()[1]
        return found
