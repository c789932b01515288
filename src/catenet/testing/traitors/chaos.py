"""Chaos: any vote with any time for any value seen, to anybody; invalid proposals, and old polkas in them.

It attacks every rule a little: eligibility of times (2.5), the lock against old pol_rounds (T4), rebuild
first (2.1), first votes (E1), bounds of rounds (G4, G7).
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.commit import NIL, BlockID
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.batch import Compact
from catenet.types.messages import Message, VoteMessage, VoteSet

SECOND_NS = 1_000_000_000
TYPES = (VoteType.PREVOTE, VoteType.PRECOMMIT)


class Chaos(Conduct):
    """Does anything, now and then."""

    def begin(self) -> None:
        """Begin to do things."""
        self._next()

    def _next(self) -> None:
        self.hand.after(self.hand.chooser.between(30_000, 400_000), self._act)

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Say what the core says, nothing, or another vote."""
        match self.hand.chooser.choose(8):
            case 7:
                return ()
            case 6 if isinstance(message, VoteMessage):
                return self._votes(1)
            case _:
                return (message,)

    def _act(self) -> None:
        hand = self.hand
        self._next()
        said: Sequence[Message] = ()
        match hand.chooser.choose(4):
            case 0:
                said = self._votes(hand.chooser.between(1, 3))
            case 1:
                said = (VoteSet(votes=self._any_votes(), answer=hand.chooser.chance(0.5)),)
            case _:
                said = self._proposal()
        peers = [peer for peer in hand.peers() if hand.chooser.chance(0.6)]
        for message in said:
            craft.say(hand, peers, message)

    def _votes(self, count: int) -> Sequence[Message]:
        state, chooser = craft.here(self.hand), self.hand.chooser
        made: list[Message] = []
        for _ in range(count):
            round_ = max(0, state.round + chooser.between(-2, 5))
            vote = craft.vote(
                self.hand, chooser.pick(TYPES), self._value(), round=round_, time_ns=self._time_ns()
            )
            if vote is not None:
                self.hand.did("voted for anything")
                made.append(VoteMessage(vote=vote))
        return made

    def _value(self) -> BlockID:
        state = craft.here(self.hand)
        known = [entry.block_id for entry in state.blocks]
        before = self.hand.core.state.last_block_id
        return self.hand.chooser.pick([NIL, *known, *known, *([before] if before.is_complete else [])])

    def _time_ns(self) -> int:
        chooser, now_ns = self.hand.chooser, self.hand.now().wall_ns
        last_ns = craft.here(self.hand).last_time_ns
        return chooser.pick(
            (now_ns, last_ns, last_ns + 1, last_ns - 3600 * SECOND_NS, now_ns + 3600 * SECOND_NS)
        )

    def _any_votes(self) -> tuple[Vote, ...]:
        state, chooser = craft.here(self.hand), self.hand.chooser
        round_ = max(0, state.round - chooser.choose(3))
        votes = state.votes.of(round_, chooser.pick(TYPES))
        return tuple([v for v in (() if votes is None else votes.present()) if chooser.chance(0.7)])

    def _proposal(self) -> Sequence[Message]:
        """Propose in a turn of its own, present or to come: a block seen, or one that breaks a rule."""
        state, chooser = craft.here(self.hand), self.hand.chooser
        turns = [
            r for r in range(state.round, state.round + 6) if state.proposer(r).address == self.hand.address
        ]
        known = [(entry.block_id, entry.compact) for entry in state.blocks if entry.compact is not None]
        if not turns or not known:
            return ()
        round_ = chooser.pick(turns)
        block_id, compact = self._block(*chooser.pick(known))
        signed = Proposal(
            height=state.height,
            round=round_,
            pol_round=chooser.pick((-1, -1, 0, max(0, round_ - 1), chooser.choose(round_ + 1), round_ + 3)),
            block_id=block_id,
            time_ns=self._time_ns(),
        )
        polka = state.polkas.get(signed.pol_round)
        votes = self._any_votes() if polka is None else polka.votes
        pol = VoteSet(votes=votes) if signed.pol_round >= 0 and votes else None
        self.hand.did("proposed anything")
        return (craft.proposal(self.hand, signed, block_id, compact, pol=pol),)

    def _block(self, block_id: BlockID, compact: Compact) -> tuple[BlockID, Compact]:
        chooser, round_ = self.hand.chooser, craft.here(self.hand).round
        height = craft.here(self.hand).height
        match chooser.choose(4):
            case 0:
                return block_id, compact
            case 1:
                # A time that is not the median.
                return craft.block(compact, [], time_ns=self._time_ns())
            case 2:
                # Content of another id.
                return block_id, replace(compact, manifest=())
            case _:
                return craft.block(compact, [craft.own_transaction(self.hand, "chaos", height, round_)])
