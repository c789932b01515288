"""A network in memory for tests of the client: nodes over one ledger, each behind a real server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from random import Random

from catenet.api.limits import Limits
from catenet.api.server import PublicServer
from catenet.client.sdk import Client
from support.api import Ledger, MemoryNode, serving


class Network:
    """Nodes in memory over one ledger, each behind its own server."""

    def __init__(self, nodes: Sequence[MemoryNode], servers: Sequence[PublicServer]) -> None:
        self.nodes = nodes
        self.servers = servers
        self.ledger = nodes[0].ledger
        self.targets = [server.addresses[0] for server in servers]


Body = Callable[[Network], Awaitable[None]]


def drive(body: Body, *, nodes: int = 1, limits: Limits | None = None) -> None:
    async def main() -> None:
        ledger = Ledger()
        members = [MemoryNode(ledger=ledger) for _ in range(nodes)]
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(serving(one, limits=limits)) for one in members]
            async with asyncio.timeout(20):
                await body(Network(members, servers))

    asyncio.run(main())


def client(targets: Sequence[str], *, timeout_s: float = 10, attempt_timeout_s: float = 5) -> Client:
    return Client(targets, timeout_s=timeout_s, attempt_timeout_s=attempt_timeout_s, random=Random(1))


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
