"""Records of the journal to bytes and back, and outcomes of blocks, which the block store keeps as well.

The log has checked the bytes before they come here: what cannot be read is `Corrupt`, damage or another
version.
"""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import assert_never

from google.protobuf.message import DecodeError as ProtobufError

from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError
from catenet.chain.json_fields import JsonError, parse_object
from catenet.chain.params import MAX_CATENET_BLOCK_BYTES, ConsensusParams
from catenet.chain.vote import Vote
from catenet.types.application import BlockOutcome, Event, EventAttribute, TxResult, ValidatorUpdate
from catenet.types.batch import Batch
from catenet.types.errors import Corrupt, InvalidInput
from catenet.types.messages import VoteSet
from catenet.types.records import (
    BatchRecord,
    CheckpointRecord,
    CommitRecord,
    EvidenceRecord,
    ExecutedRecord,
    ForkRecord,
    IncarnationRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
)
from catenet.wire.convert import (
    batch_in,
    compact_in,
    compact_out,
    proposal_in,
    proposal_out,
    vote_set_in,
    vote_set_out,
)
from catenet.wire.v1 import journal_pb2 as pb
from catenet.wire.v1 import peer_pb2

VOTES_MAX = 1 << 20
"""What we wrote ourselves is not limited again; this only guards the reader."""

RESULTS_MAX = MAX_CATENET_BLOCK_BYTES // 2
"""Of one block: the shortest transaction takes two bytes."""

EMPTY_RESULT = TxResult()


def encode_record(record: Record) -> bytes:
    """Return the bytes of a record."""
    return _record_out(record).SerializeToString()


def decode_record(data: bytes) -> Record:
    """Return the record of these bytes. Raises `Corrupt`."""
    try:
        return _record_in(pb.Record.FromString(data))
    except (ProtobufError, DecodeError, JsonError, InvalidInput) as error:
        raise Corrupt(f"a record of the journal cannot be read: {error}") from error


def encode_outcome(outcome: BlockOutcome) -> bytes:
    """Return the bytes of what executing a block gave."""
    return _executed_out(0, outcome).SerializeToString()


def decode_outcome(data: bytes) -> BlockOutcome:
    """Return the outcome of these bytes. Raises `Corrupt`."""
    try:
        return _outcome_in(pb.ExecutedRecord.FromString(data))
    except (ProtobufError, JsonError, InvalidInput) as error:
        raise Corrupt(f"the outcome of a block cannot be read: {error}") from error


def _record_out(record: Record) -> pb.Record:
    match record:
        case VoteRecord(vote=vote):
            return pb.Record(vote=vote.encode())
        case ProposalRecord(proposal=proposal):
            return pb.Record(proposal=proposal_out(proposal))
        case PolkaRecord(votes=votes, compact=compact):
            polka = pb.PolkaRecord(votes=vote_set_out(VoteSet(votes=votes)), compact=compact_out(compact))
            return pb.Record(polka=polka)
        case RoundCertRecord(votes=votes):
            return pb.Record(round_cert=vote_set_out(VoteSet(votes=votes)))
        case BatchRecord(author=author, batch=batch):
            return pb.Record(batch=pb.BatchRecord(author=author, batch=_batch_out(batch)))
        case CommitRecord(height=height, compact=compact, commit=commit):
            committed = pb.CommitRecord(height=height, compact=compact_out(compact), commit=commit.encode())
            return pb.Record(commit=committed)
        case ExecutedRecord(height=height, outcome=outcome):
            return pb.Record(executed=_executed_out(height, outcome))
        case CheckpointRecord(height=height):
            return pb.Record(checkpoint=height)
        case IncarnationRecord(incarnation=incarnation):
            return pb.Record(incarnation=incarnation)
        case RejoinRecord(height=height):
            return pb.Record(rejoin=height)
        case ForkRecord(height=height):
            return pb.Record(fork=height)
        case EvidenceRecord(evidence=evidence):
            return pb.Record(evidence=evidence)
        case _:
            assert_never(record)


