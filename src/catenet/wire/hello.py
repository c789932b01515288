"""`Hello` and `Proof`, the first frames of a connection (consensus.md 9), as values and as bytes.

Only shapes and sizes are checked here; what they say is judged by `network/handshake.py`.
"""

from dataclasses import dataclass

from catenet.types.errors import InvalidInput
from catenet.wire.convert import ADDRESS_BYTES, HASH_BYTES, U64_MAX, parse
from catenet.wire.v1 import peer_pb2 as pb

HELLO_BYTES_MAX = 8 * 1024
NONCE_BYTES = 32
TEXT_CHARS_MAX = 255
CAPS_MAX = 64
SIGNATURE_BYTES_MAX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who speaks, and which protocol."""

    min_version: int
    max_version: int
    chain_id: str
    address: bytes
    nonce: bytes
    """32 fresh random bytes: a proof answers this connection only."""
    node_id: str
    certificate: bytes
    """sha256 of the sender's own certificate (DER)."""
    software: str = ""
    caps: tuple[str, ...] = ()
    """Names of optional features the sender has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """That the sender of the `Hello` holds the key of its address."""

    signature: bytes


def encode_hello(lamport: int, hello: Hello) -> bytes:
    """Return the frame of a `Hello`."""
    wire = pb.Hello(
        min_version=hello.min_version,
        max_version=hello.max_version,
        chain_id=hello.chain_id,
        address=hello.address,
        nonce=hello.nonce,
        node_id=hello.node_id,
        software=hello.software,
        caps=hello.caps,
        certificate=hello.certificate,
    )
    return pb.Frame(lamport=min(lamport, U64_MAX), msgs=[pb.Msg(hello=wire)]).SerializeToString()


def decode_hello(data: bytes) -> tuple[int, Hello]:
    """Return Lamport time and `Hello` of a first frame. Raises `InvalidInput`."""
    lamport, message = _only_message(data, "hello")
    wire = message.hello
    if (
        len(wire.address) != ADDRESS_BYTES
        or len(wire.nonce) != NONCE_BYTES
        or len(wire.certificate) != HASH_BYTES
    ):
        raise InvalidInput("malformed catenet.wire.v1.Hello")
    if (
        max(len(wire.chain_id), len(wire.node_id), len(wire.software)) > TEXT_CHARS_MAX
        or len(wire.caps) > CAPS_MAX
    ):
        raise InvalidInput("malformed catenet.wire.v1.Hello")
    hello = Hello(
        min_version=wire.min_version,
        max_version=wire.max_version,
        chain_id=wire.chain_id,
        address=wire.address,
        nonce=wire.nonce,
        node_id=wire.node_id,
        software=wire.software,
        caps=tuple(wire.caps),
        certificate=wire.certificate,
    )
    return lamport, hello


def encode_proof(lamport: int, proof: Proof) -> bytes:
    """Return the frame of a `Proof`."""
    message = pb.Msg(proof=pb.Proof(signature=proof.signature))
    return pb.Frame(lamport=min(lamport, U64_MAX), msgs=[message]).SerializeToString()


def decode_proof(data: bytes) -> tuple[int, Proof]:
    """Return Lamport time and `Proof` of a second frame. Raises `InvalidInput`."""
    lamport, message = _only_message(data, "proof")
    if len(message.proof.signature) > SIGNATURE_BYTES_MAX:
        raise InvalidInput("malformed catenet.wire.v1.Proof")
    return lamport, Proof(signature=message.proof.signature)


def _only_message(data: bytes, kind: str) -> tuple[int, pb.Msg]:
    if len(data) > HELLO_BYTES_MAX:
        raise InvalidInput(
            f"frame of {len(data)} bytes where {kind} is due, at most {HELLO_BYTES_MAX} are allowed"
        )
    frame = parse(pb.Frame, data)
    if len(frame.msgs) != 1 or frame.msgs[0].WhichOneof("m") != kind:
        raise InvalidInput(f"the frame is not a {kind}, which is due now")
    return frame.lamport, frame.msgs[0]
