"""`Hello` both ways, then `Proof`: binds a connection and both certificates to keys (consensus.md 9).

The dialler speaks first. The node that was called compares the dialler's certificate with the one TLS saw
*before* it proves itself, so a member in the middle cannot relay the exchange. Nothing is sent here but the
four frames.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from catenet.chain.keys import PublicKey
from catenet.network.config import LocalNode
from catenet.network.stream import FrameStream
from catenet.types.errors import Forbidden, Unauthenticated, WrongState
from catenet.types.ids import Address
from catenet.types.lamport import LamportClock
from catenet.wire.hello import (
    NONCE_BYTES,
    Hello,
    Proof,
    decode_hello,
    decode_proof,
    encode_hello,
    encode_proof,
)

DOMAIN = b"catenet/hello/1"
"""Begins what is signed. Sign bytes of votes begin with a length and 0x08: they can never be this text."""

Members = Callable[[], Mapping[Address, PublicKey]]
"""Who may connect at the moment: validators of the near heights, and known observers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A peer that proved its address."""

    address: Address
    certificate: bytes
    """sha256 of its certificate: this one, and only it, is accepted on the other calls of the pair."""
    version: int
    """The highest protocol version that both speak."""
    software: str
    caps: tuple[str, ...]


class Handshake:
    """What one node needs for all its handshakes."""

    def __init__(
        self, *, local: LocalNode, certificate: bytes, members: Members, clock: LamportClock
    ) -> None:
        """`certificate` is the sha256 of the own one."""
        self._local = local
        self._certificate = certificate
        self._members = members
        self._clock = clock

    async def dial(self, stream: FrameStream, *, expected: Address, certificate: bytes) -> Proven:
        """Prove this node to `expected`, whose certificate has the hash `certificate`, and the other way."""
        own = await self._send_hello(stream)
        peer = await self._read_hello(stream)
        if peer.address != expected:
            raise Forbidden(f"address: peer says {peer.address.hex()}, {expected.hex()} was called")
        self.check(peer, certificate)
        await self._send_proof(stream, own=own, peer=peer)
        return await self._read_proof(stream, own=own, peer=peer)

    async def accept(self, stream: FrameStream, *, certificate: bytes) -> Proven:
        """Have the dialler proven, whose TLS certificate has the hash `certificate`, then prove this node."""
        peer = await self._read_hello(stream)
        self.check(peer, certificate)
        own = await self._send_hello(stream)
        proven = await self._read_proof(stream, own=own, peer=peer)
        await self._send_proof(stream, own=own, peer=peer)
        return proven

    async def announce(self, stream: FrameStream) -> None:
        """Send the `Hello` that opens a stream of a pair that is proven already."""
        await self._send_hello(stream)

    async def expect(self, stream: FrameStream, *, certificate: bytes) -> Hello:
        """Read the `Hello` that opens a stream and check it; `certificate` is the one that TLS saw."""
        hello = await self._read_hello(stream)
        self.check(hello, certificate)
        return hello

    def check(self, peer: Hello, certificate: bytes) -> None:
        """Refuse a peer of another chain, version, address or certificate; the text names both values."""
        local = self._local
        if peer.chain_id != local.chain_id:
            raise WrongState(f"chain_id: peer says {peer.chain_id!r}, this node has {local.chain_id!r}")
        if peer.max_version < local.min_version or peer.min_version > local.max_version:
            raise WrongState(
                f"version: peer speaks {peer.min_version} to {peer.max_version}, "
                f"this node {local.min_version} to {local.max_version}"
            )
        if peer.certificate != certificate:
            raise Unauthenticated(
                f"certificate: peer says {peer.certificate.hex()}, the connection has {certificate.hex()}"
            )
        if peer.address == local.address:
            raise Forbidden(f"address: peer says {peer.address.hex()}, which is this node's own")
        if peer.address not in self._members():
            raise Forbidden(
                f"address: peer says {peer.address.hex()}, which is no member of {local.chain_id!r}"
            )

    async def _send_hello(self, stream: FrameStream) -> Hello:
        local = self._local
        hello = Hello(
            min_version=local.min_version,
            max_version=local.max_version,
            chain_id=local.chain_id,
            address=local.address,
            nonce=secrets.token_bytes(NONCE_BYTES),
            node_id=local.node_id,
            certificate=self._certificate,
            software=local.software,
            caps=local.caps,
        )
        await stream.write(encode_hello(self._clock.send(), hello))
        return hello

    async def _read_hello(self, stream: FrameStream) -> Hello:
        lamport, hello = decode_hello(await stream.read())
        self._clock.receive(lamport)
        return hello

    async def _send_proof(self, stream: FrameStream, *, own: Hello, peer: Hello) -> None:
        signature = self._local.sign(proof_text(signer=own, other=peer))
        await stream.write(encode_proof(self._clock.send(), Proof(signature=signature)))

    async def _read_proof(self, stream: FrameStream, *, own: Hello, peer: Hello) -> Proven:
        lamport, proof = decode_proof(await stream.read())
        self._clock.receive(lamport)
        key = self._members().get(peer.address)
        if key is None or not key.verify(proof_text(signer=peer, other=own), proof.signature):
            raise Unauthenticated(
                f"proof: the signature is not one of {peer.address.hex()} for this connection"
            )
        return Proven(
            address=peer.address,
            certificate=peer.certificate,
            version=min(own.max_version, peer.max_version),
            software=peer.software,
            caps=peer.caps,
        )


def proof_text(*, signer: Hello, other: Hello) -> bytes:
    """Return what the sender of `signer` signs: its parts, each with its length."""
    parts = (
        signer.chain_id.encode(),
        signer.address,
        other.address,
        signer.certificate,
        other.certificate,
        signer.nonce,
        other.nonce,
    )
    return DOMAIN + b"".join([len(part).to_bytes(4, "big") + part for part in parts])
