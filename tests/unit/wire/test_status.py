"""Errors become gRPC statuses and come back as the same errors."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from catenet.types import errors
from catenet.types.errors import CatenetError, InvalidInput, Overloaded, Rejected
from catenet.wire.grpc_runner import ServerRunner
from catenet.wire.grpc_server import (
    Context,
    Handler,
    Write,
    bidi,
    client_stream,
    parser,
    server_options,
    service,
    unary,
)
from catenet.wire.grpc_server import server_stream as stream_of
from catenet.wire.status import error_of, status_of

TABLE = [
    (errors.InvalidInput("x"), "INVALID_ARGUMENT"),
    (errors.Unauthenticated("x"), "UNAUTHENTICATED"),
    (errors.Forbidden("x"), "PERMISSION_DENIED"),
    (errors.NotFound("x"), "NOT_FOUND"),
    (errors.PastTip("x"), "OUT_OF_RANGE"),
    (errors.Duplicate("x"), "ALREADY_EXISTS"),
    (errors.Overloaded("x", retry_after_s=1.5), "RESOURCE_EXHAUSTED"),
    (errors.Unavailable("x"), "UNAVAILABLE"),
    (errors.Conflict("x"), "ABORTED"),
    (errors.WrongState("x"), "FAILED_PRECONDITION"),
    (errors.Rejected("x", code=7), "FAILED_PRECONDITION"),
    (errors.Corrupt("x"), "DATA_LOSS"),
]

LOCAL = {errors.NotVerified, errors.Forked}
"""Raised where answers are checked, not where they are given: no node answers a call with them."""


@pytest.mark.parametrize(("error", "code"), TABLE, ids=lambda value: type(value).__name__)
def test_every_error_of_the_tree_goes_there_and_back(error: CatenetError, code: str) -> None:
    status = status_of(error)
    assert (status.code.name, status.details) == (code, "x")
    failed = grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing), details=status.details
    )
    back = error_of(failed)
    assert type(back) is type(error)
    if isinstance(error, Overloaded) and isinstance(back, Overloaded):
        assert back.retry_after_s == error.retry_after_s
    if isinstance(error, Rejected) and isinstance(back, Rejected):
        assert back.code == error.code


def test_the_table_holds_the_whole_tree() -> None:
    leaves = {
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, CatenetError)
    }
    assert {type(error) for error, _ in TABLE} | LOCAL == leaves - {CatenetError}


def test_what_only_light_clients_find_is_corrupt_to_others() -> None:
    for kind in LOCAL:
        assert issubclass(kind, errors.Corrupt)
        assert status_of(kind("x")).code is grpc.StatusCode.DATA_LOSS


def test_a_bug_is_internal_without_detail_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        status = status_of(ExceptionGroup("secret", [KeyError("secret"), InvalidInput("secret")]))
    assert (status.code, status.details) == (grpc.StatusCode.INTERNAL, "internal error")
    assert [record.message for record in caplog.records] == ["handler_failed"]


def test_the_error_inside_a_group_counts() -> None:
    assert status_of(ExceptionGroup("", [ExceptionGroup("", [InvalidInput("y")])])).details == "y"


@pytest.mark.slow
def test_handlers_of_every_kind_answer_malformed_bytes_and_bugs_alike() -> None:
    decode = parser(StringValue)

    async def one(request: StringValue, context: Context) -> bytes:
        return _answer(request)

    async def many(request: StringValue, context: Context) -> AsyncIterator[bytes]:
        yield _answer(request)

    async def gather(requests: AsyncIterator[StringValue], context: Context) -> bytes:
        return b"".join([_answer(request) async for request in requests])

    async def both(requests: AsyncIterator[StringValue], write: Write, context: Context) -> None:
        async for request in requests:
            await write(_answer(request))

    methods = {
        "One": unary(one, decode),
        "Many": stream_of(many, decode),
        "Gather": client_stream(gather, decode),
        "Both": bidi(both, decode),
    }
    good = StringValue(value="good").SerializeToString()
    cases = [
        (b"\xff", grpc.StatusCode.INVALID_ARGUMENT, "malformed google.protobuf.StringValue"),
        (StringValue(value="bug").SerializeToString(), grpc.StatusCode.INTERNAL, "internal error"),
        (StringValue(value="no").SerializeToString(), grpc.StatusCode.NOT_FOUND, "there is no 'no'"),
    ]

    async def check(port: int) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            for name in methods:
                assert await _call(channel, name, good) == b"good"
                for data, code, text in cases:
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await _call(channel, name, data)
                    assert (caught.value.code(), caught.value.details()) == (code, text), name

    asyncio.run(_serve(methods, check))


def _answer(request: StringValue) -> bytes:
    if request.value == "bug":
        raise KeyError("a secret of the server")
    if request.value == "no":
        raise errors.NotFound("there is no 'no'")
    return request.value.encode()


async def _call(channel: grpc.aio.Channel, name: str, data: bytes) -> bytes:
    async def requests() -> AsyncIterator[bytes]:
        yield data

    path = f"/test.Service/{name}"
    match name:
        case "One":
            one: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
            return await one(data, timeout=5)
        case "Many":
            many: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(path)
            return b"".join([each async for each in many(data, timeout=5)])
        case "Gather":
            gather: grpc.aio.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(path)
            return await gather(requests(), timeout=5)
        case _:
            both: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
            return b"".join([each async for each in both(requests(), timeout=5)])


async def _serve(methods: Mapping[str, Handler], check: Callable[[int], Awaitable[None]]) -> None:
    runner = ServerRunner(
        address="127.0.0.1:0",
        handlers=[service("test.Service", methods)],
        options=server_options(streams_max=16, window_bytes=65536),
        credentials=None,
        calls_max=16,
    )
    await runner.start()
    try:
        await check(runner.port)
    finally:
        await runner.stop(0)
