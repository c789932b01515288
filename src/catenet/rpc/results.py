"""The JSON shapes of what the application answers.

The reference prints most of them with every member, and leaves members that are zero out of others; which
does which is kept, for clients of other languages were written after it.
"""

from collections.abc import Sequence

from catenet.chain.keys import ED25519
from catenet.rpc import shapes
from catenet.rpc.shapes import Json, based
from catenet.types.application import (
    BlockOutcome,
    CheckResult,
    Event,
    Info,
    QueryResult,
    TxResult,
    ValidatorUpdate,
)

_SUMS = {
    ED25519: ("tendermint.crypto.PublicKey_Ed25519", "ed25519"),
    "secp256k1": ("tendermint.crypto.PublicKey_Secp256K1", "secp256k1"),
}


def present(members: Json) -> Json:
    """Return the members that are not zero: no null, no empty text or list, no number 0."""
    return {name: value for name, value in members.items() if value not in (None, "", 0, [])}


def _number(value: int) -> str | None:
    return str(value) if value else None


def event(value: Event) -> Json:
    """Return an event with every member."""
    return {
        "type": value.type,
        "attributes": [{"key": a.key, "value": a.value, "index": a.index} for a in value.attributes],
    }


def events(values: Sequence[Event]) -> list[Json] | None:
    """Return the events of a block, null when there is none."""
    return [present(event(value)) for value in values] or None


def tx_result(value: TxResult) -> Json:
    """Return a transaction's result with every member."""
    return {
        "code": value.code,
        "data": based(value.data),
        "log": value.log,
        "info": value.info,
        "gas_wanted": str(value.gas_wanted),
        "gas_used": str(value.gas_used),
        "events": [event(item) for item in value.events],
        "codespace": value.codespace,
    }


def brief_tx_result(value: TxResult) -> Json:
    """Return a transaction's result as the event `Tx` carries it: zeros are left out."""
    return present(
        {
            **tx_result(value),
            "gas_wanted": _number(value.gas_wanted),
            "gas_used": _number(value.gas_used),
            "events": events(value.events),
        }
    )


def check(value: CheckResult) -> Json:
    """Return the answer to a check with every member."""
    return {
        "code": value.code,
        "data": based(value.data),
        "log": value.log,
        "info": "",
        "gas_wanted": str(value.gas_wanted),
        "gas_used": "0",
        "events": [],
        "codespace": value.codespace,
    }


def info(value: Info) -> Json:
    """Return what the application says of itself."""
    return present(
        {
            "data": value.data,
            "version": value.version,
            "app_version": _number(value.app_version),
            "last_block_height": _number(value.last_block_height),
            "last_block_app_hash": based(value.last_block_app_hash),
        }
    )


def query(value: QueryResult) -> Json:
    """Return the answer to a query with every member."""
    return {
        "code": value.code,
        "log": value.log,
        "info": "",
        "index": str(value.index),
        "key": based(value.key),
        "value": based(value.value),
        "proofOps": None,
        "height": str(value.height),
        "codespace": value.codespace,
    }


def validator_update(value: ValidatorUpdate) -> Json:
    """Return a change of a validator's power; a power of 0 is left out."""
    kind, name = _SUMS[value.key_type]
    update: Json = {"pub_key": {"Sum": {"type": kind, "value": {name: based(value.public_key)}}}}
    if value.power:
        update["power"] = str(value.power)
    return update


def validator_updates(values: Sequence[ValidatorUpdate]) -> list[Json] | None:
    """Return the changes of a block, null when there is none."""
    return [validator_update(value) for value in values] or None


def block_results(height: int, outcome: BlockOutcome) -> Json:
    """Return what executing a block gave."""
    changed = outcome.param_updates
    return {
        "height": str(height),
        "txs_results": [tx_result(result) for result in outcome.results] or None,
        "finalize_block_events": events(outcome.events),
        "validator_updates": validator_updates(outcome.validator_updates),
        "consensus_param_updates": None if changed is None else shapes.params(changed),
        "app_hash": based(outcome.app_hash),
    }


def finalized(outcome: BlockOutcome) -> Json:
    """Return what executing a block gave, as the event `NewBlock` carries it."""
    changed = outcome.param_updates
    found = present(
        {
            "events": events(outcome.events),
            "tx_results": [tx_result(result) for result in outcome.results],
            "consensus_param_updates": None if changed is None else shapes.params(changed),
            "app_hash": based(outcome.app_hash),
        }
    )
    return {**found, "validator_updates": validator_updates(outcome.validator_updates) or []}
