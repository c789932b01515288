"""From the address of a node to a provider: JSON-RPC at http:// and https://, our services at grpc://."""

from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from catenet.client.light.provider import GrpcProvider, Provider
from catenet.client.sdk import Client
from catenet.types.errors import InvalidInput

if TYPE_CHECKING:
    from catenet.client.light.json_rpc import RpcProvider

TIMEOUT_S: Final = 3.0
"""Of one call, repetitions included: there are other nodes to ask."""


def connect(url: str, *, tls_ca: Path | None = None, timeout_s: float = TIMEOUT_S) -> Provider:
    """Return the node at an address; connecting happens with the first call. Raises `InvalidInput`.

    `tls_ca` names the authority of the nodes' certificates: `grpc://HOST:PORT` then speaks TLS, and `https://`
    trusts that authority alone instead of those that this machine trusts.
    """
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return rpc(url, tls_ca=tls_ca, timeout_s=timeout_s)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "grpc" or not parts.hostname or not port:
        raise InvalidInput(
            f"{url!r} is no node's address; write http://127.0.0.1:26657 or grpc://127.0.0.1:50051"
        )
    return GrpcProvider(Client([parts.netloc], tls_ca=tls_ca, timeout_s=timeout_s))


def rpc(url: str, *, tls_ca: Path | None = None, timeout_s: float = TIMEOUT_S) -> "RpcProvider":
    """Return the node at an address of JSON-RPC; the HTTP client is imported only now."""
    from catenet.client.light.json_rpc import RpcProvider

    return RpcProvider(url, tls_ca=tls_ca, timeout_s=timeout_s)
