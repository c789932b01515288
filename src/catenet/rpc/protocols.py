"""uvicorn's two protocols with the bounds that it lacks: so many connections, and a time for everything.

A connection that says nothing, a request that does not end, an answer that is not read: each is cut. Until
then such a connection costs a socket and one timer.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from catenet.rpc.limits import Limits


class Abortable(Protocol):
    """What can be cut: a transport, or a connection that has none of its own yet."""

    def abort(self) -> None:
        """End the connection at once."""
        ...


class EarlyConnection(Abortable, Protocol):
    """A connection that does not speak HTTP yet; the server ends it as it ends others."""

    def shutdown(self) -> None:
        """End the connection: the server stops."""
        ...


class _WriteWatch:
    """Cuts a connection whose reader does not read."""

    def __init__(self, write_s: float) -> None:
        self._write_s = write_s
        self._timer: asyncio.TimerHandle | None = None

    def paused(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the reader."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._write_s, transport.abort)

    def resumed(self) -> None:
        """The reader has read."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with bounds; `limits` and `idle` belong to one server."""

    limits: Limits
    idle: dict[Abortable, None]
    """Connections that wait for a request, the one that waits longest first."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection in; when there are too many, close an idle one."""
        super().connection_made(transport)
        self._watch = _WriteWatch(self.limits.write_s)
        self._head: asyncio.TimerHandle | None = None
        self._expect_request()
        self._make_room()

    def admit(self, early: EarlyConnection) -> None:
        """Count a connection that does not speak HTTP yet."""
        # The server only counts them, and calls `shutdown` of each when it stops.
        self.connections.add(early)  # type: ignore[arg-type]
        self.idle[early] = None
        self._make_room()

    def dismiss(self, early: EarlyConnection) -> None:
        """Count it no longer: it speaks HTTP now, or it is gone."""
        self.connections.discard(early)
        self.idle.pop(early, None)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the whole head of a request must come within its time."""
        super().data_received(data)
        upgraded = self.transport.get_protocol() is not self
        # Before the first request there is no cycle; its annotation does not say so.
        answering = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]
        if upgraded or answering:
            self._forget_request()
        else:
            self._expect_request()

    def on_response_complete(self) -> None:
        """An answer is out; the next request may take its time, and uvicorn sees to that."""
        super().on_response_complete()
        if self.cycle.response_complete and not self.transport.is_closing():
            self.idle[self.transport] = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_request()
        self._watch.resumed()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The answer is not read as fast as it is written."""
        self._watch.paused(self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The answer is read again."""
        self._watch.resumed()
        super().resume_writing()

    def _make_room(self) -> None:
        if len(self.connections) > self.limits.connections:
            # At the latest the new one is found: it has said nothing yet.
            oldest = next(iter(self.idle))
            del self.idle[oldest]
            oldest.abort()

    def _expect_request(self) -> None:
        self.idle[self.transport] = None
        if self._head is None:
            self._head = self.loop.call_later(self.limits.read_s, self.transport.close)

    def _forget_request(self) -> None:
        self.idle.pop(self.transport, None)
        if self._head is not None:
            self._head.cancel()
            self._head = None


class _BoundedWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket whose reader must read."""

    limits: Limits

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, object]) -> None:
        super().__init__(config, server_state, app_state)
        self._watch = _WriteWatch(self.limits.write_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._watch.resumed()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Messages are not read as fast as they are written."""
        self._watch.paused(self.transport)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Messages are read again."""
        self._watch.resumed()
        super().resume_writing()


def http_protocol(limits: Limits) -> Callable[..., BoundedHttp]:
    """Return the protocol of new connections: when there are too many, the one longest idle gives way."""
    return type("BoundedHttp", (BoundedHttp,), {"limits": limits, "idle": {}})


def websocket_protocol(limits: Limits) -> type[asyncio.Protocol]:
    """Return the protocol of connections that became WebSockets."""
    return type("BoundedWebSocket", (_BoundedWebSocket,), {"limits": limits})
