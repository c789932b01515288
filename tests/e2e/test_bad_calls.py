"""Bad input at the ports of a real network: a clear refusal, and no other effect."""

import asyncio
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import grpc
import pytest

from catenet.chain.keys import PrivateKey, parse_key_file
from catenet.client.sdk import Client
from catenet.network.handshake import proof_text
from catenet.security.ca import issue_node, make_ca
from catenet.types.errors import InvalidInput, NotFound, PastTip
from catenet.types.events import Level
from catenet.wire.hello import Hello, Proof, decode_hello, encode_hello, encode_proof
from catenet.wire.seed import blockchain_pb2 as seed
from support.cluster import Cluster, cluster
from support.http2 import answered_stream, call_path

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

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
MALFORMED = (b"\x0a\xff", b"\x4f", b"\xff" * 12, b"\x00")
CONTROL = "/catenet.wire.v1.Peer/Control"
TX_BYTES_MAX = 256 * 1024


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("bad") / "net") as made:
        made.start()
        asyncio.run(made.wait_ready())
        yield made


@asynccontextmanager
async def unharmed(net: Cluster) -> AsyncIterator[Client]:
    """Check that the body leaves all nodes running, serving, and committing."""
    restarts = [net.pid(index) for index in range(4)]
    async with net.client(0) as client:
        yield client
        receipt = await client.send(b"after-%s=x" % secrets.token_hex(4).encode(), Level.COMMITTED)
    await net.wait_height(receipt.height, within_s=10)
    assert [net.pid(index) for index in range(4)] == restarts
    assert not [entry for index in range(4) for entry in net.events(index, "handler_failed")]


async def refusal(channel: grpc.aio.Channel, method: str, *data: bytes) -> grpc.aio.AioRpcError:
    """Call a method with raw messages; returns the error that it answers."""
    # Seen from the wire all kinds of methods are streams of frames: one kind of call drives them all.
    call: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
    stream = call(timeout=10)
    with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError):
        for each in data:
            await stream.write(each)
        await stream.done_writing()
    try:
        while await stream.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError(f"{method} accepted {data!r}")


def test_malformed_messages_are_refused_on_every_public_method(net: Cluster) -> None:
    async def body() -> None:
        async with unharmed(net), grpc.aio.insecure_channel(net.targets[0]) as channel:
            for method, message in METHODS.items():
                for data in MALFORMED:
                    error = await refusal(channel, method, data)
                    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, method
                    assert error.details() == f"malformed {message}"

    asyncio.run(body())


def test_transactions_and_heights_out_of_bounds_are_refused(net: Cluster) -> None:
    async def body() -> None:
        async with unharmed(net) as client, grpc.aio.insecure_channel(net.targets[0]) as channel:
            with pytest.raises(InvalidInput, match="empty"):
                await client.send(b"")
            with pytest.raises(InvalidInput, match=f"{TX_BYTES_MAX + 1} bytes; the limit is {TX_BYTES_MAX}"):
                await client.send(b"a=" + bytes(TX_BYTES_MAX - 1))
            with pytest.raises(NotFound):
                await client.block(secrets.token_bytes(32))
            assert not (await client.transaction(secrets.token_bytes(32))).found
            # Work and its proof block: the next one is the heartbeat, in ten seconds.
            tip = (await client.send(b"tip=x", Level.COMMITTED)).height + 1
            await net.wait_height(tip, within_s=5)
            with pytest.raises(PastTip, match=str(tip)):
                await client.block(tip + 2)
            for start in (0, tip + 2):
                request = seed.SyncRequest(start_height=start).SerializeToString()
                error = await refusal(channel, "/blockchain.BlockSyncService/SyncBlocks", request)
                assert error.code() is grpc.StatusCode.OUT_OF_RANGE
                assert str(tip) in (error.details() or "")

    asyncio.run(body())


def test_a_path_that_is_no_utf_8_leaves_the_server_serving(net: Cluster) -> None:
    async def body() -> None:
        async with unharmed(net):
            for target in net.targets:
                host, _, port = target.rpartition(":")
                for path in (b"/blockchain.Node/\xff\xfe", b"\xff", b"/\xc3\x28/\xa0\xa1"):
                    reader, writer = await asyncio.open_connection(host, int(port))
                    writer.write(call_path(path))
                    with suppress(asyncio.IncompleteReadError, ConnectionError):
                        assert await asyncio.wait_for(answered_stream(reader), 10) in (1, 3)
                    writer.close()
            assert all([await net.status(index) for index in range(4)])

    asyncio.run(body())


