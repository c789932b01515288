"""REPLICATED (5.4): which submissions of this node's clients wait for which batches to be held widely."""

from collections.abc import Iterable
from heapq import heappop, heappush

from catenet.core.batches.holders import Holders
from catenet.core.batches.store import Held
from catenet.types.ids import Digest, Ticket


class Tickets:
    """Tickets with the number of things that each still waits for."""

    def __init__(self) -> None:
        self._parts: dict[Ticket, int] = {}
        self._by_seq: list[tuple[int, Ticket]] = []
        """Heap: parts in the own stream, resolved up to a number at once."""
        self._by_batch: dict[Digest, list[Ticket]] = {}
        """Parts in batches outside of the own stream: the same transactions came in elsewhere before."""

    def open(self, ticket: Ticket, parts: int) -> None:
        """Begin to count; `parts` > 0."""
        self._parts[ticket] = parts

    def wait_seq(self, ticket: Ticket, seq: int) -> None:
        """One part of the ticket is in the own batch `seq`."""
        heappush(self._by_seq, (seq, ticket))

    def wait_batch(self, ticket: Ticket, held: Held) -> None:
        """One part of the ticket is in a batch of another stream."""
        self._by_batch.setdefault(held.digest, []).append(ticket)

    def replicated(self, seq: int) -> list[Ticket]:
        """Own batches up to `seq` are held by a third: return tickets that wait for nothing more."""
        done: list[Ticket] = []
        while self._by_seq and self._by_seq[0][0] <= seq:
            self._part(heappop(self._by_seq)[1], done)
        return done

    def replicated_elsewhere(self, holders: Holders, batches: dict[Digest, Held]) -> list[Ticket]:
        """Look at batches of other streams again; one that is spent or held by a third is enough."""
        done: list[Ticket] = []
        for digest in list(self._by_batch):
            held = batches.get(digest)
            if held is None or held.freed_at >= 0 or holders.third(holders.power(held)):
                for ticket in self._by_batch.pop(digest):
                    self._part(ticket, done)
        return done

    def restart(self) -> list[Ticket]:
        """The own stream begins anew: return the tickets that waited for its old numbers, in order."""
        waiting = [ticket for _, ticket in sorted(self._by_seq)]
        self._by_seq.clear()
        return waiting

    def cancel(self, held: Held) -> list[Ticket]:
        """A batch expired: return the tickets that waited for it; they are not counted any more."""
        return self._give_up(self._by_batch.pop(held.digest, ()))

    def cancel_seq(self, seq: int) -> list[Ticket]:
        """The same for a batch of the own stream."""
        return self._give_up([ticket for waits, ticket in self._by_seq if waits == seq])

    def cancel_all(self) -> list[Ticket]:
        """This node authors no more: return every ticket that waits."""
        self._by_seq.clear()
        self._by_batch.clear()
        return self._give_up(list(self._parts))

    def _give_up(self, tickets: Iterable[Ticket]) -> list[Ticket]:
        return [ticket for ticket in tickets if self._parts.pop(ticket, None) is not None]

    def _part(self, ticket: Ticket, done: list[Ticket]) -> None:
        left = self._parts.get(ticket)
        if left is None:
            return
        if left > 1:
            self._parts[ticket] = left - 1
        else:
            del self._parts[ticket]
            done.append(ticket)
