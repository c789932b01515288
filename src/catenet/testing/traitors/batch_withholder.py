"""Batch withholder: pushes its batches to one node or to none, and answers no fetch.

Its proposals name what few or nobody can have: they must not be decided before a quorum holds them (T4:
PENDING), a holder must serve them (D7), and whoever was promised REPLICATED must not be let down.
"""

from collections.abc import Sequence

from catenet.testing.simulator.conduct import Conduct
from catenet.types.messages import BatchMessage, Found, Message


class BatchWithholder(Conduct):
    """Keeps batches for itself."""

    def begin(self) -> None:
        """Choose to whom it pushes each batch, when it comes to that."""
        self._chosen: dict[tuple[int, int], int] = {}

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Push a batch to the chosen one only."""
        if not isinstance(message, BatchMessage):
            return (message,)
        key = (message.batch.incarnation, message.batch.seq)
        if key not in self._chosen:
            self.hand.did("withheld a batch")
            # The last of them stands for nobody.
            self._chosen[key] = self.hand.chooser.pick([*self.hand.others(), -1])
        return (message,) if peer == self._chosen[key] else ()

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Answer every fetch with nothing."""
        if found:
            self.hand.did("answered no fetch")
        return ()
