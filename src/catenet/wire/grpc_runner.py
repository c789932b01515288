"""A gRPC server that binds with a clear error and is made anew when its loop dies. No service lives here."""

import asyncio
import logging
from collections.abc import Sequence

import grpc

from catenet.types.errors import WrongState
from catenet.wire import tls_floor
from catenet.wire.grpc_server import Option

RESTART_PAUSE_S = 0.05
RESTART_TRIES = 15
"""Together well below a second: a dead server must be back within one (reliability.md 2)."""

log = logging.getLogger(__name__)


class ServerRunner:
    """One listening address. `start`, then `run` in a task until cancelled, then `stop`."""

    def __init__(
        self,
        *,
        address: str,
        handlers: Sequence[grpc.GenericRpcHandler],
        options: Sequence[Option],
        credentials: grpc.ServerCredentials | None,
        calls_max: int,
    ) -> None:
        """`address` is host:port, port 0 picks one; without `credentials` the port is plaintext."""
        self._host, _, port = address.rpartition(":")
        self.port = int(port)
        """The port that is bound, once started."""
        self._handlers = handlers
        self._options = options
        self._credentials = credentials
        self._calls_max = calls_max
        self._server: grpc.aio.Server | None = None
        self._serving: asyncio.Task[object] | None = None
        self.restarts = 0
        """How often the serving loop had to be made anew."""

    async def start(self) -> None:
        """Bind and serve. Raises `WrongState` when the address cannot be had."""
        if self._credentials is not None:
            tls_floor.require()
        server = grpc.aio.server(options=list(self._options), maximum_concurrent_rpcs=self._calls_max)
        server.add_generic_rpc_handlers(tuple(self._handlers))
        address = f"{self._host}:{self.port}"
        try:
            if self._credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, self._credentials)
        except RuntimeError:
            raise WrongState(
                f"cannot listen on {address}: the port is taken, or the address is not one of this machine"
            ) from None
        before = asyncio.all_tasks()
        await server.start()
        self._server = server
        self._serving = _serving_task(asyncio.all_tasks() - before)

    async def run(self) -> None:
        """Watch the serving loop for ever and replace a dead one in place."""
        while True:
            server, serving = self._server, self._serving
            if server is None:
                return
            if serving is None:
                await server.wait_for_termination()
            else:
                # Waiting on the set leaves the loop running when this task is cancelled.
                await asyncio.wait({serving})
            if self._server is None:
                return
            log.error("grpc_server_ended", extra={"port": self.port})
            await self._restart(server)

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, let the running ones end within `grace_s` seconds, then cut them."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)

    async def _restart(self, dead: grpc.aio.Server) -> None:
        try:
            async with asyncio.timeout(0.2):
                await dead.stop(0)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            # The stop waits for the loop that was cancelled and hands its end on; ours is another matter.
            if (task := asyncio.current_task()) and task.cancelling():
                raise
        for attempt in range(RESTART_TRIES):
            try:
                await self.start()
            except WrongState:
                if attempt == RESTART_TRIES - 1:
                    raise
                await asyncio.sleep(RESTART_PAUSE_S)
            else:
                self.restarts += 1
                return


def _serving_task(started: set[asyncio.Task[object]]) -> asyncio.Task[object] | None:
    """Find the task in which gRPC's Python server accepts calls: when it ends, the port is deaf.

    The library has no other sign of that: `wait_for_termination` goes on waiting.
    """
    for task in started:
        if "_server_main_loop" in str(getattr(task.get_coro(), "__qualname__", "")):
            return task
    return None
