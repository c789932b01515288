"""One real node in this process, and raw bytes at each of its ports.

The node decides alone: it has nearly all the power. The other validators are whoever attacks.
"""

import asyncio
import gc
import os
import re
import secrets
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random

import grpc

from catenet.chain.genesis import Genesis
from catenet.chain.keys import PrivateKey, parse_key_file
from catenet.cli.homes import make_network
from catenet.client.sdk import Client
from catenet.network.handshake import proof_text
from catenet.node.assemble import run_node
from catenet.node.config_file import load
from catenet.storage.home import Home
from catenet.types.errors import CatenetError
from catenet.types.events import Level
from catenet.wire.hello import Hello, Proof, decode_hello, encode_hello, encode_proof
from catenet.wire.v1 import peer_pb2
from support.cluster import PORTS_PER_NODE, LowPorts, free_ports
from support.fuzzing.values import pick
from support.fuzzing.wire_targets import frame_of, from_kind
from support.network import until

CHAIN_ID = "fuzz-net"
PEER = "/catenet.wire.v1.Peer"
MEMBERS = 6
POWER = 100
"""Of the node that runs; the attackers have 1 each."""

READY_S = 20.0
CALL_S = 20.0
FOLLOW_S = 0.3
"""For methods that wait for blocks to come when they are asked to."""

FOLLOWING = ("/blockchain.BlockSyncService/SyncBlocks", f"{PEER}/Blocks")
FILES_MORE_MAX = 4
"""Open files more than before the attack, once it is over."""

LEAK = re.compile(r"Traceback|File \"|\w(Error|Exception)\b|object at 0x|\bsite-packages\b")
"""What gives away an exception's text or the inside of the program."""

BUGS = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)


HIDDEN = "Internal error from Core"
"""What this end says itself when it was still sending as the other end finished: not the node's words."""


class Fault(AssertionError):
    """A call ended as no call may."""


class Talk:
    """One call with streams both ways: seen from the wire, all kinds of methods are such."""

    def __init__(self, channel: grpc.aio.Channel, method: str, timeout_s: float = CALL_S) -> None:
        # Messages go through an iterator: a `write` after the other side has ended hides why it did.
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        opened: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(method)
        self._call = opened(self._requests(), timeout=timeout_s)
        self._answers = aiter(self._call)

    async def _requests(self) -> AsyncIterator[bytes]:
        while (message := await self._queue.get()) is not None:
            yield message

    def say(self, message: bytes | None) -> None:
        """Send a message; None ends this side."""
        self._queue.put_nowait(message)

    async def hear(self) -> bytes | None:
        """Return the next answer, None at the end. Raises AioRpcError."""
        return await anext(self._answers, None)

    def end(self) -> None:
        """Cancel the call, and let go of everything that it holds."""
        self._queue.put_nowait(None)
        self._call.cancel()


class FuzzedNode:
    """The node, and a count of how calls ended."""

    def __init__(self, folder: Path, first_port: int) -> None:
        layout = LowPorts(count=MEMBERS, first=first_port)
        make_network(folder, chain_id=CHAIN_ID, layout=layout)
        self.homes = [Home(folder / f"node{index}") for index in range(MEMBERS)]
        self.public = str(layout.listen(0).public_plaintext)
        self.peer = str(layout.peer(0))
        self.ends: Counter[str] = Counter()
        genesis = Genesis.from_json(self.homes[0].genesis.read_text())
        own = parse_key_file(self.homes[0].validator_key.read_text()).public
        members = [
            replace(member, power=POWER if member.public_key == own else 1) for member in genesis.validators
        ]
        self.homes[0].genesis.write_text(replace(genesis, validators=tuple(members)).to_json())

    async def ready(self, client: Client) -> None:
        """Wait until the node commits."""
        async with asyncio.timeout(READY_S):
            while True:
                with suppress(CatenetError):
                    await client.send(b"ready=%d" % len(self.ends), Level.COMMITTED)
                    return

    async def call(self, channel: grpc.aio.Channel, method: str, messages: Sequence[bytes]) -> None:
        """Send raw messages to a method of any kind, and note how the call ends. Raises `Fault`."""
        talk = Talk(channel, method, FOLLOW_S if method in FOLLOWING else CALL_S)
        for message in messages:
            talk.say(message)
        talk.say(None)
        try:
            # One answer is enough: streams go on for as long as somebody reads.
            self.ends["answered" if await talk.hear() is not None else "ended"] += 1
        except grpc.aio.AioRpcError as error:
            self.note(method, error)
        finally:
            talk.end()

    def note(self, what: str, error: grpc.aio.AioRpcError) -> None:
        """Count an error; raise `Fault` when it tells of a bug."""
        if error.details() == HIDDEN:
            self.ends["hidden"] += 1
            return
        self.ends[error.code().name] += 1
        if error.code() in BUGS or LEAK.search(error.details() or ""):
            raise Fault(f"{what}: {error.code().name} {error.details()}")


