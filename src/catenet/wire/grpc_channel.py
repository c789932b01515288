"""What all gRPC clients of ours share: the arguments of a channel. No channel is opened here."""

from catenet.wire.grpc_server import MESSAGE_BYTES_MAX, Option

RECONNECT_MS_MAX = 1000
"""Longest wait of gRPC's own between two attempts to connect: who is back is found within a second."""


def channel_options(*, own_connection: bool = False, server_name: str = "") -> list[Option]:
    """Return the arguments of a channel.

    `own_connection` keeps gRPC from sharing the connection with other channels to the same address;
    `server_name` is the name in the server's certificate, when it is not the host that is dialled.
    """
    options: list[Option] = [
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 500),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MS_MAX),
        ("grpc.keepalive_time_ms", 5000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.enable_http_proxy", 0),
        # Calls are retried by code that knows which are safe to repeat.
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
    ]
    if own_connection:
        options.append(("grpc.use_local_subchannel_pool", 1))
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    return options
