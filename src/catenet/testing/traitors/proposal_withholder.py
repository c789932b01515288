"""Proposal withholder: shows its blocks to one node or to none, and hands none out when it is asked.

The others must end its rounds without it (T11), get a block that has a polka from who holds it (G5), and
learn of a proposal from each other (G2, G4).
"""

from collections.abc import Sequence

from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.messages import Found, FoundBlock, FoundCompact, Message, ProposalMessage


class ProposalWithholder(Conduct):
    """Keeps blocks for itself."""

    def begin(self) -> None:
        """Nobody was chosen yet."""
        self._chosen: dict[tuple[int, int], int] = {}

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Show a proposal to the chosen one only."""
        if not isinstance(message, ProposalMessage):
            return (message,)
        signed = message.signed
        if not craft.is_mine(self.hand, signed):
            return ()
        key = (signed.height, signed.round)
        if key not in self._chosen:
            self.hand.did("withheld a proposal")
            others = self.hand.others()
            # The last of them stands for nobody.
            self._chosen[key] = self.hand.chooser.pick([*others, -1])
        return (message,) if peer == self._chosen[key] else ()

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Hand out no block."""
        kept = [piece for piece in found if not isinstance(piece, FoundCompact | FoundBlock)]
        if len(kept) < len(found):
            self.hand.did("withheld a block that was asked for")
        return kept
