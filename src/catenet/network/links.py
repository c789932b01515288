"""Proven connections: one pumped stream each, and which peer has which. Nobody dials or accepts here."""

import asyncio
import logging
from collections.abc import Callable, Coroutine

from catenet.network.outbox import LinkClosed, Outbox, Parcel
from catenet.network.stream import FrameStream
from catenet.types.errors import CatenetError, Forbidden, Unauthenticated, WrongState
from catenet.types.ids import Address
from catenet.wire.convert import Frame

log = logging.getLogger(__name__)

OnFrame = Callable[[Address, bytes], Frame]
"""Decodes and hands over what a peer sent; raises `InvalidInput`."""


class Link:
    """One stream to or from a proven peer."""

    def __init__(self, *, peer: Address, outbox: Outbox, stream: FrameStream, by_lower: bool) -> None:
        """`by_lower` says that the node with the lower address dialled."""
        self.peer = peer
        self.outbox = outbox
        self.by_lower = by_lower
        self.heard_us = 0
        """When the last frame came (monotonic)."""
        self._stream = stream
        self._over = asyncio.Event()
        self._fault: CatenetError = LinkClosed("the stream is over")

    async def pump(self, on_frame: OnFrame, now_us: Callable[[], int], *, beat: "Heartbeat | None") -> None:
        """Read and write until the stream ends; always ends with an error that says why."""
        self.heard_us = now_us()
        jobs = [self._read(on_frame, now_us), self._write(), self._stream.wait_cancelled()]
        if beat is not None:
            jobs.append(beat.watch(self, now_us))
        try:
            async with asyncio.TaskGroup() as tasks:
                children = [tasks.create_task(self._until_fault(job)) for job in jobs]
                await self._over.wait()
                for child in children:
                    child.cancel()
        finally:
            self.close(str(self._fault))
        raise self._fault

    def close(self, reason: str) -> None:
        """End the stream from this side."""
        self.outbox.close(reason)
        self._stream.cancel()

    async def _until_fault(self, job: Coroutine[None, None, None]) -> None:
        """Run a part of the stream; the first one that fails ends it.

        The error is kept, not raised: a TaskGroup of Python 3.11 whose child fails while it waits leaves its
        parent marked as cancelled.
        """
        try:
            await job
        except CatenetError as error:
            if not self._over.is_set():
                self._fault = LinkClosed(self.outbox.closed) if self.outbox.closed else error
                self._over.set()

    async def _read(self, on_frame: OnFrame, now_us: Callable[[], int]) -> None:
        while True:
            data = await self._stream.read()
            self.heard_us = now_us()
            on_frame(self.peer, data)

    async def _write(self) -> None:
        while True:
            await self._stream.write(await self.outbox.get())


class Heartbeat:
    """Pings on a control link, and its end after so many misses (communication.md 3)."""

    def __init__(self, *, ping_s: float, misses: int, ping: Callable[[], bytes]) -> None:
        self._ping_s = ping_s
        self._silence_us = int(ping_s * misses * 1_000_000)
        self._ping = ping

    async def watch(self, link: Link, now_us: Callable[[], int]) -> None:
        """Ping until the link is closed for silence."""
        while not link.outbox.closed:
            await asyncio.sleep(self._ping_s)
            silent_us = now_us() - link.heard_us
            if silent_us >= self._silence_us:
                link.close(f"no frame from the peer for {silent_us / 1e6:.1f} s")
            else:
                link.outbox.put(Parcel(data=self._ping()))


