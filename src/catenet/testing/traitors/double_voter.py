"""Double voter: prevotes and precommits for the block and for nil in one step; who hears which is chance.

Its votes reach everybody in the end, so evidence must convict it.
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.commit import NIL
from catenet.chain.vote import Vote
from catenet.testing.simulator.conduct import Conduct
from catenet.types.messages import Message, VoteMessage


class DoubleVoter(Conduct):
    """Votes twice in every step."""

    def begin(self) -> None:
        """Know no other votes yet."""
        self._others: dict[bytes, Vote] = {}

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Return the vote, the other one, or both."""
        if not isinstance(message, VoteMessage) or message.vote.is_nil:
            return (message,)
        other = VoteMessage(vote=self._other(message.vote))
        match self.hand.chooser.choose(3):
            case 0:
                return (other,)
            case 1:
                return (other, message)
            case _:
                return (message, other)

    def _other(self, vote: Vote) -> Vote:
        known = self._others.get(vote.signature)
        if known is None:
            self.hand.did("voted twice")
            known = self.hand.sign_vote(replace(vote, block_id=NIL, signature=b""))
            self._others = {vote.signature: known}
        return known
