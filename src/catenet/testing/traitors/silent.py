"""Silent: hears everything and says nothing. The others must do without a proposer every fourth time."""

from collections.abc import Sequence

from catenet.testing.simulator.conduct import Conduct
from catenet.types.messages import Found, Message


class Silent(Conduct):
    """Says nothing at all."""

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Keep it."""
        self.hand.did("kept silent")
        return ()

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Answer every fetch with nothing."""
        return ()