class LinkTable:
    """Which peer is connected how, what it proved, and who is banned."""

    def __init__(
        self,
        *,
        now_us: Callable[[], int],
        stale_us: int,
        on_link: Callable[[Address, bool], None],
        new_bulk_outbox: Callable[[], Outbox],
    ) -> None:
        """A link silent for `stale_us` gives way to a new one whoever dialled; `on_link` tells the node."""
        self._now_us = now_us
        self._stale_us = stale_us
        self._on_link = on_link
        self._new_bulk_outbox = new_bulk_outbox
        self.control: dict[Address, Link] = {}
        self.push: dict[Address, Link] = {}
        """Own push streams, to peers."""
        self.pushed: dict[Address, Link] = {}
        """Push streams of peers, to here."""
        self._certificates: dict[Address, bytes] = {}
        self._owners: dict[bytes, Address] = {}
        self._banned_us: dict[Address, int] = {}
        self.last_seen_us: dict[Address, int] = {}
        """When the last frame of a peer came (monotonic), connected or not."""
        self.down_since_us: dict[Address, int] = {}
        self._bulk: dict[Address, Outbox] = {}
        self._changed = asyncio.Event()

    def adopt(self, link: Link, certificate: bytes) -> None:
        """Make a proven stream the control link of its peer. Raises `WrongState` when another stays."""
        self.check_ban(link.peer)
        present = self.control.get(link.peer)
        if present is not None:
            fresh = self._now_us() - present.heard_us < self._stale_us
            if present.by_lower and not link.by_lower and fresh:
                raise WrongState("connected already, by the node with the lower address")
            present.close("replaced by another connection")
            self.drop(present)
        self._prove(link.peer, certificate)
        self.control[link.peer] = link
        # It is there before the push stream is: what the node pushes at once is not lost.
        self._bulk[link.peer] = self._new_bulk_outbox()
        self.down_since_us.pop(link.peer, None)
        self._notify()
        log.info("peer_connected", extra={"peer": link.peer.hex()})
        self._on_link(link.peer, True)

    def drop(self, link: Link) -> None:
        """Forget a control link that is over; one that was replaced already is left alone."""
        if self.control.get(link.peer) is not link:
            return
        del self.control[link.peer]
        self.down_since_us[link.peer] = self._now_us()
        self._bulk.pop(link.peer).close("the control connection is down")
        push = self.push.get(link.peer)
        if push is not None:
            push.close("the control connection is down")
        self._notify()
        log.info("peer_disconnected", extra={"peer": link.peer.hex(), "reason": link.outbox.closed})
        self._on_link(link.peer, False)

    def bulk_outbox(self, peer: Address) -> Outbox:
        """Return the open queue of pushes to a connected peer. Raises `LinkClosed`."""
        outbox = self._bulk.get(peer)
        if outbox is None:
            raise LinkClosed("the control connection is down")
        if outbox.closed:
            outbox = self._bulk[peer] = self._new_bulk_outbox()
        return outbox

    async def wait_change(self) -> None:
        """Wait until a control link comes or goes."""
        await self._changed.wait()

    def certificate(self, peer: Address) -> bytes | None:
        """Return the hash of the certificate that a peer proved last."""
        return self._certificates.get(peer)

    def owner(self, certificate: bytes) -> Address:
        """Return who proved a certificate. Raises `Unauthenticated` or `Forbidden` (a ban)."""
        peer = self._owners.get(certificate)
        if peer is None:
            raise Unauthenticated("this certificate is not proven: open Control first")
        self.check_ban(peer)
        return peer

    def ban(self, peer: Address, ban_s: float) -> None:
        """Refuse a peer for a while and cut what is open."""
        if ban_s > 0:
            self._banned_us[peer] = self._now_us() + int(ban_s * 1_000_000)
        self.cut(peer, "disconnected by this node")

    def cut(self, peer: Address, reason: str) -> None:
        """Close every stream of a peer."""
        for table in (self.push, self.pushed, self.control):
            link = table.get(peer)
            if link is not None:
                link.close(reason)

    def check_ban(self, peer: Address) -> None:
        """Raise `Forbidden` while a peer is banned."""
        left_us = self._banned_us.get(peer, 0) - self._now_us()
        if left_us > 0:
            raise Forbidden(f"banned for another {left_us / 1e6:.1f} s")
        self._banned_us.pop(peer, None)

    def is_banned(self, peer: Address) -> bool:
        """Say whether a peer is banned at the moment."""
        return self._banned_us.get(peer, 0) > self._now_us()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _prove(self, peer: Address, certificate: bytes) -> None:
        former = self._certificates.get(peer)
        if former is not None and self._owners.get(former) == peer:
            del self._owners[former]
        self._certificates[peer] = certificate
        self._owners[certificate] = peer
