"""The connections of this node to all others: `types.ports.PeerNetwork` over gRPC (consensus.md 9).

What leaves is serialised here once, whoever gets it; what comes is decoded here and handed to the node.
Streams, proofs and dialling are in the modules below.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from random import Random

from catenet.network.backoff import Backoff
from catenet.network.config import Endpoint, LocalNode, NetworkConfig, TlsIdentity
from catenet.network.dialler import Dialler, Shared
from catenet.network.handshake import Handshake, Members
from catenet.network.links import Heartbeat, LinkTable
from catenet.network.outbox import Outbox, Parcel
from catenet.network.pin import Pinner
from catenet.network.server import peer_server
from catenet.network.service import PeerService
from catenet.types.errors import InvalidInput, Unavailable, WrongState
from catenet.types.ids import Address
from catenet.types.lamport import LamportClock
from catenet.types.messages import BatchMessage, Found, Message, Ping, Skip, Status, Wanted
from catenet.types.ports import BlockRun, PeerHandler
from catenet.wire.convert import (
    BULK_FRAME_BYTES_MAX,
    CONTROL_FRAME_BYTES_MAX,
    MESSAGES_MAX,
    Frame,
    FrameLimits,
    decode_found,
    decode_frame,
    decode_run,
    encode_frame,
    encode_wanted,
    parse,
)
from catenet.wire.grpc_runner import ServerRunner
from catenet.wire.v1 import peer_pb2 as pb

TICK_S = 1.0
"""How often members and endpoints are looked at again."""

SIZE_MIN = 16
"""Lists in frames may be twice as long as there are members, but at least of so many."""

log = logging.getLogger(__name__)


class Peers:
    """The peer connections of one node. `start`, then `run` in a task until it returns after `stop`."""

    def __init__(
        self,
        *,
        local: LocalNode,
        tls: TlsIdentity,
        config: NetworkConfig,
        endpoints: Callable[[], Sequence[Endpoint]],
        members: Members,
        clock: LamportClock,
        random: Random,
        now_us: Callable[[], int],
    ) -> None:
        """`endpoints` are the nodes to connect to, `members` those who may connect; read each second.

        `now_us` is the monotonic clock in microseconds; `random` only spreads the pauses between attempts.
        """
        self.clock = clock
        self.unknown_messages = 0
        """Messages of kinds that this version ignores."""
        self._local = local
        self._config = config
        self._endpoints = endpoints
        self._members = members
        self._random = random
        self._now_us = now_us
        self._handler: PeerHandler | None = None
        self._server: ServerRunner | None = None
        self._tls = tls
        self._size = SIZE_MIN
        self._stopping = asyncio.Event()
        self._diallers: dict[Address, Dialler] = {}
        self._tasks: dict[Address, asyncio.Task[None]] = {}
        self._table = LinkTable(
            now_us=now_us,
            stale_us=int(config.ping_s * 1_500_000),
            on_link=self._on_link,
            new_bulk_outbox=self._new_bulk_outbox,
        )
        self._shared = Shared(
            address=local.address,
            config=config,
            handshake=Handshake(local=local, certificate=tls.certificate_hash, members=members, clock=clock),
            table=self._table,
            pinner=Pinner(tls),
            control_outbox=self._new_control_outbox,
            on_control=self._on_control,
            on_bulk=self._on_bulk,
            beat=Heartbeat(
                ping_s=config.ping_s, misses=config.ping_misses, ping=lambda: self._encode([Ping()])
            ),
            now_us=now_us,
        )

    async def start(self, handler: PeerHandler) -> None:
        """Bind the peer port and serve. Raises `WrongState` when the port cannot be had."""
        self._handler = handler
        self._size = max(SIZE_MIN, len(self._members()))
        shared = self._shared
        service = PeerService(
            address=self._local.address,
            tls=self._tls,
            config=self._config,
            handshake=shared.handshake,
            table=self._table,
            handler=handler,
            control_outbox=self._new_control_outbox,
            on_control=self._on_control,
            on_bulk=self._on_bulk,
            beat=shared.beat,
            now_us=self._now_us,
        )
        server = peer_server(service.handlers(), tls=self._tls, config=self._config)
        await server.start()
        self._server = server

    async def run(self) -> None:
        """Keep serving and connecting until `stop`; then end every connection."""
        server = self._server
        if server is None:
            raise WrongState("start the peer connections before running them")
        try:
            async with asyncio.TaskGroup() as tasks:
                watch = tasks.create_task(server.run())
                tick = tasks.create_task(self._tick(tasks))
                await self._stopping.wait()
                await self._end(server)
                for task in (watch, tick, *self._tasks.values()):
                    task.cancel()
        finally:
            await server.stop(0)

    def stop(self) -> None:
        """Let `run` return."""
        self._stopping.set()

    @property
    def port(self) -> int:
        """The bound peer port, once started."""
        return 0 if self._server is None else self._server.port

    @property
    def connected(self) -> frozenset[Address]:
        """Peers whose control connection is proven and up."""
        return frozenset(self._table.control)

    def dialled_here(self, peer: Address) -> bool:
        """Say whether this node opened the control connection to a connected peer."""
        link = self._table.control.get(peer)
        return link is not None and link.by_lower == (self._local.address < peer)

    @property
    def last_seen_us(self) -> Mapping[Address, int]:
        """When the last frame of each peer came (monotonic), also of those that are gone."""
        return self._table.last_seen_us

    @property
    def server_restarts(self) -> int:
        """How often the serving loop of the peer port died and was made anew."""
        return 0 if self._server is None else self._server.restarts

    def fault(self, peer: Address) -> str:
        """Return why a peer could not be reached the last time; empty when it was."""
        dialler = self._diallers.get(peer)
        return "" if dialler is None or peer in self._table.control else dialler.fault

    def send(self, peer: Address, messages: Sequence[Message]) -> None:
        """Queue messages for one peer, in one frame where they fit; who is not connected misses them."""
        if peer in self._table.control:
            self._queue([peer], messages)

    def broadcast(self, messages: Sequence[Message]) -> None:
        """Queue messages to every connected peer; they are serialised once."""
        self._queue(list(self._table.control), messages)

    async def fetch(self, peer: Address, wanted: Wanted, *, timeout_s: float) -> AsyncIterator[Found]:
        """Ask a peer for batches and blocks. Raises `Unavailable` and what the peer answers."""
        async for answer in self._dialler(peer).call("Fetch", encode_wanted(wanted), timeout_s=timeout_s):
            yield decode_found(answer)

    async def blocks(
        self, peer: Address, first: int, last: int, *, timeout_s: float
    ) -> AsyncIterator[BlockRun]:
        """Ask a peer for stored blocks. Raises `Unavailable`, `NotFound`, `PastTip`, `InvalidInput`."""
        request = pb.BlocksRequest(to=last)
        setattr(request, "from", first)
        expected = first
        calls = self._dialler(peer).call("Blocks", request.SerializeToString(), timeout_s=timeout_s)
        async for answer in calls:
            run = decode_run(answer)
            if run.first != expected or run.first + len(run.blocks) - 1 > last:
                raise InvalidInput(f"peer sent blocks from {run.first}, {expected} to {last} were asked for")
            expected += len(run.blocks)
            yield run

    async def pledge(self, peer: Address, *, timeout_s: float) -> int:
        """Ask a peer for the newest height that it committed or may have precommitted. Raises as `fetch`."""
        request = pb.PledgeRequest().SerializeToString()
        height: int | None = None
        async for answer in self._dialler(peer).call("Pledge", request, timeout_s=timeout_s):
            if height is not None:
                raise InvalidInput(f"peer {peer.hex()} gave several answers to one question")
            height = parse(pb.PledgeAnswer, answer).height
        if height is None:
            raise Unavailable(f"peer {peer.hex()} ended the call without an answer")
        return height

    def disconnect(self, peer: Address, *, ban_s: float) -> None:
        """Cut a misbehaving peer and refuse it for `ban_s` seconds."""
        self._table.ban(peer, ban_s)

    def _queue(self, peers: Sequence[Address], messages: Sequence[Message]) -> None:
        """Serialise once per connection class and put the same bytes into every peer's queue."""
        if not peers:
            return
        bulk = [message for message in messages if isinstance(message, BatchMessage | Skip)]
        control = [message for message in messages if not isinstance(message, BatchMessage | Skip)]
        for parcel in self._parcels(control, CONTROL_FRAME_BYTES_MAX):
            for peer in peers:
                self._table.control[peer].outbox.put(parcel)
        for parcel in self._parcels(bulk, BULK_FRAME_BYTES_MAX):
            for peer in peers:
                self._table.bulk_outbox(peer).put(parcel)

    def _parcels(self, messages: Sequence[Message], bytes_max: int) -> list[Parcel]:
        """Return the frames of messages: one, or more when one would be longer than the receiver takes."""
        if not messages:
            return []
        data = self._encode(messages)
        if len(data) > bytes_max or len(messages) > MESSAGES_MAX:
            if len(messages) == 1:
                log.error("frame_too_long", extra={"kind": type(messages[0]).__name__, "bytes": len(data)})
                return []
            half = len(messages) // 2
            return self._parcels(messages[:half], bytes_max) + self._parcels(messages[half:], bytes_max)
        newest = next((message for message in reversed(messages) if isinstance(message, Status)), None)
        return [Parcel(data=data, status=newest)]

    def _encode(self, messages: Sequence[Message]) -> bytes:
        return encode_frame(self.clock.send(), messages)

    def _on_control(self, peer: Address, data: bytes) -> Frame:
        return self._on_frame(peer, data, CONTROL_FRAME_BYTES_MAX)

    def _on_bulk(self, peer: Address, data: bytes) -> Frame:
        return self._on_frame(peer, data, BULK_FRAME_BYTES_MAX)

    def _on_frame(self, peer: Address, data: bytes, bytes_max: int) -> Frame:
        limits = FrameLimits(frame_bytes=bytes_max, votes=2 * self._size, tips=2 * self._size)
        frame = decode_frame(data, limits)
        self.clock.receive(frame.lamport)
        self.unknown_messages += frame.unknown
        self._table.last_seen_us[peer] = self._now_us()
        if self._handler is not None and frame.messages:
            self._handler.on_messages(peer, frame.messages, len(data))
        return frame

    def _on_link(self, peer: Address, up: bool) -> None:
        if self._handler is not None:
            self._handler.on_link(peer, up=up)

    def _new_control_outbox(self) -> Outbox:
        return Outbox(
            bytes_max=self._config.control_outbox_bytes,
            frames_max=self._config.control_outbox_frames,
            encode_status=lambda status: self._encode([status]),
        )

    def _new_bulk_outbox(self) -> Outbox:
        return Outbox(
            bytes_max=self._config.bulk_outbox_bytes,
            frames_max=self._config.bulk_outbox_frames,
            encode_status=None,
        )

    def _dialler(self, peer: Address) -> Dialler:
        dialler = self._diallers.get(peer)
        if dialler is None:
            raise Unavailable(f"no address is known of peer {peer.hex()}")
        return dialler

    async def _tick(self, tasks: asyncio.TaskGroup) -> None:
        """Follow changes of who is to be connected and who may be."""
        while True:
            wanted = {each.address: each for each in self._endpoints() if each.address != self._local.address}
            for address, dialler in list(self._diallers.items()):
                if wanted.get(address) != dialler.endpoint:
                    self._tasks.pop(address).cancel()
                    del self._diallers[address]
            for address, endpoint in wanted.items():
                if address not in self._diallers:
                    self._dial(tasks, endpoint)
            members = self._members()
            self._size = max(SIZE_MIN, len(members))
            for address in {*self._table.control, *self._table.pushed}:
                if address not in members:
                    self._table.cut(address, "no longer a member")
            await asyncio.sleep(TICK_S)

    def _dial(self, tasks: asyncio.TaskGroup, endpoint: Endpoint) -> None:
        pauses = [Backoff(random=self._random, cap_s=self._config.reconnect_s_max) for _ in range(2)]
        dialler = Dialler(
            endpoint=endpoint, shared=self._shared, control_pause=pauses[0], bulk_pause=pauses[1]
        )
        self._diallers[endpoint.address] = dialler
        self._table.down_since_us.setdefault(endpoint.address, self._now_us())
        self._tasks[endpoint.address] = tasks.create_task(dialler.run())

    async def _end(self, server: ServerRunner) -> None:
        """Close the links first, so that calls end by themselves and no read is cancelled."""
        for peer in {*self._table.control, *self._table.pushed}:
            self._table.cut(peer, "the node is stopping")
        with suppress(TimeoutError):
            async with asyncio.timeout(self._config.stop_grace_s):
                while self._table.control:
                    await self._table.wait_change()
        for task in self._tasks.values():
            task.cancel()
        await server.stop(self._config.stop_grace_s)
