"""Bounded queues of frames that wait for a peer (consensus.md 5.3). No connection lives here."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from catenet.types.errors import Unavailable
from catenet.types.messages import Status


class LinkClosed(Unavailable):
    """The connection is over: the peer ended it, it broke, or this node closed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One serialised frame; peers share the bytes of a broadcast."""

    data: bytes
    status: Status | None = None
    """The newest Status inside, which survives an overflow."""


class Outbox:
    """First in, first out, within a bound of bytes and frames."""

    def __init__(
        self, *, bytes_max: int, frames_max: int, encode_status: Callable[[Status], bytes] | None
    ) -> None:
        """With `encode_status` a full queue is emptied to its newest Status (CONTROL: G2 recovers the rest).

        Without it a full queue refuses what comes (BULK: order is kept, D2 pushes it again).
        """
        self._bytes_max = bytes_max
        self._frames_max = frames_max
        self._encode_status = encode_status
        self._parcels: deque[Parcel] = deque()
        self._arrived = asyncio.Event()
        self._closed = ""
        self.bytes = 0
        self.dropped = 0
        """Frames lost to the bound."""

    def __len__(self) -> int:
        return len(self._parcels)

    def put(self, parcel: Parcel) -> None:
        """Queue a frame; see the bound above."""
        if self._closed:
            return
        full = self.bytes + len(parcel.data) > self._bytes_max or len(self._parcels) >= self._frames_max
        if not full:
            self._append(parcel)
        elif self._encode_status is None:
            self.dropped += 1
        else:
            self._shed(parcel, self._encode_status)

    async def get(self) -> bytes:
        """Wait for the oldest frame and take it. Raises `LinkClosed` once closed."""
        while not self._parcels:
            if self._closed:
                raise LinkClosed(self._closed)
            self._arrived.clear()
            await self._arrived.wait()
        if self._closed:
            raise LinkClosed(self._closed)
        parcel = self._parcels.popleft()
        self.bytes -= len(parcel.data)
        return parcel.data

    def close(self, reason: str) -> None:
        """Let `get` raise from here on; what waits is dropped."""
        self._closed = self._closed or reason
        self._parcels.clear()
        self.bytes = 0
        self._arrived.set()

    @property
    def closed(self) -> str:
        """Why it was closed; empty while it is open."""
        return self._closed

    def _append(self, parcel: Parcel) -> None:
        self._parcels.append(parcel)
        self.bytes += len(parcel.data)
        self._arrived.set()

    def _shed(self, parcel: Parcel, encode_status: Callable[[Status], bytes]) -> None:
        """Keep nothing but the newest Status among what waits and what comes."""
        waiting = [*self._parcels, parcel]
        self.dropped += len(waiting)
        self._parcels.clear()
        self.bytes = 0
        newest = next((each.status for each in reversed(waiting) if each.status is not None), None)
        if newest is not None:
            self.dropped -= 1
            self._append(Parcel(data=encode_status(newest), status=newest))
