"""Foreign batches pass the application's `check_txs` before they are proposed, residue once more (D5, D6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catenet.core.batches.store import Held, Store
from catenet.types.application import CheckResult
from catenet.types.effects import CheckTxs
from catenet.types.ids import RequestId, TxId

_TXS_PER_REQUEST = 4096
_RUNNING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    held: Held
    indices: Sequence[int]


class Checks:
    """Requests to the application: whole batches, a few under way."""

    def __init__(self, requests: Iterator[RequestId]) -> None:
        self._requests = requests
        self._running: dict[RequestId, list[_Check]] = {}

    def needs(self, held: Held) -> bool:
        """Say whether a batch may not yet be proposed: the answer is kept (D5)."""
        return not held.checked or (held.residue_at > 0 and not held.rechecked)

    def ask(self, store: Store, batches: Sequence[Held]) -> list[CheckTxs]:
        """Ask for those of the batches that need it and are not being checked."""
        under_way = {id(check.held) for checks in self._running.values() for check in checks}
        effects: list[CheckTxs] = []
        for recheck in (False, True):
            queue = [
                held
                for held in batches
                if self.needs(held) and id(held) not in under_way and held.checked == recheck
            ]
            while queue and len(self._running) < _RUNNING:
                effects.append(self._request(store, queue, recheck=recheck))
        return effects

    def _request(self, store: Store, queue: list[Held], *, recheck: bool) -> CheckTxs:
        checks: list[_Check] = []
        txs: list[bytes] = []
        while queue and len(txs) < _TXS_PER_REQUEST:
            held = queue.pop(0)
            indices = store.open_txs(held)
            checks.append(_Check(held=held, indices=indices))
            txs.extend([held.txs[index] for index in indices])
        request = next(self._requests)
        self._running[request] = checks
        return CheckTxs(request=request, txs=txs, recheck=recheck)

    def covering(self, batches: Sequence[Held]) -> tuple[RequestId, ...]:
        """Return the requests under way that check one of these batches."""
        wanted = {id(held) for held in batches}
        return tuple(
            [
                request
                for request, checks in self._running.items()
                if any([id(check.held) in wanted for check in checks])
            ]
        )

    def owns(self, request: RequestId) -> bool:
        """Say whether a request is one of these."""
        return request in self._running

    def answer(self, request: RequestId, results: Sequence[CheckResult]) -> list[tuple[Held, list[TxId]]]:
        """Take the application's answer; return per batch the ids that it refuses."""
        refused: list[tuple[Held, list[TxId]]] = []
        place = 0
        for check in self._running.pop(request):
            held = check.held
            held.rechecked = held.checked and held.residue_at > 0
            held.checked = True
            answers = results[place : place + len(check.indices)]
            place += len(check.indices)
            bad = [
                held.ids[index]
                for index, result in zip(check.indices, answers, strict=False)
                if result.code != 0
            ]
            if bad:
                refused.append((held, bad))
        return refused
