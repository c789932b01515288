"""Methods that search: transactions and blocks by the events that they gave."""

import asyncio
from collections.abc import Callable

from catenet.rpc.blocks import shaped_block
from catenet.rpc.context import Context
from catenet.rpc.errors import failed
from catenet.rpc.paging import Page
from catenet.rpc.params import Arguments
from catenet.rpc.txs import shaped_tx
from catenet.types.errors import InvalidInput
from catenet.types.ports import EventIndex, Order
from catenet.types.query import Query, parse

ORDERS = {"asc": Order.ASCENDING, "desc": Order.DESCENDING}


async def tx_search(context: Context, args: Arguments) -> object:
    """Answer `tx_search`; without an order the oldest comes first."""
    index, query = _index(context, "transaction"), _query(context, args)
    page, order = Page.of(args, context.service.limits), _order(args, Order.ASCENDING)
    reader, with_proof = context.service.gateway.reader, args.flag("prove")

    def search() -> object:
        total, places = index.search_txs(query, page=page.number or 1, per_page=page.size, order=order)
        page.skip(total)
        txs = [
            shaped_tx(reader, height=place.height, index=place.index, with_proof=with_proof)
            for place in places
        ]
        return {"txs": txs, "total_count": str(total)}

    return await _beside(context, search)


async def block_search(context: Context, args: Arguments) -> object:
    """Answer `block_search`; without an order the newest comes first."""
    index, query = _index(context, "block"), _query(context, args)
    page, order = Page.of(args, context.service.limits), _order(args, Order.DESCENDING)
    reader = context.service.gateway.reader

    def search() -> object:
        total, heights = index.search_blocks(query, page=page.number or 1, per_page=page.size, order=order)
        page.skip(total)
        blocks = [shaped_block(found) for height in heights if (found := reader.block(height))]
        return {"blocks": blocks, "total_count": str(total)}

    return await _beside(context, search)


async def _beside(context: Context, search: Callable[[], object]) -> object:
    """Search in a thread: it may take a third of a second, for which consensus cannot wait."""
    async with context.service.searches:
        return await asyncio.to_thread(search)


def _index(context: Context, what: str) -> EventIndex:
    if context.service.index is None:
        raise failed(f"{what} indexing is disabled")
    return context.service.index


def _query(context: Context, args: Arguments) -> Query:
    text = args.text("query")
    if len(text.encode()) > context.service.limits.query_bytes:
        raise failed("maximum query length exceeded")
    try:
        return parse(text)
    except InvalidInput as error:
        raise failed(str(error)) from None


def _order(args: Arguments, default: Order) -> Order:
    given = args.text("order_by")
    if not given:
        return default
    if given not in ORDERS:
        raise failed("expected order_by to be either `asc` or `desc` or empty")
    return ORDERS[given]
