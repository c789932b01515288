from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AckLevel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLICATED: _ClassVar[AckLevel]
    ACCEPTED: _ClassVar[AckLevel]
    COMMITTED: _ClassVar[AckLevel]
REPLICATED: AckLevel
ACCEPTED: AckLevel
COMMITTED: AckLevel

class BlockRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BlockResponse(_message.Message):
    __slots__ = ("hash", "height", "transactions", "block", "commit")
    HASH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    height: int
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    block: bytes
    commit: bytes
    def __init__(self, hash: _Optional[bytes] = ..., height: _Optional[int] = ..., transactions: _Optional[_Iterable[bytes]] = ..., block: _Optional[bytes] = ..., commit: _Optional[bytes] = ...) -> None: ...

class Transaction(_message.Message):
    __slots__ = ("data", "level")
    DATA_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    level: AckLevel
    def __init__(self, data: _Optional[bytes] = ..., level: _Optional[_Union[AckLevel, str]] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("success", "id", "height", "index", "code", "log", "data")
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    success: bool
    id: bytes
    height: int
    index: int
    code: int
    log: str
    data: bytes
    def __init__(self, success: bool = ..., id: _Optional[bytes] = ..., height: _Optional[int] = ..., index: _Optional[int] = ..., code: _Optional[int] = ..., log: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class SyncRequest(_message.Message):
    __slots__ = ("start_height", "end_height", "raw_blocks")
    START_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    END_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    RAW_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    start_height: int
    end_height: int
    raw_blocks: bool
    def __init__(self, start_height: _Optional[int] = ..., end_height: _Optional[int] = ..., raw_blocks: bool = ...) -> None: ...

class TransactionBatch(_message.Message):
    __slots__ = ("transactions", "level", "sequence")
    TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    transactions: _containers.RepeatedScalarFieldContainer[bytes]
    level: AckLevel
    sequence: int
    def __init__(self, transactions: _Optional[_Iterable[bytes]] = ..., level: _Optional[_Union[AckLevel, str]] = ..., sequence: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("index", "code", "reason")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    index: int
    code: int
    reason: str
    def __init__(self, index: _Optional[int] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class BatchAck(_message.Message):
    __slots__ = ("sequence", "reached", "height", "refused", "retry_after_ms")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    reached: AckLevel
    height: int
    refused: _containers.RepeatedCompositeFieldContainer[Refusal]
    retry_after_ms: int
    def __init__(self, sequence: _Optional[int] = ..., reached: _Optional[_Union[AckLevel, str]] = ..., height: _Optional[int] = ..., refused: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class BatchSummary(_message.Message):
    __slots__ = ("accepted", "refused", "acks")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    ACKS_FIELD_NUMBER: _ClassVar[int]
    accepted: int
    refused: int
    acks: _containers.RepeatedCompositeFieldContainer[BatchAck]
    def __init__(self, accepted: _Optional[int] = ..., refused: _Optional[int] = ..., acks: _Optional[_Iterable[_Union[BatchAck, _Mapping]]] = ...) -> None: ...
