"""The public ports of a node: opened, kept open, drained. Plaintext never leaves the machine."""

import asyncio
import errno
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from catenet.api.drain import Drain
from catenet.api.limits import Limits
from catenet.api.services import public_services
from catenet.types.errors import InvalidInput, WrongState
from catenet.types.ports import Gateway
from catenet.wire.grpc_runner import ServerRunner
from catenet.wire.grpc_server import server_options

STREAMS_MAX = 100
"""Calls at once on one connection."""

WINDOW_BYTES = 1024 * 1024
"""What one stream may hold unread."""

CONNECTION_AGE_S = 3600
"""After this long a client is asked to connect again."""

CALLS_MAX = 2000
"""Calls at once on one port; one more is refused with RESOURCE_EXHAUSTED."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The node's certificate (PEM, with its chain) and key; read again when they change."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One public port."""

    address: str
    """`host:port`; port 0 takes a free one."""
    tls: TlsFiles | None = None
    """None: plaintext, on a loopback address only."""


class PublicServer:
    """Serves the public services of a node on its listeners: `start`, then `run` until `stop`."""

    def __init__(
        self,
        gateway: Gateway,
        listeners: Sequence[Listener],
        *,
        accepting: Callable[[], bool] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Raise `InvalidInput` for plaintext where others can reach it, `WrongState` without a certificate.

        `accepting` says whether the node can accept work now; by default: when it is not catching up.
        """
        for listener in listeners:
            _check(listener)
        self._drain = Drain()
        handlers = public_services(
            gateway,
            accepting=accepting or (lambda: not gateway.status().catching_up),
            drain=self._drain,
            limits=limits or Limits(),
        )
        self._hosts = tuple(listener.address.rpartition(":")[0] for listener in listeners)
        self._runners = tuple(
            ServerRunner(
                address=listener.address,
                handlers=handlers,
                options=server_options(
                    streams_max=STREAMS_MAX, window_bytes=WINDOW_BYTES, age_s=CONNECTION_AGE_S
                ),
                credentials=None if listener.tls is None else _credentials(listener.tls),
                calls_max=CALLS_MAX,
            )
            for listener in listeners
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, one `host:port` per listener, with the real port."""
        return tuple(f"{host}:{runner.port}" for host, runner in zip(self._hosts, self._runners, strict=True))

    @property
    def restarts(self) -> int:
        """How often a port had to be opened again because its server ended."""
        return sum(runner.restarts for runner in self._runners)

    async def start(self) -> None:
        """Open the ports, all or none. Raises `WrongState` when one cannot be had."""
        for address, runner in zip(self.addresses, self._runners, strict=True):
            try:
                await runner.start()
            except WrongState:
                await self.stop(0)
                raise WrongState(f"cannot listen on {address}: {_why_not(address)}") from None

    async def run(self) -> None:
        """Watch over the ports until `stop`: should a server end, its port opens again within a second."""
        async with asyncio.TaskGroup() as group:
            for runner in self._runners:
                group.create_task(runner.run())

    def drain(self) -> None:
        """Take no new work: health says NOT_SERVING, streams end, calls in flight go on."""
        self._drain.start()

    async def stop(self, grace_s: float) -> None:
        """Drain, give calls in flight `grace_s` seconds, and close the ports."""
        self.drain()
        async with asyncio.TaskGroup() as group:
            for runner in self._runners:
                group.create_task(runner.stop(grace_s))


def _check(listener: Listener) -> None:
    host, _ = _split(listener.address)
    if listener.tls is None and not _is_loopback(host):
        raise InvalidInput(
            f"plaintext on {listener.address} is refused: others could read and change what clients say; "
            "configure a certificate for this address, or listen on 127.0.0.1"
        )


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise InvalidInput(f"address {address!r} is not host:port")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why_not(address: str) -> str:
    """Return why a port did not open, by trying it once more with a plain socket."""
    host, port = _split(address)
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen()
    except OSError as fault:
        if fault.errno == errno.EADDRINUSE:
            return f"port {port} is taken by another process; stop that one, or choose another port"
        return fault.strerror or str(fault)
    return "the address or the certificate is not usable"


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    """Return credentials that follow the files: a new certificate is served without a restart."""
    read_at = _stamp(tls)
    first = _certificate(tls)

    def refreshed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal read_at
        try:
            stamp = _stamp(tls)
            if stamp == read_at:
                return None
            configuration = _certificate(tls)
        except WrongState as fault:
            log.error("certificate_not_read: %s", fault)
            return None
        read_at = stamp
        return configuration

    # gRPC takes None as "unchanged"; its stubs do not know that.
    return grpc.dynamic_ssl_server_credentials(first, refreshed)  # type: ignore[arg-type]


def _certificate(tls: TlsFiles) -> grpc.ServerCertificateConfiguration:
    try:
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    except OSError as fault:
        raise WrongState(f"cannot read {fault.filename}: {fault.strerror}") from None
    return grpc.ssl_server_certificate_configuration([pair])


def _stamp(tls: TlsFiles) -> tuple[int, int]:
    try:
        return os.stat(tls.certificate).st_mtime_ns, os.stat(tls.key).st_mtime_ns
    except OSError as fault:
        raise WrongState(f"cannot read {fault.filename}: {fault.strerror}") from None
