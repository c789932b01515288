"""JSON-RPC over a WebSocket: every method, and the events of subscriptions.

Requests are answered in order, but transactions side by side. What goes out waits in one bounded queue: while
it is full no request is taken, and an event that does not fit ends its subscription.
"""

import asyncio
from collections import deque
from contextlib import suppress

from catenet.rpc.asgi import Message, Receive, Scope, Send
from catenet.rpc.calls import Request, answer, parse, read_request, refusal
from catenet.rpc.context import Service
from catenet.rpc.errors import RpcError
from catenet.rpc.feed import Feed
from catenet.rpc.routes import ROUTES

CLOSE_S = 1.0
"""How long the word of the end may take."""

POLICY = 1008


class Socket:
    """One WebSocket: its requests, its subscriptions, and what waits to be sent."""

    def __init__(self, service: Service, feed: Feed, scope: Scope, receive: Receive, send: Send) -> None:
        self._service = service
        self._limits = service.limits
        self._client = scope.client
        self._receive = receive
        self._send = send
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._some, self._room, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._slots = asyncio.Semaphore(self._limits.socket_calls)
        self._jobs: set[asyncio.Task[None]] = set()
        self._reader = feed.reader(self._put, self._has_room)
        self._slow = False

    async def run(self) -> None:
        """Serve until either side ends the connection."""
        await self._receive()
        await self._send({"type": "websocket.accept"})
        try:
            async with asyncio.TaskGroup() as tasks:
                for job in (self._write(), self._read(tasks)):
                    self._jobs.add(tasks.create_task(job))
                await self._over.wait()
                for task in self._jobs:
                    task.cancel()
        finally:
            self._reader.close()
        if self._slow:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._send({"type": "websocket.close", "code": POLICY, "reason": "slow client"})

    def _put(self, message: bytes) -> None:
        self._out.append(message)
        self._out_bytes += len(message)
        self._some.set()

    def _has_room(self) -> bool:
        return (
            len(self._out) < self._limits.subscription_buffer and self._out_bytes < self._limits.socket_bytes
        )

    async def _read(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._over.set()
                return
            request = self._take(message)
            if request is not None:
                await self._slots.acquire()
                route = ROUTES.get(request.method)
                if route is not None and route.side_by_side:
                    task = tasks.create_task(self._answer(request))
                    self._jobs.add(task)
                    task.add_done_callback(self._jobs.discard)
                else:
                    await self._answer(request)
            while not self._has_room():
                self._room.clear()
                await self._room.wait()

    def _take(self, message: Message) -> Request | None:
        """Return the request in a message; what is none is answered at once."""
        data = message.get("text")
        if data is None:
            data = message.get("bytes")
        assert isinstance(data, str | bytes)
        try:
            return read_request(parse(data))
        except RpcError as error:
            self._put(refusal(error).body)
            return None

    async def _answer(self, request: Request) -> None:
        try:
            done = await answer(self._service, request, client=self._client, subscriber=self._reader)
            self._put(done.body)
        finally:
            self._slots.release()

    async def _write(self) -> None:
        try:
            while True:
                await self._some.wait()
                self._some.clear()
                while self._out:
                    message = self._out.popleft()
                    self._out_bytes -= len(message)
                    self._room.set()
                    async with asyncio.timeout(self._limits.write_s):
                        await self._send({"type": "websocket.send", "text": message.decode()})
        except TimeoutError:
            self._slow = True
            self._over.set()
        except OSError:
            # The reader is gone: `_read` hears of it, too.
            self._over.set()