def _record_in(wire: pb.Record) -> Record:
    match wire.WhichOneof("r"):
        case "vote":
            return VoteRecord(vote=Vote.decode(wire.vote))
        case "proposal":
            return ProposalRecord(proposal=proposal_in(wire.proposal, VOTES_MAX))
        case "polka":
            votes = vote_set_in(wire.polka.votes, VOTES_MAX).votes
            return PolkaRecord(votes=votes, compact=compact_in(wire.polka.compact))
        case "round_cert":
            return RoundCertRecord(votes=vote_set_in(wire.round_cert, VOTES_MAX).votes)
        case "batch":
            return BatchRecord(author=wire.batch.author, batch=batch_in(wire.batch.batch))
        case "commit":
            return CommitRecord(
                height=wire.commit.height,
                compact=compact_in(wire.commit.compact),
                commit=Commit.decode(wire.commit.commit),
            )
        case "executed":
            return ExecutedRecord(height=wire.executed.height, outcome=_outcome_in(wire.executed))
        case "checkpoint":
            return CheckpointRecord(height=wire.checkpoint)
        case "incarnation":
            return IncarnationRecord(incarnation=wire.incarnation)
        case "rejoin":
            return RejoinRecord(height=wire.rejoin)
        case "fork":
            return ForkRecord(height=wire.fork)
        case "evidence":
            return EvidenceRecord(evidence=wire.evidence)
        case _:
            # To leave out a record that a later version wrote would be to forget what it protects.
            raise InvalidInput("a record of an unknown kind")


def _batch_out(batch: Batch) -> peer_pb2.Batch:
    return peer_pb2.Batch(incarnation=batch.incarnation, seq=batch.seq, payload=batch.payload)


def _executed_out(height: int, outcome: BlockOutcome) -> pb.ExecutedRecord:
    params = outcome.param_updates
    update = None if params is None else pb.ParamUpdate(json=_params_json(params))
    return pb.ExecutedRecord(
        height=height,
        app_hash=outcome.app_hash,
        results=[
            pb.ResultRun(count=sum(1 for _ in run), result=_result_out(result))
            for result, run in groupby(outcome.results)
        ],
        validator_updates=[
            pb.ValidatorUpdate(key_type=change.key_type, public_key=change.public_key, power=change.power)
            for change in outcome.validator_updates
        ],
        param_updates=update,
        events=_events_out(outcome.events),
    )


def _outcome_in(wire: pb.ExecutedRecord) -> BlockOutcome:
    if (count := sum(run.count for run in wire.results)) > RESULTS_MAX:
        raise InvalidInput(f"{count} results of one block, at most {RESULTS_MAX} are possible")
    results: list[TxResult] = []
    for run in wire.results:
        results.extend([_result_in(run.result)] * run.count)
    return BlockOutcome(
        results=tuple(results),
        app_hash=wire.app_hash,
        validator_updates=tuple(
            [
                ValidatorUpdate(key_type=change.key_type, public_key=change.public_key, power=change.power)
                for change in wire.validator_updates
            ]
        ),
        param_updates=_params_in(wire.param_updates.json) if wire.HasField("param_updates") else None,
        events=_events_in(wire.events),
    )


def _params_json(params: ConsensusParams) -> bytes:
    return json.dumps(params.to_json(), sort_keys=True, separators=(",", ":")).encode()


def _params_in(data: bytes) -> ConsensusParams:
    return ConsensusParams.from_json(parse_object(data))


def _result_out(result: TxResult) -> pb.TxResult:
    if result == EMPTY_RESULT:
        return pb.TxResult()
    return pb.TxResult(
        code=result.code,
        data=result.data,
        log=result.log,
        info=result.info,
        gas_wanted=result.gas_wanted,
        gas_used=result.gas_used,
        events=_events_out(result.events),
        codespace=result.codespace,
    )


def _result_in(wire: pb.TxResult) -> TxResult:
    return TxResult(
        code=wire.code,
        data=wire.data,
        log=wire.log,
        info=wire.info,
        gas_wanted=wire.gas_wanted,
        gas_used=wire.gas_used,
        events=_events_in(wire.events),
        codespace=wire.codespace,
    )


def _events_out(events: Iterable[Event]) -> list[pb.Event]:
    return [
        pb.Event(
            type=event.type,
            attributes=[
                pb.EventAttribute(key=attribute.key, value=attribute.value, index=attribute.index)
                for attribute in event.attributes
            ],
        )
        for event in events
    ]


def _events_in(wire: Iterable[pb.Event]) -> tuple[Event, ...]:
    return tuple(
        [
            Event(
                type=event.type,
                attributes=tuple(
                    [EventAttribute(key=a.key, value=a.value, index=a.index) for a in event.attributes]
                ),
            )
            for event in wire
        ]
    )
