"""A hostile validator against real nodes: with the keys of a home, it says what the test says."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from catenet.chain.commit import NIL
from catenet.chain.evidence import Evidence, wrap
from catenet.chain.genesis import Genesis
from catenet.chain.keys import PrivateKey, node_id, parse_key_file, parse_node_key
from catenet.chain.vote import Vote, VoteType
from catenet.network.config import Endpoint, LocalNode, NetworkConfig, TlsIdentity
from catenet.network.peers import Peers
from catenet.node.config import TLS_CA, TLS_CERTIFICATE, TLS_KEY
from catenet.security.identity import CertificateChecker
from catenet.storage.home import Home
from catenet.types.errors import Unavailable
from catenet.types.ids import Address
from catenet.types.lamport import LamportClock
from catenet.types.messages import EvidenceMessage, Found, Message, ProposalMessage, Wanted
from catenet.types.ports import BlockReader
from support.api import Ledger


class Liar:
    """One validator of a network, connected to the others; it takes no part unless a test says so."""

    def __init__(self, home: Home, port: int, others: Sequence[Endpoint]) -> None:
        self.genesis = Genesis.from_json(home.genesis.read_text())
        self.key: PrivateKey = parse_key_file(home.validator_key.read_text())
        self.address: Address = self.key.public.address
        self.heard: list[ProposalMessage] = []
        self.on_proposal: Callable[[ProposalMessage], None] = lambda message: None
        self.up: set[Address] = set()
        self._changed = asyncio.Event()
        node = parse_node_key(home.node_key.read_text())
        members = {validator.address: validator.public_key for validator in self.genesis.validators}
        self.peers = Peers(
            local=LocalNode(
                chain_id=self.genesis.chain_id,
                address=self.address,
                node_id=node_id(node.public),
                sign=self.key.sign,
            ),
            tls=_identity(home.config, self.genesis.chain_id),
            config=NetworkConfig(listen=f"127.0.0.1:{port}"),
            endpoints=lambda: others,
            members=lambda: members,
            clock=LamportClock(),
            random=Random(1),
            now_us=lambda: time.monotonic_ns() // 1000,
        )

    @property
    def index(self) -> int:
        """Its place among the validators: all have one power, so the order is that of addresses."""
        return self.index_of(self.address)

    def index_of(self, address: Address) -> int:
        return sorted(validator.address for validator in self.genesis.validators).index(address)

    async def wait_link(self, peer: Address, *, up: bool, within_s: float = 20.0) -> None:
        """Wait until the connection to a peer is up or down."""
        async with asyncio.timeout(within_s):
            while (peer in self.up) is not up:
                self._changed.clear()
                await self._changed.wait()

    def vote_twice(self, proposal: ProposalMessage) -> tuple[Vote, Vote]:
        """Return prevotes of one round for the proposed block and for nil."""
        signed = proposal.signed
        vote = Vote(
            type=VoteType.PREVOTE,
            height=signed.height,
            round=signed.round,
            block_id=signed.block_id,
            time_ns=signed.time_ns + 1_000_000,
            address=self.address,
            index=self.index,
        )
        return self.sign(vote), self.sign(replace(vote, block_id=NIL))

    def sign(self, vote: Vote) -> Vote:
        return replace(vote, signature=self.key.sign(vote.sign_bytes(self.genesis.chain_id)))

    def accuse(self, peer: Address, evidence: Evidence) -> None:
        """Give a peer evidence."""
        self.peers.send(peer, [EvidenceMessage(evidence=wrap(evidence))])

    # `ports.PeerHandler`.

    def on_messages(self, peer: Address, messages: Sequence[Message], size: int) -> None:
        for message in messages:
            if isinstance(message, ProposalMessage):
                self.heard.append(message)
                self.on_proposal(message)

    def on_link(self, peer: Address, *, up: bool) -> None:
        (self.up.add if up else self.up.discard)(peer)
        self._changed.set()

    async def on_fetch(self, peer: Address, wanted: Wanted) -> Sequence[Found]:
        return ()

    def pledge(self) -> int:
        raise Unavailable("it promises nothing")

    @property
    def reader(self) -> BlockReader:
        return Ledger()


def _identity(folder: Path, chain_id: str) -> TlsIdentity:
    ca = (folder / TLS_CA).read_bytes()
    checker = CertificateChecker(ca=ca, chain_id=chain_id, now_ns=time.time_ns)
    return TlsIdentity(
        ca=ca,
        certificate=(folder / TLS_CERTIFICATE).read_bytes(),
        key=(folder / TLS_KEY).read_bytes(),
        identify=checker.check,
    )


@asynccontextmanager
async def lying(home: Home, port: int, others: Sequence[Endpoint]) -> AsyncIterator[Liar]:
    """Connect a hostile validator for the length of the body."""
    liar = Liar(home, port, others)
    await liar.peers.start(liar)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(liar.peers.run())
        try:
            yield liar
        finally:
            liar.peers.stop()
            await asyncio.wait([running], timeout=5)
            running.cancel()
