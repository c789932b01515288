"""What happened, as the events that WebSockets subscribe to. What is in them follows from stored blocks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import orjson

from catenet.chain.keys import PublicKey
from catenet.chain.validators import Validator
from catenet.chain.vote import Vote
from catenet.rpc import results, shapes
from catenet.rpc.blocks import decoded
from catenet.rpc.shapes import Json, hexed
from catenet.types.application import BlockOutcome, Event, ValidatorUpdate
from catenet.types.desk import RoundView
from catenet.types.ports import StoredBlock

EVENT_KEY = "tm.event"
STEPS = {
    "propose": "RoundStepPropose",
    "prevote": "RoundStepPrevote",
    "precommit": "RoundStepPrecommit",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """One event: what queries see of it, and what is sent."""

    keys: Mapping[str, Sequence[str]]
    kind: str
    """Which shape `value` has."""
    value: Json

    def encode(self) -> bytes:
        """Return the members `data` and `events` of the message, to be sent to all who asked."""
        data = {"type": f"tendermint/event/{self.kind}", "value": self.value}
        return orjson.dumps({"data": data, "events": self.keys})[1:]


def of_block(stored: StoredBlock, outcome: BlockOutcome) -> Iterator[Happening]:
    """Yield what a final block is to subscribers, in the reference's order."""
    block = decoded(stored.raw)
    height = str(stored.height)
    spoken = _keys(outcome.events)
    yield _happening(
        "NewBlock",
        spoken,
        {
            "block": shapes.block(block),
            "block_id": shapes.block_id(stored.block_id),
            "result_finalize_block": results.finalized(outcome),
        },
    )
    yield _happening("NewBlockHeader", {}, {"header": shapes.header(block.header)})
    num_txs = str(len(block.txs))
    said: Json = {"height": height, "events": results.events(outcome.events), "num_txs": num_txs}
    yield _happening("NewBlockEvents", spoken, said)
    for piece in block.evidence:
        yield _happening("NewEvidence", {}, {"height": height, "evidence": shapes.evidence(piece)})
    for index, (tx, result) in enumerate(zip(block.txs, outcome.results, strict=True)):
        place = results.present({"index": index, "tx": shapes.based(tx)})
        value: Json = {"TxResult": {"height": height, **place, "result": results.brief_tx_result(result)}}
        keys = {"tx.hash": [hexed(sha256(tx).digest())], "tx.height": [height]}
        yield _happening("Tx", {**_keys(result.events), **keys}, value)
    if outcome.validator_updates:
        changed = [shapes.validator(_member(update)) for update in outcome.validator_updates]
        yield _happening("ValidatorSetUpdates", {}, {"validator_updates": changed})


def of_vote(vote: Vote) -> Happening:
    """Return what a counted vote is to subscribers."""
    return _happening("Vote", {}, {"Vote": shapes.vote(vote)})


def of_step(view: RoundView) -> Happening:
    """Return what the begin of a step is to subscribers."""
    value: Json = {"height": str(view.height), "round": view.round, "step": STEPS[view.step]}
    return Happening({EVENT_KEY: ["NewRoundStep"]}, "RoundState", value)


def of_round(view: RoundView) -> Happening:
    """Return what the begin of a round is to subscribers."""
    proposer = {"address": hexed(view.proposer), "index": view.proposer_index}
    place: Json = {"height": str(view.height), "round": view.round}
    return _happening("NewRound", {}, {**place, "step": "RoundStepNewRound", "proposer": proposer})


def _happening(name: str, keys: Mapping[str, Sequence[str]], value: Json) -> Happening:
    return Happening({**keys, EVENT_KEY: [name]}, name, value)


def _keys(events: Sequence[Event]) -> dict[str, list[str]]:
    """Return what queries may ask of an application's events: `type.attribute`, indexed or not."""
    found: dict[str, list[str]] = {}
    for event in events:
        for attribute in event.attributes:
            if event.type and attribute.key:
                found.setdefault(f"{event.type}.{attribute.key}", []).append(attribute.value)
    return found


def _member(update: ValidatorUpdate) -> Validator:
    return Validator(public_key=PublicKey(update.key_type, update.public_key), power=update.power)
