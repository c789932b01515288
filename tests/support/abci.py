"""An application behind ABCI in this process: our server in a thread of its own, our host in the test's."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from catenet.abci.host import HostedApplication
from catenet.abci.link import Link
from catenet.abci.server import AbciServer
from catenet.chain.block import Block
from catenet.chain.genesis import Genesis
from catenet.chain.params import ConsensusParams
from catenet.chain.state import ChainState
from catenet.core.execution import finalize_request
from catenet.node.handshake import shake_hands
from catenet.node.worker import AppWorker
from catenet.testing.simulator.chain_store import ChainStore
from catenet.types.application import Application, BlockOutcome, CommitInfo, FinalizeBlock, InitChain
from catenet.types.ports import StoredBlock
from support.cluster import HOST, free_ports

T = TypeVar("T")

CALL_S = 20.0


class Process:
    """Stands for the process of an application: it serves at one port, dies and comes back."""

    def __init__(self, make: Callable[[], Application]) -> None:
        self.make = make
        self.app = make()
        """The application of the newest life."""
        self.port = free_ports(1)
        self.halted: list[str] = []
        self.flushes = 0
        self.lives = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: AbciServer | None = None
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin a new life: what the application does not keep is lost."""
        self.app = self.make()
        self.lives += 1
        self._in_loop(self._start())

    def kill(self) -> None:
        """Cut all connections; calls under way get no answer."""
        if self._server is not None:
            self._in_loop(self._kill())

    def restart(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()

    def _in_loop(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    async def _start(self) -> None:
        self._worker = AppWorker(self._loop)
        server = AbciServer(
            self.app,
            address=f"{HOST}:{self.port}",
            worker=self._worker,
            committed=self._flushed,
            halt=self.halted.append,
        )
        await server.start()
        self.port = server.port
        self._server = server
        self._serving = self._loop.create_task(server.run())

    async def _kill(self) -> None:
        assert self._server is not None
        assert self._serving is not None
        await self._server.stop(0)
        self._serving.cancel()
        await asyncio.wait([self._serving])
        self._worker.close()
        self._server = None

    def _flushed(self) -> None:
        self.flushes += 1


@contextmanager
def process(make: Callable[[], Application]) -> Iterator[Process]:
    """Serve an application; it is ended on the way out."""
    made = Process(make)
    try:
        made.start()
        yield made
    finally:
        made.close()


@contextmanager
def hosted(
    served: Process,
    shake_hands: Callable[[Application], int] = lambda app: app.info().last_block_height,
    *,
    params_before: Callable[[int], ConsensusParams | None] = lambda height: None,
    answer_s: float = 10.0,
    patience_s: float = 10.0,
) -> Iterator[HostedApplication]:
    """Return the host of a served application, connected."""
    link = Link(f"{HOST}:{served.port}", answer_s=answer_s, patience_s=patience_s)
    try:
        app = HostedApplication(link, params_before=params_before, shake_hands=shake_hands)
        app.connect()
        yield app
    finally:
        link.disconnect()


class Told:
    """The stored chain as far as the node has come, and the node's part in executing it."""

    def __init__(self, chain: tuple[Genesis, ChainStore]) -> None:
        self.genesis, self._whole = chain
        self.head = 0
        self.shaken = 0

    lowest = 1

    def block(self, height: int) -> StoredBlock | None:
        return self._whole.block(height) if height <= self.head else None

    def outcome(self, height: int) -> BlockOutcome | None:
        return self._whole.outcome(height) if height <= self.head else None

    def state_at(self, height: int) -> ChainState | None:
        return self._whole.state_at(height) if height <= self.head else None

    def __getattr__(self, name: str) -> object:
        # What the handshake does not ask for.
        return getattr(self._whole, name)

    def shake(self, app: Application) -> int:
        self.shaken += 1
        return shake_hands(app, self.genesis, self).last_height  # type: ignore[arg-type]  # see __getattr__

    @property
    def length(self) -> int:
        return self._whole.head

    def request(self, height: int) -> FinalizeBlock:
        stored = self._whole.block(height)
        assert stored is not None
        before = self._whole.state_at(height - 1) or ChainState.genesis(self.genesis)
        return finalize_request(before, Block.decode(stored.raw), stored.block_id)

    def execute(self, app: HostedApplication, between: Callable[[], None] = lambda: None) -> None:
        """Execute the next block as the node does; `between` execution and commit something happens."""
        height = self.head + 1
        outcome = app.finalize_block(self.request(height))
        kept = self._whole.outcome(height)
        assert kept is not None
        assert outcome == kept
        between()
        self.head = height
        app.commit()


EMPTY = FinalizeBlock(
    txs=(),
    last_commit=CommitInfo(round=0, votes=()),
    misbehavior=(),
    hash=b"",
    height=1,
    time_ns=0,
    next_validators_hash=b"",
    proposer_address=b"",
)


def wait_until_noticed(app: HostedApplication) -> None:
    """Wait until gRPC has seen that the connection is gone."""
    for _ in range(500):
        if app._link.was_lost:
            return
        threading.Event().wait(0.01)
    raise AssertionError("the end of the connection was not noticed")


GENESIS = InitChain(
    time_ns=0,
    chain_id="chain",
    initial_height=1,
    app_state=b"{}",
    validators=(),
    params=ConsensusParams(),
)
