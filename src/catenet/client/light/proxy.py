"""Verified answers in the shapes of CometBFT's JSON-RPC. What cannot be verified is refused, not passed on.

`broadcast_*` goes through as it is: it proves nothing. Meant for loopback; `cli` decides who listens.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from catenet.chain.block import data_hash
from catenet.chain.json_fields import JsonError, JsonObject
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import EMPTY_HASH
from catenet.chain.time import format_rfc3339
from catenet.client.light import shapes
from catenet.client.light.json_rpc import BAD_PARAMS, NO_METHOD, RpcProvider, parse
from catenet.client.light.session import LightClient
from catenet.types.errors import CatenetError, InvalidInput, NotVerified

BODY_BYTES_MAX: Final = 4 << 20
BATCH_MAX: Final = 100
PER_PAGE, PER_PAGE_MAX = 30, 100
NO_JSON, BAD_REQUEST, INTERNAL = -32700, -32600, -32603

PASSED: Final = ("broadcast_tx_sync", "broadcast_tx_async", "broadcast_tx_commit")

Json = dict[str, object]
Params = Mapping[str, object]
Method = Callable[[LightClient, Params], Awaitable[object]]


class _BadParams(Exception):
    """Parameters that the method does not take."""


def app(client: LightClient) -> Starlette:
    """Return the proxy over a client that has begun."""

    async def post(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                return _respond(_error(None, BAD_REQUEST, f"the body is over {BODY_BYTES_MAX} bytes"), 413)
        try:
            value: object = json.loads(body)
        except (ValueError, RecursionError) as fault:
            return _respond(_error(None, NO_JSON, f"not JSON: {fault}"))
        if not isinstance(value, list):
            return _respond(await answer(client, value))
        if not 0 < len(value) <= BATCH_MAX:
            return _respond(_error(None, BAD_REQUEST, f"a batch of {len(value)}; 1 to {BATCH_MAX} are taken"))
        return _respond([await answer(client, one) for one in value])

    async def get(request: Request) -> Response:
        params = {name: _uri_value(text) for name, text in request.query_params.items()}
        found = await answer(client, {"id": -1, "method": request.path_params["method"], "params": params})
        return _respond(found, 500 if "error" in found else 200)

    return Starlette(
        routes=[Route("/", post, methods=["POST"]), Route("/{method}", get, methods=["GET"])],
    )


async def answer(client: LightClient, request: object) -> Json:
    """Return the answer to one request, whatever it is."""
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _error(None, BAD_REQUEST, "a request is an object with a method")
    number, name, params = request.get("id"), request["method"], request.get("params") or {}
    if not isinstance(params, dict):
        return _error(number, BAD_PARAMS, "params is not an object")
    if name in PASSED:
        return await _passed(client, number, name, params)
    method = METHODS.get(name)
    if method is None:
        return _error(number, NO_METHOD, f"{name} is not served: what it answers cannot be verified")
    try:
        return {"jsonrpc": "2.0", "id": number, "result": await method(client, params)}
    except (_BadParams, InvalidInput) as fault:
        return _error(number, BAD_PARAMS, str(fault))
    except CatenetError as fault:
        return _error(number, INTERNAL, str(fault))


async def _passed(client: LightClient, number: object, name: str, params: Params) -> Json:
    try:
        node = _rpc(client, name)
        given = {
            key: b64encode(value).decode() if isinstance(value, bytes) else value
            for key, value in params.items()
        }
        body = parse(await node.forward(name, given), node.name)
    except InvalidInput as fault:
        return _error(number, NO_METHOD, str(fault))
    except CatenetError as fault:
        return _error(number, INTERNAL, str(fault))
    return {
        "jsonrpc": "2.0",
        "id": number,
        **{key: body.raw(key) for key in ("result", "error") if key in body},
    }


def _rpc(client: LightClient, name: str) -> RpcProvider:
    node = client.primary
    if not isinstance(node, RpcProvider):
        raise InvalidInput(f"{name} needs a primary with JSON-RPC; {node.name} has none")
    return node


async def _health(client: LightClient, params: Params) -> object:
    return {}


async def _status(client: LightClient, params: Params) -> object:
    block = await client.update()
    oldest = client.store.oldest() or block
    return {
        "node_info": {"network": client.chain_id, "moniker": "catenet light", "version": "0.38.26"},
        "sync_info": {
            "latest_block_hash": _upper(block.hash()),
            "latest_app_hash": _upper(block.header.app_hash),
            "latest_block_height": str(block.height),
            "latest_block_time": format_rfc3339(block.time_ns),
            "earliest_block_hash": _upper(oldest.hash()),
            "earliest_app_hash": _upper(oldest.header.app_hash),
            "earliest_block_height": str(oldest.height),
            "earliest_block_time": format_rfc3339(oldest.time_ns),
            "catching_up": False,
        },
        "validator_info": {"address": "", "pub_key": None, "voting_power": "0"},
    }


async def _header(client: LightClient, params: Params) -> object:
    return {"header": shapes.header_json((await _block_of(client, params)).header)}


async def _commit(client: LightClient, params: Params) -> object:
    block = await _block_of(client, params)
    signed = {"header": shapes.header_json(block.header), "commit": shapes.commit_json(block.commit)}
    # The commit that a later block holds may have other signatures: this one is the node's own.
    return {"signed_header": signed, "canonical": False}


async def _validators(client: LightClient, params: Params) -> object:
    block = await _block_of(client, params)
    page, per_page = _number(params, "page") or 1, _number(params, "per_page") or PER_PAGE
    members = block.validators.validators
    per_page = min(per_page, PER_PAGE_MAX)
    first = (page - 1) * per_page
    if page < 1 or per_page < 1 or first >= len(members):
        raise _BadParams(f"page {page} of {per_page} is out of range: there are {len(members)} validators")
    shown = members[first : first + per_page]
    return {
        "block_height": str(block.height),
        "validators": [shapes.validator_json(member) for member in shown],
        "count": str(len(shown)),
        "total": str(len(members)),
    }


async def _block(client: LightClient, params: Params) -> object:
    verified = await _block_of(client, params)
    node = _rpc(client, "block")
    found = await node.call("block", {"height": str(verified.height)})
    try:
        _check_block(found, verified)
    except ValueError as fault:
        raise NotVerified(f"{node.name}: block {verified.height}: {fault}") from None
    return {"block_id": shapes.block_id_json(verified.commit.block_id), "block": found.raw("block")}


def _check_block(found: JsonObject, verified: LightBlock) -> None:
    """Check every part of a block against its verified header. Raises `ValueError`."""
    block, header = found.child("block"), verified.header
    for name in block.names():
        if name not in ("header", "data", "evidence", "last_commit"):
            raise JsonError(f"{name!r} has no place in a block")
    if shapes.read_header(block.child("header")) != header:
        raise JsonError("the header is another one")
    txs = block.child("data").bases64("txs")
    if data_hash([sha256(tx).digest() for tx in txs]) != header.data_hash:
        raise JsonError("the transactions are not those of the header")
    last = shapes.read_commit(block.child("last_commit"))
    if last.hash() != header.last_commit_hash or last.block_id != header.last_block_id:
        raise JsonError("the last commit is not that of the header")
    if block.child("evidence").items("evidence") or header.evidence_hash != EMPTY_HASH:
        raise JsonError("it holds evidence, which is not verified here")


async def _tx(client: LightClient, params: Params) -> object:
    found = await client.verified_tx(_hash(params))
    outcome = found.outcome
    if outcome is None:
        raise NotVerified(
            f"the header that holds the result is not there yet: height {found.block.height + 1}"
        )
    return {
        "hash": _upper(found.id),
        "height": str(found.block.height),
        "index": found.index,
        "tx_result": {
            "code": outcome.code,
            "data": shapes.base64_json(outcome.data),
            "log": "",
            "info": "",
            "gas_wanted": str(outcome.gas_wanted),
            "gas_used": str(outcome.gas_used),
            "events": [],
            "codespace": "",
        },
        "tx": shapes.base64_json(found.tx),
        "proof": {
            "root_hash": _upper(found.block.header.data_hash),
            "data": shapes.base64_json(found.tx),
            "proof": shapes.proof_json(found.answer.proof),
        },
    }


async def _abci_query(client: LightClient, params: Params) -> object:
    raise InvalidInput(
        "abci_query is refused: a proof of application state is in the application's own format, which is not"
        " known here, and without one the answer is only a node's word. Ask several, or run a node"
    )


METHODS: Final[Mapping[str, Method]] = {
    "health": _health,
    "status": _status,
    "header": _header,
    "commit": _commit,
    "validators": _validators,
    "block": _block,
    "tx": _tx,
    "abci_query": _abci_query,
}


async def _block_of(client: LightClient, params: Params) -> LightBlock:
    height = _number(params, "height")
    if height < 0:
        raise _BadParams(f"height {height} is below 1")
    return await client.at(height) if height else await client.update()


def _number(params: Params, name: str) -> int:
    """Return a number, which may come as text; 0 when it is missing."""
    value = params.get(name)
    if value is None or value == "":
        return 0
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    if isinstance(value, bool) or not text.removeprefix("-").isdecimal() or len(text) > 19:
        raise _BadParams(f"{name} {value!r} is no number")
    return int(text)


def _hash(params: Params) -> bytes:
    value = params.get("hash")
    data = b""
    if isinstance(value, bytes):
        data = value
    elif isinstance(value, str):
        with suppress(ValueError):
            data = b64decode(value, validate=True)
    if len(data) != 32:
        raise _BadParams(f"hash {value!r} is no transaction hash: 32 bytes, in base64, or as 0x... in a URI")
    return data


def _uri_value(text: str) -> object:
    """Read a parameter of a URI: quoted text and 0x digits are bytes, the rest stays text."""
    if text.startswith("0x"):
        with suppress(ValueError):
            return bytes.fromhex(text[2:])
    return text[1:-1].encode() if len(text) > 1 and text[0] == text[-1] == '"' else text


def _upper(data: bytes) -> str:
    return data.hex().upper()


def _error(number: object, code: int, text: str) -> Json:
    names = {NO_METHOD: "Method not found", BAD_PARAMS: "Invalid params", INTERNAL: "Internal error"}
    message = names.get(code, "Invalid Request" if code == BAD_REQUEST else "Parse error")
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message, "data": text}}


def _respond(value: object, status: int = 200) -> Response:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return Response(text, status_code=status, media_type="application/json")
