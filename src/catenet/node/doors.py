"""The JSON-RPC of a node, out of its configuration: where it listens, with which certificate and token.

The only place that knows the room `rpc`, and it is imported when a node serves it.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from catenet.node.config import NodeConfig, RpcConfig
from catenet.node.gateway import NodeGateway
from catenet.storage.home import read_private
from catenet.types.desk import ChainDesk
from catenet.types.errors import InvalidInput, NotFound, WrongState
from catenet.types.ports import EventIndex

if TYPE_CHECKING:
    from catenet.rpc.server import Listener, RpcServer


class Door:
    """The JSON-RPC, or nothing where the configuration has none."""

    def __init__(
        self, config: NodeConfig, folder: Path, gateway: NodeGateway, desk: ChainDesk, index: EventIndex
    ) -> None:
        """`folder` is what paths in the configuration begin at. Raises `InvalidInput`, `WrongState`."""
        self._server = None if config.rpc.listen is None else _server(config, folder, gateway, desk, index)
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


def _server(
    config: NodeConfig, folder: Path, gateway: NodeGateway, desk: ChainDesk, index: EventIndex
) -> "RpcServer":
    from catenet.rpc.limits import Limits
    from catenet.rpc.server import RpcServer

    rpc = config.rpc
    limits = Limits(
        body_bytes=rpc.body_bytes_max,
        batch_requests=rpc.batch_requests_max,
        connections=rpc.connections_max,
        subscription_clients=rpc.subscription_clients_max,
        subscriptions_per_client=rpc.subscriptions_max,
        subscription_buffer=rpc.subscription_buffer,
        commit_s=rpc.commit_timeout_ms / 1000,
    )
    return RpcServer(gateway, desk, gateway, listener_of(rpc, folder), index=index, limits=limits)


def listener_of(rpc: RpcConfig, folder: Path) -> "Listener":
    """Return where the JSON-RPC is served, and to whom. Raises `InvalidInput`, `WrongState`."""
    from catenet.rpc.server import Listener

    assert rpc.listen is not None
    certificate = folder / rpc.tls_certificate if rpc.tls_certificate else None
    key = folder / rpc.tls_key if rpc.tls_key else None
    if key is not None:
        _secret("tls_key", key)
    return Listener(
        host=rpc.listen.host,
        port=rpc.listen.port,
        certificate=certificate,
        key=key,
        token=_token(folder / rpc.token_file) if rpc.token_file else "",
    )


def _token(path: Path) -> str:
    try:
        token = _secret("token_file", path).decode().strip()
    except UnicodeDecodeError:
        raise InvalidInput(f"rpc.token_file: {path} is no text; write the token into it") from None
    if not token:
        raise InvalidInput(f"rpc.token_file: {path} is empty; write the token into it")
    return token


def _secret(setting: str, path: Path) -> bytes:
    try:
        return read_private(path)
    except OSError as error:
        raise InvalidInput(
            f"rpc.{setting}: cannot read {path}: {error.strerror}; name another file"
        ) from None
    except NotFound:
        raise InvalidInput(f"rpc.{setting}: {path} is not there; write it, or name another file") from None
    except WrongState as error:
        raise WrongState(f"rpc.{setting}: {error}") from None
