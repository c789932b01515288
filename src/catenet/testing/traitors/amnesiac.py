"""Amnesiac: forgets its lock, votes for whatever is newest, and now and then restarts with an empty disk.

It prevotes what is proposed even if it is locked on another block, and will not hear what others hold of its
own votes. Attacked are the lock (T4, T6: less than a third may break it) and the first signature (4 (8)).
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.vote import Vote, VoteType
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.messages import Message, VoteMessage, VoteSet

RESTARTS = 4
FORGETS = 0.15
"""How often it loses everything just after a lock."""


class Amnesiac(Conduct):
    """Votes as if there were no yesterday."""

    def __init__(self) -> None:
        self._restarts = 0

    def begin(self) -> None:
        """Remember nothing."""
        self._votes: dict[tuple[int, int], Vote] = {}
        self._dying = False

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Say its votes without the lock."""
        match message:
            case VoteMessage(vote=vote):
                self._forget(vote)
                return (VoteMessage(vote=self._unlocked(vote)),)
            case VoteSet(votes=votes):
                return (replace(message, votes=tuple([self._unlocked(vote) for vote in votes])),)
            case _:
                return (message,)

    def _unlocked(self, vote: Vote) -> Vote:
        """Return a prevote for the round's proposal where the core's is nil."""
        state = craft.here(self.hand)
        own_nil = vote.address == self.hand.address and vote.type is VoteType.PREVOTE and vote.is_nil
        if not own_nil or vote.height != state.height:
            return vote
        key = (vote.height, vote.round)
        if key not in self._votes:
            proposed = state.proposals.get(vote.round)
            if proposed is None or proposed.block_id.is_nil:
                return vote
            locked = state.locked is not None and state.locked.block_id != proposed.block_id
            self.hand.did("voted against its lock" if locked else "voted for what it had not seen")
            self._votes[key] = self.hand.sign_vote(replace(vote, block_id=proposed.block_id, signature=b""))
        return self._votes[key]

    def _forget(self, vote: Vote) -> None:
        """Restart with nothing, soon after a lock."""
        locks = vote.type is VoteType.PRECOMMIT and not vote.is_nil and vote.address == self.hand.address
        if self._dying or not locks or self._restarts >= RESTARTS or not self.hand.chooser.chance(FORGETS):
            return
        self._dying = True
        self._restarts += 1
        self.hand.did("restarted with nothing")
        self.hand.after(self.hand.chooser.between(0, 100_000), self.hand.restart_with_nothing)
