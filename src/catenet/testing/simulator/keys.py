"""Signatures that cost one hash. In a simulation only the key's holder calls `sign`, so none is forged."""

from hashlib import sha256

from catenet.chain.keys import PrivateKey, PublicKey

_DOMAIN = b"catenet/simulated signature"


def _mark(key: PublicKey, message: bytes) -> bytes:
    half = sha256(_DOMAIN + key.data + message).digest()
    return half + half


class SimulatedKey(PrivateKey):
    """A validator's vote key that signs with one hash: it stands where production has a `PrivateKey`."""

    @classmethod
    def of(cls, index: int) -> "SimulatedKey":
        """Return the key of the validator with this index."""
        return cls(sha256(b"catenet/simulated key %d" % index).digest())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        return _mark(self.public, message)


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Say whether the key's holder signed the message."""
    return signature == _mark(key, message)
