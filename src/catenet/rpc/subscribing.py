"""The methods of subscriptions: they make sense on a WebSocket only."""

from catenet.rpc.context import Context, Subscriber
from catenet.rpc.errors import METHOD_NOT_FOUND, RpcError
from catenet.rpc.params import Arguments


async def subscribe(context: Context, args: Arguments) -> object:
    """Answer `subscribe`; events follow as further answers with the same id."""
    _subscriber(context).subscribe(args.text("query"), context.request_id)
    return {}


async def unsubscribe(context: Context, args: Arguments) -> object:
    """Answer `unsubscribe`."""
    _subscriber(context).unsubscribe(args.text("query"))
    return {}


async def unsubscribe_all(context: Context, args: Arguments) -> object:
    """Answer `unsubscribe_all`."""
    _subscriber(context).unsubscribe_all()
    return {}


def _subscriber(context: Context) -> Subscriber:
    if context.subscriber is None:
        raise RpcError(METHOD_NOT_FOUND)
    return context.subscriber
