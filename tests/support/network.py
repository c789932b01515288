"""Real network parts of nodes on loopback ports: identities, a recording handler, a running `Peers`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random

from catenet.chain.block_id import NIL
from catenet.chain.commit import Commit
from catenet.chain.keys import PrivateKey, PublicKey
from catenet.chain.validators import ValidatorSet
from catenet.network.config import Endpoint, LocalNode, NetworkConfig, TlsIdentity
from catenet.network.peers import Peers
from catenet.security.ca import KeyPair, issue_node, make_ca
from catenet.security.identity import CertificateChecker
from catenet.types.application import BlockOutcome
from catenet.types.errors import Unavailable
from catenet.types.ids import Address, TxId
from catenet.types.lamport import LamportClock
from catenet.types.messages import Found, Message, Status, Wanted
from catenet.types.ports import StoredBlock, TxLocation

CHAIN = "test-chain"
QUICK = NetworkConfig(reconnect_s_max=0.1, higher_dials_after_s=30, handshake_s=2, stop_grace_s=0.2)


def now_us() -> int:
    """Read the monotonic clock."""
    return time.monotonic_ns() // 1000


def authority(number: int = 0) -> KeyPair:
    """Return one CA per number, made once."""
    return _authority(number)


def certificate(name: str, number: int = 0) -> KeyPair:
    """Return a node's certificate by the CA of that number, made once."""
    return _certificate(name, number)


@cache
def _authority(number: int, /) -> KeyPair:
    assert number >= 0
    return make_ca(chain_id=CHAIN, now_ns=time.time_ns())


@cache
def _certificate(name: str, number: int, /) -> KeyPair:
    return issue_node(_authority(number), chain_id=CHAIN, name=name, now_ns=time.time_ns())


def vote_key(index: int) -> PrivateKey:
    """Return the vote key of node `index`."""
    return PrivateKey(seed=bytes([index + 1]) * 32)


def address_of(index: int) -> Address:
    """Return the address of node `index`."""
    return vote_key(index).public.address


def status(height: int, round: int = 0) -> Status:
    """Return a Status that says `height`."""
    return Status(
        height=height,
        round=round,
        step=1,
        due=False,
        prevotes=b"",
        precommits=b"",
        proposal=False,
        valid_round=-1,
        lowest=1,
        head_hash=b"",
    )


@dataclass
class Blocks:
    """A block reader over a list."""

    raws: Sequence[bytes] = ()
    lowest: int = 1

    @property
    def head(self) -> int:
        """Newest height."""
        return self.lowest + len(self.raws) - 1

    def block(self, height: int) -> StoredBlock | None:
        """Return a block with an empty commit of its height."""
        if not self.lowest <= height <= self.head:
            return None
        commit = Commit(height=height, round=0, block_id=NIL, signatures=())
        return StoredBlock(height=height, block_id=NIL, raw=self.raws[height - self.lowest], commit=commit)

    def height_of(self, block_hash: bytes) -> int | None:
        """Not used by peers."""
        raise NotImplementedError

    def locate(self, ids: Sequence[TxId]) -> Mapping[TxId, TxLocation]:
        """Not used by peers."""
        raise NotImplementedError

    def outcome(self, height: int) -> BlockOutcome | None:
        """Not used by peers."""
        raise NotImplementedError

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Not used by peers."""
        raise NotImplementedError


@dataclass
class Recorder:
    """A handler that keeps what it was told, and lets a test wait for it."""

    reader: Blocks = field(default_factory=Blocks)
    messages: list[tuple[Address, Message]] = field(default_factory=list)
    links: list[tuple[Address, bool]] = field(default_factory=list)
    found: Sequence[Found] = ()
    wanted: list[Wanted] = field(default_factory=list)
    pledged: int | None = None

    def on_messages(self, peer: Address, messages: Sequence[Message], size: int) -> None:
        """Keep the messages."""
        assert size > 0
        self.messages += [(peer, message) for message in messages]

    def on_link(self, peer: Address, *, up: bool) -> None:
        """Keep the change."""
        self.links.append((peer, up))

    async def on_fetch(self, peer: Address, wanted: Wanted) -> Sequence[Found]:
        """Answer with what the test laid down."""
        self.wanted.append(wanted)
        return self.found

    def pledge(self) -> int:
        """Answer with what the test laid down; None: takes no part."""
        if self.pledged is None:
            raise Unavailable("this node takes no part in consensus now")
        return self.pledged

    def of(self, kind: type[Message]) -> list[Message]:
        """Return the messages of one kind, in order of arrival."""
        return [message for _, message in self.messages if isinstance(message, kind)]


@dataclass
class Running:
    """One node's network part, running."""

    index: int
    peers: Peers
    handler: Recorder
    task: asyncio.Task[None]

    @property
    def address(self) -> Address:
        """Its address."""
        return address_of(self.index)

    async def stop(self) -> None:
        """Stop it and wait for the end."""
        self.peers.stop()
        await self.task


