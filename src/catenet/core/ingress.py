"""The way in for clients of this node: sizes, duplicates, quota, the application's check (consensus.md 5.1).

Bounded: what does not fit is refused at once with `Overload`. Transactions are hashed here, once.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import Protocol

from catenet.types.application import CheckResult
from catenet.types.effects import Acknowledge, CheckTxs, Effect, Overload, TxRefusal
from catenet.types.events import Level, Submitted, TxsChecked
from catenet.types.ids import RequestId, Ticket, TxId

KIB = 1024
MIB = 1024 * KIB


_UNANSWERED = CheckResult(code=1, log="the application gave no answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressConfig:
    """Bounds of what clients may have under way here (consensus.md 5.3). Sizes in bytes."""

    tx_bytes: int = 256 * KIB
    """Largest transaction."""
    buffer_bytes: int = 16 * MIB
    """Being checked or waiting to be sealed, of all clients."""
    client_bytes: int = 2 * MIB
    """D6: of one client, until it is out of the pool: an eighth of WINDOW."""
    check_txs: int = 4096
    """Transactions in one question to the application, as far as submissions are not larger."""
    checks: int = 2
    """Questions to the application at once."""
    retry_after_us: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A submission that passed: hand it to the pool. `txs` is empty when everything is known or refused."""

    ticket: Ticket
    client: str
    txs: Sequence[bytes]
    ids: Sequence[TxId]
    joined: Sequence[TxId]
    """Ids of the submission that wait here for a block already: REPLICATED waits for them, too."""


Output = Effect | Admitted


