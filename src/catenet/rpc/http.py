"""JSON-RPC over HTTP: POST with one request or a batch, GET with a URI, and the listing page. Plain ASGI."""

import asyncio
from urllib.parse import parse_qsl

from catenet.rpc.asgi import Receive, Scope, Send, respond
from catenet.rpc.calls import URI_ID, Answer, Busy, answer, parse, perform, read_request, refusal
from catenet.rpc.context import Context, Service
from catenet.rpc.errors import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, BadParams, RpcError
from catenet.rpc.listing import page
from catenet.rpc.params import from_uri
from catenet.rpc.routes import ROUTES

TOO_LARGE = "error reading request body: http: request body too large"
QUERY_FIELDS_MAX = 64
DRAINED = 2
"""So many times the longest body are read of one that is too long."""


class _Left(Exception):
    """The caller went away in the middle of its request."""


async def serve_http(service: Service, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one HTTP request."""
    if scope.method not in ("GET", "HEAD", "POST"):
        await respond(
            send, 405, b"only GET and POST are served here\n", kind=b"text/plain", allow="GET, POST"
        )
        return
    path = scope.path
    if path not in ("", "/") and path[1:] not in ROUTES:
        await respond(send, 404, b"404 page not found\n", kind=b"text/plain; charset=utf-8")
        return
    try:
        async with asyncio.timeout(service.limits.read_s):
            body = await _read_body(receive, scope, service.limits.body_bytes)
    except (TimeoutError, _Left):
        await respond(
            send, 408, b"the request did not arrive in time\n", kind=b"text/plain", connection="close"
        )
        return
    if body is None:
        fault = refusal(RpcError(INVALID_REQUEST, TOO_LARGE))
        await respond(send, 400, fault.body, connection="close")
    elif path not in ("", "/"):
        await _answer_uri(service, scope, send, body)
    elif not body:
        host = scope.header(b"host").decode("latin-1")
        await respond(send, 200, page(host), kind=b"text/html")
    else:
        await _answer_post(service, scope, send, body)


async def _read_body(receive: Receive, scope: Scope, bytes_max: int) -> bytes | None:
    """Return the body; None when it is too long.

    A little too much is read to its end: a caller that still writes does not hear the answer.
    """
    length = scope.header(b"content-length")
    if length.isdigit() and int(length) > DRAINED * bytes_max:
        return None
    pieces: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Left
        piece = message.get("body", b"")
        assert isinstance(piece, bytes)
        size += len(piece)
        if size > DRAINED * bytes_max:
            return None
        if size <= bytes_max:
            pieces.append(piece)
        more = bool(message.get("more_body", False))
    return b"".join(pieces) if size <= bytes_max else None


async def _answer_post(service: Service, scope: Scope, send: Send, body: bytes) -> None:
    try:
        value = parse(body)
        values = value if isinstance(value, list) else [value]
        if len(values) > service.limits.batch_requests:
            limit = service.limits.batch_requests
            text = f"batch request exceeds maximum ({limit}) allowed number of requests"
            await respond(send, 200, refusal(RpcError(INVALID_REQUEST, text)).body)
            return
        requests = [read_request(item) for item in values]
    except RpcError as error:
        await respond(send, 500, refusal(error).body)
        return
    answers = [
        await answer(service, request, client=scope.client) for request in requests if request is not None
    ]
    if not answers:
        # Notifications alone: there is nothing to say.
        await respond(send, 200, b"")
    elif len(answers) == 1:
        await _respond_one(send, answers[0], status=200)
    else:
        await respond(send, 200, b"[" + b",".join(one.body for one in answers) + b"]")


async def _answer_uri(service: Service, scope: Scope, send: Send, body: bytes) -> None:
    route = ROUTES[scope.path[1:]]
    if route.websocket_only:
        await respond(send, 404, refusal(RpcError(METHOD_NOT_FOUND), URI_ID).body)
        return
    form = scope.header(b"content-type").startswith(b"application/x-www-form-urlencoded")
    try:
        given = _fields(body.decode("latin-1")) if form else {}
        given.update({name: value for name, value in _fields(scope.query).items() if value})
        args = from_uri(route.parameters, given)
    except (BadParams, ValueError) as error:
        text = f"error converting http params to arguments: {error}"
        await respond(send, 500, refusal(RpcError(INVALID_PARAMS, text), URI_ID).body)
        return
    context = Context(service=service, client=scope.client, request_id=URI_ID)
    await _respond_one(send, await perform(route, context, args), status=500)


def _fields(text: str) -> dict[str, str]:
    """Return the fields of a query, of a repeated one the first. Raises ValueError for too many."""
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX)
    return dict(reversed(pairs))


async def _respond_one(send: Send, one: Answer, *, status: int) -> None:
    """Answer with one body; `status` is that of an answer that holds an error."""
    match one.fault:
        case None:
            await respond(send, 200, one.body)
        case Busy(retry_after_s=retry_after_s):
            await respond(send, 429, one.body, retry_after=str(max(1, round(retry_after_s))))
        case _:
            await respond(send, status, one.body)
