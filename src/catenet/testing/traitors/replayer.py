"""Replayer: says again what it or others said long ago, and signs for another chain.

Votes and proposals bind height, round and chain id: none may count where it was not cast. Votes of others are
not taken one by one (G8), and nothing that is repeated may grow a node (bounds of section 3).
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.vote import Vote, VoteType
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.ids import Address
from catenet.types.messages import Message, Ping, ProposalMessage, Status, VoteMessage, VoteSet

KEPT = 200
OTHER_CHAIN = "simulated-elsewhere"


class Replayer(Conduct):
    """Repeats."""

    def __init__(self) -> None:
        self._heard: deque[Message] = deque(maxlen=KEPT)
        self._own: deque[Message] = deque(maxlen=KEPT)

    def begin(self) -> None:
        """Begin to repeat; what was heard in earlier lives is not forgotten."""
        self._next()

    def _next(self) -> None:
        self.hand.after(self.hand.chooser.between(50_000, 300_000), self._repeat)

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Keep what it says."""
        self._own.append(message)
        return (message,)

    def hears(self, peer: Address, message: Message) -> Sequence[Message]:
        """Keep what it hears."""
        if not isinstance(message, Ping | Status):
            self._heard.append(message)
        return (message,)

    def _repeat(self) -> None:
        self._next()
        peers, chooser = self.hand.peers(), self.hand.chooser
        if not peers or not self._heard or not self._own:
            return
        peer = chooser.pick(peers)
        match chooser.choose(4):
            case 0:
                self.hand.did("repeated its own")
                self.hand.say(peer, chooser.pick(self._own))
            case 1:
                vote = self._elsewhere()
                if vote is not None:
                    self.hand.did("signed for another chain")
                    self.hand.say(peer, VoteMessage(vote=vote))
            case _:
                self.hand.did("repeated others")
                self.hand.say(peer, self._again(chooser.pick(self._heard)))

    def _again(self, message: Message) -> Message:
        """Return a message of another as it was, or its votes as an answer that was never asked for."""
        if isinstance(message, VoteMessage) and self.hand.chooser.chance(0.7):
            return VoteSet(votes=(message.vote,), answer=True)
        if isinstance(message, ProposalMessage) and message.pol is not None:
            return message.pol
        return message

    def _elsewhere(self) -> Vote | None:
        """Return a vote of this step that was signed for another chain."""
        state = craft.here(self.hand)
        index = state.validators.index_of(self.hand.address)
        if index is None:
            return None
        named = [entry.block_id for entry in state.blocks]
        if not named:
            return None
        vote = Vote(
            type=self.hand.chooser.pick((VoteType.PREVOTE, VoteType.PRECOMMIT)),
            height=state.height,
            round=state.round,
            block_id=self.hand.chooser.pick(named),
            time_ns=self.hand.now().wall_ns,
            address=self.hand.address,
            index=index,
        )
        return replace(vote, signature=self.hand.key.sign(vote.sign_bytes(OTHER_CHAIN)))
