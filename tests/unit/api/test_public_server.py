"""The public ports: bad bytes on every method, health, drain, taken ports, TLS, and a server that dies."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2

from catenet.api import services
from catenet.api.server import Listener, PublicServer, TlsFiles
from catenet.types.errors import InvalidInput, WrongState
from catenet.wire.seed import blockchain_pb2 as seed
from support.api import MemoryNode, serving, tx_id
from support.certificates import certificate

BAD = b"\x0a\xff"
"""A field that announces more bytes than there are, for a message with field 1; and below, field 9."""

METHODS = {
    "/blockchain.Node/GetLatestBlock": "blockchain.BlockRequest",
    "/blockchain.Node/BroadcastTransaction": "blockchain.Transaction",
    "/blockchain.Node/BroadcastTransactions": "blockchain.TransactionBatch",
    "/blockchain.Node/SubmitBatches": "blockchain.TransactionBatch",
    "/blockchain.BlockSyncService/SyncBlocks": "blockchain.SyncRequest",
    "/catenet.v1.Query/Status": "catenet.v1.StatusRequest",
    "/catenet.v1.Query/GetBlock": "catenet.v1.GetBlockRequest",
    "/catenet.v1.Query/GetBlocksByHeight": "catenet.v1.GetBlocksByHeightRequest",
    "/catenet.v1.Query/GetTransaction": "catenet.v1.GetTransactionRequest",
    "/catenet.v1.Query/GetTransactions": "catenet.v1.GetTransactionsRequest",
    "/catenet.v1.Query/Query": "catenet.v1.QueryRequest",
    "/catenet.v1.Query/QueryMany": "catenet.v1.QueryManyRequest",
    "/grpc.health.v1.Health/Check": "grpc.health.v1.HealthCheckRequest",
    "/grpc.health.v1.Health/Watch": "grpc.health.v1.HealthCheckRequest",
}

Body = Callable[[MemoryNode, PublicServer, grpc.aio.Channel], Awaitable[None]]


def drive(body: Body) -> None:
    async def main() -> None:
        node = MemoryNode()
        async with (
            serving(node) as server,
            grpc.aio.insecure_channel(server.addresses[0]) as channel,
            asyncio.timeout(10),
        ):
            await body(node, server, channel)

    asyncio.run(main())


async def check(channel: grpc.aio.Channel, name: str = "") -> int:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
    request = health_pb2.HealthCheckRequest(service=name)
    answer = health_pb2.HealthCheckResponse.FromString(await call(request.SerializeToString(), timeout=5))
    return answer.status


async def latest(channel: grpc.aio.Channel) -> seed.BlockResponse:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/blockchain.Node/GetLatestBlock"
    )
    return seed.BlockResponse.FromString(await call(b"", timeout=5, wait_for_ready=True))


@pytest.mark.parametrize(("method", "message"), METHODS.items())
@pytest.mark.parametrize("data", [BAD, b"\x4f", b"\xff" * 12, b"\x00"])
def test_bytes_that_do_not_parse_are_refused_on_every_method(method: str, message: str, data: bytes) -> None:
    async def body(node: MemoryNode, server: PublicServer, channel: grpc.aio.Channel) -> None:
        node.ledger.commit([b"a=1"])
        # Seen from the wire all four kinds are streams of frames: one kind of call drives them all.
        call: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        stream = call(timeout=5)
        with suppress(grpc.aio.AioRpcError):
            await stream.write(data)
            await stream.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert caught.value.details() == f"malformed {message}"
        assert node.submitted == []
        assert (await latest(channel)).height == 1, "the server goes on"

    drive(body)


def test_an_unknown_method_is_unimplemented() -> None:
    async def body(node: MemoryNode, server: PublicServer, channel: grpc.aio.Channel) -> None:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/blockchain.Node/Nothing")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED

    drive(body)


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def call_path(path: bytes) -> bytes:
    """Return the bytes of an HTTP/2 connection that calls `path` on stream 1, headers uncompressed."""
    headers = (
        b"\x83\x86"  # :method POST, :scheme http
        + (b"\x04" + bytes([len(path)]) + path)  # :path
        + b"\x01\x01x"  # :authority
        + b"\x0f\x10\x10application/grpc"  # content-type
        + b"\x00\x02te\x08trailers"
    )
    return (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + frame(4, 0, 0, b"")
        + frame(1, 4, 1, headers)
        + frame(0, 1, 1, bytes(5))
    )


async def answered_stream(reader: asyncio.StreamReader) -> int:
    """Read frames until one is of a call; return its kind."""
    while True:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if int.from_bytes(head[5:], "big"):
            return head[3]


@pytest.mark.parametrize("path", [b"/blockchain.Node/\xff\xfe", b"\xff", b"/\xc3\x28/\xa0\xa1"])
def test_a_path_that_is_no_utf_8_does_not_stop_the_server(path: bytes) -> None:
    async def body(node: MemoryNode, server: PublicServer, channel: grpc.aio.Channel) -> None:
        node.ledger.commit([b"a=1"])
        host, _, port = server.addresses[0].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(call_path(b"/blockchain.Node/GetLatestBlock"))
        assert await answered_stream(reader) == 1, "the bytes are right: a good path is answered by HEADERS"
        writer.close()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(call_path(path))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            assert await answered_stream(reader) in (1, 3)
        writer.close()
        assert (await latest(channel)).height == 1
        assert server.restarts == 0

    drive(body)


def test_health_is_serving_only_while_the_node_can_accept_work() -> None:
    async def body(node: MemoryNode, server: PublicServer, channel: grpc.aio.Channel) -> None:
        names = ("", services.NODE, services.SYNC, services.QUERY)
        for name in names:
            assert await check(channel, name) == health_pb2.HealthCheckResponse.SERVING
        node.catching_up = True
        for name in names:
            assert await check(channel, name) == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(channel, "blockchain.Nothing")
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    drive(body)


def test_drain_tells_the_watcher_ends_streams_and_lets_calls_in_flight_finish() -> None:
    async def body(node: MemoryNode, server: PublicServer, channel: grpc.aio.Channel) -> None:
        node.ledger.commit([b"a=1"])
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            "/grpc.health.v1.Health/Watch"
        )
        watching = watch(b"", timeout=10)
        told = [await watching.read()]
        sync: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            "/blockchain.BlockSyncService/SyncBlocks"
        )
        syncing = sync(seed.SyncRequest(start_height=1).SerializeToString(), timeout=10)
        await syncing.read()
        submit: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(
            "/blockchain.Node/SubmitBatches"
        )
        submitting = submit(timeout=10)
        node.gate.clear()
        batch = seed.TransactionBatch(sequence=1, transactions=[b"b=2"])
        await submitting.write(batch.SerializeToString())
        await node.entered(1)

        server.drain()
        assert await check(channel) == health_pb2.HealthCheckResponse.NOT_SERVING
        broadcast: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/blockchain.Node/BroadcastTransaction"
        )
        for refused in (broadcast(b"\x0a\x01x", timeout=5), syncing.read()):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await refused
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert caught.value.details() == "this node is shutting down: go on at another one"
        told += [await watching.read()]
        assert told == [b"\x08\x01", b"\x08\x02"], "SERVING, then NOT_SERVING"
        assert await watching.read() is grpc.aio.EOF

        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(server.stop(5))
            node.gate.set()
            ack = await submitting.read()
            assert ack == b"\x08\x01", "what was in processing is still answered: sequence 1"
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await submitting.read()
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            await stopping
        assert node.ledger.locate([tx_id(b"b=2")])

    drive(body)


def test_plaintext_is_refused_where_others_can_reach_it() -> None:
    for address in ("0.0.0.0:50051", "[::]:50051", "192.0.2.7:50051", "node.example:50051"):
        with pytest.raises(InvalidInput, match="plaintext on"):
            PublicServer(MemoryNode(), [Listener(address=address)])
    for address in ("127.0.0.1:50051", "127.9.9.9:1", "[::1]:50051", "localhost:50051"):
        PublicServer(MemoryNode(), [Listener(address=address)])
    for address in ("127.0.0.1", ":50051", "127.0.0.1:port", "127.0.0.1:65536"):
        with pytest.raises(InvalidInput, match="is not host:port"):
            PublicServer(MemoryNode(), [Listener(address=address)])


def test_a_taken_port_is_named_and_nothing_stays_open() -> None:
    async def main() -> None:
        with socket.socket() as taken, socket.socket() as free:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            listeners = [Listener(address="127.0.0.1:0"), Listener(address=f"127.0.0.1:{port}")]
            server = PublicServer(MemoryNode(), listeners)
            with pytest.raises(WrongState) as caught:
                await server.start()
            assert str(caught.value) == (
                f"cannot listen on 127.0.0.1:{port}: port {port} is taken by another process; "
                "stop that one, or choose another port"
            )
            host, _, first = server.addresses[0].rpartition(":")
            free.bind((host, int(first)))

    asyncio.run(main())


def test_two_nodes_do_not_share_a_port() -> None:
    async def body(node: MemoryNode, server: PublicServer, channel: grpc.aio.Channel) -> None:
        second = PublicServer(MemoryNode(), [Listener(address=server.addresses[0])])
        with pytest.raises(WrongState, match="is taken"):
            await second.start()

    drive(body)


def dial(address: str, ca: Path, version: ssl.TLSVersion) -> str:
    """Shake hands with a version of TLS; return the common name in the certificate."""
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        found = tls.getpeercert(binary_form=True)
        assert found is not None
        return x509.load_der_x509_certificate(found).subject.rfc4514_string()


def test_tls_serves_1_3_only_and_follows_the_certificate(tmp_path: Path) -> None:
    async def main() -> None:
        files = certificate(tmp_path, "first")
        server = PublicServer(MemoryNode(), [Listener(address="127.0.0.1:0", tls=files)])
        await server.start()
        address = server.addresses[0]
        dialled = await asyncio.to_thread(dial, address, files.certificate, ssl.TLSVersion.TLSv1_3)
        assert dialled == "CN=first"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(dial, address, files.certificate, ssl.TLSVersion.TLSv1_2)
        certificate(tmp_path, "second")
        dialled = await asyncio.to_thread(dial, address, files.certificate, ssl.TLSVersion.TLSv1_3)
        assert dialled == "CN=second"
        await server.stop(0)

    asyncio.run(main())


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    files = TlsFiles(certificate=tmp_path / "none.crt", key=tmp_path / "none.key")
    with pytest.raises(WrongState, match=r"none\.crt"):
        PublicServer(MemoryNode(), [Listener(address="127.0.0.1:0", tls=files)])


@pytest.mark.slow
def test_a_server_whose_loop_ends_is_back_within_a_second() -> None:
    async def body(node: MemoryNode, server: PublicServer, channel: grpc.aio.Channel) -> None:
        node.ledger.commit([b"a=1"])
        assert (await latest(channel)).height == 1
        (loop,) = [task for task in asyncio.all_tasks() if "_server_main_loop" in repr(task)]
        loop.cancel()
        await asyncio.wait({loop})
        await asyncio.sleep(1)
        assert server.restarts == 1
        assert (await latest(channel)).height == 1

    drive(body)
