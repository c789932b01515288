"""False time: its blocks carry a time that is not the median of the last commit (consensus.md 2.4, 2.5).

An hour ahead, a nanosecond off, or not after the block before. Everything else about them is right, so only
the rule of block time stands between them and the chain.
"""

from collections.abc import Sequence

from catenet.chain.header import Header
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.messages import Message, ProposalMessage

HOUR_NS = 3_600 * 10**9


class FalseTime(Conduct):
    """Proposes blocks of another time, the same one to everybody."""

    def begin(self) -> None:
        """Nothing was proposed yet."""
        self._made: dict[tuple[int, int], ProposalMessage] = {}

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Say another time where the core proposes a fresh block."""
        if not isinstance(message, ProposalMessage) or message.signed.pol_round >= 0:
            return (message,)
        signed = message.signed
        if not craft.is_mine(self.hand, signed):
            return (message,)
        key = (signed.height, signed.round)
        if key not in self._made:
            self._made = {key: self._falsified(message)}
        return (self._made[key],)

    def _falsified(self, message: ProposalMessage) -> ProposalMessage:
        true_ns, signed = Header.decode(message.compact.header).time_ns, message.signed
        last_ns = craft.here(self.hand).last_time_ns
        time_ns = self.hand.chooser.pick((true_ns + HOUR_NS, true_ns + 1, last_ns))
        if time_ns == true_ns:
            return message
        self.hand.did("proposed a false time")
        txs = [craft.own_transaction(self.hand, "time", signed.height, signed.round)]
        block_id, compact = craft.block(message.compact, txs, time_ns=time_ns)
        return craft.proposal(self.hand, signed, block_id, compact)
