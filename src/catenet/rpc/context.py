"""What every method is given: the node, the bounds, and who calls."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from catenet.rpc.limits import Limits
from catenet.rpc.params import Arguments
from catenet.types.desk import ChainDesk
from catenet.types.ports import EventIndex, EvidenceIntake, Gateway


class Submissions(Protocol):
    """Transactions whose sender does not wait for their check."""

    def start(self, tx: bytes, client: str) -> None:
        """Hand one in, and forget it. Raises `RpcError` when too many are on their way."""
        ...


class Subscriber(Protocol):
    """One WebSocket, as far as subscriptions concern it."""

    def subscribe(self, query: str, request_id: object) -> None:
        """Begin to send events that match. Raises `RpcError`."""
        ...

    def unsubscribe(self, query: str) -> None:
        """Stop. Raises `RpcError` when there is no such subscription."""
        ...

    def unsubscribe_all(self) -> None:
        """Stop all. Raises `RpcError` when there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What all calls share."""

    gateway: Gateway
    desk: ChainDesk
    intake: EvidenceIntake
    index: EventIndex | None
    """None: what transactions and blocks said is not indexed here."""
    limits: Limits
    submissions: Submissions
    rpc_address: Callable[[], str]
    """Where this room listens, once it does."""
    searches: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Searches run beside the event loop, one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One call."""

    service: Service
    client: str
    """Who calls, for quotas: the host."""
    request_id: object = None
    subscriber: Subscriber | None = None
    """The WebSocket that the call came on; None over HTTP."""


Handler = Callable[[Context, Arguments], Awaitable[object]]
"""Answers one method: what it returns is the member `result`. Raises `RpcError` and `CatenetError`."""
