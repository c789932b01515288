"""Applications over ABCI: a foreign one on our node, and ours under a CometBFT node.

The only place that knows the room `abci`, and it is imported when it is asked for.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from catenet.chain.genesis import Genesis
from catenet.node import telemetry
from catenet.node.application import load_application
from catenet.node.config import Endpoint, NodeConfig
from catenet.node.handshake import shake_hands
from catenet.node.supervise import Supervisor
from catenet.node.worker import AppWorker
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.storage.state import open_state
from catenet.types.application import Application
from catenet.types.ports import StateStore

if TYPE_CHECKING:
    from catenet.abci.server import AbciServer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """The application of a node, and what it is told besides its verbs."""

    app: Application
    started: Callable[[int, Callable[[str], None]], None] = lambda height, halt: None
    """The application has the chain's height; `halt`, callable in any thread, is for what it does later."""
    close: Callable[[], None] = lambda: None
    """The node stops: nothing is waited for any more."""


async def open_application(
    config: NodeConfig, store: StateStore, *, genesis: Genesis, ledger: Ledger
) -> Hosted:
    """Return the application that a node runs: in this process, or the foreign one of `proxy_app`.

    A foreign one is waited for. Raises `InvalidInput`, `Unavailable`.
    """
    if not config.proxy_app:
        return Hosted(app=load_application(config.app, store))
    from catenet.abci.host import HostedApplication
    from catenet.abci.link import Link

    link = Link(
        config.proxy_app.removeprefix("grpc://"),
        answer_s=config.abci.answer_timeout_ms / 1000,
        patience_s=config.abci.away_timeout_ms / 1000,
    )
    app = HostedApplication(
        link,
        params_before=lambda height: state.params if (state := ledger.state_at(height - 1)) else None,
        shake_hands=lambda remote: shake_hands(remote, genesis, ledger).last_height,
    )
    log.info("application_awaited", extra={"proxy_app": config.proxy_app})
    try:
        await asyncio.to_thread(app.connect)
    except asyncio.CancelledError:
        app.close()
        raise
    return Hosted(app=app, started=app.started, close=app.close)


async def serve_application(name: str, *, root: Path, address: Endpoint, level: str) -> int:
    """Serve an application to a CometBFT node until SIGTERM or Ctrl-C; return the exit code.

    Its state is in the home `root`, as on our node, and durable before the engine hears of a commit.
    """
    from catenet.abci.server import AbciServer

    telemetry.configure(name=name, level=level, as_json=False, lamport=lambda: 0)
    home = Home(root)
    home.create()
    with home.lock():
        state, was_reset = open_state(home.app)
        if was_reset:
            log.warning("application_state_rebuilt", extra={"home": str(root)})
        try:
            worker = AppWorker(asyncio.get_running_loop())
            supervisor = Supervisor()
            server = AbciServer(
                load_application(name, state),
                address=str(address),
                worker=worker,
                committed=state.flush,
                halt=supervisor.halt,
            )
            await server.start()
            supervisor.listen()
            place = f"{address.host}:{server.port}"
            log.info("serving", extra={"address": place, "height": state.height, "home": str(root)})
            code = await _serve(supervisor, server)
            await asyncio.to_thread(worker.close)
            log.info("stopped", extra={"height": state.height})
            return code
        finally:
            state.close()


async def _serve(supervisor: Supervisor, server: "AbciServer") -> int:
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(supervisor.keep("the ABCI port", server.run()))
        code = await supervisor.run(server.stop, lambda reason: None)
        serving.cancel()
    return code
