"""Hidden lock: helps exactly one honest node to a polka, as late as it can, and hides it from the rest.

Its prevote for a block reaches one victim, when the others' timers are about to end: the victim locks alone.
Whatever the others know of the polka they must have from the victim (G2, G4, T6b), or no round ends well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from catenet.chain.commit import NIL
from catenet.chain.vote import Vote, VoteType
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.messages import Found, FoundCompact, Message, ProposalMessage, Status, VoteMessage, VoteSet


@dataclass(slots=True)
class Plan:
    """What is done in one round."""

    victim: int
    few: Sequence[int]
    """Who hears of a proposal of its own: enough for a polka with its vote, not without."""
    prevote: Vote | None = None
    shown: bool = False


class HiddenLock(Conduct):
    """Shows its prevotes to one node only, late, and never a polka to anybody."""

    def begin(self) -> None:
        """Plan nothing yet."""
        self._plans: dict[tuple[int, int], Plan] = {}
        self._nil: dict[tuple[int, int], Vote] = {}

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Keep prevotes, polkas and blocks back."""
        match message:
            case ProposalMessage():
                return self._propose(peer, message)
            case VoteMessage(vote=vote):
                if vote.is_nil:
                    return (message,)
                if vote.type is VoteType.PRECOMMIT:
                    return (VoteMessage(vote=self._denied(vote)),)
                self._plan(vote.height, vote.round).prevote = vote
                return ()
            case VoteSet(votes=votes):
                kept = [
                    self._denied(vote) for vote in votes if vote.type is VoteType.PRECOMMIT or vote.is_nil
                ]
                return (replace(message, votes=tuple(kept)),) if kept else ()
            case Status():
                return (replace(message, valid_round=-1),)
            case _:
                return (message,)

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Hand out no block that is not decided."""
        return [piece for piece in found if not isinstance(piece, FoundCompact)]

    def acted(self) -> None:
        """Show the prevote when the others have voted and wait for the last ones."""
        state = craft.here(self.hand)
        plan = self._plans.get((state.height, state.round))
        if plan is None or plan.prevote is None or plan.shown:
            return
        votes = state.votes.of(state.round, VoteType.PREVOTE)
        others = [v for v in (() if votes is None else votes.present()) if v.address != self.hand.address]
        members = state.validators.validators
        if not state.validators.two_thirds(sum([members[v.index].power for v in others])):
            return
        plan.shown = True
        wait_us = craft.wait_us(self.hand, self.hand.settings.prevote_us, state.round)
        for_it = [v for v in others if v.block_id == plan.prevote.block_id]
        power = sum([members[v.index].power for v in for_it])
        mine = members[plan.prevote.index].power
        if state.validators.two_thirds(power + mine) and not state.validators.two_thirds(power):
            self.hand.did("helped one node to a polka")
        victim, vote = plan.victim, plan.prevote
        delay_us = self.hand.chooser.between(wait_us // 2, wait_us)
        self.hand.after(delay_us, lambda: self.hand.say(victim, VoteMessage(vote=vote)))

    def _plan(self, height: int, round: int) -> Plan:
        plan = self._plans.get((height, round))
        if plan is None:
            left = [*self.hand.others()]
            chosen: list[int] = []
            # Powers are nearly equal: with its own, so many votes as a quorum needs.
            while len(chosen) < max(1, 2 * (len(left) + len(chosen) + 1) // 3):
                chosen.append(left.pop(self.hand.chooser.choose(len(left))))
            plan = self._plans[height, round] = Plan(victim=chosen[0], few=chosen)
        return plan

    def _propose(self, peer: int, message: ProposalMessage) -> Sequence[Message]:
        """Show an own proposal to few, so late that they cannot pass it on in time."""
        signed = message.signed
        if not craft.is_mine(self.hand, signed):
            return ()
        plan = self._plan(signed.height, signed.round)
        if peer not in plan.few:
            return ()
        if peer == plan.victim:
            self.hand.did("hid its proposal from some")
        wait_us = craft.wait_us(self.hand, self.hand.settings.propose_us, signed.round)
        self.hand.after(wait_us // 2, lambda: self.hand.say(peer, message))
        return ()

    def _denied(self, vote: Vote) -> Vote:
        """Return nil in the place of an own precommit for a block."""
        if vote.address != self.hand.address or vote.type is not VoteType.PRECOMMIT or vote.is_nil:
            return vote
        key = _step(vote)
        if key not in self._nil:
            self._nil = {key: self.hand.sign_vote(replace(vote, block_id=NIL, signature=b""))}
        return self._nil[key]


def _step(vote: Vote) -> tuple[int, int]:
    return vote.height, vote.round
