"""Late: all that it says comes seconds later than it could.

Nobody may wait for it (T11, T12, T13); votes of rounds and heights that are over must do no harm:
they may only join the last commit (2.6) or accuse (E1).
"""

from collections.abc import Sequence

from catenet.testing.simulator.conduct import Conduct
from catenet.types.messages import Found, Message

EARLIEST_US = 1_000_000
LATEST_US = 6_000_000


class Late(Conduct):
    """Says everything too late."""

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Say it later."""
        self.hand.did("was late")
        delay_us = self.hand.chooser.between(EARLIEST_US, LATEST_US)
        self.hand.after(delay_us, lambda: self.hand.say(peer, message))
        return ()

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Answer when nobody listens any more."""
        return ()
