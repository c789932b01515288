"""The table of methods: name, parameters, handler. The listing page and both transports read it."""

from collections.abc import Mapping
from dataclasses import dataclass

from catenet.rpc import about, accusing, blocks, searching, subscribing, txs
from catenet.rpc.context import Handler
from catenet.rpc.params import Kind, Parameter

HEIGHT = Parameter("height", Kind.OPTIONAL_INT)
PAGE = (Parameter("page", Kind.OPTIONAL_INT), Parameter("per_page", Kind.OPTIONAL_INT))
TX = Parameter("tx", Kind.BASE64)
QUERY = Parameter("query", Kind.TEXT)
PROVE = Parameter("prove", Kind.BOOL)
ORDER = Parameter("order_by", Kind.TEXT)


@dataclass(frozen=True, slots=True)
class Route:
    """One method."""

    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    websocket_only: bool = False
    side_by_side: bool = False
    """Whether calls of one WebSocket may be answered out of order: transactions are taken in batches."""


ROUTES: Mapping[str, Route] = {
    "abci_info": Route(about.abci_info),
    "abci_query": Route(
        about.abci_query,
        (Parameter("path", Kind.TEXT), Parameter("data", Kind.HEX), Parameter("height", Kind.INT), PROVE),
    ),
    "block": Route(blocks.block, (HEIGHT,)),
    "block_by_hash": Route(blocks.block_by_hash, (Parameter("hash", Kind.BASE64),)),
    "block_results": Route(blocks.block_results, (HEIGHT,)),
    "block_search": Route(searching.block_search, (QUERY, *PAGE, ORDER)),
    "blockchain": Route(
        blocks.blockchain, (Parameter("minHeight", Kind.INT), Parameter("maxHeight", Kind.INT))
    ),
    "broadcast_evidence": Route(accusing.broadcast_evidence, (Parameter("evidence", Kind.OBJECT),)),
    "broadcast_tx_async": Route(txs.broadcast_tx_async, (TX,), side_by_side=True),
    "broadcast_tx_commit": Route(txs.broadcast_tx_commit, (TX,), side_by_side=True),
    "broadcast_tx_sync": Route(txs.broadcast_tx_sync, (TX,), side_by_side=True),
    "check_tx": Route(txs.check_tx, (TX,)),
    "commit": Route(blocks.commit, (HEIGHT,)),
    "consensus_params": Route(blocks.consensus_params, (HEIGHT,)),
    "genesis": Route(about.genesis),
    "genesis_chunked": Route(about.genesis_chunked, (Parameter("chunk", Kind.UINT),)),
    "header": Route(blocks.header, (HEIGHT,)),
    "header_by_hash": Route(blocks.header_by_hash, (Parameter("hash", Kind.HEX),)),
    "health": Route(about.health),
    "net_info": Route(about.net_info),
    "num_unconfirmed_txs": Route(txs.num_unconfirmed_txs),
    "status": Route(about.status),
    "subscribe": Route(subscribing.subscribe, (QUERY,), websocket_only=True),
    "tx": Route(txs.tx, (Parameter("hash", Kind.BASE64), PROVE)),
    "tx_search": Route(searching.tx_search, (QUERY, PROVE, *PAGE, ORDER)),
    "unconfirmed_txs": Route(txs.unconfirmed_txs, (Parameter("limit", Kind.OPTIONAL_INT),)),
    "unsubscribe": Route(subscribing.unsubscribe, (QUERY,), websocket_only=True),
    "unsubscribe_all": Route(subscribing.unsubscribe_all, websocket_only=True),
    "validators": Route(blocks.validators, (HEIGHT, *PAGE)),
}