class Attacker:
    """A validator who says what it likes at the peer port."""

    def __init__(self, node: FuzzedNode, index: int) -> None:
        home = node.homes[index]
        tls = home.config / "tls"
        self._node = node
        self._ca = (tls / "ca.pem").read_bytes()
        self._pair = (tls / "node.key").read_bytes(), (tls / "node.pem").read_bytes()
        self._vote: PrivateKey = parse_key_file(home.validator_key.read_text())

    @property
    def hello(self) -> Hello:
        """Return a true Hello."""
        return Hello(
            min_version=1,
            max_version=1,
            chain_id=CHAIN_ID,
            address=self._vote.public.address,
            nonce=secrets.token_bytes(32),
            node_id="attacker",
            certificate=sha256(ssl.PEM_cert_to_DER_cert(self._pair[1].decode())).digest(),
        )

    def channel(self) -> grpc.aio.Channel:
        """Open a connection with its own certificate."""
        credentials = grpc.ssl_channel_credentials(self._ca, *self._pair)
        return grpc.aio.secure_channel(self._node.peer, credentials)

    async def prove(self, channel: grpc.aio.Channel) -> "Talk":
        """Open Control and prove who this is. Raises AioRpcError when it is refused, as after a ban."""
        talk, own = Talk(channel, f"{PEER}/Control"), self.hello
        talk.say(encode_hello(1, own))
        peer = decode_hello(await talk.hear() or b"")[1]
        signature = self._vote.sign(proof_text(signer=own, other=peer))
        talk.say(encode_proof(2, Proof(signature=signature)))
        assert await talk.hear() is not None
        return talk

    async def attack(self, random: Random, times: int) -> None:
        """Say everything that can be said on every method, well-formed and not. Raises `Fault`."""
        node = self._node
        async with self.channel() as channel:
            for _ in range(times):
                for method in ("Control", "Push"):
                    for kind in ("hello", "proof"):
                        await node.call(channel, f"{PEER}/{method}", [frame_of(kind)(random)])
                talk = await self.prove(channel)
                for method, asked in (("Fetch", peer_pb2.Wanted), ("Blocks", peer_pb2.BlocksRequest)):
                    await node.call(channel, f"{PEER}/{method}", [from_kind(asked)(random)])
                frames = [from_kind(peer_pb2.Frame)(random) for _ in range(pick(random, (1, 1, 8)))]
                await node.call(channel, f"{PEER}/Push", [encode_hello(1, self.hello), *frames])
                await self._speak(talk, frames)

    async def _speak(self, talk: "Talk", frames: Sequence[bytes]) -> None:
        for frame in (*frames, None):
            talk.say(frame)
        try:
            while await talk.hear() is not None:
                pass
            self._node.ends["ended"] += 1
        except grpc.aio.AioRpcError as error:
            self._node.note("Control", error)
        finally:
            talk.end()


def open_files() -> int:
    """Return how many files and sockets this process has open."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def fuzzed_node(folder: Path) -> AsyncIterator[FuzzedNode]:
    """Run a node for the length of the body; it must end by a signal alone, in good order."""
    node = FuzzedNode(folder, free_ports(PORTS_PER_NODE * MEMBERS))
    root = node.homes[0].root
    task = asyncio.create_task(run_node(root, config=load(root).config))
    try:
        async with Client([node.public]) as client:
            await node.ready(client)
            files = open_files()
            yield node
            assert not task.done(), "the node has ended"
            await client.send(b"after=the attack", Level.COMMITTED)
            await until(lambda: open_files() <= files + FILES_MORE_MAX, seconds=READY_S)
    finally:
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, READY_S) == 0
