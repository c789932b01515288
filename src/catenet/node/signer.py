"""The key that signs votes and proposals, behind the double-sign guard (consensus.md 4).

The guard decides, the key signs, the new guard state goes to the writer together with the records of this
turn: nothing that was signed leaves before both are durable.
"""

from collections.abc import Callable
from typing import assert_never

from catenet.chain.keys import PrivateKey
from catenet.chain.vote import Proposal, Vote
from catenet.core import guard
from catenet.types.events import Refused, Signed


class Signer:
    """Signs what the guard allows."""

    def __init__(
        self, *, key: PrivateKey, chain_id: str, state: guard.GuardState, rejoin_height: int
    ) -> None:
        """`rejoin_height`: sign only above it, as `guard.rejoin_height` gives it."""
        self._key = key
        self._chain_id = chain_id
        self._state = state
        self._rejoin_height = rejoin_height

    def sign_above(self, height: int) -> None:
        """Take the height up to which nothing is signed from now on; 0: nothing at all until it is known."""
        self._rejoin_height = height or guard.NEVER

    @property
    def state(self) -> guard.GuardState:
        """What was signed last."""
        return self._state

    def sign(self, item: Vote | Proposal, keep: Callable[[bytes], None]) -> Signed | Refused:
        """Sign, repeat an old signature, or refuse; `keep` takes the guard's new state to the disk."""
        match guard.decide(self._state, item, self._chain_id, self._rejoin_height):
            case guard.Sign(sign_bytes=sign_bytes):
                signature = self._key.sign(sign_bytes)
                self._state, done = guard.signed(item, sign_bytes=sign_bytes, signature=signature)
                keep(self._state.encode())
                return Signed(item=done)
            case guard.Repeat(item=stored):
                return Signed(item=stored)
            case guard.Refuse(reason=reason):
                return Refused(item=item, reason=reason)
            case decision:
                assert_never(decision)
