"""What all gRPC servers of ours share: hardened arguments, and handlers that let no error out.

Handlers are registered for raw bytes: `decode` says INVALID_ARGUMENT where gRPC's own parsing would answer
UNKNOWN with an exception's text. They raise errors of `types.errors`; the caller sees the status that
`wire/status.py` gives them. No service and no port lives here.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Protocol, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from catenet.types.errors import InvalidInput, Unavailable
from catenet.wire.status import status_of

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""gRPC's own default, which foreign clients have: no message of ours is longer."""

HEADER_BYTES_MAX = 8 * 1024
PING_INTERVAL_MIN_MS = 4000
"""Peers and clients may ping every 5 s; a default server answers that with GOAWAY (dependencies.md 1)."""

Option: TypeAlias = tuple[str, int | str]
Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"
Write: TypeAlias = Callable[[bytes], Awaitable[None]]
R = TypeVar("R")
R_contra = TypeVar("R_contra", contravariant=True)
M = TypeVar("M", bound=Message)


def server_options(
    *, streams_max: int, window_bytes: int, age_s: int = 0, ping_strikes: int = 2
) -> list[Option]:
    """Return the hardened arguments of a server (reliability.md 2).

    `streams_max` is per connection, `window_bytes` is what one stream may hold unread; after `age_s` a
    connection is asked to reconnect (0: never, for peers). More than `ping_strikes` early pings end a
    connection (0: never; a process that was frozen reads the pings of its peers all at once).
    """
    options: list[Option] = [
        # Without it two nodes silently share a port.
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", streams_max),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_metadata_size", HEADER_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", 2 * HEADER_BYTES_MAX),
        ("grpc.server_handshake_timeout_ms", 5000),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_INTERVAL_MIN_MS),
        ("grpc.http2.max_ping_strikes", ping_strikes),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.lookahead_bytes", window_bytes),
        # Probing would grow the windows beyond what is set here.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.max_frame_size", 64 * 1024),
        ("grpc.enable_channelz", 0),
    ]
    if age_s:
        options += [
            ("grpc.max_connection_age_ms", age_s * 1000),
            ("grpc.max_connection_age_grace_ms", 600_000),
        ]
        options += [("grpc.max_connection_idle_ms", age_s * 1000)]
    return options


def parser(kind: type[M]) -> Callable[[bytes], M]:
    """Return the decoder of a generated class: `InvalidInput` with a fixed text for what does not parse."""

    def decode(data: bytes) -> M:
        try:
            return kind.FromString(data)
        except (DecodeError, RecursionError):
            raise InvalidInput(f"malformed {kind.DESCRIPTOR.full_name}") from None

    return decode


class UnaryCall(Protocol[R_contra]):
    """A unary method: one decoded request, one encoded answer."""

    async def __call__(self, request: R_contra, context: Context, /) -> bytes:
        """Answer."""
        ...


class ServerStreamCall(Protocol[R_contra]):
    """A method that answers one request with many encoded messages, each waiting for the window."""

    def __call__(self, request: R_contra, context: Context, /) -> AsyncIterator[bytes]:
        """Answer, as an asynchronous generator."""
        ...


class ClientStreamCall(Protocol[R_contra]):
    """A method that reads many requests and gives one encoded answer."""

    async def __call__(self, requests: AsyncIterator[R_contra], context: Context, /) -> bytes:
        """Answer."""
        ...


class BidiCall(Protocol[R_contra]):
    """A method that reads and writes as it likes; `write` waits for the window; returning ends the call."""

    async def __call__(self, requests: AsyncIterator[R_contra], write: Write, context: Context, /) -> None:
        """Hold the conversation."""
        ...


def unary(call: UnaryCall[R], decode: Callable[[bytes], R]) -> Handler:
    """Return the handler of a unary method."""

    async def handle(request: bytes, context: Context) -> bytes:
        async with _boundary(context):
            return await call(decode(request), context)

    return grpc.unary_unary_rpc_method_handler(handle)


def server_stream(call: ServerStreamCall[R], decode: Callable[[bytes], R]) -> Handler:
    """Return the handler of a method with a stream of answers."""

    async def handle(request: bytes, context: Context) -> None:
        write = _writer(context)
        async with _boundary(context), aclosing(_relayed(call(decode(request), context))) as answers:
            async for answer in answers:
                await write(answer)

    return grpc.unary_stream_rpc_method_handler(handle)


def client_stream(call: ClientStreamCall[R], decode: Callable[[bytes], R]) -> Handler:
    """Return the handler of a method with a stream of requests."""

    async def handle(requests: AsyncIterator[bytes], context: Context) -> bytes:
        async with _boundary(context), aclosing(_decoded(requests, decode)) as decoded:
            return await call(decoded, context)

    return grpc.stream_unary_rpc_method_handler(handle)


def bidi(call: BidiCall[R], decode: Callable[[bytes], R]) -> Handler:
    """Return the handler of a method with streams both ways."""

    async def handle(requests: AsyncIterator[bytes], context: Context) -> None:
        async with _boundary(context), aclosing(_decoded(requests, decode)) as decoded:
            await call(decoded, _writer(context), context)

    return grpc.stream_stream_rpc_method_handler(handle)


def service(name: str, methods: Mapping[str, Handler]) -> grpc.GenericRpcHandler:
    """Return a service of raw-bytes handlers, for `server.add_generic_rpc_handlers`."""
    return grpc.method_handlers_generic_handler(name, dict(methods))


def _writer(context: Context) -> Write:
    """Return what sends one answer. A caller who has left is no fault of ours: `Unavailable`, to nobody."""

    async def write(answer: bytes) -> None:
        try:
            await context.write(answer)
        except grpc.aio.InternalError:
            # The call ended while the answer was on its way, before gRPC cancelled its handler.
            raise Unavailable("the caller has left") from None

    return write


@asynccontextmanager
async def _boundary(context: Context) -> AsyncIterator[None]:
    """End the call with the right status whatever is raised inside: no exception leaves a handler."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:  # noqa: BLE001 - the RPC boundary: a bug in a handler must not end the server
        status = status_of(error)
        await context.abort(status.code, status.details, status.trailing)


async def _decoded(requests: AsyncIterator[bytes], decode: Callable[[bytes], R]) -> AsyncGenerator[R, None]:
    async for request in requests:
        yield decode(request)


async def _relayed(answers: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Yield the answers and close their generator at once when the call ends, not when it is collected."""
    try:
        async for answer in answers:
            yield answer
    finally:
        if isinstance(answers, AsyncGenerator):
            await answers.aclose()
