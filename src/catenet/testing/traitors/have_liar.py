"""Have liar: says that it holds batches far ahead, or none, of streams that never were, and any credit.

Acknowledgements of less than a third must not make a promise (D4, 5.4); no credit may stop or flood an author
(D2), and no number may make it skip or use a sequence twice (D1).
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.testing.simulator.conduct import Conduct
from catenet.types.messages import Have, Message, Skip, Tip

FAR = 2**60


class HaveLiar(Conduct):
    """Lies about batches."""

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Bend every tip; tell others now and then to skip what it pushed."""
        match message:
            case Have(tips=tips):
                self.hand.did("lied about what it holds")
                lie: Message = Have(tips=tuple([self._bent(tip) for tip in tips]))
                if self.hand.chooser.chance(0.1):
                    self.hand.did("had others skip its batches")
                    return (lie, Skip(to=self.hand.chooser.pick((1, 3, FAR))))
                return (lie,)
            case _:
                return (message,)

    def _bent(self, tip: Tip) -> Tip:
        chooser = self.hand.chooser
        match chooser.choose(6):
            case 0:
                return tip
            case 1:
                return replace(tip, seq=FAR, credit=FAR)
            case 2:
                return replace(tip, seq=tip.seq + chooser.between(1, 5))
            case 3:
                return replace(tip, seq=0, credit=0)
            case 4:
                return replace(tip, incarnation=chooser.pick((1, tip.incarnation + 1, FAR)))
            case _:
                return replace(tip, credit=chooser.pick((0, 1, FAR)))
