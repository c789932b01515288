"""What the network is told at its start, and the limits it keeps. Values only."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from ssl import PEM_cert_to_DER_cert

from catenet.types.ids import Address

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where another node listens for peers."""

    address: Address
    name: str
    """The name in its certificate."""
    target: str
    """host:port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNode:
    """Who this node is, as `Hello` says it."""

    chain_id: str
    address: Address
    """Of the vote key; of an observer, of its node key."""
    node_id: str
    sign: Callable[[bytes], bytes]
    """Signs the domain-separated text of a `Proof` with the key of `address`."""
    software: str = "catenet"
    caps: tuple[str, ...] = ()
    min_version: int = PROTOCOL_VERSION
    max_version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsIdentity:
    """The node's certificate, and the judge of others'."""

    ca: bytes
    """PEM, as the next two."""
    certificate: bytes
    key: bytes
    identify: Callable[[bytes], str]
    """Return the node's name in a certificate (DER); raise `Unauthenticated` (security/identity.py)."""

    @property
    def certificate_hash(self) -> bytes:
        """sha256 of the own certificate, which `Hello` names."""
        return sha256(PEM_cert_to_DER_cert(self.certificate.decode())).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Limits and times. The defaults are those of consensus.md 5.3 and communication.md 3."""

    listen: str = "127.0.0.1:0"
    ping_s: float = 5.0
    ping_misses: int = 3
    """A control connection that is silent for so many pings is closed."""
    handshake_s: float = 5.0
    reconnect_s_max: float = 1.0
    """Cap of the back-off, which has full jitter."""
    higher_dials_after_s: float = 2.0
    """The node with the higher address dials too when the lower one has not connected for so long."""
    control_outbox_bytes: int = 1024 * 1024
    control_outbox_frames: int = 4096
    bulk_outbox_bytes: int = 8 * 1024 * 1024
    """Twice PIPE: what the core pushes to one peer unacknowledged always fits."""
    bulk_outbox_frames: int = 4096
    calls_per_peer: int = 8
    """Fetch and Blocks calls of one peer that are served at a time."""
    run_bytes_max: int = 8 * 1024 * 1024
    """Blocks served in one call that does not follow."""
    stop_grace_s: float = 1.0
