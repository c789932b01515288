"""What requests and answers share, as messages and back: time, text, events, validators, parameters.

What another program sent and no value of ours can hold is `InvalidInput`, with what it was.
"""

from collections.abc import Iterable, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from catenet.chain.keys import ED25519, SECP256K1
from catenet.chain.params import ConsensusParams
from catenet.types.application import (
    CommitInfo,
    Event,
    EventAttribute,
    Misbehavior,
    MisbehaviorKind,
    ValidatorUpdate,
)
from catenet.types.errors import InvalidInput
from catenet.types.extensions import Snapshot
from catenet.wire.abci import abci_pb2 as pb

NS = 10**9


def text_out(text: str) -> bytes:
    """Return text as bytes; what UTF-8 cannot hold is escaped."""
    return text.encode(errors="backslashreplace")


def text_in(data: bytes) -> str:
    """Read free text; bytes that are not UTF-8 are escaped, so that no text costs a message."""
    return data.decode(errors="backslashreplace")


def time_out(time_ns: int) -> Timestamp:
    """Return a time in nanoseconds since 1970 as a message."""
    return Timestamp(seconds=time_ns // NS, nanos=time_ns % NS)


def time_in(time: Timestamp) -> int:
    """Read a time as nanoseconds since 1970."""
    return time.seconds * NS + time.nanos


def events_out(events: Iterable[Event]) -> list[pb.Event]:
    """Return events as messages."""
    return [
        pb.Event(
            type=text_out(event.type),
            attributes=[
                pb.EventAttribute(key=text_out(one.key), value=text_out(one.value), index=one.index)
                for one in event.attributes
            ],
        )
        for event in events
    ]


def events_in(events: Iterable[pb.Event]) -> tuple[Event, ...]:
    """Read events."""
    return tuple(
        Event(
            type=text_in(event.type),
            attributes=tuple(
                EventAttribute(key=text_in(one.key), value=text_in(one.value), index=one.index)
                for one in event.attributes
            ),
        )
        for event in events
    )


def updates_out(updates: Iterable[ValidatorUpdate]) -> list[pb.ValidatorUpdate]:
    """Return validator updates as messages. Raises `ValueError` for a type of key that ABCI does not have."""
    return [pb.ValidatorUpdate(pub_key=_key_out(update), power=update.power) for update in updates]


def _key_out(update: ValidatorUpdate) -> pb.PublicKey:
    match update.key_type:
        case "ed25519":
            return pb.PublicKey(ed25519=update.public_key)
        case "secp256k1":
            return pb.PublicKey(secp256k1=update.public_key)
        case other:
            raise ValueError(f"validator keys are ed25519 or secp256k1, not {other!r}")


def updates_in(updates: Iterable[pb.ValidatorUpdate]) -> tuple[ValidatorUpdate, ...]:
    """Read validator updates."""
    return tuple(_update_in(update) for update in updates)


def _update_in(update: pb.ValidatorUpdate) -> ValidatorUpdate:
    match update.pub_key.WhichOneof("sum"):
        case "ed25519":
            return ValidatorUpdate(key_type=ED25519, public_key=update.pub_key.ed25519, power=update.power)
        case "secp256k1":
            return ValidatorUpdate(
                key_type=SECP256K1, public_key=update.pub_key.secp256k1, power=update.power
            )
        case _:
            raise InvalidInput("a validator update has a key that is neither ed25519 nor secp256k1")


def params_out(params: ConsensusParams) -> pb.ConsensusParams:
    """Return whole parameters as a message."""
    return pb.ConsensusParams(
        block=pb.BlockParams(max_bytes=params.max_bytes, max_gas=params.max_gas),
        evidence=pb.EvidenceParams(
            max_age_num_blocks=params.evidence_max_age_blocks,
            max_age_duration=Duration(
                seconds=params.evidence_max_age_ns // NS, nanos=params.evidence_max_age_ns % NS
            ),
            max_bytes=params.evidence_max_bytes,
        ),
        validator=pb.ValidatorParams(pub_key_types=params.key_types),
        version=pb.VersionParams(app=params.app_version),
        abci=pb.ABCIParams(vote_extensions_enable_height=params.vote_extensions_height),
    )


def params_in(message: pb.ConsensusParams, base: ConsensusParams) -> ConsensusParams:
    """Read an update of parameters: sections that are not there stay as in `base`."""
    block = message.block if message.HasField("block") else None
    evidence = message.evidence if message.HasField("evidence") else None
    age = evidence.max_age_duration if evidence else None
    return ConsensusParams(
        max_bytes=block.max_bytes if block else base.max_bytes,
        max_gas=block.max_gas if block else base.max_gas,
        evidence_max_age_blocks=evidence.max_age_num_blocks if evidence else base.evidence_max_age_blocks,
        evidence_max_age_ns=age.seconds * NS + age.nanos if age else base.evidence_max_age_ns,
        evidence_max_bytes=evidence.max_bytes if evidence else base.evidence_max_bytes,
        key_types=tuple(message.validator.pub_key_types) if message.HasField("validator") else base.key_types,
        app_version=message.version.app if message.HasField("version") else base.app_version,
        vote_extensions_height=message.abci.vote_extensions_enable_height
        if message.HasField("abci")
        else base.vote_extensions_height,
    )


def commit_out(commit: CommitInfo) -> pb.CommitInfo:
    """Return who signed the height before, as a message."""
    votes = [
        pb.VoteInfo(validator=pb.Validator(address=address, power=power), block_id_flag=flag)
        for address, power, flag in commit.votes
    ]
    return pb.CommitInfo(round=commit.round, votes=votes)


def commit_in(commit: pb.CommitInfo | pb.ExtendedCommitInfo) -> CommitInfo:
    """Read who signed the height before."""
    votes = tuple(
        [(vote.validator.address, vote.validator.power, vote.block_id_flag) for vote in commit.votes]
    )
    return CommitInfo(round=commit.round, votes=votes)


def misbehavior_out(found: Sequence[Misbehavior]) -> list[pb.Misbehavior]:
    """Return evidence as messages."""
    return [
        pb.Misbehavior(
            type=item.kind,
            validator=pb.Validator(address=item.address, power=item.power),
            height=item.height,
            time=time_out(item.time_ns),
            total_voting_power=item.total_power,
        )
        for item in found
    ]


def misbehavior_in(found: Iterable[pb.Misbehavior]) -> tuple[Misbehavior, ...]:
    """Read evidence."""
    return tuple(_misbehavior_in(item) for item in found)


def _misbehavior_in(item: pb.Misbehavior) -> Misbehavior:
    try:
        kind = MisbehaviorKind(item.type)
    except ValueError:
        raise InvalidInput(f"misbehavior of type {item.type}; known are 1 and 2") from None
    return Misbehavior(
        kind=kind,
        address=item.validator.address,
        power=item.validator.power,
        height=item.height,
        time_ns=time_in(item.time),
        total_power=item.total_voting_power,
    )


def snapshot_out(snapshot: Snapshot) -> pb.Snapshot:
    """Return a snapshot's description as a message."""
    return pb.Snapshot(
        height=snapshot.height,
        format=snapshot.format,
        chunks=snapshot.chunks,
        hash=snapshot.hash,
        metadata=snapshot.metadata,
    )


def snapshot_in(snapshot: pb.Snapshot) -> Snapshot:
    """Read a snapshot's description."""
    return Snapshot(
        height=snapshot.height,
        format=snapshot.format,
        chunks=snapshot.chunks,
        hash=snapshot.hash,
        metadata=snapshot.metadata,
    )
