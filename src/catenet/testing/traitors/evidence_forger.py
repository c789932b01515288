"""Evidence forger: accuses the honest with signatures that are not theirs, itself with wrong times.

Evidence must verify against set and time of its height before anybody believes it (E2, E3); a block with
evidence that proves nothing is invalid. True evidence against itself it gives a hundred times: it is bounded.
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.encoding import message_field
from catenet.chain.evidence import DuplicateVoteEvidence, InvalidEvidence, make
from catenet.chain.vote import Vote
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.messages import EvidenceMessage, Message, ProposalMessage

FALSE = 0.1
"""How often what it says proves nothing: the first time cuts it off."""


class EvidenceForger(Conduct):
    """Accuses."""

    def begin(self) -> None:
        """Begin to accuse."""
        self._blocks: dict[tuple[int, int], ProposalMessage] = {}
        self._next()

    def _next(self) -> None:
        self.hand.after(self.hand.chooser.between(200_000, 800_000), self._accuse)

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Put false evidence into own blocks, now and then."""
        if not isinstance(message, ProposalMessage) or message.signed.pol_round >= 0:
            return (message,)
        signed = message.signed
        if not craft.is_mine(self.hand, signed):
            return (message,)
        key = (signed.height, signed.round)
        if key not in self._blocks:
            self._blocks[key] = message
            false = self._false()
            if false is not None and self.hand.chooser.chance(0.4):
                block_id, compact = craft.block(message.compact, (), evidence=[false])
                self.hand.did("proposed false evidence")
                self._blocks[key] = craft.proposal(self.hand, signed, block_id, compact)
        return (self._blocks[key],)

    def _accuse(self) -> None:
        self._next()
        hand = self.hand
        false = hand.chooser.chance(FALSE)
        evidence = self._false() if false else self._true()
        peers = hand.peers()
        if evidence is None or not peers:
            return
        hand.did("gave false evidence" if false else "gave evidence against itself")
        wrapped = EvidenceMessage(evidence=message_field(1, evidence.encode()))
        hand.say(hand.chooser.pick(peers), wrapped)

    def _true(self) -> DuplicateVoteEvidence | None:
        """Return a double vote of its own at a height that is decided."""
        votes = self._commit_votes()
        mine = [vote for vote in votes if vote.address == self.hand.address]
        if not mine:
            return None
        name = self.hand.chooser.choose(256).to_bytes(32, "big")
        other_id = BlockID(hash=name, parts=PartSetHeader(total=1, hash=name))
        other = self.hand.sign_vote(replace(mine[0], block_id=other_id, signature=b""))
        return self._make(mine[0], other)

    def _false(self) -> DuplicateVoteEvidence | None:
        """Return evidence against somebody else, or against itself with something wrong."""
        votes, chooser = self._commit_votes(), self.hand.chooser
        if not votes:
            return None
        vote = chooser.pick(votes)
        other = replace(vote, block_id=NIL)
        match chooser.choose(3):
            case 0:
                other = replace(other, signature=self.hand.key.sign(other.sign_bytes(self.hand.chain_id)))
            case 1:
                true = self._true()
                return None if true is None else replace(true, time_ns=true.time_ns + 1)
            case _:
                pass
        return self._make(vote, other)

    def _commit_votes(self) -> list[Vote]:
        last = craft.here(self.hand).last_commit
        return [] if last is None else [v for v in last.votes if v is not None and not v.is_nil]

    def _make(self, vote: Vote, other: Vote) -> DuplicateVoteEvidence | None:
        last = craft.here(self.hand).last_commit
        if last is None:
            return None
        try:
            return make(vote, other, last.validators, last.block_time_ns)
        except InvalidEvidence:
            return None