def shake_hands(address: str, ca: Path, version: ssl.TLSVersion) -> str | None:
    """Open TLS of one version; returns the version that was agreed on."""
    context = ssl.create_default_context(cafile=str(ca))
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    host, _, port = address.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        return tls.version()


def test_tls_1_2_is_refused_on_both_ports(net: Cluster) -> None:
    for address in (net.tls(1), net.peer(1)):
        assert shake_hands(address, net.ca, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            shake_hands(address, net.ca, ssl.TLSVersion.TLSv1_2)


class Impostor:
    """What node 3 has, to be used wrongly at the peer port of node 0."""

    def __init__(self, net: Cluster) -> None:
        config = net.home(3) / "config"
        self.ca = net.ca.read_bytes()
        self.key = (config / "tls/node.key").read_bytes()
        self.certificate = (config / "tls/node.pem").read_bytes()
        self.vote: PrivateKey = parse_key_file((config / "priv_validator_key.json").read_text())
        self.hello = Hello(
            min_version=1,
            max_version=1,
            chain_id=net.network.chain_id,
            address=self.vote.public.address,
            nonce=secrets.token_bytes(32),
            node_id="impostor",
            certificate=sha256(ssl.PEM_cert_to_DER_cert(self.certificate.decode())).digest(),
        )

    def channel(self, target: str) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)
        return grpc.aio.secure_channel(target, credentials)


def test_the_peer_port_wants_a_certificate_of_the_networks_authority(net: Cluster) -> None:
    async def body() -> None:
        known, target = Impostor(net), net.peer(0)
        chain_id, now_ns = net.network.chain_id, time.time_ns()
        other = make_ca(chain_id=chain_id, now_ns=now_ns)
        foreign = issue_node(other, chain_id=chain_id, name="node3", now_ns=now_ns)
        hello = encode_hello(1, known.hello)
        none = grpc.ssl_channel_credentials(known.ca)
        stranger = grpc.ssl_channel_credentials(known.ca, foreign.key, foreign.certificate)
        async with unharmed(net):
            for credentials in (none, stranger):
                async with grpc.aio.secure_channel(target, credentials) as channel:
                    error = await refusal(channel, CONTROL, hello)
                    assert error.code() is grpc.StatusCode.UNAVAILABLE, "the connection never comes up"
            async with known.channel(target) as channel:
                error = await refusal(channel, CONTROL, b"\xff\xff")
                assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, "its own certificate connects"

    asyncio.run(body())


def test_another_chain_and_another_version_are_named_with_both_values(net: Cluster) -> None:
    async def body() -> None:
        known = Impostor(net)
        wrong = {
            "chain_id: peer says 'other-net', this node has 'e2e-net'": replace(
                known.hello, chain_id="other-net"
            ),
            "version: peer speaks 7 to 9, this node 1 to 1": replace(
                known.hello, min_version=7, max_version=9
            ),
        }
        async with unharmed(net), known.channel(net.peer(0)) as channel:
            for text, hello in wrong.items():
                error = await refusal(channel, CONTROL, encode_hello(1, hello))
                assert (error.code(), error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, text)

    asyncio.run(body())


def test_node_3_cannot_speak_as_node_2(net: Cluster) -> None:
    async def body() -> None:
        known = Impostor(net)
        other = parse_key_file((net.home(2) / "config/priv_validator_key.json").read_text())
        hello = replace(known.hello, address=other.public.address)
        async with unharmed(net), known.channel(net.peer(0)) as channel:
            call: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(CONTROL)
            stream = call(timeout=10)
            await stream.write(encode_hello(1, hello))
            answer = await stream.read()
            assert isinstance(answer, bytes)
            text = proof_text(signer=hello, other=decode_hello(answer)[1])
            await stream.write(encode_proof(2, Proof(signature=known.vote.sign(text))))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.read()
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert other.public.address.hex() in (caught.value.details() or "")

    asyncio.run(body())
