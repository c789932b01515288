"""Verifying each signature once.

No rule of consensus lives here.
"""

from catenet.chain.keys import PublicKey, Verify

_ENTRIES_MAX = 65_536


class SignatureCache:
    """Remembers good signatures of this height and the one before (consensus.md 11): a `Verify` itself.

    A last commit holds precommits of the height before, so two generations are kept.
    """

    def __init__(self, verify: Verify) -> None:
        self._verify = verify
        self._young: set[tuple[bytes, bytes, bytes]] = set()
        self._old: set[tuple[bytes, bytes, bytes]] = set()

    def __call__(self, key: PublicKey, message: bytes, signature: bytes) -> bool:
        """Whether the signature is good; known ones are not verified again."""
        entry = (key.data, message, signature)
        if entry in self._young:
            return True
        if entry not in self._old and not self._verify(key, message, signature):
            return False
        self.remember(key, message, signature)
        return True

    def knows(self, key: PublicKey, message: bytes, signature: bytes) -> bool:
        """Whether the signature was found good before."""
        entry = (key.data, message, signature)
        return entry in self._young or entry in self._old

    def remember(self, key: PublicKey, message: bytes, signature: bytes) -> None:
        """Take a signature as good: it is our own, or was verified elsewhere."""
        if len(self._young) < _ENTRIES_MAX:
            self._young.add((key.data, message, signature))

    def next_height(self) -> None:
        """Forget what is older than the height before."""
        self._old, self._young = self._young, set()
