"""Equivocating proposer: two valid blocks for one round; each peer hears of one, or of both in any order.

It votes for the block that a peer was shown. Attacked are the first-proposal rule (G4), the fetching of a
block that got a polka elsewhere (G5), and agreement: T4 and T6 count one vote of it (E1 convicts it).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from catenet.chain.commit import BlockID
from catenet.chain.vote import Vote, VoteType
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.messages import Message, ProposalMessage, VoteMessage


@dataclass(slots=True)
class Pair:
    """The two proposals of a round, and who is shown the second."""

    first: BlockID
    second: ProposalMessage
    shown: dict[int, int]
    votes: dict[VoteType, Vote]


class EquivocatingProposer(Conduct):
    """Proposes two blocks in every round of its own."""

    def begin(self) -> None:
        """Know of no pair yet."""
        self._pairs: dict[tuple[int, int], Pair] = {}

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Show a peer one of the two, or both, and vote for what it was shown."""
        if isinstance(message, ProposalMessage):
            return self._propose(peer, message)
        vote = craft.own_vote(self.hand, message)
        if vote is None:
            return (message,)
        pair = self._pairs.get((vote.height, vote.round))
        if pair is None or vote.block_id != pair.first or pair.shown.get(peer, 0) == 0:
            return (message,)
        if vote.type not in pair.votes:
            other = replace(vote, block_id=pair.second.signed.block_id, signature=b"")
            pair.votes[vote.type] = self.hand.sign_vote(other)
        return (VoteMessage(vote=pair.votes[vote.type]),)

    def _propose(self, peer: int, message: ProposalMessage) -> Sequence[Message]:
        signed = message.signed
        if signed.pol_round >= 0 or not craft.is_mine(self.hand, signed):
            return (message,)
        pair = self._pairs.get((signed.height, signed.round))
        if pair is None:
            pair = self._pairs[signed.height, signed.round] = self._make(message)
            self.hand.did("proposed two blocks for one round")
        if signed.block_id != pair.first:
            return (message,)
        match pair.shown.setdefault(peer, self.hand.chooser.choose(4)):
            case 0:
                return (message,)
            case 1:
                return (pair.second, message)
            case _:
                return (pair.second,)

    def _make(self, message: ProposalMessage) -> Pair:
        signed = message.signed
        txs = [craft.own_transaction(self.hand, "second", signed.height, signed.round)]
        if message.compact.manifest and self.hand.chooser.chance(0.5):
            txs = []
        block_id, compact = craft.block(message.compact, txs)
        second = craft.proposal(self.hand, signed, block_id, compact)
        return Pair(first=signed.block_id, second=second, shown={}, votes={})
