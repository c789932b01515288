"""The JSON-RPC of a node, out of its configuration: where it listens, with which certificate and token."""

import asyncio
from pathlib import Path

from catenet.node import settings
from catenet.node.config import NodeConfig
from catenet.node.gateway import NodeGateway
from catenet.rpc.server import Listener, RpcServer
from catenet.types.desk import ChainDesk
from catenet.types.errors import InvalidInput
from catenet.types.ports import EventIndex


class Door:
    """The JSON-RPC, or nothing where the configuration has none."""

    def __init__(
        self, config: NodeConfig, folder: Path, gateway: NodeGateway, desk: ChainDesk, index: EventIndex
    ) -> None:
        """`folder` is what paths in the configuration begin at. Raises `InvalidInput`, `WrongState`."""
        listener = _listener(config, folder)
        self._server = (
            None
            if listener is None
            else RpcServer(gateway, desk, gateway, listener, index=index, limits=settings.rpc_limits(config))
        )
        self._over = asyncio.Event()

    async def start(self) -> None:
        """Open the port. Raises `WrongState`."""
        if self._server is not None:
            await self._server.start()

    async def run(self) -> None:
        """Serve until `stop`."""
        if self._server is not None:
            await self._server.run()
        else:
            await self._over.wait()

    async def stop(self, grace_s: float) -> None:
        """Take no new calls, give those in flight `grace_s` seconds, and close."""
        self._over.set()
        if self._server is not None:
            await self._server.stop(grace_s)


def _listener(config: NodeConfig, folder: Path) -> Listener | None:
    rpc = config.rpc
    if rpc.listen is None:
        return None
    return Listener(
        host=rpc.listen.host,
        port=rpc.listen.port,
        certificate=folder / rpc.tls_certificate if rpc.tls_certificate else None,
        key=folder / rpc.tls_key if rpc.tls_key else None,
        token=_token(folder / rpc.token_file) if rpc.token_file else "",
    )


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidInput(f"rpc.token_file: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"rpc.token_file: {path} is no text") from None
    if not token:
        raise InvalidInput(f"rpc.token_file: {path} is empty; write the token into it")
    return token
