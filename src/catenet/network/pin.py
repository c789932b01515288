"""Reads a server's certificate before gRPC connects: gRPC's client never shows it.

What is read is judged by `security` and then becomes the only certificate that the channel accepts, so the
dialler knows whom it talks to as exactly as the node that it calls. No gRPC call is made here.
"""

import asyncio
import ssl
from dataclasses import dataclass
from hashlib import sha256

import grpc

from catenet.network.config import Endpoint, TlsIdentity
from catenet.types.errors import Unauthenticated, Unavailable
from catenet.wire.grpc_channel import channel_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The certificate that a peer's server shows."""

    der: bytes

    @property
    def hash(self) -> bytes:
        """sha256 of the certificate."""
        return sha256(self.der).digest()


class Pinner:
    """Makes channels that accept exactly one certificate."""

    def __init__(self, tls: TlsIdentity) -> None:
        self._tls = tls
        self._context = ssl.create_default_context(cadata=tls.ca.decode())
        # The names inside are compared by `identify`, which knows more of them than the host that is dialled.
        self._context.check_hostname = False
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.set_alpn_protocols(["h2"])

    async def look(self, endpoint: Endpoint, *, timeout_s: float) -> Pin:
        """Connect, read the certificate, hang up. Raises `Unavailable`, `Unauthenticated` (another node)."""
        host, _, port = endpoint.target.rpartition(":")
        try:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=self._context)
        except (OSError, TimeoutError) as error:
            raise _unreachable(endpoint, error) from None
        tls = writer.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None
        writer.transport.abort()
        if der is None:
            raise Unavailable(f"{endpoint.target}: the connection ended before a certificate came")
        name = self._tls.identify(der)
        if name != endpoint.name:
            raise Unauthenticated(f"{endpoint.target} is {name!r}, not {endpoint.name!r}")
        return Pin(der=der)

    def channel(self, endpoint: Endpoint, pin: Pin) -> grpc.aio.Channel:
        """Return a channel of its own connection that accepts this one certificate."""
        credentials = grpc.ssl_channel_credentials(
            root_certificates=ssl.DER_cert_to_PEM_cert(pin.der).encode(),
            private_key=self._tls.key,
            certificate_chain=self._tls.certificate,
        )
        options = channel_options(own_connection=True, server_name=endpoint.name)
        return grpc.aio.secure_channel(endpoint.target, credentials, options=options)


def _unreachable(endpoint: Endpoint, error: OSError | TimeoutError) -> Exception:
    if isinstance(error, ssl.SSLError):
        return Unauthenticated(f"{endpoint.target}: {error.reason or error}")
    if isinstance(error, TimeoutError):
        return Unavailable(f"{endpoint.target}: no answer in time")
    return Unavailable(f"{endpoint.target}: {error}")
