"""Handlers of every kind: a caller who leaves at the wrong moment is no bug of the node."""

import asyncio
import logging
from collections.abc import AsyncIterator

import grpc
import pytest

from catenet.wire.grpc_server import Context, Write, bidi, server_stream


class GoneContext:
    """gRPC's side of a call whose caller has left: what is sent fails, and the end reaches nobody."""

    def __init__(self) -> None:
        self.ended: grpc.StatusCode | None = None

    async def write(self, message: bytes) -> None:
        raise grpc.aio.InternalError(f"sending {len(message)} bytes failed")

    async def abort(self, code: grpc.StatusCode, details: str, trailing: object) -> None:
        self.ended = code


async def requests() -> AsyncIterator[bytes]:
    yield b"question"


async def talk(questions: AsyncIterator[bytes], write: Write, context: Context) -> None:
    async def answer(question: bytes) -> None:
        await write(question)

    async with asyncio.TaskGroup() as group:
        async for question in questions:
            group.create_task(answer(question))


async def answers(question: bytes, context: Context) -> AsyncIterator[bytes]:
    yield question


def test_a_caller_who_leaves_while_it_is_answered_leaves_no_error_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def body() -> None:
        both, one = GoneContext(), GoneContext()
        await bidi(talk, bytes).stream_stream(requests(), both)  # type: ignore[misc,arg-type]
        await server_stream(answers, bytes).unary_stream(b"question", one)  # type: ignore[misc,arg-type]
        assert both.ended is grpc.StatusCode.UNAVAILABLE
        assert one.ended is grpc.StatusCode.UNAVAILABLE

    with caplog.at_level(logging.ERROR):
        asyncio.run(body())
    assert caplog.records == []
