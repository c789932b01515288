"""One request in, one answer out: what HTTP and WebSocket share. No fault of a client gets past here."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from catenet.rpc.context import Context, Service, Subscriber
from catenet.rpc.errors import (
    INTERNAL,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    PARSE,
    BadParams,
    RpcError,
)
from catenet.rpc.params import Arguments, from_json
from catenet.rpc.routes import ROUTES, Route
from catenet.types.errors import CatenetError, Overloaded

log = logging.getLogger(__name__)

URI_ID = -1
"""The id of answers to calls that have none, because they are a URI."""

NO_ID = object()
"""An answer to what could not be read has no id at all."""


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request."""

    id: str | int | float
    method: str
    params: object


@dataclass(frozen=True, slots=True)
class Answer:
    """The encoded answer, and the fault in it if there is one."""

    body: bytes
    fault: RpcError | None = None


class Busy(RpcError):
    """The node is full: the same call may succeed later."""

    def __init__(self, data: str, retry_after_s: float) -> None:
        super().__init__(INTERNAL, data)
        self.retry_after_s = retry_after_s


def parse(body: bytes | str) -> object:
    """Return the JSON of a body. Raises `RpcError`."""
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RpcError(PARSE, f"error unmarshaling request: {error}") from None
    return value


def read_request(value: object) -> Request | None:
    """Return a request out of parsed JSON; None for a notification. Raises `RpcError`."""
    if not isinstance(value, dict):
        raise _malformed(f"a request is an object, not {_kind(value)}")
    version, method, request_id = value.get("jsonrpc", ""), value.get("method", ""), value.get("id")
    if not isinstance(version, str) or not isinstance(method, str):
        raise _malformed("jsonrpc and method are strings")
    if request_id is None:
        return None
    if isinstance(request_id, bool) or not isinstance(request_id, str | int | float):
        raise _malformed(f"an id is a string or a number, not {_kind(request_id)}")
    return Request(id=request_id, method=method, params=value.get("params"))


async def answer(
    service: Service, request: Request, *, client: str, subscriber: Subscriber | None = None
) -> Answer:
    """Return the answer to a request, whatever happens inside."""
    route = ROUTES.get(request.method)
    if route is None or (route.websocket_only and subscriber is None):
        return refusal(RpcError(METHOD_NOT_FOUND), request.id)
    try:
        args = from_json(route.parameters, request.params)
    except BadParams as error:
        # The reference answers thus on a WebSocket.
        code = INVALID_PARAMS if subscriber is None else INTERNAL
        text = f"error converting json params to arguments: {error}"
        return refusal(RpcError(code, text), request.id)
    context = Context(service=service, client=client, request_id=request.id, subscriber=subscriber)
    return await perform(route, context, args)


async def perform(route: Route, context: Context, args: Arguments) -> Answer:
    """Call a method; return its answer under the context's id."""
    try:
        result = await route.handler(context, args)
        return Answer(_encode({"result": result}, context.request_id))
    except RpcError as error:
        return refusal(error, context.request_id)
    except Overloaded as error:
        return refusal(Busy(str(error), error.retry_after_s), context.request_id)
    except CatenetError as error:
        return refusal(RpcError(INTERNAL, str(error)), context.request_id)
    except Exception as error:
        # The RPC boundary: a bug in a handler must not end the server.
        log.error("rpc_handler_failed", exc_info=error)
        return refusal(RpcError(INTERNAL, "the node failed to answer: see its log"), context.request_id)


def refusal(error: RpcError, request_id: object = NO_ID) -> Answer:
    """Return an answer that says what was wrong."""
    return Answer(_encode({"error": error.to_json()}, request_id), error)


def _encode(members: Mapping[str, object], request_id: object) -> bytes:
    head: dict[str, object] = {"jsonrpc": "2.0"}
    if request_id is not NO_ID:
        head["id"] = request_id
    return orjson.dumps({**head, **members})


def _malformed(text: str) -> RpcError:
    return RpcError(PARSE, f"error unmarshaling request: {text}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")
