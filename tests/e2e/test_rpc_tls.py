"""The JSON-RPC of a real node over TLS, with a token: used by who trusts and knows it, closed to others."""

import asyncio
import json
import ssl
import subprocess
from base64 import b64encode
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from catenet.client.light.connect import connect as connect_light
from catenet.types.errors import InvalidInput, Unavailable
from support.certificates import certificate
from support.cluster import Cluster, cluster

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

TOKEN = "o8Rn1vXc"
KNOWN = {"authorization": f"Bearer {TOKEN}"}
WITHIN_S = 10


def settings(folder: Path) -> tuple[str, ...]:
    """Make a certificate and a token; returns what a node is told of them."""
    files = certificate(folder, "node")
    files.key.chmod(0o600)
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    return (
        f"rpc.tls_certificate={files.certificate}",
        f"rpc.tls_key={files.key}",
        f"rpc.token_file={token}",
    )


def test_a_node_is_used_over_tls_and_closed_to_strangers(tmp_path: Path) -> None:
    async def scenario() -> None:
        told = settings(tmp_path)
        with cluster(tmp_path / "net", count=1, with_rpc=True, settings=told) as net:
            net.start()
            await net.wait_ready()
            trust = ssl.create_default_context(cafile=tmp_path / "node.crt")
            place = net.rpc(0).removeprefix("http://")
            async with asyncio.timeout(60):
                await use(place, trust)
                await be_refused(place, trust)
            assert net.stop() == [0]

    asyncio.run(scenario())


async def use(place: str, trust: ssl.SSLContext) -> None:
    url, address = f"https://{place}", f"wss://{place}/websocket"
    tx = b64encode(b"name=Wei").decode()
    async with (
        httpx.AsyncClient(base_url=url, verify=trust, headers=KNOWN, timeout=WITHIN_S) as http,
        connect(address, ssl=trust, additional_headers=KNOWN) as socket,
    ):
        query = {"query": "tm.event='Tx'"}
        await socket.send(json.dumps({"id": 1, "method": "subscribe", "params": query}))
        assert json.loads(await socket.recv())["result"] == {}
        request = {"id": 2, "method": "broadcast_tx_commit", "params": {"tx": tx}}
        done = (await http.post("/", json=request)).json()["result"]
        event = json.loads(await socket.recv())["result"]["data"]["value"]["TxResult"]
        assert (event["tx"], event["height"]) == (tx, done["height"])
        found = await http.get('/abci_query?path="/store"&data="name"')
        assert found.json()["result"]["response"]["value"] == b64encode(b"Wei").decode()


async def be_refused(place: str, trust: ssl.SSLContext) -> None:
    url, address = f"https://{place}", f"wss://{place}/websocket"
    async with httpx.AsyncClient(base_url=url, timeout=WITHIN_S) as stranger:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await stranger.get("/health")
    async with httpx.AsyncClient(base_url=f"http://{place}", timeout=WITHIN_S) as plain:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await plain.get("/health", headers=KNOWN)
    for shown in ({}, {"authorization": "Bearer wrong"}):
        async with httpx.AsyncClient(base_url=url, verify=trust, headers=shown, timeout=WITHIN_S) as http:
            assert (await http.get("/health")).status_code == 401
            assert (await http.post("/", json={"id": 1, "method": "health"})).status_code == 401
        with pytest.raises(InvalidStatus):
            await connect(address, ssl=trust, additional_headers=shown)


def test_our_light_client_trusts_the_authority_that_it_is_given_and_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        certificate_of, key_of, _ = settings(tmp_path)
        with cluster(tmp_path / "net", count=1, with_rpc=True, settings=(certificate_of, key_of)) as net:
            net.start()
            await net.wait_height(1, 0, within_s=30)
            url = net.rpc(0).replace("http://", "https://")
            node = connect_light(url, tls_ca=tmp_path / "node.crt", timeout_s=WITHIN_S)
            assert (await node.light_block(1)).header.height == 1
            await node.close()
            stranger = connect_light(url, timeout_s=WITHIN_S)
            with pytest.raises(Unavailable, match="certificate"):
                await stranger.light_block(1)
            await stranger.close()

    asyncio.run(scenario())


def test_an_authority_that_is_none_is_named(tmp_path: Path) -> None:
    none = tmp_path / "none.pem"
    none.write_text("nothing")
    with pytest.raises(InvalidInput, match=rf"{none}: .*name a PEM file"):
        connect_light("https://127.0.0.1:1", tls_ca=none)


def test_a_node_with_a_certificate_that_is_not_there_says_so_and_ends(tmp_path: Path) -> None:
    told = settings(tmp_path)
    (tmp_path / "node.crt").unlink()
    with cluster(tmp_path / "net", count=1, with_rpc=True, settings=told) as net:
        net.start()
        assert ended(net) == 1
        said = net.log(0)
        for words in ("rpc.tls_certificate", str(tmp_path / "node.crt"), "name another file"):
            assert words in said
        assert "Traceback" not in said


def ended(net: Cluster) -> int:
    try:
        return net.exit_code(0, within_s=WITHIN_S)
    except subprocess.TimeoutExpired:
        raise AssertionError("the node runs without its certificate") from None
