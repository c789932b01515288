"""The peer port: mutual TLS demanded, hardened, restarted in place. What is served there is in `service`."""

import grpc

from catenet.network.config import NetworkConfig, TlsIdentity
from catenet.wire.grpc_runner import ServerRunner
from catenet.wire.grpc_server import server_options

STREAMS_MAX = 32
"""Per connection: Control or Push, and a few Fetch and Blocks."""

WINDOW_BYTES = 1024 * 1024
CALLS_MAX = 1024


def peer_server(service: grpc.GenericRpcHandler, *, tls: TlsIdentity, config: NetworkConfig) -> ServerRunner:
    """Return the server of the peer port, not yet started."""
    credentials = grpc.ssl_server_credentials(
        [(tls.key, tls.certificate)], root_certificates=tls.ca, require_client_auth=True
    )
    return ServerRunner(
        address=config.listen,
        handlers=[service],
        options=server_options(streams_max=STREAMS_MAX, window_bytes=WINDOW_BYTES, ping_strikes=0),
        credentials=credentials,
        calls_max=CALLS_MAX,
    )
