"""The few words of ASGI that this room speaks, with types."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import TypeAlias, cast

Message: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Scope:
    """What a server says of one request."""

    __slots__ = ("_scope",)

    def __init__(self, scope: Message) -> None:
        self._scope = scope

    @property
    def kind(self) -> str:
        """`http` or `websocket`."""
        return str(self._scope["type"])

    @property
    def method(self) -> str:
        """GET, POST, ..."""
        return str(self._scope["method"])

    @property
    def path(self) -> str:
        """The path, unquoted."""
        return str(self._scope["path"])

    @property
    def query(self) -> str:
        """What follows the question mark, as it was sent."""
        return cast("bytes", self._scope["query_string"]).decode("latin-1")

    @property
    def client(self) -> str:
        """The caller's host."""
        client = self._scope.get("client")
        return str(client[0]) if isinstance(client, tuple | list) else ""

    def header(self, name: bytes) -> bytes:
        """Return a header's value, empty when there is none."""
        headers = cast("Iterable[tuple[bytes, bytes]]", self._scope["headers"])
        return next((value for key, value in headers if key == name), b"")


async def respond(
    send: Send, status: int, body: bytes, *, kind: bytes = b"application/json", **headers: str
) -> None:
    """Send a whole HTTP answer. Underscores of header names become hyphens."""
    rows = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        *((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": rows})
    await send({"type": "http.response.body", "body": body})
