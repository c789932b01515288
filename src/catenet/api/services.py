"""The table of public methods: bytes in, the service's verb, bytes out. No meaning lives here.

Wire-exact to the published interface (communication.md 1). Every method takes raw bytes: what does not
parse is answered INVALID_ARGUMENT with a fixed text.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2 as health

from catenet.api.drain import Drain
from catenet.api.health import HealthService
from catenet.api.limits import Limits
from catenet.api.node import NodeService
from catenet.api.query import QueryService
from catenet.api.sync import SyncService
from catenet.types.ports import Gateway
from catenet.wire.grpc_server import (
    Context,
    Handler,
    Write,
    bidi,
    client_stream,
    parser,
    server_stream,
    service,
    unary,
)
from catenet.wire.seed import blockchain_pb2 as seed
from catenet.wire.v1 import query_pb2 as query

NODE = "blockchain.Node"
SYNC = "blockchain.BlockSyncService"
QUERY = "catenet.v1.Query"
HEALTH = "grpc.health.v1.Health"

M = TypeVar("M", bound=Message)


def public_services(
    gateway: Gateway, *, accepting: Callable[[], bool], drain: Drain, limits: Limits
) -> list[grpc.GenericRpcHandler]:
    """Return the handlers of all public services over a node."""
    return [
        _node(NodeService(gateway, drain, limits)),
        _sync(SyncService(gateway, drain)),
        _query(QueryService(gateway, limits)),
        _health(HealthService((NODE, SYNC, QUERY), accepting, drain)),
    ]


def _node(node: NodeService) -> grpc.GenericRpcHandler:
    async def latest_block(request: seed.BlockRequest, context: Context) -> bytes:
        return (await node.latest_block()).SerializeToString()

    async def broadcast(request: seed.Transaction, context: Context) -> bytes:
        return (await node.broadcast(request, _client(context))).SerializeToString()

    async def broadcast_all(requests: AsyncIterator[seed.TransactionBatch], context: Context) -> bytes:
        return (await node.broadcast_all(requests, _client(context))).SerializeToString()

    async def submit_batches(
        requests: AsyncIterator[seed.TransactionBatch], write: Write, context: Context
    ) -> None:
        async def write_ack(ack: seed.BatchAck) -> None:
            await write(ack.SerializeToString())

        await node.submit_batches(requests, write_ack, _client(context))

    return service(
        NODE,
        {
            "GetLatestBlock": unary(latest_block, parser(seed.BlockRequest)),
            "BroadcastTransaction": unary(broadcast, parser(seed.Transaction)),
            "BroadcastTransactions": client_stream(broadcast_all, parser(seed.TransactionBatch)),
            "SubmitBatches": bidi(submit_batches, parser(seed.TransactionBatch)),
        },
    )


def _sync(sync: SyncService) -> grpc.GenericRpcHandler:
    return service(SYNC, {"SyncBlocks": _stream(sync.sync_blocks, seed.SyncRequest)})


def _query(queries: QueryService) -> grpc.GenericRpcHandler:
    return service(
        QUERY,
        {
            "Status": _plain(lambda _: queries.status(), query.StatusRequest),
            "GetBlock": _plain(queries.block, query.GetBlockRequest),
            "GetBlocksByHeight": _plain(queries.blocks, query.GetBlocksByHeightRequest),
            "GetLightBlock": _plain(queries.light_block, query.GetLightBlockRequest),
            "GetTransaction": _plain(queries.transaction, query.GetTransactionRequest),
            "GetTransactions": _plain(queries.transactions, query.GetTransactionsRequest),
            "Query": _plain(queries.query, query.QueryRequest),
            "QueryMany": _plain(queries.query_many, query.QueryManyRequest),
        },
    )


def _health(watcher: HealthService) -> grpc.GenericRpcHandler:
    return service(
        HEALTH,
        {
            "Check": _plain(watcher.check, health.HealthCheckRequest),
            "Watch": _stream(watcher.watch, health.HealthCheckRequest),
        },
    )


def _plain(verb: Callable[[M], Awaitable[Message]], kind: type[M]) -> Handler:
    async def call(request: M, context: Context) -> bytes:
        return (await verb(request)).SerializeToString()

    return unary(call, parser(kind))


def _stream(verb: Callable[[M], AsyncGenerator[Message, None]], kind: type[M]) -> Handler:
    async def call(request: M, context: Context) -> AsyncIterator[bytes]:
        async with aclosing(verb(request)) as answers:
            async for answer in answers:
                yield answer.SerializeToString()

    return server_stream(call, parser(kind))


def _client(context: Context) -> str:
    """Return who calls, for quotas: the address without the port, which changes with every connection."""
    return context.peer().rpartition(":")[0]
