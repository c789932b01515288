"""An application for tests of what applications may change and say: parameters, validators, events.

It is the key-value application; a transaction `param.NAME=NUMBER` sets a consensus parameter, each
transaction and block says something, and what it was told of misbehaviour is kept under `guilty`.
"""

from dataclasses import replace

from catenet.apps.kv import KeyValue
from catenet.chain.params import ConsensusParams
from catenet.types.application import BlockOutcome, Event, EventAttribute, FinalizeBlock
from catenet.types.ports import StateStore

PARAM = b"param."
GUILTY = b"guilty"


class TownHall(KeyValue):
    """Changes parameters, says what it does, remembers who was guilty."""

    def __init__(self, store: StateStore) -> None:
        super().__init__(store)
        self._own = store

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        outcome = super().finalize_block(request)
        results = tuple(
            [
                replace(result, events=(said("tx", key=tx.partition(b"=")[0].decode(errors="replace")),))
                for tx, result in zip(request.txs, outcome.results, strict=True)
            ]
        )
        if request.misbehavior:
            told = [f"{piece.address.hex()} {piece.height} {piece.power}" for piece in request.misbehavior]
            self._changes[GUILTY] = "\n".join(told).encode()
        return replace(
            outcome,
            results=results,
            events=(said("count", txs=str(len(results))),),
            param_updates=self._params() if any(tx.startswith(PARAM) for tx in request.txs) else None,
        )

    def _params(self) -> ConsensusParams:
        """Return the defaults with all changes so far, those of this block included."""
        chosen = {**dict(self._own.items(PARAM)), **self._changes}
        params = ConsensusParams()
        for key, value in sorted(chosen.items()):
            if key.startswith(PARAM) and value is not None:
                name, number = key.removeprefix(PARAM).decode(), int(value)
                match name:
                    case "max_bytes":
                        params = replace(params, max_bytes=number)
                    case "age_blocks":
                        params = replace(params, evidence_max_age_blocks=number)
                    case "age_ns":
                        params = replace(params, evidence_max_age_ns=number)
        return params


def said(name: str, **values: str) -> Event:
    """Return an event whose attributes are all indexed."""
    attributes = tuple([EventAttribute(key=key, value=value) for key, value in values.items()])
    return Event(type=name, attributes=attributes)
