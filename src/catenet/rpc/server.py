"""The port of the JSON-RPC: opened, kept open, drained. Plaintext never leaves the machine."""

import asyncio
import errno
import hmac
import logging
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from uvicorn.config import Config
from uvicorn.server import ServerState

from catenet.rpc.asgi import Message, Receive, Scope, Send, respond
from catenet.rpc.context import Service
from catenet.rpc.feed import Feed
from catenet.rpc.http import serve_http
from catenet.rpc.limits import Limits
from catenet.rpc.protocols import BoundedHttp, http_protocol, websocket_protocol
from catenet.rpc.submissions import BackgroundSubmissions
from catenet.rpc.tls import Handshakes, server_context
from catenet.rpc.websocket import Socket
from catenet.types.desk import ChainDesk
from catenet.types.errors import InvalidInput, WrongState
from catenet.types.ports import EventIndex, EvidenceIntake, Gateway

BACKLOG = 1024

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where the JSON-RPC is served, and to whom."""

    host: str
    port: int
    """0 takes a free one."""
    certificate: Path | None = None
    """PEM, with its chain; None: plaintext, on a loopback address only."""
    key: Path | None = None
    token: str = ""
    """What clients must show as a bearer token; empty: nothing."""


class RpcServer:
    """Serves the JSON-RPC of a node: `start`, then `run` until `stop`."""

    def __init__(
        self,
        gateway: Gateway,
        desk: ChainDesk,
        intake: EvidenceIntake,
        listener: Listener,
        *,
        index: EventIndex | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Raise `InvalidInput` for plaintext where others reach it, `WrongState` without a certificate."""
        if listener.certificate is None and not _is_loopback(listener.host):
            raise InvalidInput(
                f"plaintext on {listener.host} is refused: others could read and change what clients say; "
                "configure a certificate for this address, or listen on 127.0.0.1"
            )
        self._listener = listener
        self._limits = limits or Limits()
        self._submissions = BackgroundSubmissions(gateway, waiting_max=self._limits.async_txs)
        self._feed = Feed(gateway, desk, self._limits)
        self._service = Service(
            gateway=gateway,
            desk=desk,
            intake=intake,
            index=index,
            limits=self._limits,
            submissions=self._submissions,
            rpc_address=lambda: self.address,
        )
        self._handshakes = _handshakes(listener, self._limits.read_s)
        self._state = ServerState()
        self._server: asyncio.Server | None = None
        self._stopping = asyncio.Event()

    @property
    def feed(self) -> Feed:
        """Who is told what happens."""
        return self._feed

    @property
    def address(self) -> str:
        """Where it listens, `host:port`, with the real port; empty before `start`."""
        if self._server is None or not self._server.sockets:
            return ""
        host = self._listener.host
        port = self._server.sockets[0].getsockname()[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Open the port. Raises `WrongState` when it cannot be had."""
        config = self._config()
        config.load()
        protocol, state = http_protocol(self._limits), self._state

        def new_http() -> BoundedHttp:
            return protocol(config=config, server_state=state, app_state={})

        def new_secured() -> asyncio.Protocol:
            assert self._handshakes is not None
            return self._handshakes.protocol(new_http)

        host, port = self._listener.host, self._listener.port
        try:
            self._server = await asyncio.get_running_loop().create_server(
                new_http if self._handshakes is None else new_secured, host=host, port=port, backlog=BACKLOG
            )
        except OSError as error:
            why = "it is taken by another process" if error.errno == errno.EADDRINUSE else error.strerror
            raise WrongState(f"cannot listen on {host}:{port} for JSON-RPC: {why}") from None

    async def run(self) -> None:
        """Tell subscribers what happens, and serve, until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            self._submissions.begin(tasks)
            if self._handshakes is not None:
                self._handshakes.begin(tasks)
            feed = tasks.create_task(self._feed.run())
            await self._stopping.wait()
            feed.cancel()

    async def stop(self, grace_s: float) -> None:
        """Take no new connection, give calls in flight `grace_s` seconds, and close what is open."""
        self._stopping.set()
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._state.tasks:
                    await asyncio.wait(list(self._state.tasks))
        for connection in list(self._state.connections):
            connection.transport.abort()

    def _config(self) -> Config:
        limits = self._limits
        return Config(
            self._app,
            # What is named here is never made: `start` has the bounded one.
            http="httptools",
            ws=websocket_protocol(limits),
            ws_max_size=limits.body_bytes,
            ws_ping_interval=limits.ping_s,
            ws_ping_timeout=limits.ping_s,
            ws_per_message_deflate=False,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=int(limits.read_s),
        )

    async def _app(self, scope: Message, receive: Receive, send: Send) -> None:
        request = Scope(scope)
        if request.kind == "websocket":
            if request.path != "/websocket" or not self._admitted(request):
                # Before it is accepted, this refuses it with 403.
                await send({"type": "websocket.close"})
                return
            await Socket(self._service, self._feed, request, receive, send).run()
        elif not self._admitted(request):
            await respond(
                send, 401, b"a bearer token is needed here\n", kind=b"text/plain", www_authenticate="Bearer"
            )
        else:
            await serve_http(self._service, request, receive, send)

    def _admitted(self, request: Scope) -> bool:
        if not self._listener.token:
            return True
        scheme, _, token = request.header(b"authorization").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(
            token.strip(), self._listener.token.encode()
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _handshakes(listener: Listener, read_s: float) -> Handshakes | None:
    if listener.certificate is None:
        return None
    if listener.key is None:
        raise InvalidInput(f"the certificate {listener.certificate} has no key; name both files, or none")
    return Handshakes(server_context(listener.certificate, listener.key), read_s)
