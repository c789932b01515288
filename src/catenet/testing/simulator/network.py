"""Links between nodes: loss, duplication, delay, reordering, partitions, links that are broken for ever.

It carries anything as an action of the receiver; what messages say is none of its business. A link may be
deaf one way.
"""

from collections.abc import Callable, Sequence

from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.schedule import Action, Schedule

LinkHandler = Callable[[int, int, bool], None]
"""(node, peer, up): the node learns that its connection to the peer came up or went down."""

CALM_DELAY_US = 5_000
"""Longest one-way delay after chaos."""

NOTICE_US = 1_000_000
"""A cut link is noticed within this time."""


class Network:
    """Who can reach whom at the moment, and how long it takes."""

    def __init__(
        self, schedule: Schedule, chooser: Chooser, config: SimulationConfig, *, places: int = 0
    ) -> None:
        """`places`: how many processes there are, when a validator has more than one."""
        self._schedule = schedule
        self._chooser = chooser
        self._config = config
        self._size = size = max(places, config.validators)
        self._nodes = range(size)
        self.chaos = True
        self._loss = config.loss
        self._alive = [False] * size
        self._groups = [0] * size
        self._deaf: tuple[int, int] | None = None
        self._broken = self._choose_broken()
        self._cut: dict[tuple[int, int], None] = {}
        self._banned: dict[tuple[int, int], int] = {}
        self._dark: dict[tuple[int, int], int] = {}
        self._connected = [[False] * size for _ in self._nodes]
        self._peers: dict[int, list[int]] = {}
        """What `connected` gives, until a connection changes."""
        self._last_arrival = [[0] * size for _ in self._nodes]
        self._on_link: LinkHandler = lambda node, peer, up: None
        if config.partition_every_us:
            self._later_repartition()

    def _choose_broken(self) -> list[tuple[int, int]]:
        pairs = [(a, b) for a in self._nodes for b in self._nodes if 0 < a < b]
        count = min(self._config.broken_links, len(pairs))
        return [pairs.pop(self._chooser.choose(len(pairs))) for _ in range(count)]

    def start(self, on_link: LinkHandler) -> None:
        """Begin to tell nodes about their connections."""
        self._on_link = on_link

    def set_alive(self, node: int, *, alive: bool) -> None:
        """A node started or died: its peers notice."""
        self._alive[node] = alive
        if not alive:
            self._connected[node] = [False] * self._size
            self._peers.pop(node, None)
            # Who was banned is known to the process alone.
            self._banned = {pair: until for pair, until in self._banned.items() if pair[0] != node}
        self._notice()

    def set_open(self, a: int, b: int, *, open: bool) -> None:
        """Open or cut one link for good: one of its ends wants it so."""
        pair = (min(a, b), max(a, b))
        if open:
            self._cut.pop(pair, None)
        else:
            self._cut[pair] = None
        for node, peer in ((a, b), (b, a)):
            if self._alive[node]:
                self._look(node, peer)

    def ban(self, node: int, peer: int, ban_us: int) -> None:
        """Have `node` cut off a peer and refuse it for a while, as production does with one that lies."""
        self._banned[node, peer] = self._schedule.now_us + ban_us
        self._schedule.after(0, self._looker(node, peer))
        self._schedule.after(0, self._looker(peer, node))
        self._schedule.after(ban_us, self._looker(node, peer))

    def _refuses(self, node: int, peer: int) -> bool:
        return self._banned.get((node, peer), 0) > self._schedule.now_us

    def end_chaos(self) -> None:
        """From here on only broken links stay, and delays are bounded."""
        self.chaos = False
        self._loss = 0.0
        self._groups = [0] * self._size
        self._deaf = None
        self._dark = {}
        self._notice()

    def split(self, groups: Sequence[int]) -> None:
        """Cut every link between nodes of different groups: one number for each node."""
        self._groups = list(groups)
        self._notice()

    def darken(self, a: int, b: int, for_us: int) -> None:
        """Lose what two nodes say to each other for a while; neither notices, and it ends with chaos."""
        self._dark[min(a, b), max(a, b)] = self._schedule.now_us + for_us

    def _is_dark(self, a: int, b: int) -> bool:
        return self._dark.get((min(a, b), max(a, b)), 0) > self._schedule.now_us

    def lose(self, share: float) -> None:
        """Let this share of all frames be lost from here on."""
        self._loss = share

    def reaches(self, source: int, target: int) -> bool:
        """Whether what `source` sends can arrive at `target`."""
        return (
            self._alive[source]
            and self._alive[target]
            and self._groups[source] == self._groups[target]
            and (source, target) != self._deaf
            and not ((self._broken or self._cut) and self._is_cut(source, target))
            and not (self._banned and (self._refuses(source, target) or self._refuses(target, source)))
        )

    def _is_cut(self, a: int, b: int) -> bool:
        pair = (min(a, b), max(a, b))
        return pair in self._broken or pair in self._cut

    def connected(self, node: int) -> Sequence[int]:
        """Return the peers that `node` believes to be connected."""
        peers = self._peers.get(node)
        if peers is None:
            peers = self._peers[node] = [peer for peer in self._nodes if self._connected[node][peer]]
        return peers

    def carry(self, source: int, target: int, arrive: Action) -> bool:
        """Carry one frame: `arrive` happens once, twice or never. False when it was lost at once."""
        if not (self._connected[source][target] and self.reaches(source, target)):
            return False
        if self._chooser.chance(self._loss):
            return False
        if self._dark and self._is_dark(source, target):
            return False
        self._schedule.after(self._delay(source, target), lambda: self._arrive(source, target, arrive))
        if self.chaos and self._chooser.chance(self._config.duplication):
            self._schedule.after(self._delay(source, target), lambda: self._arrive(source, target, arrive))
        return True

    def _arrive(self, source: int, target: int, arrive: Action) -> None:
        if self.reaches(source, target):
            arrive()

    def _delay(self, source: int, target: int) -> int:
        if self.chaos:
            return self._chooser.tail(self._config.delay_us, self._config.delay_tail_us)
        delay = min(self._chooser.tail(self._config.delay_us, CALM_DELAY_US), CALM_DELAY_US)
        # A stream keeps its order once nothing is lost any more.
        arrival = max(self._schedule.now_us + delay, self._last_arrival[source][target])
        self._last_arrival[source][target] = arrival
        return arrival - self._schedule.now_us

    def _later_repartition(self) -> None:
        mean = self._config.partition_every_us
        self._schedule.after(self._chooser.between(mean // 4, 2 * mean), self._repartition)

    def _repartition(self) -> None:
        if not self.chaos:
            return
        self._deaf = None
        self._groups = [0] * self._size
        match self._chooser.choose(4):
            case 3:
                self._groups = [self._chooser.choose(2) for _ in self._nodes]
            case 1:
                self._groups[self._chooser.choose(self._size)] = 1
            case 2:
                self._deaf = (self._chooser.choose(self._size), self._chooser.choose(self._size))
            case _:
                pass
        self._notice()
        self._later_repartition()

    def _notice(self) -> None:
        """Let both ends of each link that changed learn it, a little later."""
        for node in self._nodes:
            for peer in self._nodes:
                if node != peer and self._alive[node]:
                    self._schedule.after(self._chooser.choose(NOTICE_US), self._looker(node, peer))

    def _looker(self, node: int, peer: int) -> Action:
        return lambda: self._look(node, peer)

    def _look(self, node: int, peer: int) -> None:
        """A connection comes up at both ends at once, and goes down at each end by itself."""
        if not self._alive[node]:
            return
        up = self.reaches(node, peer) and self.reaches(peer, node)
        for end, other in ((node, peer), (peer, node)) if up else ((node, peer),):
            if self._alive[end] and up != self._connected[end][other]:
                self._connected[end][other] = up
                self._peers.pop(end, None)
                self._on_link(end, other, up)
