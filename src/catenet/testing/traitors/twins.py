"""Twins: two processes with one key, each an honest core with a guard and a journal of its own.

Every honest node is connected to one of them, and now and then goes over to the other. Together they vote
and propose twice without meaning to: the classical way to make byzantine behaviour out of honest code.
"""

from catenet.testing.simulator.conduct import Conduct


class Twin(Conduct):
    """One of two processes. The first of them says who hears which."""

    twins = 2

    def begin(self) -> None:
        """Share out the peers, from now on again and again."""
        first, second = self.hand.twins()
        if self.hand.index == first:
            self.hand.set_link(first, second, open=False)
            self._switch()

    def _switch(self) -> None:
        hand = self.hand
        hand.did("changed sides")
        first, second = hand.twins()
        for peer in hand.others():
            with_second = hand.chooser.chance(0.5)
            hand.set_link(first, peer, open=not with_second)
            hand.set_link(second, peer, open=with_second)
        # About once a round.
        typical_us = hand.settings.propose_us
        hand.after(hand.chooser.between(typical_us // 2, 2 * typical_us), self._switch)
