"""TLS under the JSON-RPC: who is let in, what is told to whom, and files that do not fit."""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import TypeAlias

import httpx
import pytest
import uvloop
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from catenet.api.server import TlsFiles
from catenet.node.config import Endpoint, RpcConfig
from catenet.node.doors import listener_of
from catenet.rpc.limits import Limits
from catenet.rpc.tls import server_context
from catenet.types.errors import CatenetError
from support.certificates import certificate
from support.rpc import Caller, MemoryDesk, serving_rpc

PLAIN_REQUEST = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n" + b'{"id": 1, "method": "health"} '
)
BRIEF = Limits(read_s=0.2)

Run: TypeAlias = Callable[[Coroutine[None, None, None]], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Return what runs a scenario: on asyncio's loop, and on the one that nodes have."""

    def with_loop(scenario: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(scenario)

    return with_loop


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return pair(tmp_path, "ours")


def pair(folder: Path, name: str) -> TlsFiles:
    (folder / name).mkdir()
    made = certificate(folder / name, name)
    made.key.chmod(0o600)
    return made


def test_a_query_a_subscription_and_a_long_answer_go_through_tls(run: Run, files: TlsFiles) -> None:
    async def scenario() -> None:
        desk = MemoryDesk()
        desk.node.ledger.commit([b"x" * 300_000])
        async with serving_rpc(desk=desk, tls=files) as caller, caller.socket() as socket:
            assert await caller.result("health") == {}
            assert len(str(await caller.result("block", height="1"))) > 300_000
            await socket.call("subscribe", query="tm.event='NewBlock'")
            desk.node.ledger.commit([b"a=1"])
            assert "NewBlock" in str(await socket.receive())

    run(scenario())


def test_what_comes_right_behind_the_handshake_is_not_lost(run: Run, files: TlsFiles) -> None:
    async def scenario() -> None:
        async with serving_rpc(tls=files) as caller:
            for _ in range(20):
                reader, writer = await opened(caller, files)
                writer.write(PLAIN_REQUEST)
                async with asyncio.timeout(5):
                    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
                writer.close()

    run(scenario())


async def opened(caller: Caller, files: TlsFiles) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = caller.address.partition(":")
    trust = ssl.create_default_context(cafile=files.certificate)
    return await asyncio.open_connection(host, int(port), ssl=trust, server_hostname=host)


def test_who_does_not_trust_the_certificate_does_not_speak(run: Run, files: TlsFiles, tmp_path: Path) -> None:
    other = ssl.create_default_context(cafile=pair(tmp_path, "theirs").certificate)

    async def scenario() -> None:
        async with serving_rpc(tls=files) as caller:
            async with httpx.AsyncClient(base_url=f"https://{caller.address}", verify=other) as stranger:
                with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
                    await stranger.get("/health")
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(f"wss://{caller.address}/websocket", ssl=other)
            assert await caller.result("health") == {}

    run(scenario())


def test_plaintext_is_ended_and_not_answered(run: Run, files: TlsFiles) -> None:
    async def scenario() -> None:
        async with serving_rpc(tls=files) as caller:
            host, _, port = caller.address.partition(":")
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(PLAIN_REQUEST)
                assert b"HTTP" not in await until_end(reader)
                writer.close()
            async with httpx.AsyncClient(base_url=f"http://{caller.address}") as plain:
                with pytest.raises(httpx.TransportError):
                    await plain.get("/health")
            assert await caller.result("health") == {}

    run(scenario())


def hello() -> bytes:
    """Return the first word of a client: a whole ClientHello."""
    out = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="node")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def test_handshakes_of_rubbish_of_half_a_word_and_of_who_leaves_end_nothing_else(
    run: Run, files: TlsFiles
) -> None:
    async def scenario() -> None:
        async with serving_rpc(tls=files) as caller:
            host, _, port = caller.address.partition(":")
            chance, word = Random(1), hello()
            for number in range(60):
                said = (chance.randbytes(80), word[: chance.randrange(len(word))], word)[number % 3]
                _, writer = await asyncio.open_connection(host, int(port))
                writer.write(said)
                if number % 2:
                    await writer.drain()
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                writer.close()
            assert await caller.result("health") == {}

    run(scenario())


async def until_end(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


def test_who_says_nothing_is_cut_in_time_as_without_tls(run: Run, files: TlsFiles) -> None:
    async def scenario() -> None:
        async with serving_rpc(tls=files, limits=BRIEF) as caller:
            host, _, port = caller.address.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            async with asyncio.timeout(5):
                assert await until_end(reader) == b""
            writer.close()

    run(scenario())


def test_silent_connections_count_and_the_oldest_gives_way(run: Run, files: TlsFiles) -> None:
    async def scenario() -> None:
        limits = Limits(connections=5)
        async with serving_rpc(tls=files, limits=limits) as caller, AsyncExitStack() as stack:
            host, _, port = caller.address.partition(":")
            readers = []
            for _ in range(30):
                reader, writer = await asyncio.open_connection(host, int(port))
                stack.callback(writer.close)
                readers.append(reader)
            async with asyncio.timeout(5):
                for reader in readers[:25]:
                    assert await until_end(reader) == b""
            assert not any(reader.at_eof() for reader in readers[26:])
            assert await caller.result("health") == {}

    run(scenario())


def test_a_server_with_handshakes_under_way_stops(run: Run, files: TlsFiles) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(5), serving_rpc(tls=files) as caller:
            host, _, port = caller.address.partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            assert await caller.result("health") == {}
        assert await until_end(reader) == b""
        writer.close()

    run(scenario())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("certificate_missing", ("rpc.tls_certificate", "node.crt", "No such file", "name another file")),
        ("certificate_rubbish", ("rpc.tls_certificate", "node.crt", "holds no certificate", "as PEM")),
        ("certificate_folder", ("rpc.tls_certificate", "node.crt", "Is a directory", "name another file")),
        ("key_missing", ("rpc.tls_key", "node.key", "is not there", "name another file")),
        ("key_rubbish", ("rpc.tls_key", "node.key", "holds no private key", "as PEM")),
        ("key_encrypted", ("rpc.tls_key", "node.key", "is encrypted", "write it decrypted")),
        ("key_of_another", ("rpc.tls_key", "node.key", "is not the key", "name a pair")),
        ("key_open", ("rpc.tls_key", "node.key", "has mode 0644", "chmod 600")),
    ],
)
def test_files_that_do_not_fit_are_named_with_a_remedy(
    files: TlsFiles, tmp_path: Path, damage: str, words: tuple[str, ...]
) -> None:
    harm(damage, files, tmp_path)
    rpc = RpcConfig(listen=Endpoint("127.0.0.1", 0), tls_certificate="ours/node.crt", tls_key="ours/node.key")
    with pytest.raises(CatenetError) as caught:
        read_files(rpc, tmp_path)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def read_files(rpc: RpcConfig, folder: Path) -> None:
    found = listener_of(rpc, folder)
    assert found.certificate is not None
    assert found.key is not None
    server_context(found.certificate, found.key)


