"""Telling peers what is held (D4): standalone tips, at most every few milliseconds."""

from collections.abc import Sequence

from catenet.core.batches.holders import Holders
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.receive import Receiver
from catenet.core.batches.store import Held, Store
from catenet.core.batches.timers import HAVE, Timers
from catenet.types.effects import Send, SetTimer
from catenet.types.ids import Address
from catenet.types.messages import Have, Tip


class Teller:
    """The authors whose tips changed, and the links to tell it on."""

    def __init__(
        self, config: BatchConfig, store: Store, holders: Holders, receiver: Receiver, timers: Timers
    ) -> None:
        self.links: dict[Address, None] = {}
        self.upcoming: Sequence[Address] = ()
        """The next proposers: they get the full vector."""
        self.paused = False
        self._config = config
        self._store = store
        self._holders = holders
        self._receiver = receiver
        self._timers = timers
        self._moved: dict[Address, None] = {}
        self._told_us: int | None = None

    def full(self) -> Have:
        """Return the full vector: it goes with every Status and on every new link (D4)."""
        authors = [author for author in self._holders.order if author != self._holders.me]
        return Have(tips=tuple([self._tip(author) for author in authors]))

    def moved(self, author: Address) -> None:
        """An author's tip changed."""
        self._moved[author] = None

    def freed(self, batches: Sequence[Held]) -> None:
        """Room came back: authors that were told of little are to hear of it."""
        for author in dict.fromkeys([held.author for held in batches]):
            if self._receiver.credit_grew(author, self._store.usage.get(author)):
                self._moved[author] = None

    def tell(self, now_us: int) -> list[Send | SetTimer]:
        """Send what moved, or wait for the distance between standalone tips."""
        if not self._moved:
            return []
        if self._told_us is not None and now_us < self._told_us + self._config.have_us:
            return [*self._timers.arm(HAVE, now_us, self._told_us + self._config.have_us - now_us)]
        self._told_us = now_us
        full = self.full()
        sends: list[Send | SetTimer] = []
        for peer in dict.fromkeys([*self.upcoming, *self._moved]):
            if peer in self.links and peer != self._holders.me:
                tips = full if peer in self.upcoming else Have(tips=(self._tip(peer),))
                sends.append(Send(peer=peer, message=tips))
        self._moved.clear()
        return sends

    def _tip(self, author: Address) -> Tip:
        return self._receiver.tip(author, self._store.usage.get(author), paused=self.paused)
