"""Clients that hand in transactions, try again with the same bytes, and remember what they were promised."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.keys import SimulatedKey
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.schedule import Schedule
from catenet.types.effects import Acknowledge, Overload
from catenet.types.events import Level, Submitted

TRICKLE_US = 2_000_000
"""Pause between submissions after chaos: they only give everybody a reason for the next height."""

PATIENCE_US = 4_000_000
"""After so long without REPLICATED a client tries another node."""


class Door(Protocol):
    """A node, as clients see it."""

    @property
    def alive(self) -> bool:
        """Whether the node runs."""
        ...

    def submit(self, event: Submitted) -> None:
        """Take a submission."""
        ...


@dataclass(slots=True)
class _Submission:
    txs: tuple[bytes, ...]
    level: Level
    done: bool = False


class Clients:
    """All clients of a run."""

    def __init__(
        self, schedule: Schedule, chooser: Chooser, config: SimulationConfig, monitor: Monitor
    ) -> None:
        self._schedule = schedule
        self._chooser = chooser
        self._config = config
        self._monitor = monitor
        self._doors: Sequence[Door] = ()
        self._tickets: dict[int, _Submission] = {}
        self._unfinished: dict[int, _Submission] = {}
        self._last_ticket = 0
        self._open = 0
        self.submitted = 0

    @property
    def waiting(self) -> int:
        """Submissions without a promise yet."""
        return self._open

    def start(self, doors: Sequence[Door]) -> None:
        """Plan all submissions over the time of chaos; some keys are set again, some bytes are sent twice."""
        self._doors = doors
        earlier: list[bytes] = []
        for number in range(self._config.submissions):
            count = self._chooser.between(1, 5)
            txs = [b"key-%d-%d=%d" % (number % 7, item, number) for item in range(count)]
            if earlier and self._chooser.chance(0.1):
                txs.append(self._chooser.pick(earlier))
            earlier.extend(txs)
            if self._chooser.chance(self._config.power_changes):
                txs.append(self._power_change())
            level = Level.REPLICATED if self._chooser.chance(0.8) else Level.ACCEPTED
            submission = _Submission(tuple(dict.fromkeys(txs)), level)
            self._open += 1
            self._unfinished[number] = submission
            delay_us = self._chooser.choose(max(1, self._config.chaos_us))
            self._schedule.after(delay_us, self._sender(submission))

    def _power_change(self) -> bytes:
        """Return a transaction that gives a validator another power from two heights later on."""
        key = SimulatedKey.of(self._chooser.choose(self._config.validators)).public
        # With traitors no power falls: theirs must stay below a third whatever is committed.
        least = 10 if self._config.traitors else 8
        return b"val=ed25519!%b!%d" % (b64encode(key.data), self._chooser.between(least, 12))

    def _sender(self, submission: _Submission) -> Callable[[], None]:
        return lambda: self._send(submission)

    def _send(self, submission: _Submission) -> None:
        if submission.done:
            return
        self._schedule.after(PATIENCE_US, self._sender(submission))
        door = self._chooser.pick(self._doors)
        if not door.alive:
            return
        self._tickets[self._last_ticket + 1] = submission
        self._hand_in(door, submission)

    def _hand_in(self, door: Door, submission: _Submission) -> None:
        self._last_ticket += 1
        self.submitted += len(submission.txs)
        self._monitor.submitted(submission.txs)
        client = f"client-{self._chooser.choose(3)}"
        door.submit(
            Submitted(ticket=self._last_ticket, client=client, txs=submission.txs, level=submission.level)
        )

    def calm(self, doors: Sequence[Door], *, pause_us: int = TRICKLE_US) -> None:
        """Chaos is over: from here on clients know whom they can trust, and all ask once more."""
        self._doors = doors
        for submission in self._unfinished.values():
            self._send(submission)
        self._trickle(pause_us)

    def _trickle(self, pause_us: int) -> None:
        """Hand in one transaction after the other; nobody waits for them."""
        door = self._chooser.pick(self._doors)
        self._hand_in(door, _Submission((b"trickle=%d" % self._last_ticket,), Level.ACCEPTED))
        self._schedule.after(pause_us, lambda: self._trickle(pause_us))

    def acknowledged(self, effect: Acknowledge) -> None:
        """A node answered. A refused transaction is not promised, whatever the reason."""
        submission = self._tickets.get(effect.ticket)
        if submission is None:
            return
        if effect.reached is Level.REPLICATED:
            refused = [refusal.index for refusal in effect.refused]
            self._monitor.promised([tx for index, tx in enumerate(submission.txs) if index not in refused])
        if effect.reached is not Level.ACCEPTED or submission.level is Level.ACCEPTED:
            self._finish(submission)

    def overloaded(self, effect: Overload) -> None:
        """A node refused a submission as a whole: it is tried again in time."""

    def _finish(self, submission: _Submission) -> None:
        if not submission.done:
            submission.done = True
            self._open -= 1
