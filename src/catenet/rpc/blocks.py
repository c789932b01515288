"""Methods that read the chain: blocks, headers, commits, validators, parameters, results."""

from functools import lru_cache

from catenet.chain.block import Block
from catenet.chain.block_id import NIL
from catenet.rpc import results, shapes
from catenet.rpc.context import Context
from catenet.rpc.errors import failed
from catenet.rpc.paging import Page, chosen_height
from catenet.rpc.params import Arguments
from catenet.rpc.shapes import Json
from catenet.types.ports import BlockReader, StoredBlock


async def block(context: Context, args: Arguments) -> object:
    """Answer `block`."""
    return shaped_block(stored(context, args.optional("height")))


async def block_by_hash(context: Context, args: Arguments) -> object:
    """Answer `block_by_hash`; an unknown hash gives an empty answer."""
    return shaped_block(_by_hash(context, args.data("hash")))


async def header(context: Context, args: Arguments) -> object:
    """Answer `header`."""
    found = stored(context, args.optional("height"))
    return {"header": shapes.header(decoded(found.raw).header) if found else None}


async def header_by_hash(context: Context, args: Arguments) -> object:
    """Answer `header_by_hash`; an unknown hash gives an empty answer."""
    found = _by_hash(context, args.data("hash"))
    return {"header": shapes.header(decoded(found.raw).header) if found else None}


async def blockchain(context: Context, args: Arguments) -> object:
    """Answer `blockchain`: headers from `maxHeight` down to `minHeight`, 20 at most."""
    reader = context.service.gateway.reader
    low, high = args.number("minHeight"), args.number("maxHeight")
    if low < 0 or high < 0:
        raise failed("heights must be non-negative")
    high = min(reader.head, high or reader.head)
    low = max(low or 1, reader.lowest, high - context.service.limits.blockchain_headers + 1)
    if low > high:
        raise failed(f"min height {low} can't be greater than max height {high}")
    metas = [_meta(found) for height in range(high, low - 1, -1) if (found := reader.block(height))]
    return {"last_height": str(reader.head), "block_metas": metas}


async def commit(context: Context, args: Arguments) -> object:
    """Answer `commit`; that of the newest height may still differ from the one the next block will hold."""
    reader = context.service.gateway.reader
    found = stored(context, args.optional("height"))
    if found is None:
        return None
    following = reader.block(found.height + 1)
    precommits = decoded(following.raw).last_commit if following else found.commit
    return {
        "signed_header": {
            "header": shapes.header(decoded(found.raw).header),
            "commit": shapes.commit(precommits),
        },
        "canonical": following is not None,
    }


async def block_results(context: Context, args: Arguments) -> object:
    """Answer `block_results`."""
    reader = context.service.gateway.reader
    height = _height(reader, args.optional("height"))
    outcome = reader.outcome(height)
    if outcome is None:
        raise failed(f"could not find results for height #{height}")
    return results.block_results(height, outcome)


async def validators(context: Context, args: Arguments) -> object:
    """Answer `validators`, with the priorities of the height; the height after the newest one is known."""
    height = _coming_height(context, args)
    found = context.service.desk.validators_at(height)
    if found is None:
        raise failed(f"could not find validator set for height #{height}")
    members = Page.of(args, context.service.limits).cut(found.validators)
    return {
        "block_height": str(height),
        "validators": [shapes.validator(member) for member in members],
        "count": str(len(members)),
        "total": str(len(found)),
    }


async def consensus_params(context: Context, args: Arguments) -> object:
    """Answer `consensus_params`; the height after the newest one is known."""
    height = _coming_height(context, args)
    found = context.service.desk.params_at(height)
    if found is None:
        raise failed(f"could not find consensus params for height #{height}")
    return {"block_height": str(height), "consensus_params": shapes.params(found)}


def stored(context: Context, given: int | None) -> StoredBlock | None:
    """Return the block that a call is about; None before the first one. Raises `RpcError`."""
    reader = context.service.gateway.reader
    height = _height(reader, given)
    found = reader.block(height)
    if found is None and height:
        # It went between the two questions: what is pruned is gone.
        raise failed(f"height {height} is not available, lowest height is {reader.lowest}")
    return found


def shaped_block(found: StoredBlock | None) -> Json:
    """Return a block with its id, or the empty answer."""
    if found is None:
        return {"block_id": shapes.block_id(NIL), "block": None}
    return {"block_id": shapes.block_id(found.block_id), "block": shapes.block(decoded(found.raw))}


@lru_cache(maxsize=8)
def decoded(raw: bytes) -> Block:
    """Return a stored block's contents; clients ask for header, commit and results of one block in a row."""
    return Block.decode(raw)


def _by_hash(context: Context, block_hash: bytes) -> StoredBlock | None:
    reader = context.service.gateway.reader
    height = reader.height_of(block_hash)
    return None if height is None else reader.block(height)


def _height(reader: BlockReader, given: int | None) -> int:
    return chosen_height(given, newest=reader.head, lowest=reader.lowest)


def _coming_height(context: Context, args: Arguments) -> int:
    gateway = context.service.gateway
    newest = gateway.reader.head + (0 if gateway.status().catching_up else 1)
    return chosen_height(args.optional("height"), newest=newest, lowest=gateway.reader.lowest)


def _meta(found: StoredBlock) -> Json:
    contents = decoded(found.raw)
    return {
        "block_id": shapes.block_id(found.block_id),
        "block_size": str(len(found.raw)),
        "header": shapes.header(contents.header),
        "num_txs": str(len(contents.txs)),
    }
