"""What the peer port refuses: certificates, chains, versions, addresses, frames, TLS 1.2, broken HTTP/2."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from catenet.network.config import TlsIdentity
from catenet.network.handshake import proof_text
from catenet.types.messages import Status
from catenet.wire.convert import encode_frame
from catenet.wire.hello import Hello, Proof, decode_hello, encode_hello, encode_proof
from catenet.wire.v1 import peer_pb2 as pb
from support.network import (
    CHAIN,
    Running,
    authority,
    certificate,
    connected,
    network,
    status,
    tls_of,
    until,
    vote_key,
)

pytestmark = pytest.mark.slow


def hello(index: int, tls: TlsIdentity, **changes: object) -> Hello:
    """Return the Hello of node `index`, with planted changes."""
    honest = Hello(
        min_version=1,
        max_version=1,
        chain_id=CHAIN,
        address=vote_key(index).public.address,
        nonce=bytes(32),
        node_id="x",
        certificate=tls.certificate_hash,
    )
    return replace(honest, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def channel_to(node: Running, tls: TlsIdentity | None) -> AsyncIterator[grpc.aio.Channel]:
    """Open a bare channel to a node's peer port with a certificate of choice."""
    credentials = grpc.ssl_channel_credentials(
        authority().certificate, tls.key if tls else None, tls.certificate if tls else None
    )
    async with grpc.aio.secure_channel(f"127.0.0.1:{node.peers.port}", credentials) as channel:
        yield channel


async def talk(
    channel: grpc.aio.Channel, frames: Sequence[bytes], method: str = "Control"
) -> grpc.aio.AioRpcError:
    """Send frames on a stream and return the status that it ends with."""
    opened: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
    opened = channel.stream_stream(f"/catenet.wire.v1.Peer/{method}")
    call = opened(timeout=5)
    try:
        for frame in frames:
            await call.write(frame)
        await read_all(call)
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the stream was not refused")