def harm(damage: str, files: TlsFiles, folder: Path) -> None:
    what, _, how = damage.partition("_")
    path = files.certificate if what == "certificate" else files.key
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    match how:
        case "missing":
            path.unlink()
        case "rubbish":
            path.write_text("rubbish")
        case "folder":
            path.unlink()
            path.mkdir()
        case "encrypted":
            form, locked = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
            path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, locked))
        case "of_another":
            path.write_bytes(pair(folder, "theirs").key.read_bytes())
        case "open":
            path.chmod(0o644)
        case _:
            raise AssertionError(damage)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0o600, "is not there"),
        (b" \n", 0o600, "is empty"),
        (b"\xff\xfe", 0o600, "is no text"),
        (b"secret", 0o640, "has mode 0640"),
    ],
)
def test_a_token_file_that_is_none_is_named(
    tmp_path: Path, content: bytes | None, mode: int, words: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
        os.chmod(path, mode)
    rpc = RpcConfig(listen=Endpoint("127.0.0.1", 0), token_file="token")
    with pytest.raises(CatenetError, match=words) as caught:
        listener_of(rpc, tmp_path)
    assert str(caught.value).startswith(f"rpc.token_file: {path}")


def test_a_token_is_asked_for_on_every_way_in(files: TlsFiles) -> None:
    request = {"id": 1, "method": "health"}

    async def scenario() -> None:
        async with serving_rpc(tls=files, token="secret") as caller:
            trust = ssl.create_default_context(cafile=files.certificate)
            address = f"wss://{caller.address}/websocket"
            for given in ("", "Bearer wrong", "Bearer", "Bearer secrets", "Basic secret", "secret"):
                headers = {"authorization": given} if given else {}
                for answer in (
                    await caller.http.get("/health", headers=headers),
                    await caller.http.get("/", headers=headers),
                    await caller.http.post("/", json=request, headers=headers),
                ):
                    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
                    assert "result" not in answer.text
                with pytest.raises(InvalidStatus) as caught:
                    await connect(address, ssl=trust, additional_headers=headers)
                assert caught.value.response.status_code == 403
            shown = {"authorization": "Bearer secret"}
            assert (await caller.http.get("/health", headers=shown)).json()["result"] == {}
            assert (await caller.http.post("/", json=request, headers=shown)).json()["result"] == {}
            known = Caller(caller.http, caller.address, trust=trust, token="secret")
            async with known.socket() as socket:
                assert (await socket.call("health"))["result"] == {}

    asyncio.run(scenario())
