"""Whom to ask for which blocks (S2): claims, measured rates, deadlines, strikes. Claims are only hints."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from catenet.core.sync.io import SyncConfig
from catenet.types.ids import Address, RequestId


@dataclass(slots=True)
class Peer:
    """What is known of one source of blocks."""

    lowest: int
    head: int
    """The newest height that it says to have."""
    strikes: int = 0
    """Wrong blocks."""
    barren: bool = False
    """Asked for what it claims, it gave nothing: its claim counts no more until sync begins anew."""
    piece_us: int = 0
    """Average time between two pieces of an answer; 0: not yet measured."""


@dataclass(slots=True, kw_only=True)
class Range:
    """Blocks asked of one peer, `next..last` still to come."""

    peer: Address
    next: int
    last: int
    moved_us: int
    """When it was asked or last gave something."""
    bytes: int = 0
    """Given so far."""


@dataclass(slots=True)
class Sources:
    """The peers and the requests under way."""

    config: SyncConfig
    peers: dict[Address, Peer] = field(default_factory=dict)
    running: dict[RequestId, Range] = field(default_factory=dict)
    cut: dict[Address, int] = field(default_factory=dict)
    """Peers that lied too often, and until when their claims are not heard."""
    failed: dict[int, dict[Address, None]] = field(default_factory=dict)
    """Per height, who was asked for it in vain: others go first."""

    def claim(self, peer: Address, lowest: int, head: int, now_us: int) -> None:
        """Take a peer's word for what it has."""
        if self.cut.get(peer, now_us) > now_us:
            return
        self.cut.pop(peer, None)
        known = self.peers.get(peer)
        if known is None:
            self.peers[peer] = Peer(lowest=lowest, head=head)
        else:
            known.lowest, known.head = lowest, head

    def begin(self) -> None:
        """Hear everybody's claims again."""
        for peer in self.peers.values():
            peer.barren = False
        self.failed.clear()

    def drop(self, peer: Address) -> None:
        """A peer is gone: so are its requests."""
        self.peers.pop(peer, None)
        self.running = {request: work for request, work in self.running.items() if work.peer != peer}

    def target(self) -> int:
        """Return the highest height that a peer claims which did not fail to prove it."""
        return max([peer.head for peer in self.peers.values() if not peer.barren], default=0)

    def pick(self, height: int) -> Address | None:
        """Return whom to ask for blocks from `height` on: who did not fail there, errs least, is fastest."""
        busy = {work.peer for work in self.running.values()}
        failed = self.failed.get(height, {})
        free = [
            (address in failed, peer.strikes, peer.piece_us, address)
            for address, peer in self.peers.items()
            if address not in busy and not peer.barren and peer.lowest <= height <= peer.head
        ]
        return min(free)[3] if free else None

    def gaps(self, first: int, last: int, have: Collection[int], now_us: int) -> Sequence[tuple[int, int]]:
        """Return the ranges of `first..last` that are neither in hand nor asked for.

        What a silent peer was asked for may be asked of another: a frozen peer must hold nothing up.
        """
        since_us = now_us - self.config.patience_us
        asked = [(work.next, work.last) for work in self.running.values() if work.moved_us > since_us]
        gaps: list[tuple[int, int]] = []
        start = 0
        for height in range(first, last + 1):
            free = height not in have and not any([a <= height <= b for a, b in asked])
            if free and not start:
                start = height
            if not free and start:
                gaps.append((start, height - 1))
                start = 0
        if start:
            gaps.append((start, last))
        return gaps

    def progress(self, work: Range, now_us: int) -> None:
        """A piece came: learn the peer's rate and move its deadline."""
        peer = self.peers.get(work.peer)
        if peer is not None:
            took_us = max(1, now_us - work.moved_us)
            peer.piece_us = took_us if not peer.piece_us else (3 * peer.piece_us + took_us) // 4
        work.moved_us = now_us

    def stalled(self, now_us: int) -> list[RequestId]:
        """Return the requests whose deadline has passed."""
        return [
            request
            for request, work in self.running.items()
            if now_us - work.moved_us >= self._deadline_us(work.peer)
        ]

    def _deadline_us(self, address: Address) -> int:
        config = self.config
        peer = self.peers.get(address)
        if peer is None or not peer.piece_us:
            return config.stall_first_us
        return max(config.stall_min_us, min(config.stall_first_us, 4 * peer.piece_us))

    def forget_needless(self, height: int, have: Collection[int]) -> None:
        """Drop requests of which nothing from `height` on is missing any more: nobody waits for them."""
        self.running = {
            request: work
            for request, work in self.running.items()
            if any([missing not in have for missing in range(max(work.next, height), work.last + 1)])
        }

    def failure(self, work: Range) -> None:
        """An answer ended or stalled before its last block."""
        peer = self.peers.get(work.peer)
        if peer is not None and not work.bytes:
            peer.barren = True
        self.failed.setdefault(work.next, {})[work.peer] = None

    def strike(self, address: Address, now_us: int) -> bool:
        """Count a wrong block; say whether the peer is to be cut."""
        peer = self.peers.get(address)
        if peer is None:
            return False
        peer.strikes += 1
        if peer.strikes < self.config.wrong_blocks:
            return False
        self.drop(address)
        self.cut[address] = now_us + self.config.cut_us
        return True
