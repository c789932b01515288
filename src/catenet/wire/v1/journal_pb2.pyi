from catenet.wire.v1 import peer_pb2 as _peer_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Record(_message.Message):
    __slots__ = ("vote", "proposal", "polka", "round_cert", "batch", "commit", "executed", "checkpoint", "incarnation", "rejoin", "evidence", "fork")
    VOTE_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    POLKA_FIELD_NUMBER: _ClassVar[int]
    ROUND_CERT_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    EXECUTED_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    REJOIN_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    FORK_FIELD_NUMBER: _ClassVar[int]
    vote: bytes
    proposal: _peer_pb2.Proposal
    polka: PolkaRecord
    round_cert: _peer_pb2.VoteSet
    batch: BatchRecord
    commit: CommitRecord
    executed: ExecutedRecord
    checkpoint: int
    incarnation: int
    rejoin: int
    evidence: bytes
    fork: int
    def __init__(self, vote: _Optional[bytes] = ..., proposal: _Optional[_Union[_peer_pb2.Proposal, _Mapping]] = ..., polka: _Optional[_Union[PolkaRecord, _Mapping]] = ..., round_cert: _Optional[_Union[_peer_pb2.VoteSet, _Mapping]] = ..., batch: _Optional[_Union[BatchRecord, _Mapping]] = ..., commit: _Optional[_Union[CommitRecord, _Mapping]] = ..., executed: _Optional[_Union[ExecutedRecord, _Mapping]] = ..., checkpoint: _Optional[int] = ..., incarnation: _Optional[int] = ..., rejoin: _Optional[int] = ..., evidence: _Optional[bytes] = ..., fork: _Optional[int] = ...) -> None: ...

class PolkaRecord(_message.Message):
    __slots__ = ("votes", "compact")
    VOTES_FIELD_NUMBER: _ClassVar[int]
    COMPACT_FIELD_NUMBER: _ClassVar[int]
    votes: _peer_pb2.VoteSet
    compact: _peer_pb2.Compact
    def __init__(self, votes: _Optional[_Union[_peer_pb2.VoteSet, _Mapping]] = ..., compact: _Optional[_Union[_peer_pb2.Compact, _Mapping]] = ...) -> None: ...

class BatchRecord(_message.Message):
    __slots__ = ("author", "batch")
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    author: bytes
    batch: _peer_pb2.Batch
    def __init__(self, author: _Optional[bytes] = ..., batch: _Optional[_Union[_peer_pb2.Batch, _Mapping]] = ...) -> None: ...

class CommitRecord(_message.Message):
    __slots__ = ("height", "compact", "commit")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    COMPACT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    height: int
    compact: _peer_pb2.Compact
    commit: bytes
    def __init__(self, height: _Optional[int] = ..., compact: _Optional[_Union[_peer_pb2.Compact, _Mapping]] = ..., commit: _Optional[bytes] = ...) -> None: ...

class ExecutedRecord(_message.Message):
    __slots__ = ("height", "app_hash", "results", "validator_updates", "param_updates", "events")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_UPDATES_FIELD_NUMBER: _ClassVar[int]
    PARAM_UPDATES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    height: int
    app_hash: bytes
    results: _containers.RepeatedCompositeFieldContainer[ResultRun]
    validator_updates: _containers.RepeatedCompositeFieldContainer[ValidatorUpdate]
    param_updates: ParamUpdate
    events: _containers.RepeatedCompositeFieldContainer[Event]
    def __init__(self, height: _Optional[int] = ..., app_hash: _Optional[bytes] = ..., results: _Optional[_Iterable[_Union[ResultRun, _Mapping]]] = ..., validator_updates: _Optional[_Iterable[_Union[ValidatorUpdate, _Mapping]]] = ..., param_updates: _Optional[_Union[ParamUpdate, _Mapping]] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ...) -> None: ...

class ResultRun(_message.Message):
    __slots__ = ("count", "result")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    count: int
    result: TxResult
    def __init__(self, count: _Optional[int] = ..., result: _Optional[_Union[TxResult, _Mapping]] = ...) -> None: ...

class TxResult(_message.Message):
    __slots__ = ("code", "data", "log", "info", "gas_wanted", "gas_used", "events", "codespace")
    CODE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    INFO_FIELD_NUMBER: _ClassVar[int]
    GAS_WANTED_FIELD_NUMBER: _ClassVar[int]
    GAS_USED_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CODESPACE_FIELD_NUMBER: _ClassVar[int]
    code: int
    data: bytes
    log: str
    info: str
    gas_wanted: int
    gas_used: int
    events: _containers.RepeatedCompositeFieldContainer[Event]
    codespace: str
    def __init__(self, code: _Optional[int] = ..., data: _Optional[bytes] = ..., log: _Optional[str] = ..., info: _Optional[str] = ..., gas_wanted: _Optional[int] = ..., gas_used: _Optional[int] = ..., events: _Optional[_Iterable[_Union[Event, _Mapping]]] = ..., codespace: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("type", "attributes")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    type: str
    attributes: _containers.RepeatedCompositeFieldContainer[EventAttribute]
    def __init__(self, type: _Optional[str] = ..., attributes: _Optional[_Iterable[_Union[EventAttribute, _Mapping]]] = ...) -> None: ...

class EventAttribute(_message.Message):
    __slots__ = ("key", "value", "index")
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    key: str
    value: str
    index: bool
    def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ..., index: bool = ...) -> None: ...

class ValidatorUpdate(_message.Message):
    __slots__ = ("key_type", "public_key", "power")
    KEY_TYPE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    key_type: str
    public_key: bytes
    power: int
    def __init__(self, key_type: _Optional[str] = ..., public_key: _Optional[bytes] = ..., power: _Optional[int] = ...) -> None: ...

class ParamUpdate(_message.Message):
    __slots__ = ("json",)
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    def __init__(self, json: _Optional[bytes] = ...) -> None: ...