class Net:
    """Nodes that know each other by index; ports are filled in as they start."""

    def __init__(self, tasks: asyncio.TaskGroup, *, size: int) -> None:
        self.tasks = tasks
        self.size = size
        self.endpoints: dict[int, Endpoint] = {}
        self.running: list[Running] = []

    def members(self) -> Mapping[Address, PublicKey]:
        """Return all nodes' keys."""
        return {address_of(index): vote_key(index).public for index in range(self.size)}

    def local(self, index: int) -> LocalNode:
        """Return what node `index` says of itself."""
        key = vote_key(index)
        return LocalNode(chain_id=CHAIN, address=key.public.address, node_id=f"id{index}", sign=key.sign)

    async def start(
        self,
        index: int,
        *,
        config: NetworkConfig = QUICK,
        local: LocalNode | None = None,
        tls: TlsIdentity | None = None,
        port: int = 0,
        handler: Recorder | None = None,
        name: str | None = None,
    ) -> Running:
        """Start node `index`, which connects to all nodes started before and after it."""
        peers = Peers(
            local=local or self.local(index),
            tls=tls or tls_of(name or f"node{index}"),
            config=replace(config, listen=f"127.0.0.1:{port}"),
            endpoints=lambda: list(self.endpoints.values()),
            members=self.members,
            clock=LamportClock(),
            random=Random(index),
            now_us=now_us,
        )
        handler = handler or Recorder()
        await peers.start(handler)
        target = f"127.0.0.1:{peers.port}"
        self.endpoints[index] = Endpoint(address=address_of(index), name=f"node{index}", target=target)
        running = Running(index=index, peers=peers, handler=handler, task=self.tasks.create_task(peers.run()))
        self.running.append(running)
        return running


def tls_of(name: str, *, number: int = 0, trusts: int = 0) -> TlsIdentity:
    """Return the TLS identity of a node: by CA `number`, trusting CA `trusts`."""
    pair = certificate(name, number)
    ca = authority(trusts).certificate
    checker = CertificateChecker(ca=ca, chain_id=CHAIN, now_ns=time.time_ns)
    return TlsIdentity(ca=ca, certificate=pair.certificate, key=pair.key, identify=checker.check)


@asynccontextmanager
async def network(size: int) -> AsyncIterator[Net]:
    """Run a test body beside nodes, and stop them all at its end."""
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        net = Net(tasks, size=size)
        stack.push_async_callback(_stop_all, net)
        yield net


async def _stop_all(net: Net) -> None:
    for running in net.running:
        if not running.task.done():
            running.peers.stop()
    for running in net.running:
        await asyncio.wait({running.task})


async def until(condition: Callable[[], bool], *, seconds: float = 10, what: str = "") -> None:
    """Wait until a condition holds, looking each 5 ms."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        await asyncio.sleep(0.005)


async def connected(*nodes: Running, seconds: float = 10) -> None:
    """Wait until each of the nodes is connected to each other one."""
    everyone = {each.address for each in nodes}
    await until(
        lambda: all([everyone - {each.address} <= each.peers.connected for each in nodes]),
        seconds=seconds,
        what="all nodes are connected",
    )
