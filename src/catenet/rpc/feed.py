"""Subscriptions: who asked for which events, and telling them. A slow reader is told, and gets no more."""

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from catenet.chain.vote import Vote
from catenet.rpc import events
from catenet.rpc.calls import refusal
from catenet.rpc.errors import SERVER, RpcError, failed
from catenet.rpc.events import Happening
from catenet.rpc.limits import Limits
from catenet.types.desk import ChainDesk, RoundView
from catenet.types.errors import InvalidInput, Unavailable
from catenet.types.ports import Gateway
from catenet.types.query import Query, parse

Put = Callable[[bytes], None]
"""Queues a message for a reader."""

HasRoom = Callable[[], bool]
"""Whether a reader may be given one more event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One query of one reader."""

    query: Query
    head: bytes
    """The message up to what all subscribers get alike."""
    request_id: object


class Feed:
    """All subscriptions of a node."""

    def __init__(self, gateway: Gateway, desk: ChainDesk, limits: Limits) -> None:
        self._gateway = gateway
        self._desk = desk
        self._limits = limits
        self._readers: dict[Reader, None] = {}

    async def run(self) -> None:
        """Tell subscribers of each block as it becomes final, until the node stops."""
        try:
            async for height in self._gateway.heights(self._gateway.reader.head):
                if self._readers:
                    self._tell_block(height)
        except Unavailable:
            return

    def reader(self, put: Put, has_room: HasRoom) -> "Reader":
        """Return a new reader's place; it counts once it has a subscription."""
        return Reader(self, self._limits, put, has_room)

    def tell(self, happening: Happening) -> None:
        """Send an event to all whose query it matches."""
        body: bytes | None = None
        for reader in list(self._readers):
            for text in reader.matching(happening):
                if body is None:
                    body = happening.encode()
                reader.send(text, body)

    def join(self, reader: "Reader") -> None:
        """Count a reader in. Raises `RpcError` when there are too many."""
        if reader not in self._readers and len(self._readers) >= self._limits.subscription_clients:
            raise failed(f"max_subscription_clients {self._limits.subscription_clients} reached")
        self._readers[reader] = None
        self._desk.watch(self)

    def leave(self, reader: "Reader") -> None:
        """Forget a reader."""
        self._readers.pop(reader, None)
        if not self._readers:
            self._desk.watch(None)

    def on_vote(self, vote: Vote) -> None:
        """Tell of a vote that was counted (`ports.Watcher`)."""
        self.tell(events.of_vote(vote))

    def on_step(self, view: RoundView, *, new_round: bool) -> None:
        """Tell of a step that has begun (`ports.Watcher`)."""
        if new_round:
            self.tell(events.of_round(view))
        self.tell(events.of_step(view))

    def _tell_block(self, height: int) -> None:
        stored, outcome = self._gateway.reader.block(height), self._gateway.reader.outcome(height)
        if stored is not None and outcome is not None:
            for happening in events.of_block(stored, outcome):
                self.tell(happening)


class Reader:
    """One WebSocket's subscriptions (`context.Subscriber`)."""

    def __init__(self, feed: Feed, limits: Limits, put: Put, has_room: HasRoom) -> None:
        self._feed = feed
        self._limits = limits
        self._put = put
        self._has_room = has_room
        self._subscriptions: dict[str, Subscription] = {}

    def subscribe(self, query: str, request_id: object) -> None:
        """Begin to send events that match. Raises `RpcError`."""
        if len(self._subscriptions) >= self._limits.subscriptions_per_client:
            raise failed(f"max_subscriptions_per_client {self._limits.subscriptions_per_client} reached")
        if len(query.encode()) > self._limits.query_bytes:
            raise failed("maximum query length exceeded")
        parsed = _parsed(query)
        if query in self._subscriptions:
            raise failed("already subscribed")
        self._feed.join(self)
        head = orjson.dumps({"jsonrpc": "2.0", "id": request_id, "result": {"query": query}})
        # The two braces that close result and message come after what all subscribers get alike.
        self._subscriptions[query] = Subscription(query=parsed, head=head[:-2] + b",", request_id=request_id)

    def unsubscribe(self, query: str) -> None:
        """Stop one. Raises `RpcError` when there is none."""
        _parsed(query)
        if self._subscriptions.pop(query, None) is None:
            raise failed("subscription not found")
        if not self._subscriptions:
            self._feed.leave(self)

    def unsubscribe_all(self) -> None:
        """Stop all. Raises `RpcError` when there is none."""
        if not self._subscriptions:
            raise failed("subscription not found")
        self.close()

    def close(self) -> None:
        """Forget everything: the reader is gone."""
        self._subscriptions.clear()
        self._feed.leave(self)

    def matching(self, happening: Happening) -> list[str]:
        """Return the queries that an event matches."""
        return [text for text, one in self._subscriptions.items() if one.query.matches(happening.keys)]

    def send(self, query: str, body: bytes) -> None:
        """Send an event to one subscription; when the reader lags too far, end the subscription instead."""
        one = self._subscriptions[query]
        if self._has_room():
            self._put(one.head + body + b"}")
            return
        self.unsubscribe(query)
        text = "subscription was canceled (reason: client is not pulling messages fast enough)"
        self._put(refusal(RpcError(SERVER, text), one.request_id).body)


def _parsed(query: str) -> Query:
    try:
        return parse(query)
    except InvalidInput as error:
        raise failed(f"failed to parse query: {error}") from None
