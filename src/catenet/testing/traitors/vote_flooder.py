"""Vote flooder: many signed votes and proposals of rounds and heights far ahead.

Of a round far ahead only the round is kept, of the next height four votes a validator (G4, G7); one validator
in a high round makes nobody skip (T10), and verifying its votes is on its own account (section 9).
"""

from catenet.chain.commit import NIL
from catenet.chain.vote import Proposal, VoteType
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.messages import ProposalMessage, VoteMessage, VoteSet

BURST = 12
FAR = 2**31 - 1


class VoteFlooder(Conduct):
    """Votes in the future."""

    def begin(self) -> None:
        """Begin to vote."""
        self._next()

    def _next(self) -> None:
        self.hand.after(self.hand.chooser.between(100_000, 500_000), self._flood)

    def _flood(self) -> None:
        self._next()
        hand, state = self.hand, craft.here(self.hand)
        peers, chooser = hand.peers(), hand.chooser
        if not peers:
            return
        peer = chooser.pick(peers)
        ids = [NIL, *[entry.block_id for entry in state.blocks]]
        votes = []
        for _ in range(BURST):
            vote = craft.vote(
                hand,
                chooser.pick((VoteType.PREVOTE, VoteType.PRECOMMIT)),
                chooser.pick(ids),
                height=state.height + chooser.pick((0, 0, 1, 1, 2, 1_000, 2**50)),
                round=chooser.pick((state.round + chooser.between(1, 60), 5, 1_000, FAR)),
            )
            if vote is not None:
                votes.append(vote)
        if chooser.chance(0.2):
            hand.say(peer, VoteSet(votes=tuple(votes[: len(state.validators)]), answer=True))
        for vote in votes:
            hand.say(peer, VoteMessage(vote=vote))
        hand.did("flooded")
        self._propose(peer)

    def _propose(self, peer: int) -> None:
        """Propose in the farthest turn of its own that anybody looks at."""
        hand, state = self.hand, craft.here(self.hand)
        known = [(e.block_id, e.compact) for e in state.blocks if e.compact is not None]
        turns = [r for r in range(state.round + 1, state.round + 20) if craft.is_turn(hand, r)]
        if not known or not turns:
            return
        block_id, compact = hand.chooser.pick(known)
        signed = Proposal(
            height=state.height,
            round=hand.chooser.pick(turns),
            pol_round=-1,
            block_id=block_id,
            time_ns=hand.now().wall_ns,
        )
        hand.say(peer, ProposalMessage(signed=hand.sign_proposal(signed), compact=compact))
