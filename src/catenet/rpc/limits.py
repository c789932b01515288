"""The bounds of the JSON-RPC, in one table: the reference's defaults. Each refusal names the bound it met."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may ask for at once."""

    body_bytes: int = 1_000_000
    """One request, over HTTP or WebSocket."""

    batch_requests: int = 10
    """Requests in one batch."""

    connections: int = 900
    """Open connections; one more is closed at once."""

    page_default: int = 30
    page_max: int = 100
    """Items in one page."""

    blockchain_headers: int = 20
    """Headers in one answer of `blockchain`."""

    query_bytes: int = 512
    """Length of an event query."""

    subscription_clients: int = 100
    """Clients with subscriptions at once."""

    subscriptions_per_client: int = 5

    subscription_buffer: int = 200
    """Events that wait for one slow reader before its subscription is cancelled."""

    socket_bytes: int = 16 * 1024 * 1024
    """Bytes that wait for one WebSocket: above it no request is taken, and subscriptions end."""

    commit_s: float = 10.0
    """How long `broadcast_tx_commit` waits for the block."""

    admit_s: float = 10.0
    """How long `broadcast_tx_sync` waits for the application's check."""

    write_s: float = 10.0
    """How long a message may wait for a reader that does not read."""

    read_s: float = 10.0
    """How long a request may take to arrive, and a connection may be idle between requests."""

    ping_s: float = 27.0
    """From one WebSocket ping to the next."""

    async_txs: int = 5_000
    """`broadcast_tx_async` calls whose check is still to come."""

    socket_calls: int = 64
    """Transactions of one WebSocket in processing; the next request is not read before one is answered."""