class Pool(Protocol):
    """What ingress asks of the pool of batches."""

    @property
    def accepting(self) -> bool:
        """Whether this node may author batches."""
        ...

    @property
    def buffered_bytes(self) -> int:
        """Bytes that wait for sealing."""
        ...

    def pending_ids(self, ids: Sequence[TxId]) -> Mapping[TxId, None]:
        """Return those ids that wait here for a block."""
        ...

    def committed_ids(self, ids: Sequence[TxId]) -> Mapping[TxId, None]:
        """Return those ids that are committed, within the window (5.6)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    ticket: Ticket
    client: str
    txs: Sequence[bytes]
    ids: Sequence[TxId]
    places: Sequence[int]
    """Of each transaction to check, its index in what the client sent."""
    repeats: Mapping[int, Sequence[int]]
    """Further places of the one that stands first at an index: what is refused there is refused here."""
    joined: Sequence[TxId]
    refused: tuple[TxRefusal, ...]
    size: int


class Ingress:
    """Submissions on their way to the pool."""

    def __init__(
        self, config: IngressConfig, pool: Pool, *, requests: Iterator[RequestId] | None = None
    ) -> None:
        """`requests` gives fresh numbers for requests; the machines of a node share it."""
        self._config = config
        self._pool = pool
        self._requests = count(1) if requests is None else requests
        self._queue: deque[_Submission] = deque()
        self._running: dict[RequestId, list[_Submission]] = {}
        self._checking_bytes = 0
        self._client_bytes: dict[str, int] = {}

    def on_submitted(self, event: Submitted) -> list[Output]:
        """Take a submission in, or refuse it whole."""
        size = sum(map(len, event.txs))
        overload = self._overload(event, size)
        if overload is not None:
            return [overload]
        submission = self._sift(event)
        if not submission.txs:
            return self._admit(submission, submission.refused)
        self._checking_bytes += submission.size
        self._charge(submission.client, submission.size)
        self._queue.append(submission)
        return self._ask()

    def _overload(self, event: Submitted, size: int) -> Overload | None:
        config = self._config
        if not self._pool.accepting:
            return self._refuse(event, "this node is not a validator: submit to one that is")
        if self._checking_bytes + self._pool.buffered_bytes + size > config.buffer_bytes:
            return self._refuse(event, f"{config.buffer_bytes} bytes wait here already")
        held = self._client_bytes.get(event.client, 0)
        # A client with nothing under way may send what is larger than its share.
        if held and held + size > config.client_bytes:
            return self._refuse(event, f"{held} bytes of {event.client!r} are not yet committed")
        return None

    def _refuse(self, event: Submitted, reason: str) -> Overload:
        return Overload(ticket=event.ticket, reason=reason, retry_after_us=self._config.retry_after_us)

    def _sift(self, event: Submitted) -> _Submission:
        """Leave out what is too large, repeated, committed or pending: the rest is new here."""
        ids = [sha256(tx).digest() for tx in event.txs]
        refused = [
            TxRefusal(index=index, code=0, reason=f"{len(tx)} bytes exceed {self._config.tx_bytes}")
            for index, tx in enumerate(event.txs)
            if len(tx) > self._config.tx_bytes
        ]
        # A committed one counts as done (5.6): the same bytes sent again never execute twice.
        committed = self._pool.committed_ids(ids)
        pending = self._pool.pending_ids(ids)
        out = {refusal.index for refusal in refused}
        first: dict[TxId, int] = {}
        repeats: dict[int, list[int]] = {}
        for index, tx_id in enumerate(ids):
            if index not in out and tx_id not in committed and tx_id not in pending:
                place = first.setdefault(tx_id, index)
                if place != index:
                    repeats.setdefault(place, []).append(index)
        places = list(first.values())
        txs = [event.txs[index] for index in places]
        return _Submission(
            ticket=event.ticket,
            client=event.client,
            txs=txs,
            ids=list(first),
            places=places,
            repeats=repeats,
            joined=[tx_id for tx_id in pending if tx_id not in committed],
            refused=tuple(refused),
            size=sum(map(len, txs)),
        )

    def _ask(self) -> list[Output]:
        """Ask the application about what waits, several submissions at once."""
        outputs: list[Output] = []
        while self._queue and len(self._running) < self._config.checks:
            group = [self._queue.popleft()]
            txs = list(group[0].txs)
            while self._queue and len(txs) + len(self._queue[0].txs) <= self._config.check_txs:
                group.append(self._queue.popleft())
                txs.extend(group[-1].txs)
            request = next(self._requests)
            self._running[request] = group
            outputs.append(CheckTxs(request=request, txs=txs, recheck=False))
        return outputs

    def on_checked(self, event: TxsChecked) -> list[Output]:
        """Take the application's answer: what it admits goes to the pool."""
        outputs: list[Output] = []
        place = 0
        for submission in self._running.pop(event.request):
            results = [*event.results[place : place + len(submission.txs)]]
            # An application that answers for fewer than it was asked about admits none of the rest.
            results.extend([_UNANSWERED] * (len(submission.txs) - len(results)))
            place += len(submission.txs)
            self._checking_bytes -= submission.size
            outputs.extend(self._judge(submission, results))
        outputs.extend(self._ask())
        return outputs

    def _judge(self, submission: _Submission, results: Sequence[CheckResult]) -> list[Output]:
        refused = [
            TxRefusal(index=index, code=result.code, reason=result.log, codespace=result.codespace)
            for place, result in zip(submission.places, results, strict=True)
            if result.code != 0
            for index in (place, *submission.repeats.get(place, ()))
        ]
        if refused:
            kept = [index for index, result in enumerate(results) if result.code == 0]
            txs = [submission.txs[index] for index in kept]
            self.release({submission.client: submission.size - sum(map(len, txs))})
            submission = _Submission(
                ticket=submission.ticket,
                client=submission.client,
                txs=txs,
                ids=[submission.ids[index] for index in kept],
                places=(),
                repeats={},
                joined=submission.joined,
                refused=submission.refused,
                size=sum(map(len, txs)),
            )
        every = tuple(sorted([*submission.refused, *refused], key=lambda refusal: refusal.index))
        return self._admit(submission, every)

    def _admit(self, submission: _Submission, refused: tuple[TxRefusal, ...]) -> list[Output]:
        return [
            Acknowledge(ticket=submission.ticket, reached=Level.ACCEPTED, refused=refused),
            Admitted(
                ticket=submission.ticket,
                client=submission.client,
                txs=submission.txs,
                ids=submission.ids,
                joined=submission.joined,
            ),
        ]

    def _charge(self, client: str, size: int) -> None:
        self._client_bytes[client] = self._client_bytes.get(client, 0) + size

    def release(self, bytes_of: Mapping[str, int]) -> None:
        """Give clients back what left the pool."""
        for client, size in bytes_of.items():
            left = self._client_bytes.get(client, 0) - size
            if left > 0:
                self._client_bytes[client] = left
            else:
                self._client_bytes.pop(client, None)
