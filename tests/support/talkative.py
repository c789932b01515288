"""Our key-value application with the events of CometBFT's `kvstore`: answers can be laid side by side."""

from dataclasses import replace

from catenet.apps.kv import KeyValue
from catenet.types.application import BlockOutcome, CheckResult, Event, EventAttribute, FinalizeBlock, Info


class Kvstore(KeyValue):
    """What `kvstore` says of each transaction, and its price."""

    def check_tx(self, tx: bytes, *, recheck: bool) -> CheckResult:
        found = super().check_tx(tx, recheck=recheck)
        return CheckResult(code=found.code) if found.code else replace(found, gas_wanted=1)

    def info(self) -> Info:
        return replace(super().info(), version="0.38")

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        outcome = super().finalize_block(request)
        told = [
            replace(result, events=(said(tx, 0, "Cosmoshi Netowoko"), said(tx, 2, "Cosmoshi")))
            for tx, result in zip(request.txs, outcome.results, strict=True)
        ]
        return replace(outcome, results=tuple(told))


def said(tx: bytes, part: int, creator: str) -> Event:
    key = tx.partition(b"=")[part].decode(errors="replace")
    return Event(
        type="app",
        attributes=(
            EventAttribute(key="creator", value=creator),
            EventAttribute(key="key", value=key),
            EventAttribute(key="index_key", value="index is working"),
            EventAttribute(key="noindex_key", value="index is working", index=False),
        ),
    )
