"""The peer service as it is served: who calls is known from its certificate before anything else happens.

Control proves a peer; on the other methods only the certificate that it proved there is accepted. What peers
want is answered by the node's `PeerHandler`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from ssl import PEM_cert_to_DER_cert

import grpc

from catenet.network.config import NetworkConfig, TlsIdentity
from catenet.network.handshake import Handshake
from catenet.network.links import Heartbeat, Link, LinkTable, OnFrame
from catenet.network.outbox import Outbox
from catenet.network.runs import runs
from catenet.network.stream import AcceptedStream
from catenet.types.errors import Forbidden, Overloaded, Unauthenticated, Unavailable
from catenet.types.ids import Address
from catenet.types.messages import Wanted
from catenet.types.ports import PeerHandler
from catenet.wire.convert import decode_wanted, encode_found, encode_run, parse
from catenet.wire.grpc_server import MESSAGE_BYTES_MAX, Context, Write, bidi, server_stream, service
from catenet.wire.v1 import peer_pb2 as pb

SERVICE = "catenet.wire.v1.Peer"


class PeerService:
    """The five methods of `catenet.wire.v1.Peer`."""

    def __init__(
        self,
        *,
        address: Address,
        tls: TlsIdentity,
        config: NetworkConfig,
        handshake: Handshake,
        table: LinkTable,
        handler: PeerHandler,
        control_outbox: Callable[[], Outbox],
        on_control: OnFrame,
        on_bulk: OnFrame,
        beat: Heartbeat,
        now_us: Callable[[], int],
    ) -> None:
        """All parts come from `Peers`, which shares them between both ends of connections."""
        self._address = address
        self._tls = tls
        self._config = config
        self._handshake = handshake
        self._table = table
        self._handler = handler
        self._control_outbox = control_outbox
        self._on_control = on_control
        self._on_bulk = on_bulk
        self._beat = beat
        self._now_us = now_us
        self._calls: Counter[Address] = Counter()

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the service for a server."""
        return service(
            SERVICE,
            {
                "Control": bidi(self.control, bytes),
                "Push": bidi(self.push, bytes),
                "Fetch": server_stream(self.fetch, decode_wanted),
                "Blocks": server_stream(self.blocks, lambda data: parse(pb.BlocksRequest, data)),
                "Pledge": server_stream(self.pledge, lambda data: parse(pb.PledgeRequest, data)),
            },
        )

    async def control(self, requests: AsyncIterator[bytes], write: Write, context: Context) -> None:
        """Hold the control connection of a peer that dialled."""
        certificate = self._certificate(context)
        stream = AcceptedStream(requests, write)
        try:
            async with asyncio.timeout(self._config.handshake_s):
                proven = await self._handshake.accept(stream, certificate=certificate)
        except TimeoutError:
            raise Unavailable("the handshake took too long") from None
        by_lower = proven.address < self._address
        link = Link(peer=proven.address, outbox=self._control_outbox(), stream=stream, by_lower=by_lower)
        self._table.adopt(link, proven.certificate)
        try:
            await link.pump(self._on_control, self._now_us, beat=self._beat)
        finally:
            self._table.drop(link)

    async def push(self, requests: AsyncIterator[bytes], write: Write, context: Context) -> None:
        """Take the batches of a proven peer."""
        certificate = self._certificate(context)
        peer = self._table.owner(certificate)
        stream = AcceptedStream(requests, write)
        try:
            async with asyncio.timeout(self._config.handshake_s):
                hello = await self._handshake.expect(stream, certificate=certificate)
        except TimeoutError:
            raise Unavailable("the Hello took too long") from None
        if hello.address != peer:
            raise Forbidden(f"address: peer says {hello.address.hex()}, its certificate is of {peer.hex()}")
        await self._handshake.announce(stream)
        link = Link(peer=peer, outbox=self._control_outbox(), stream=stream, by_lower=peer < self._address)
        former = self._table.pushed.get(peer)
        if former is not None:
            former.close("replaced by another stream")
        self._table.pushed[peer] = link
        try:
            await link.pump(self._on_bulk, self._now_us, beat=None)
        finally:
            if self._table.pushed.get(peer) is link:
                del self._table.pushed[peer]

    async def fetch(self, wanted: Wanted, context: Context) -> AsyncIterator[bytes]:
        """Answer with the batches and blocks that are here."""
        with self._admitted(context) as peer:
            for found in await self._handler.on_fetch(peer, wanted):
                answer = encode_found(found)
                # A longer one cannot exist within the chain's limits; gRPC would end the call for it.
                if len(answer) <= MESSAGE_BYTES_MAX:
                    yield answer

    async def blocks(self, request: pb.BlocksRequest, context: Context) -> AsyncIterator[bytes]:
        """Stream stored blocks (S1): one run is read only when the one before has left."""
        first, last = getattr(request, "from"), request.to
        bytes_max = min(request.max_bytes or self._config.run_bytes_max, self._config.run_bytes_max)
        with self._admitted(context):
            async for run in runs(
                self._handler.reader, first=first, last=last, bytes_max=bytes_max, follow=request.follow
            ):
                yield encode_run(run)

    async def pledge(self, request: pb.PledgeRequest, context: Context) -> AsyncIterator[bytes]:
        """Answer with the newest height that this node committed or may have precommitted."""
        with self._admitted(context):
            yield pb.PledgeAnswer(height=self._handler.pledge()).SerializeToString()

    def _certificate(self, context: Context) -> bytes:
        """Return the hash of the caller's certificate after all checks of its names (reliability.md 2)."""
        for pem in context.auth_context().get("x509_pem_cert", ()):
            der = PEM_cert_to_DER_cert(pem.decode("ascii", "replace"))
            self._tls.identify(der)
            return sha256(der).digest()
        raise Unauthenticated("the connection has no client certificate")

    @contextmanager
    def _admitted(self, context: Context) -> Iterator[Address]:
        """Know the caller by its proven certificate, and keep its number of calls in bounds."""
        peer = self._table.owner(self._certificate(context))
        if self._calls[peer] >= self._config.calls_per_peer:
            raise Overloaded(
                f"{self._config.calls_per_peer} calls of this peer are running", retry_after_s=0.1
            )
        self._calls[peer] += 1
        try:
            yield peer
        finally:
            self._calls[peer] -= 1
