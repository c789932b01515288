"""The connections to a foreign application: four, as ABCI wants them, and calls over them with a deadline.

Calls are made in the application's thread, one at a time, and wait for their answer.
"""

from collections.abc import Callable
from enum import Enum
from threading import Event
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from catenet.types.errors import CatenetError, Corrupt, Unavailable, WrongState
from catenet.wire.abci import abci_pb2 as pb
from catenet.wire.grpc_channel import channel_options
from catenet.wire.grpc_server import Option

M = TypeVar("M", bound=Message)

SERVICE = "tendermint.abci.ABCI"

MESSAGE_BYTES_MAX = 112 * 1024 * 1024
"""An answer is of the application's making, and it is trusted: only nonsense is kept out."""

SCHEME = "grpc://"

PAUSE_S = 0.1
"""Between two attempts to reach an application that is away."""

ECHO_S = 2.0
READY_S = 1.0


class Connection(Enum):
    """The logical connections. Each is a TCP connection of its own."""

    CONSENSUS = "consensus"
    MEMPOOL = "mempool"
    QUERY = "query"
    SNAPSHOT = "snapshot"


class Gone(Unavailable):
    """The application is not there, or left in the middle of a call, which it may have done."""


class Late(Unavailable):
    """The application did not answer in time: it may still be at work."""


class Link:
    """Connections to one application. Used by one thread; `close` may be called from another."""

    def __init__(self, target: str, *, answer_s: float, patience_s: float) -> None:
        """`answer_s` is the deadline of each call, `patience_s` how long an application may be away."""
        self.target = target
        self._answer_s = answer_s
        self._patience_s = patience_s
        self._closed = Event()
        self._channels = {one: grpc.insecure_channel(target, _options()) for one in Connection}
        self.was_lost = False
        """The consensus connection was down since this was last set: another process may answer now."""
        self._ready = Event()
        self._channels[Connection.CONSENSUS].subscribe(self._on_state)

    def call(self, connection: Connection, method: str, request: Message, kind: type[M]) -> M:
        """Call a method. Raises `Gone`, `Late`, `Corrupt` for what no application should answer."""
        data = self._exchange(connection, method, request.SerializeToString(), timeout_s=self._answer_s)
        try:
            return kind.FromString(data)
        except DecodeError:
            raise Corrupt(f"{self._who} answered {method} with what is no {kind.DESCRIPTOR.name}") from None

    def connect(self) -> None:
        """Reach the application over all connections, waiting for it if need be. Raises `Gone`."""
        hello = pb.RequestEcho(message="catenet").SerializeToString()
        tries = max(1, int(self._patience_s / PAUSE_S))
        for connection in Connection:
            for attempt in range(tries):
                if self._closed.is_set():
                    raise Gone(f"this node is stopping; {self._who} was not waited for any longer")
                try:
                    self._exchange(connection, "Echo", hello, timeout_s=ECHO_S)
                    break
                except (Gone, Late):
                    if attempt == tries - 1:
                        raise Gone(
                            f"{self._who} was not there for {self._patience_s:g} s; start it, then this node"
                        ) from None
                    self._closed.wait(PAUSE_S)
        # gRPC tells of its states a little later, and only of changes: a loss is told when this was.
        self._ready.wait(READY_S)

    def close(self) -> None:
        """Give up waiting for an application that is away."""
        self._closed.set()

    @property
    def is_closed(self) -> bool:
        """Whether nothing is waited for any more."""
        return self._closed.is_set()

    def disconnect(self) -> None:
        """Close the connections."""
        self.close()
        for channel in self._channels.values():
            channel.close()

    def _on_state(self, state: grpc.ChannelConnectivity) -> None:
        # gRPC connects again by itself, in the middle of the next call.
        if state is grpc.ChannelConnectivity.READY:
            self._ready.set()
        elif self._ready.is_set():
            self._ready.clear()
            self.was_lost = True

    @property
    def _who(self) -> str:
        return f"the application at {SCHEME}{self.target}"

    def _exchange(self, connection: Connection, method: str, request: bytes, *, timeout_s: float) -> bytes:
        channel = self._channels[connection]
        stub: Callable[..., bytes] = channel.unary_unary(f"/{SERVICE}/{method}")
        try:
            return stub(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise self._fault(method, error, timeout_s) from None

    def _fault(self, method: str, error: grpc.RpcError, timeout_s: float) -> CatenetError:
        assert isinstance(error, grpc.Call)
        code, details = error.code(), error.details() or ""
        match code:
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return Gone(f"{self._who} left, or is not there ({method}: {details[:200]})")
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return Late(f"{self._who} did not answer {method} within {timeout_s:g} s")
            case grpc.StatusCode.UNIMPLEMENTED:
                return WrongState(
                    f"{self._who} does not know {method}: it must serve {SERVICE} of ABCI 2.0"
                    " (CometBFT v0.38 to v0.40)"
                )
            case _:
                return WrongState(f"{self._who} failed in {method}: {code.name}: {details[:400]}")


def _options() -> list[Option]:
    sizes = {
        "grpc.max_receive_message_length": MESSAGE_BYTES_MAX,
        "grpc.max_send_message_length": MESSAGE_BYTES_MAX,
        # Who was away is found again at once, and frequent pings end connections of Go's servers.
        "grpc.initial_reconnect_backoff_ms": 50,
        "grpc.min_reconnect_backoff_ms": 50,
        "grpc.max_reconnect_backoff_ms": 200,
        "grpc.keepalive_time_ms": 2**31 - 1,
        "grpc.client_idle_timeout_ms": 2**31 - 1,
    }
    usual = channel_options(own_connection=True)
    return [*(option for option in usual if option[0] not in sizes), *sizes.items()]
