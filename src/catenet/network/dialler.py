"""Keeps the connections to one peer: CONTROL when it is this node's turn, BULK always. Accepts nothing."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc

from catenet.network.backoff import Backoff
from catenet.network.config import Endpoint, NetworkConfig
from catenet.network.handshake import Handshake
from catenet.network.links import Heartbeat, Link, LinkTable, OnFrame
from catenet.network.outbox import Outbox
from catenet.network.pin import Pin, Pinner
from catenet.network.service import SERVICE
from catenet.network.stream import Call, DialledStream
from catenet.types.errors import CatenetError, Unauthenticated, Unavailable
from catenet.types.ids import Address
from catenet.wire.status import error_of

STEADY_US = 1_000_000
"""A connection that lived so long was a success: the next pause is short again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the connections to all peers share."""

    address: Address
    config: NetworkConfig
    handshake: Handshake
    table: LinkTable
    pinner: Pinner
    control_outbox: Callable[[], Outbox]
    on_control: OnFrame
    on_bulk: OnFrame
    beat: Heartbeat
    now_us: Callable[[], int]


class Dialler:
    """The own side of all connections to one peer."""

    def __init__(
        self, *, endpoint: Endpoint, shared: Shared, control_pause: Backoff, bulk_pause: Backoff
    ) -> None:
        self.endpoint = endpoint
        self.fault = ""
        """Why the peer was not reached the last time; empty once it is."""
        self._shared = shared
        self._control_pause = control_pause
        self._bulk_pause = bulk_pause
        self._control = _Connection(endpoint, shared.pinner)
        self._bulk = _Connection(endpoint, shared.pinner)
        self._lower = shared.address < endpoint.address

    async def run(self) -> None:
        """Keep both connections until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_control())
                tasks.create_task(self._keep_bulk())
        finally:
            await self._control.close()
            await self._bulk.close()

    async def call(self, method: str, request: bytes, *, timeout_s: float) -> AsyncIterator[bytes]:
        """Call a method with a stream of answers on BULK. Raises errors of `types.errors`."""
        channel = await self._bulk_channel(timeout_s)
        answers: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            f"/{SERVICE}/{method}"
        )
        call = answers(request, timeout=timeout_s)
        try:
            while isinstance(answer := await call.read(), bytes):
                yield answer
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None
        finally:
            call.cancel()

    async def _bulk_channel(self, timeout_s: float) -> grpc.aio.Channel:
        """Return the BULK channel; just after CONTROL came up it is waited for."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._bulk.channel is None and self.endpoint.address in self._shared.table.control:
                    await self._bulk.opened.wait()
        except TimeoutError:
            pass
        if self._bulk.channel is None:
            raise Unavailable(f"{self.endpoint.name} is not connected: {self.fault or 'connecting'}")
        return self._bulk.channel

    async def _keep_control(self) -> None:
        table, peer = self._shared.table, self.endpoint.address
        while True:
            if self._may_dial():
                started_us = self._shared.now_us()
                try:
                    await self._hold_control()
                except CatenetError as error:
                    self._note(error)
                if self._shared.now_us() - started_us >= STEADY_US:
                    self._control_pause.reset()
            await asyncio.sleep(self._control_pause.next_s())
            if not self._lower and peer in table.control:
                self._control_pause.reset()
                await asyncio.sleep(self._shared.config.reconnect_s_max)

    def _may_dial(self) -> bool:
        """Say whose turn it is: the lower address dials, the higher one helps when that takes long (9)."""
        table, peer = self._shared.table, self.endpoint.address
        if table.is_banned(peer):
            return False
        if self._lower:
            return True
        down_us = self._shared.now_us() - table.down_since_us.get(peer, self._shared.now_us())
        return peer not in table.control and down_us >= self._shared.config.higher_dials_after_s * 1_000_000

    async def _hold_control(self) -> None:
        """Open, prove and pump the control connection until it ends."""
        shared = self._shared
        pin = await shared.pinner.look(self.endpoint, timeout_s=shared.config.handshake_s)
        channel = await self._control.open(pin)
        call = _stream(channel, "Control")
        stream = DialledStream(call)
        late = asyncio.get_running_loop().call_later(shared.config.handshake_s, call.cancel)
        try:
            proven = await shared.handshake.dial(stream, expected=self.endpoint.address, certificate=pin.hash)
            late.cancel()
            outbox = shared.control_outbox()
            link = Link(peer=proven.address, outbox=outbox, stream=stream, by_lower=self._lower)
            shared.table.adopt(link, proven.certificate)
            self.fault = ""
            try:
                await link.pump(shared.on_control, shared.now_us, beat=shared.beat)
            finally:
                shared.table.drop(link)
        finally:
            late.cancel()
            call.cancel()

    async def _keep_bulk(self) -> None:
        table, peer = self._shared.table, self.endpoint.address
        while True:
            await self._wait_proven()
            started_us = self._shared.now_us()
            try:
                await self._hold_push()
            except CatenetError as error:
                self._note(error)
            if self._shared.now_us() - started_us >= STEADY_US or peer not in table.control:
                self._bulk_pause.reset()
            await asyncio.sleep(self._bulk_pause.next_s())

    async def _wait_proven(self) -> None:
        table = self._shared.table
        while self.endpoint.address not in table.control:
            await table.wait_change()

    async def _hold_push(self) -> None:
        """Open BULK to the proven certificate and pump what is pushed until it ends."""
        shared, peer = self._shared, self.endpoint.address
        pin = await shared.pinner.look(self.endpoint, timeout_s=shared.config.handshake_s)
        if pin.hash != shared.table.certificate(peer):
            raise Unauthenticated(
                f"{self.endpoint.target} shows another certificate than {peer.hex()} proved"
            )
        channel = await self._bulk.open(pin)
        call = _stream(channel, "Push")
        stream = DialledStream(call)
        late = asyncio.get_running_loop().call_later(shared.config.handshake_s, call.cancel)
        try:
            await shared.handshake.announce(stream)
            await shared.handshake.expect(stream, certificate=pin.hash)
            late.cancel()
            outbox = shared.table.bulk_outbox(peer)
            link = Link(peer=peer, outbox=outbox, stream=stream, by_lower=self._lower)
            shared.table.push[peer] = link
            try:
                await link.pump(shared.on_bulk, shared.now_us, beat=None)
            finally:
                del shared.table.push[peer]
        finally:
            late.cancel()
            call.cancel()

    def _note(self, error: CatenetError) -> None:
        """Log a fault once, not at each attempt."""
        if str(error) != self.fault:
            self.fault = str(error)
            log.info("peer_unreachable", extra={"peer": self.endpoint.name, "reason": self.fault[:300]})


def _stream(channel: grpc.aio.Channel, method: str) -> Call:
    opened: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{method}")
    # Connecting may take gRPC's own pause of a second; the handshake's deadline bounds it.
    return opened(wait_for_ready=True)


class _Connection:
    """One long-lived channel, made anew only when the peer's certificate changes."""

    def __init__(self, endpoint: Endpoint, pinner: Pinner) -> None:
        self._endpoint = endpoint
        self._pinner = pinner
        self._pin: Pin | None = None
        self.channel: grpc.aio.Channel | None = None
        self.opened = asyncio.Event()

    async def open(self, pin: Pin) -> grpc.aio.Channel:
        """Return the channel that accepts `pin` alone."""
        if self.channel is None or self._pin != pin:
            await self.close()
            self.channel, self._pin = self._pinner.channel(self._endpoint, pin), pin
            self.opened.set()
        return self.channel

    async def close(self) -> None:
        """Close the channel and its calls."""
        channel, self.channel = self.channel, None
        self.opened.clear()
        if channel is not None:
            await channel.close()
