"""Who waits for a transaction is woken or told, nothing is left behind, and giving up harms nobody."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from catenet.apps.kv import KeyValue
from catenet.node.gateway import NodeGateway
from catenet.node.worker import AppWorker
from catenet.storage.ledger import Ledger
from catenet.storage.state import open_state
from catenet.types.effects import Abandoned, Acknowledge, Dropped, Overload, TxRefusal
from catenet.types.errors import InvalidInput, Overloaded, Unavailable
from catenet.types.events import Event, Level, Submitted
from catenet.types.ports import NodeStatus, SubmitOutcome
from support.storage import chain

BLOCK = next(iter(chain(1)))


def no_status() -> NodeStatus:
    raise AssertionError("nobody asks for the status here")


async def never_confirmed() -> None:
    raise AssertionError("nobody asks here whether the node is current")


class Desk:
    """A gateway over a real ledger and application; what it posts is kept."""

    def __init__(self, home: Path) -> None:
        self.posted: list[Event] = []
        self.escaped: list[object] = []
        self.ledger = Ledger.open(home / "data")
        self.state, _ = open_state(home / "app")
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.escaped.append(context))
        self.worker = AppWorker(loop)
        self.gateway = NodeGateway(
            post=self.posted.append,
            reader=self.ledger,
            app=KeyValue(self.state),
            worker=self.worker,
            confirm=never_confirmed,
            status=no_status,
            judge=lambda wrapped: None,
            pending=lambda _: False,
            tx_bytes_max=64,
        )

    async def submit(self, level: Level, txs: list[bytes]) -> "asyncio.Task[SubmitOutcome]":
        task = asyncio.get_running_loop().create_task(self.gateway.submit(txs, level, client="c"))
        await asyncio.sleep(0)
        return task

    @property
    def ticket(self) -> int:
        event = self.posted[-1]
        assert isinstance(event, Submitted)
        return event.ticket

    def idle(self) -> bool:
        return not (self.gateway._tickets or self.gateway._waiting or self.gateway._fetches)


def at_desk(home: Path, visit: Callable[[Desk], Awaitable[None]]) -> None:
    async def main() -> None:
        desk = Desk(home)
        try:
            await visit(desk)
            await asyncio.sleep(0)
            gc.collect()
            await asyncio.sleep(0)
            assert desk.idle()
            assert desk.escaped == []
        finally:
            desk.worker.close()
            desk.state.close()
            desk.ledger.close()

    asyncio.run(main())


def test_committed_is_answered_by_the_block_once_for_repeated_transactions(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        tx = BLOCK.block.txs[0]
        task = await desk.submit(Level.COMMITTED, [tx, b"refused", tx])
        refusal = TxRefusal(index=1, code=7, reason="no")
        desk.gateway.acknowledged(Acknowledge(ticket=desk.ticket, reached=Level.ACCEPTED, refused=(refusal,)))
        await asyncio.sleep(0)
        desk.ledger.store(BLOCK)
        desk.gateway.final(BLOCK)
        outcome = await task
        committed = outcome.committed
        assert [item.location.height for item in committed] == [1, 1]
        assert [item.id for item in committed] == [BLOCK.tx_ids[0]] * 2

    at_desk(tmp_path, visit)


def test_what_is_committed_already_is_answered_at_once(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        desk.ledger.store(BLOCK)
        task = await desk.submit(Level.COMMITTED, [BLOCK.block.txs[2]])
        desk.gateway.acknowledged(Acknowledge(ticket=desk.ticket, reached=Level.ACCEPTED))
        outcome = await task
        (item,) = outcome.committed
        assert (item.location.height, item.location.index) == (1, 2)

    at_desk(tmp_path, visit)


def test_replicated_is_not_answered_by_accepted(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        task = await desk.submit(Level.REPLICATED, [b"k=v"])
        desk.gateway.acknowledged(Acknowledge(ticket=desk.ticket, reached=Level.ACCEPTED))
        await asyncio.sleep(0)
        assert not task.done()
        desk.gateway.acknowledged(Acknowledge(ticket=desk.ticket, reached=Level.REPLICATED))
        await task

    at_desk(tmp_path, visit)


def test_a_dropped_transaction_fails_who_waits_for_it(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        task = await desk.submit(Level.COMMITTED, [BLOCK.block.txs[0]])
        desk.gateway.acknowledged(Acknowledge(ticket=desk.ticket, reached=Level.ACCEPTED))
        await asyncio.sleep(0)
        desk.gateway.dropped(Dropped(tx_ids=[BLOCK.tx_ids[0]], reason="EXPIRED"))
        with pytest.raises(Unavailable, match="EXPIRED"):
            await task

    at_desk(tmp_path, visit)


def test_a_client_that_gives_up_while_its_transaction_is_dropped_harms_nobody(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        task = await desk.submit(Level.COMMITTED, [BLOCK.block.txs[0]])
        desk.gateway.dropped(Dropped(tx_ids=[BLOCK.tx_ids[0]], reason="EXPIRED"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task

    at_desk(tmp_path, visit)


def test_a_stop_fails_everybody_and_leaves_no_unread_fault(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        tasks = [await desk.submit(level, [b"k=v"]) for level in Level]
        waiting = asyncio.get_running_loop().create_task(desk.gateway.wait_height(1))
        await asyncio.sleep(0)
        desk.gateway.stop("going down")
        for task in [*tasks, waiting]:
            with pytest.raises(Unavailable, match="going down"):
                await task
        with pytest.raises(Unavailable, match="going down"):
            await desk.gateway.submit([b"k=v"], Level.ACCEPTED, client="c")

    at_desk(tmp_path, visit)


def test_who_waits_for_replicated_is_told_when_it_will_not_come(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        task = await desk.submit(Level.REPLICATED, [b"k=v"])
        desk.gateway.refused(Abandoned(ticket=desk.ticket, reason="EXPIRED: look the id up"))
        with pytest.raises(Unavailable, match="EXPIRED"):
            await task

    at_desk(tmp_path, visit)


def test_overload_and_bad_sizes_are_refused_whole(tmp_path: Path) -> None:
    async def visit(desk: Desk) -> None:
        task = await desk.submit(Level.COMMITTED, [b"k=v"])
        desk.gateway.refused(Overload(ticket=desk.ticket, reason="full", retry_after_us=250_000))
        with pytest.raises(Overloaded, match="full"):
            await task
        for txs in ([], [b"a", b""], [b"x" * 65]):
            with pytest.raises(InvalidInput):
                await desk.gateway.submit(txs, Level.ACCEPTED, client="c")

    at_desk(tmp_path, visit)
