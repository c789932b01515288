"""`grpc.health.v1.Health`: SERVING only while the node can accept work."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import suppress
from typing import Final

from grpc_health.v1 import health_pb2 as pb

from catenet.api.drain import Drain, Draining
from catenet.types.errors import NotFound

POLL_S: Final = 0.25
"""How often a watcher looks."""


class HealthService:
    """Says whether the public services of a node are to be used."""

    def __init__(self, services: Collection[str], accepting: Callable[[], bool], drain: Drain) -> None:
        """Watch over `services`; the empty name stands for all of them."""
        self._services = frozenset(services) | {""}
        self._accepting = accepting
        self._drain = drain

    async def check(self, request: pb.HealthCheckRequest) -> pb.HealthCheckResponse:
        """Answer for one service. Raises `NotFound` for an unknown one."""
        if request.service not in self._services:
            raise NotFound("unknown service")
        return pb.HealthCheckResponse(status=self._status(request.service))

    async def watch(self, request: pb.HealthCheckRequest) -> AsyncGenerator[pb.HealthCheckResponse, None]:
        """Answer for one service now and whenever it changes, until the node stops."""
        told: int | None = None
        while True:
            if (status := self._status(request.service)) != told:
                yield pb.HealthCheckResponse(status=status)
                told = status
            if self._drain.started:
                return
            with suppress(Draining):
                async with self._drain.interruptible():
                    await asyncio.sleep(POLL_S)

    def _status(self, service: str) -> int:
        if service not in self._services:
            return pb.HealthCheckResponse.SERVICE_UNKNOWN
        if self._drain.started or not self._accepting():
            return pb.HealthCheckResponse.NOT_SERVING
        return pb.HealthCheckResponse.SERVING
