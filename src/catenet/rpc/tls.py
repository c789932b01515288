"""TLS under the JSON-RPC: certificate and key, and handshakes that are bounded as requests are."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from catenet.rpc.protocols import BoundedHttp
from catenet.types.errors import WrongState

log = logging.getLogger(__name__)

SHUTDOWN_S = 1.0
"""How long a peer may take to say that it ends TLS, too."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what a port with this certificate needs. Raises `WrongState` with the setting that is wrong."""
    # OpenSSL does not say which of the two files it means, and asks the terminal for a passphrase.
    first = _first_certificate(certificate)
    if first.public_key() != _private_key(key).public_key():
        raise WrongState(
            f"rpc.tls_key: {key} is not the key of the first certificate in {certificate}; name a pair"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except ssl.SSLError as error:
        text = f"rpc.tls_certificate: {certificate} is refused: {error.reason}; have another one issued"
        raise WrongState(text) from None
    return context


def _first_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(_read("tls_certificate", path))[0]
    except ValueError:
        text = f"rpc.tls_certificate: {path} holds no certificate; write it there as PEM, its chain below it"
        raise WrongState(text) from None


def _private_key(path: Path) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(_read("tls_key", path), None)
    except TypeError:
        text = f"rpc.tls_key: {path} is encrypted; a node asks nobody for a passphrase: write it decrypted"
        raise WrongState(text) from None
    except ValueError:
        raise WrongState(f"rpc.tls_key: {path} holds no private key; write it there as PEM") from None


def _read(setting: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        text = f"rpc.{setting}: cannot read {path}: {error.strerror}; write it, or name another file"
        raise WrongState(text) from None


class Handshakes:
    """The handshakes of one port: each is a connection from its first moment, and has its time.

    A server that is given the certificate itself counts a connection after its handshake only.
    """

    def __init__(self, context: ssl.SSLContext, read_s: float) -> None:
        self._context = context
        self._read_s = read_s
        self._tasks: asyncio.TaskGroup | None = None

    def begin(self, tasks: asyncio.TaskGroup) -> None:
        """Take connections from here on, as tasks of this group."""
        self._tasks = tasks

    def protocol(self, new_http: Callable[[], BoundedHttp]) -> asyncio.Protocol:
        """Return the protocol of a connection that has just been made."""
        return _Handshake(self, new_http())

    def start(self, handshake: "_Handshake") -> None:
        """Have a handshake run, or end while the node starts or stops."""
        if self._tasks is None:
            handshake.connection.close()
            return
        self._tasks.create_task(self._run(handshake))
        handshake.http.admit(handshake)

    async def _run(self, handshake: "_Handshake") -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: handshake.http,
                handshake.connection,
                ssl=self._context,
                ssl_handshake_timeout=self._read_s,
                ssl_shutdown_timeout=SHUTDOWN_S,
            )
        except (OSError, TimeoutError) as error:
            # No TLS, no trust in the certificate, or no word at all: the connection is closed.
            log.debug("rpc_handshake_failed", extra={"reason": str(error)})
        finally:
            handshake.http.dismiss(handshake)


class _Handshake(asyncio.Protocol):
    """A connection until it is secured; for the server it is one like the others."""

    connection: socket.socket

    def __init__(self, handshakes: Handshakes, http: BoundedHttp) -> None:
        self._handshakes = handshakes
        self.http = http

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake, with the socket alone.

        This transport would read the client's first word away: uvloop's does, paused or not.
        """
        try:
            self.connection = transport.get_extra_info("socket").dup()
        except OSError as error:
            # The process has no file descriptor left: nobody keeps the one of this connection.
            log.warning("rpc_connection_refused", extra={"reason": str(error)})
            return
        finally:
            transport.abort()
        self._handshakes.start(self)

    def abort(self) -> None:
        """End it, and with it its task: there are too many, or the server stops."""
        self.http.dismiss(self)
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    shutdown = abort
