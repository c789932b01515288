"""Who holds which batch durably (D4), weighed by power: the two thresholds of dissemination, nothing else."""

from collections.abc import Mapping, Sequence

from catenet.chain.validators import ValidatorSet
from catenet.core.batches.store import Held
from catenet.types.ids import Address
from catenet.types.messages import Have

ALL = 1 << 64
"""Above every number of a stream."""


class Holders:
    """The validators, their powers, and up to where each says that it holds each author's stream."""

    def __init__(self, me: Address | None) -> None:
        self.me = me
        self.order: Sequence[Address] = ()
        """The validators, in set order."""
        self.powers: Mapping[Address, int] = {}
        self._validators: ValidatorSet | None = None
        self._haves: dict[Address, dict[Address, tuple[int, int]]] = {}
        self._heard: dict[Address, Have] = {}
        """What each validator said last, while its link and the set stand: the same again is nothing new."""

    def set_validators(self, validators: ValidatorSet) -> None:
        """Weigh by this set from now on; what peers said of authors that left is forgotten."""
        if self._validators is validators:
            return
        before = self.powers.keys()
        self._validators = validators
        self.order = tuple([member.address for member in validators.validators])
        self.powers = {member.address: member.power for member in validators.validators}
        self._haves = {author: haves for author, haves in self._haves.items() if author in self.powers}
        if self.powers.keys() != before:
            self._heard.clear()

    def two(self, power: int) -> bool:
        """Whether `power` is more than two thirds."""
        return self._validators is not None and self._validators.two_thirds(power)

    def third(self, power: int) -> bool:
        """Whether `power` is at least a third, so that an honest validator is in it."""
        return self._validators is not None and self._validators.third(power)

    def note(self, peer: Address, have: Have) -> bool:
        """Take a peer's word for how far it holds each author's batches; a lie costs a fetch (D4).

        Returns False when it is what the peer said last.
        """
        if peer not in self.powers:
            return True
        if self._heard.get(peer) == have:
            return False
        self._heard[peer] = have
        for tip in have.tips:
            if tip.author in self.powers:
                self._haves.setdefault(tip.author, {})[peer] = (tip.incarnation, tip.seq)
        return True

    def forget(self, peer: Address) -> None:
        """A link came up or went down: what the peer says next is news, whatever it is."""
        self._heard.pop(peer, None)

    def power(self, held: Held) -> int:
        """Return the power of those that hold a batch which is here: this node and its author included."""
        author = self.powers.get(held.author, 0) if held.author != self.me else 0
        return author + self.acked(held)

    def acked(self, held: Held) -> int:
        """Return the same without its author, unless that is this node: an author may send to few (5.5)."""
        powers = self.powers
        total = 0 if self.me is None else powers.get(self.me, 0)
        incarnation, seq = held.place
        for peer, (have_incarnation, have_seq) in self._haves.get(held.author, {}).items():
            if have_seq >= seq and have_incarnation == incarnation and peer not in (held.author, self.me):
                total += powers.get(peer, 0)
        return total

    def replicated(self, incarnation: int) -> int:
        """Return up to which number of the own stream holders have a third (5.4).

        `ALL` when own durability suffices.
        """
        me = self.me
        if me is None:
            return 0
        total = self.powers.get(me, 0)
        if self.third(total):
            return ALL
        acked = [
            (seq, self.powers.get(peer, 0))
            for peer, (have_incarnation, seq) in self._haves.get(me, {}).items()
            if have_incarnation == incarnation and peer != me
        ]
        for seq, power in sorted(acked, reverse=True):
            total += power
            if self.third(total):
                return seq
        return 0
