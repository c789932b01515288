"""Transactions whose senders do not wait: handed in behind their backs, so many at once and no more."""

import asyncio
import logging

from catenet.rpc.errors import failed
from catenet.types.errors import CatenetError
from catenet.types.events import Level
from catenet.types.ports import Gateway

log = logging.getLogger(__name__)


class BackgroundSubmissions:
    """What `broadcast_tx_async` hands in (`context.Submissions`)."""

    def __init__(self, gateway: Gateway, *, waiting_max: int) -> None:
        self._gateway = gateway
        self._waiting_max = waiting_max
        self._waiting = 0
        self._tasks: asyncio.TaskGroup | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Take submissions from here on, as tasks of this group."""
        self._tasks = tasks

    def start(self, tx: bytes, client: str) -> None:
        """Hand one in, and forget it. Raises `RpcError` when too many are on their way."""
        if self._tasks is None:
            raise failed("this node is starting or stopping: go on at another one")
        if self._waiting >= self._waiting_max:
            raise failed(f"mempool is full: number of txs {self._waiting} (max: {self._waiting_max})")
        self._waiting += 1
        self._tasks.create_task(self._submit(tx, client))

    async def _submit(self, tx: bytes, client: str) -> None:
        try:
            await self._gateway.submit([tx], Level.ACCEPTED, client=client)
        except CatenetError as error:
            log.debug("async_tx_refused", extra={"reason": str(error)})
        finally:
            self._waiting -= 1
