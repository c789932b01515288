"""Pushing the own stream (D2): one cursor per peer, in order, within PIPE and the peer's credit."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from catenet.core.batches.io import BatchConfig
from catenet.core.batches.store import Held
from catenet.types.effects import Send
from catenet.types.ids import Address
from catenet.types.messages import BatchMessage, Skip, Tip


@dataclass(slots=True)
class _Peer:
    """How far one peer is. `acked < next`; `flight` are sent batches above `acked` as (number, bytes)."""

    up: bool = False
    told: bool = False
    """Its tip came since the link is up: before that nothing is pushed, for it may have lost what it had."""
    acked: int = 0
    next: int = 1
    credit: int = 0
    flight: deque[tuple[int, int]] = field(default_factory=deque)
    flight_bytes: int = 0
    progress_us: int = 0
    sent: int = 0
    """The highest number that it was sent, or told to skip, in this run."""

    def go_back(self, now_us: int) -> None:
        """Send again from the first unacknowledged number on."""
        self.next = self.acked + 1
        self.flight.clear()
        self.flight_bytes = 0
        self.progress_us = now_us


class Pusher:
    """Cursors into the own stream. `own`: the batches of the current incarnation, freed ones included."""

    def __init__(self, config: BatchConfig, own: Mapping[int, Held]) -> None:
        self._config = config
        self._own = own
        self._peers: dict[Address, _Peer] = {}

    def link(self, peer: Address, *, up: bool, now_us: int) -> None:
        """Learn of a link. On reconnect pushing starts again at what the peer says to have (D2)."""
        state = self._peers.setdefault(peer, _Peer())
        state.up, state.told = up, False
        state.go_back(now_us)

    def sent(self, peer: Address) -> int:
        """Return the highest number of this incarnation that a peer was sent in this run."""
        state = self._peers.get(peer)
        return 0 if state is None else state.sent

    def tip(self, peer: Address, tip: Tip, incarnation: int, now_us: int) -> None:
        """Take a peer's tip of the own stream: acknowledgement and credit."""
        state = self._peers.get(peer)
        if state is None or not state.up:
            return
        # A tip of another incarnation acknowledges nothing of this one.
        acked = tip.seq if tip.incarnation == incarnation else 0
        if acked < state.acked or acked >= state.next or not state.told:
            state.acked = acked
            state.go_back(now_us)
        elif acked > state.acked:
            state.acked, state.progress_us = acked, now_us
            while state.flight and state.flight[0][0] <= acked:
                state.flight_bytes -= state.flight.popleft()[1]
        state.told, state.credit = True, tip.credit

    def restart(self, now_us: int) -> None:
        """Begin a new incarnation: nothing of it is acknowledged."""
        for state in self._peers.values():
            state.acked = state.sent = 0
            state.go_back(now_us)

    def pump(self, peer: Address, newest: int, incarnation: int, now_us: int) -> list[Send]:
        """Send a validator what it may take now."""
        state = self._peers.get(peer)
        if state is None or not state.told or state.next > newest:
            return []
        sends: list[Send] = []
        room = min(self._config.pipe_bytes, state.credit)
        while state.next <= newest:
            held = self._own.get(state.next)
            if held is None or held.freed_at >= 0:
                if state.flight:
                    # Skip covers everything up to it: wait until nothing sent before is in doubt.
                    break
                state.next = self._behind_gone(state.next, newest)
                state.sent = max(state.sent, state.next - 1)
                sends.append(Send(peer=peer, message=Skip(to=state.next - 1, incarnation=incarnation)))
                continue
            size = len(held.batch.payload)
            if state.flight_bytes + size > room:
                break
            if not state.flight:
                state.progress_us = now_us
            state.flight.append((state.next, size))
            state.flight_bytes += size
            state.next += 1
            state.sent = max(state.sent, state.next - 1)
            sends.append(Send(peer=peer, message=BatchMessage(batch=held.batch)))
        return sends

    def _behind_gone(self, first: int, newest: int) -> int:
        # Most of a long stream is gone altogether: a peer that says to have none of it must not cost a walk.
        first = max(first, min(self._own, default=newest + 1))
        while first <= newest and ((held := self._own.get(first)) is None or held.freed_at >= 0):
            first += 1
        return first

    def busy(self) -> bool:
        """Whether something sent is not yet acknowledged, so that a stall is to be watched for."""
        return any(state.told and state.next > state.acked + 1 for state in self._peers.values())

    def unstall(self, now_us: int) -> None:
        """Go back where nothing moved for long although credit is left; a full window is not sent to (D2)."""
        for state in self._peers.values():
            stalled = now_us - state.progress_us >= self._config.push_stall_us
            if state.told and state.next > state.acked + 1 and state.credit and stalled:
                state.go_back(now_us)
