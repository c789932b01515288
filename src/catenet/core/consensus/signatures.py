"""Verifying each signature once, and not more of them than a peer may cost us.

No rule of consensus lives here.
"""

from dataclasses import dataclass, field

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


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A token bucket: at most `burst` at once, `per_second` in the long run."""

    burst: int
    per_second: int
    _level_us: int = field(init=False)
    _at_us: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._level_us = self.burst * 1_000_000

    def take(self, tokens: int, now_us: int) -> bool:
        """Take tokens when there are enough."""
        gained = (now_us - self._at_us) * self.per_second
        self._level_us = min(self._level_us + gained, self.burst * 1_000_000)
        self._at_us = now_us
        if self._level_us < tokens * 1_000_000:
            return False
        self._level_us -= tokens * 1_000_000
        return True
