"""Turncoat: keeps a polka to itself, helps one node to a newer one, then proposes the older block again.

Nobody honest knows of the first polka, so nobody is locked on its block. The victim of the second one is
locked and must not move: a polka releases from older locks only (T4, L28-33). So that rounds end as it wants,
it cuts one honest node off from the others in each round before its turn: the network is the adversary's.
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.commit import BlockID
from catenet.chain.vote import Vote, VoteType
from catenet.core.consensus.votes import Polka
from catenet.testing.traitors import craft
from catenet.testing.traitors.hidden_lock import HiddenLock
from catenet.types.batch import Compact
from catenet.types.ids import Address
from catenet.types.messages import Message, ProposalMessage, VoteMessage, VoteSet

TURNS = range(2, 4)
"""Rounds that leave room for two polkas before them."""


class Turncoat(HiddenLock):
    """Shows no prevote until there is a polka with it; then what a hidden lock shows, and the older block."""

    def begin(self) -> None:
        """Know no block yet."""
        super().begin()
        self._compacts: dict[BlockID, Compact] = {}
        self._helped: set[tuple[int, int]] = set()
        self._cut_off: dict[tuple[int, int], int] = {}

    def hears(self, peer: Address, message: Message) -> Sequence[Message]:
        """Remember the blocks that are proposed."""
        if isinstance(message, ProposalMessage):
            self._compacts[message.signed.block_id] = message.compact
        return (message,)

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Keep what a hidden lock keeps, and the first prevote for a block for ever."""
        match message:
            case ProposalMessage(signed=signed) if craft.is_mine(self.hand, signed):
                self._compacts.setdefault(signed.block_id, message.compact)
                older = self._older(message)
                return super().says(peer, message) if older is None else (older,)
            case VoteMessage(vote=vote) if vote.type is VoteType.PREVOTE:
                if vote.height == craft.here(self.hand).height and self._first(vote.round) is not None:
                    self._turn(vote)
                    return ()
                return (message,) if vote.is_nil else ()
            case _:
                return super().says(peer, message)

    def acted(self) -> None:
        """Cut one node off in each round before its turn; show what it prevotes when the time has come."""
        state = craft.here(self.hand)
        step = state.height, state.round
        turn = next((at for at in TURNS if craft.is_turn(self.hand, at)), 0)
        if state.round < turn and step not in self._cut_off:
            self._cut_off[step] = self._isolate(state.round)
        super().acted()

    def _isolate(self, round: int) -> int:
        """Have the network lose what an honest node and the others say, until it gives up on the round."""
        proposer = craft.here(self.hand).proposer(round).address
        others = self.hand.others()
        lone = self.hand.chooser.pick([at for at in others if self.hand.address_of(at) != proposer])
        settings = self.hand.settings
        wait_us = craft.wait_us(self.hand, settings.propose_us, round) + settings.prevote_us
        for other in others:
            if other != lone:
                self.hand.darken(lone, other, wait_us)
        return lone

    def _first(self, round: int) -> Polka | None:
        """Return the oldest polka for a block below a round of this height: its own prevote is in it."""
        polkas = craft.here(self.hand).polkas
        below = [at for at in sorted(polkas) if at < round and not polkas[at].block_id.is_nil]
        return polkas[below[0]] if below else None

    def _turn(self, vote: Vote) -> None:
        """Prevote for what the round proposes, against the lock of its core, and show it to one node."""
        step = vote.height, vote.round
        plan = self._plan(*step)
        proposal = craft.here(self.hand).proposals.get(vote.round)
        if plan.prevote is not None or proposal is None:
            return
        if proposal.block_id != vote.block_id:
            self.hand.did("prevoted against its lock")
            vote = self.hand.sign_vote(replace(vote, block_id=proposal.block_id, signature=b""))
        plan.prevote = vote
        if plan.victim == self._cut_off.get(step):
            plan.victim = next(at for at in self.hand.others() if at != plan.victim)
        self._helped.add(step)
        # At once, and again when the others have voted: the network loses much.
        self.hand.say(plan.victim, VoteMessage(vote=vote))

    def _older(self, message: ProposalMessage) -> ProposalMessage | None:
        """Return a proposal of the first block that had a polka, once it may have helped to another."""
        signed = message.signed
        polka = self._first(signed.round)
        compact = None if polka is None else self._compacts.get(polka.block_id)
        if polka is None or compact is None:
            return None
        if not any((signed.height, at) in self._helped for at in range(polka.round + 1, signed.round)):
            return None
        self.hand.did("proposed the older of two blocks")
        older = replace(signed, pol_round=polka.round)
        return craft.proposal(self.hand, older, polka.block_id, compact, pol=VoteSet(votes=polka.votes))