async def read_all(call: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
    """Read until the stream ends."""
    while await call.read() is not grpc.aio.EOF:
        pass


async def prove(
    channel: grpc.aio.Channel, index: int, tls: TlsIdentity
) -> grpc.aio.StreamStreamCall[bytes, bytes]:
    """Do the dialler's side of the handshake by hand."""
    opened: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
    opened = channel.stream_stream("/catenet.wire.v1.Peer/Control")
    call = opened(timeout=10)
    own = hello(index, tls)
    await call.write(encode_hello(1, own))
    answer = await call.read()
    assert isinstance(answer, bytes)
    _, peer = decode_hello(answer)
    signature = vote_key(index).sign(proof_text(signer=own, other=peer))
    await call.write(encode_proof(2, Proof(signature=signature)))
    assert isinstance(await call.read(), bytes)
    return call


REFUSED = [
    (
        {"chain_id": "other"},
        grpc.StatusCode.FAILED_PRECONDITION,
        "chain_id: peer says 'other', this node has 'test-chain'",
    ),
    (
        {"min_version": 2, "max_version": 3},
        grpc.StatusCode.FAILED_PRECONDITION,
        "version: peer speaks 2 to 3, this node 1 to 1",
    ),
    ({"certificate": bytes(32)}, grpc.StatusCode.UNAUTHENTICATED, "certificate: peer says " + "00" * 32),
    ({"address": bytes(20)}, grpc.StatusCode.PERMISSION_DENIED, "which is no member of 'test-chain'"),
    ({"nonce": b"short"}, grpc.StatusCode.INVALID_ARGUMENT, "malformed catenet.wire.v1.Hello"),
]


@pytest.mark.parametrize(("changes", "code", "text"), REFUSED)
def test_a_hello_that_does_not_fit_is_refused_with_both_values(
    changes: dict[str, object], code: grpc.StatusCode, text: str
) -> None:
    async def body() -> None:
        async with network(2) as net:
            node = await net.start(0)
            tls = tls_of("node1")
            async with channel_to(node, tls) as channel:
                error = await talk(channel, [encode_hello(1, hello(1, tls, **changes))])
            assert (error.code(), text in (error.details() or "")) == (code, True), error.details()
            assert node.handler.links == []

    asyncio.run(body())


def test_node_a_cannot_speak_as_node_b() -> None:
    async def body() -> None:
        async with network(3) as net:
            node = await net.start(0)
            tls = tls_of("node1")
            async with channel_to(node, tls) as channel:
                # Its own certificate, the address of node 2, and a signature by its own key.
                own = hello(2, tls)
                proof = vote_key(1).sign(b"anything")
                error = await talk(channel, [encode_hello(1, own), encode_proof(2, Proof(signature=proof))])
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "proof: the signature is not one of" in (error.details() or "")
            assert node.handler.links == []

    asyncio.run(body())


def test_a_proof_of_another_connection_is_worthless() -> None:
    async def body() -> None:
        async with network(2) as net:
            node = await net.start(0)
            tls = tls_of("node1")
            async with channel_to(node, tls) as channel:
                own = hello(1, tls)
                # Signed for a peer whose nonce was another: a replay.
                other = replace(hello(0, tls_of("node0")), nonce=bytes([9]) * 32)
                proof = vote_key(1).sign(proof_text(signer=own, other=other))
                error = await talk(channel, [encode_hello(1, own), encode_proof(2, Proof(signature=proof))])
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(body())


def test_calls_before_the_proof_or_with_another_certificate_are_refused() -> None:
    async def body() -> None:
        async with network(2) as net:
            node = await net.start(0)
            for tls in (tls_of("node1"), tls_of("node7")):
                async with channel_to(node, tls) as channel:
                    error = await talk(channel, [encode_hello(1, hello(1, tls))], "Push")
                    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
                    assert "not proven: open Control first" in (error.details() or "")
            tls = tls_of("node1")
            async with channel_to(node, tls) as proven, channel_to(node, tls_of("node7")) as other:
                await prove(proven, 1, tls)
                await until(lambda: len(node.peers.connected) == 1)
                error = await talk(other, [encode_hello(1, hello(1, tls_of("node7")))], "Push")
                assert error.code() is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(body())


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"\xff\xff\xff", "malformed catenet.wire.v1.Frame"),
        (pb.Frame(msgs=[pb.Msg(vote=b"\x01")]).SerializeToString(), "malformed vote"),
        (
            pb.Frame(msgs=[pb.Msg(evidence=bytes(1_100_000))]).SerializeToString(),
            "at most 1048576 are allowed",
        ),
    ],
)
def test_a_malformed_frame_ends_the_stream_with_a_fixed_text(frame: bytes, text: str) -> None:
    async def body() -> None:
        async with network(2) as net:
            node = await net.start(0)
            tls = tls_of("node1")
            async with channel_to(node, tls) as channel:
                call = await prove(channel, 1, tls)
                await call.write(encode_frame(5_000, [status(3)]))
                await until(lambda: node.handler.of(Status) == [status(3)])
                assert node.peers.clock.time > 5_000
                await call.write(frame)
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await read_all(call)
                assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
                assert text in (caught.value.details() or "")
            assert [up for _, up in node.handler.links] == [True, False]
            assert len(node.handler.messages) == 1

    asyncio.run(body())


def test_malformed_requests_of_the_other_methods_are_invalid_too() -> None:
    async def body() -> None:
        async with network(2) as net:
            node = await net.start(0)
            tls = tls_of("node1")
            async with channel_to(node, tls) as channel:
                await prove(channel, 1, tls)
                await until(lambda: len(node.peers.connected) == 1)
                for method in ("Fetch", "Blocks"):
                    ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
                    ask = channel.unary_stream(f"/catenet.wire.v1.Peer/{method}")
                    with pytest.raises(grpc.aio.AioRpcError) as caught:
                        await ask(b"\xff\xff", timeout=5).read()
                    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
                    assert (caught.value.details() or "").startswith("malformed catenet.wire.v1.")

    asyncio.run(body())


