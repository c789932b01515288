"""Methods that say how the node stands, what its chain began with, and what its application says."""

from base64 import b64encode
from dataclasses import replace
from functools import lru_cache

import orjson

from catenet import __version__
from catenet.chain.genesis import Genesis
from catenet.chain.header import BLOCK_VERSION
from catenet.rpc import results, shapes
from catenet.rpc.blocks import decoded
from catenet.rpc.context import Context
from catenet.rpc.errors import failed
from catenet.rpc.params import Arguments
from catenet.rpc.shapes import Json, hexed
from catenet.types.application import Query
from catenet.types.desk import LinkView
from catenet.types.ports import BlockReader, NodeStatus

VERSION = f"0.38.26+catenet.{__version__}"
"""Clients choose their dialect by its beginning."""

CHANNELS = "00"
"""None of the reference's peer channels is spoken here; its JavaScript client insists on some text."""

CHUNK_BYTES = 16 * 1024 * 1024
"""Of the genesis, in one answer of `genesis_chunked`."""


async def health(context: Context, args: Arguments) -> object:
    """Answer `health`: that there is an answer is the answer."""
    return {}


async def status(context: Context, args: Arguments) -> object:
    """Answer `status`."""
    service = context.service
    desk = service.desk
    now, reader, key = service.gateway.status(), service.gateway.reader, desk.facts.public_key
    signers = desk.validators_at(reader.head + 1)
    member = signers.by_address(key.address) if signers else None
    return {
        "node_info": {
            **_node_info(now.node_id, now.name, now.chain_id, desk.facts.peer_address),
            "protocol_version": _protocols(reader),
            "other": _other(service.rpc_address()),
        },
        "sync_info": {
            **_place(reader, "latest", reader.head),
            **_place(reader, "earliest", reader.lowest if reader.head else 0),
            "catching_up": now.catching_up,
        },
        "validator_info": {
            "address": hexed(key.address),
            "pub_key": key.to_json(),
            "voting_power": str(member.power if member else 0),
        },
    }


async def net_info(context: Context, args: Arguments) -> object:
    """Answer `net_info`: the connections to other nodes that are up."""
    desk = context.service.desk
    now, links = context.service.gateway.status(), desk.links()
    return {
        "listening": True,
        "listeners": [f"Listener(@{desk.facts.peer_address})"],
        "n_peers": str(len(links)),
        "peers": [_peer(now, link) for link in links],
    }


async def genesis(context: Context, args: Arguments) -> object:
    """Answer `genesis`."""
    text = _genesis(context.service.desk.facts.genesis)
    if len(text) > CHUNK_BYTES:
        raise failed("genesis response is large, please use the genesis_chunked API instead")
    return {"genesis": orjson.Fragment(text)}


async def genesis_chunked(context: Context, args: Arguments) -> object:
    """Answer `genesis_chunked`: the genesis in pieces of 16 MiB."""
    text, chunk = _genesis(context.service.desk.facts.genesis), args.number("chunk")
    total = -(-len(text) // CHUNK_BYTES)
    if chunk >= total:
        raise failed(f"there are {total - 1} chunks, {chunk} is invalid")
    piece = text[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]
    return {"chunk": str(chunk), "total": str(total), "data": b64encode(piece).decode()}


async def abci_info(context: Context, args: Arguments) -> object:
    """Answer `abci_info`."""
    return {"response": results.info(await context.service.desk.info())}


async def abci_query(context: Context, args: Arguments) -> object:
    """Answer `abci_query`."""
    height = args.number("height")
    if height < 0:
        raise failed(f"height {height} is negative; 0 is the newest one")
    query = Query(path=args.text("path"), data=args.data("data"), height=height, prove=args.flag("prove"))
    return {"response": results.query(await context.service.desk.ask(query))}


@lru_cache(maxsize=1)
def _genesis(value: Genesis) -> bytes:
    members: Json = orjson.loads(replace(value, app_state="{}").to_json())
    # The application's part is not parsed: it may hold numbers that no parser keeps.
    return orjson.dumps({**members, "app_state": orjson.Fragment(value.app_state)})


def _place(reader: BlockReader, name: str, height: int) -> Json:
    found = reader.block(height) if height else None
    header = decoded(found.raw).header if found else None
    return {
        f"{name}_block_hash": hexed(found.block_id.hash) if found else "",
        f"{name}_app_hash": hexed(header.app_hash) if header else "",
        f"{name}_block_height": str(header.height if header else 0),
        f"{name}_block_time": shapes.time(header.time_ns if header else 0),
    }


def _protocols(reader: BlockReader) -> Json:
    """Return versions of protocols: 0 for the reference's peer protocol, which is not spoken here."""
    newest = reader.block(reader.head)
    app = decoded(newest.raw).header.version_app if newest else 0
    return {"p2p": "0", "block": str(BLOCK_VERSION), "app": str(app)}


def _other(rpc_address: str) -> Json:
    return {"tx_index": "on", "rpc_address": f"tcp://{rpc_address}" if rpc_address else ""}


def _node_info(node_id: str, name: str, chain_id: str, peer_address: str) -> Json:
    return {
        "protocol_version": {"p2p": "0", "block": str(BLOCK_VERSION), "app": "0"},
        "id": node_id,
        "listen_addr": f"tcp://{peer_address}",
        "network": chain_id,
        "version": VERSION,
        "channels": CHANNELS,
        "moniker": name,
        "other": _other(""),
    }


def _peer(now: NodeStatus, link: LinkView) -> Json:
    flow: Json = {
        "Start": shapes.time(0),
        "Bytes": "0",
        "Samples": "0",
        "InstRate": "0",
        "CurRate": "0",
        "AvgRate": "0",
        "PeakRate": "0",
        "BytesRem": "0",
        "Duration": "0",
        "Idle": str(max(0, link.last_seen_ms) * 1_000_000),
        "TimeRem": "0",
        "Progress": 0,
        "Active": True,
    }
    return {
        "node_info": _node_info(
            link.address.hex(), link.name, now.chain_id, f"{link.host}:{link.port}" if link.host else ""
        ),
        "is_outbound": link.dialled_here,
        "connection_status": {"Duration": "0", "SendMonitor": flow, "RecvMonitor": flow, "Channels": []},
        "remote_ip": link.host,
    }
