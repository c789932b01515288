"""The two ends of one gRPC stream of frames under one interface: the rest does not care who dialled."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, TypeAlias

import grpc

from catenet.network.outbox import LinkClosed
from catenet.wire.grpc_server import Write
from catenet.wire.status import error_of

Call: TypeAlias = grpc.aio.StreamStreamCall[bytes, bytes]


class FrameStream(Protocol):
    """Frames in both directions."""

    async def read(self) -> bytes:
        """Wait for a frame. Raises `LinkClosed` at the end, or the peer's reason as an error of ours."""
        ...

    async def write(self, frame: bytes) -> None:
        """Send a frame, waiting for the flow-control window. Raises `LinkClosed`."""
        ...

    def cancel(self) -> None:
        """End the stream as soon as possible."""
        ...

    async def wait_cancelled(self) -> None:
        """Raise `LinkClosed` after `cancel` when nothing else would; never returns."""
        ...


class DialledStream:
    """The end of the node that called."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def read(self) -> bytes:
        """See `FrameStream`."""
        try:
            frame = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise error_of(error) from None
        except asyncio.CancelledError:
            # A cancelled call raises this in its reader, which is no cancellation of the task.
            raise self._cancelled() from None
        if isinstance(frame, bytes):
            return frame
        raise LinkClosed("the peer ended the stream")

    async def write(self, frame: bytes) -> None:
        """See `FrameStream`."""
        try:
            await self._call.write(frame)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            # It only says that the call is over; why, the final status says.
            raise LinkClosed(await self._call.details() or "the stream is over") from None
        except asyncio.CancelledError:
            raise self._cancelled() from None

    def cancel(self) -> None:
        """See `FrameStream`."""
        self._call.cancel()

    async def wait_cancelled(self) -> None:
        """Wait for ever: the end of the call reaches its reader (a cancelled `read` would leak)."""
        await asyncio.Event().wait()

    def _cancelled(self) -> BaseException:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return asyncio.CancelledError()
        return LinkClosed("the call was cancelled")


class AcceptedStream:
    """The end of the node that was called: it lives inside a handler."""

    def __init__(self, requests: AsyncIterator[bytes], write: Write) -> None:
        self._requests = requests
        self._write = write
        self._over = asyncio.Event()

    async def read(self) -> bytes:
        """See `FrameStream`."""
        try:
            return await anext(self._requests)
        except StopAsyncIteration:
            raise LinkClosed("the peer ended the stream") from None

    async def write(self, frame: bytes) -> None:
        """See `FrameStream`."""
        await self._write(frame)

    def cancel(self) -> None:
        """See `FrameStream`: a handler cannot end its call but by ending."""
        self._over.set()

    async def wait_cancelled(self) -> None:
        """See `FrameStream`."""
        await self._over.wait()
        raise LinkClosed("the stream is over")