def test_without_a_certificate_or_with_one_of_another_ca_nothing_is_served() -> None:
    async def body() -> None:
        async with network(2) as net:
            node = await net.start(0)
            stranger = tls_of("node1", number=1)
            for tls in (None, stranger):
                async with channel_to(node, tls) as channel:
                    error = await talk(channel, [encode_hello(1, hello(1, stranger))])
                    assert error.code() is grpc.StatusCode.UNAVAILABLE
            assert node.handler.links == []

    asyncio.run(body())


def test_the_dialler_refuses_a_server_of_another_name_or_ca() -> None:
    async def body() -> None:
        async with network(3) as net:
            low, high, third = sorted(range(3), key=lambda index: vote_key(index).public.address)
            impostor = await net.start(high, name="node9")
            foreign = await net.start(third, tls=tls_of(f"node{third}", number=1))
            node = await net.start(low)
            await until(
                lambda: bool(node.peers.fault(impostor.address) and node.peers.fault(foreign.address))
            )
            assert f"is 'node9', not 'node{high}'" in node.peers.fault(impostor.address)
            assert "CERTIFICATE_VERIFY_FAILED" in node.peers.fault(foreign.address)
            assert not node.peers.connected

    asyncio.run(body())


def client_context(tmp_path: Path, *, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return OpenSSL's client with node 1's certificate and one TLS version."""
    pair = certificate("node1")
    path = tmp_path / "pair.pem"
    path.write_bytes(pair.key + pair.certificate)
    context = ssl.create_default_context(cadata=authority().certificate.decode())
    context.load_cert_chain(path)
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    return context


def test_tls_1_2_is_refused(tmp_path: Path) -> None:
    async def body() -> None:
        async with network(1) as net:
            port = (await net.start(0)).peers.port
            modern = client_context(tmp_path, version=ssl.TLSVersion.TLSv1_3)
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=modern)
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            writer.transport.abort()
            old = client_context(tmp_path, version=ssl.TLSVersion.TLSv1_2)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", port, ssl=old)

    asyncio.run(body())


def header(name: bytes, value: bytes) -> bytes:
    """Encode an HPACK literal without indexing."""
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def h2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Encode an HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


async def answer_on(reader: asyncio.StreamReader, stream: int) -> None:
    """Read HTTP/2 frames until one belongs to a stream."""
    while True:
        head = await reader.readexactly(9)
        await reader.readexactly(int.from_bytes(head[:3], "big"))
        if int.from_bytes(head[5:9], "big") == stream:
            return


def test_a_path_that_is_not_utf8_leaves_the_server_serving(tmp_path: Path) -> None:
    async def body() -> None:
        async with network(2) as net:
            node = await net.start(0)
            context = client_context(tmp_path, version=ssl.TLSVersion.TLSv1_3)
            reader, writer = await asyncio.open_connection("127.0.0.1", node.peers.port, ssl=context)
            headers = b"".join(
                header(name, value)
                for name, value in (
                    (b":method", b"POST"),
                    (b":scheme", b"https"),
                    (b":path", b"/\xff\xfe/\xc3("),
                    (b":authority", b"localhost"),
                    (b"content-type", b"application/grpc"),
                    (b"te", b"trailers"),
                )
            )
            writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + h2_frame(4, 0, 0, b""))
            writer.write(h2_frame(1, 4, 1, headers) + h2_frame(0, 1, 1, bytes(5)))
            await writer.drain()
            # An answer on stream 1 shows that the request came as far as the server's code.
            await asyncio.wait_for(answer_on(reader, 1), 5)
            writer.transport.abort()
            other = await net.start(1)
            await connected(node, other)
            assert node.peers.server_restarts == 0

    asyncio.run(body())
