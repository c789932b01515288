"""The own stream of batches (D1): admitted transactions are buffered, sealed, numbered. Pushing is in `push`.

Tickets wait here until everything they handed in is in sealed batches; `tickets` then waits for the holders.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from catenet.chain.block import encode_txs
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.store import Held, Usage, leaf_hashes
from catenet.types.batch import Batch, batch_digest
from catenet.types.ids import Address, Ticket, TxId

_FRAMING = 4
"""Bytes around a transaction in a payload, at most: key and a length below 2 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A run of admitted transactions of one client that waits for sealing."""

    ticket: Ticket | None
    """The ticket that ends with this chunk: it is sealed as a whole once this chunk is."""
    client: str
    """Empty: nobody's quota."""
    txs: Sequence[bytes]
    ids: Sequence[TxId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A new batch of the own stream, and the tickets that are now sealed as a whole."""

    held: Held
    tickets: tuple[Ticket, ...]


@dataclass(slots=True)
class _Parcel:
    txs: list[bytes] = field(default_factory=list)
    ids: list[TxId] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    bytes_of: dict[str, int] = field(default_factory=dict)
    size: int = 0


class Author:
    """Buffer and numbering of the own stream. It decides when to seal; the machine appends and pushes."""

    def __init__(self, config: BatchConfig, address: Address) -> None:
        self.address = address
        self.incarnation = 0
        self.seq = 0
        """Number of the newest own batch."""
        self.buffered: dict[TxId, None] = {}
        self.buffered_bytes = 0
        self._config = config
        self._buffer: deque[Chunk] = deque()
        self._oldest_us = 0
        self._sealed_us = 0

    def enqueue(self, chunk: Chunk, now_us: int) -> None:
        """Buffer transactions. An empty chunk makes its ticket wait for what is buffered before it."""
        if not self._buffer:
            self._oldest_us = now_us
        self._buffer.append(chunk)
        self.buffered.update(dict.fromkeys(chunk.ids))
        self.buffered_bytes += _size(chunk.txs)

    def wait_us(self, usage: Usage, now_us: int, *, in_flight: bool) -> int | None:
        """Return how long to wait before sealing: 0 is now, None until something changes (D1)."""
        config = self._config
        if not self._buffer:
            return None
        full = usage.batches >= config.window_batches or usage.bytes >= config.window_bytes
        if full:
            # D1: a full WINDOW stops sealing, so that the buffer and then ingress fill.
            return None
        if self.buffered_bytes >= config.seal_bytes:
            return 0
        # Under load fewer and larger batches: the pause grows with what is unfreed.
        load = usage.batches * (config.seal_max_us - config.seal_us) * 2 // config.window_batches
        due_us = self._oldest_us + min(config.seal_max_us, config.seal_us + load)
        if not in_flight:
            due_us = min(due_us, self._sealed_us + config.seal_gap_us)
        return max(0, due_us - now_us)

    def seal(self, now_us: int) -> Sealed:
        """Seal the next batch. Call it only with something buffered."""
        parcel = _Parcel()
        while self._buffer and parcel.size < self._config.seal_bytes and self._take(parcel):
            pass
        # What only waits for chunks before it is sealed with them, so that the buffer never starts with it.
        while self._buffer and not self._buffer[0].txs:
            self._take(parcel)
        assert parcel.txs, "nothing to seal"
        self._oldest_us = self._sealed_us = now_us
        self.seq += 1
        batch = Batch(incarnation=self.incarnation, seq=self.seq, payload=encode_txs(parcel.txs))
        for tx_id in parcel.ids:
            self.buffered.pop(tx_id, None)
        # Ingress hashed the transactions: the ids come along.
        held = Held(
            digest=batch_digest(self.address, batch),
            author=self.address,
            batch=batch,
            txs=parcel.txs,
            ids=parcel.ids,
            leaves=leaf_hashes(parcel.ids),
            arrived_us=now_us,
            checked=True,
            bytes_of=parcel.bytes_of,
        )
        return Sealed(held=held, tickets=tuple(parcel.tickets))

    def clear(self) -> dict[str, int]:
        """Forget what is buffered; return its bytes per client."""
        bytes_of: dict[str, int] = {}
        for chunk in self._buffer:
            if chunk.client and chunk.txs:
                bytes_of[chunk.client] = bytes_of.get(chunk.client, 0) + sum(map(len, chunk.txs))
        self._buffer.clear()
        self.buffered.clear()
        self.buffered_bytes = 0
        return bytes_of

    def _take(self, parcel: _Parcel) -> bool:
        """Move the first chunk, or as much of it as fits, into the parcel. False: nothing more fits."""
        chunk = self._buffer[0]
        size = _size(chunk.txs)
        # The last transaction may fill a parcel beyond its mark; a chunk without any fits always.
        room = max(0, self._config.seal_bytes - parcel.size)
        if size <= room:
            self._buffer.popleft()
        else:
            count = self._count(chunk.txs, room, first=not parcel.txs)
            if not count:
                return False
            self._buffer.popleft()
            if count < len(chunk.txs):
                rest = Chunk(
                    ticket=chunk.ticket, client=chunk.client, txs=chunk.txs[count:], ids=chunk.ids[count:]
                )
                self._buffer.appendleft(rest)
                head = Chunk(ticket=None, client=chunk.client, txs=chunk.txs[:count], ids=chunk.ids[:count])
                chunk, size = head, _size(chunk.txs[:count])
        parcel.txs.extend(chunk.txs)
        parcel.ids.extend(chunk.ids)
        parcel.size += size
        self.buffered_bytes -= size
        if chunk.ticket is not None:
            parcel.tickets.append(chunk.ticket)
        if chunk.client and chunk.txs:
            parcel.bytes_of[chunk.client] = parcel.bytes_of.get(chunk.client, 0) + sum(map(len, chunk.txs))
        return True

    def _count(self, txs: Sequence[bytes], room: int, *, first: bool) -> int:
        """Return how many leading transactions go into a batch with `room` left; the last one fills it up.

        D1: a transaction above the mark is a batch of its own.
        """
        count = 0
        for tx in txs:
            if room <= 0 or len(tx) > self._config.seal_bytes:
                break
            room -= len(tx) + _FRAMING
            count += 1
        return 1 if first and not count else count


def _size(txs: Sequence[bytes]) -> int:
    return sum(map(len, txs)) + _FRAMING * len(txs)


def split_payloads(txs: Sequence[bytes], seal_bytes: int) -> list[list[bytes]]:
    """Cut transactions, in order, into runs of about `seal_bytes`, each at least one transaction long."""
    runs: list[list[bytes]] = []
    room = 0
    for tx in txs:
        if room < len(tx) + _FRAMING:
            runs.append([])
            room = seal_bytes
        runs[-1].append(tx)
        room -= len(tx) + _FRAMING
    return runs
