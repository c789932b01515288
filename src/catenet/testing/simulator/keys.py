"""Signatures that cost one hash. In a simulation only the key's holder calls `sign`, so none is forged."""

from hashlib import sha256

from catenet.chain.keys import ED25519, PublicKey

_DOMAIN = b"catenet/simulated signature"


def _mark(key: PublicKey, message: bytes) -> bytes:
    half = sha256(_DOMAIN + key.data + message).digest()
    return half + half


class SimulatedKey:
    """Stands for a validator's vote key."""

    def __init__(self, index: int) -> None:
        self.public = PublicKey(ED25519, sha256(b"catenet/simulated key %d" % index).digest())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        return _mark(self.public, message)


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Say whether the key's holder signed the message."""
    return signature == _mark(key, message)
