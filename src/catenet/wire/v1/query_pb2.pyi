from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PeerStatus(_message.Message):
    __slots__ = ("address", "name", "validator", "connected", "height", "power", "last_seen_ms")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALIDATOR_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_MS_FIELD_NUMBER: _ClassVar[int]
    address: bytes
    name: str
    validator: bool
    connected: bool
    height: int
    power: int
    last_seen_ms: int
    def __init__(self, address: _Optional[bytes] = ..., name: _Optional[str] = ..., validator: bool = ..., connected: bool = ..., height: _Optional[int] = ..., power: _Optional[int] = ..., last_seen_ms: _Optional[int] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("chain_id", "node_id", "name", "address", "software", "height", "block_hash", "app_hash", "block_time_ns", "lowest_height", "catching_up", "round", "step", "validators", "power_total", "power_connected", "waiting_for", "pending_transactions", "home", "uptime_ms", "last_commit_signatures")
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_HASH_FIELD_NUMBER: _ClassVar[int]
    APP_HASH_FIELD_NUMBER: _ClassVar[int]
    BLOCK_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    LOWEST_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CATCHING_UP_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    VALIDATORS_FIELD_NUMBER: _ClassVar[int]
    POWER_TOTAL_FIELD_NUMBER: _ClassVar[int]
    POWER_CONNECTED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_FIELD_NUMBER: _ClassVar[int]
    PENDING_TRANSACTIONS_FIELD_NUMBER: _ClassVar[int]
    HOME_FIELD_NUMBER: _ClassVar[int]
    UPTIME_MS_FIELD_NUMBER: _ClassVar[int]
    LAST_COMMIT_SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    chain_id: str
    node_id: str
    name: str
    address: bytes
    software: str
    height: int
    block_hash: bytes
    app_hash: bytes
    block_time_ns: int
    lowest_height: int
    catching_up: bool
    round: int
    step: str
    validators: _containers.RepeatedCompositeFieldContainer[PeerStatus]
    power_total: int
    power_connected: int
    waiting_for: str
    pending_transactions: int
    home: str
    uptime_ms: int
    last_commit_signatures: int
    def __init__(self, chain_id: _Optional[str] = ..., node_id: _Optional[str] = ..., name: _Optional[str] = ..., address: _Optional[bytes] = ..., software: _Optional[str] = ..., height: _Optional[int] = ..., block_hash: _Optional[bytes] = ..., app_hash: _Optional[bytes] = ..., block_time_ns: _Optional[int] = ..., lowest_height: _Optional[int] = ..., catching_up: bool = ..., round: _Optional[int] = ..., step: _Optional[str] = ..., validators: _Optional[_Iterable[_Union[PeerStatus, _Mapping]]] = ..., power_total: _Optional[int] = ..., power_connected: _Optional[int] = ..., waiting_for: _Optional[str] = ..., pending_transactions: _Optional[int] = ..., home: _Optional[str] = ..., uptime_ms: _Optional[int] = ..., last_commit_signatures: _Optional[int] = ...) -> None: ...

class GetBlockRequest(_message.Message):
    __slots__ = ("height", "hash")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    height: int
    hash: bytes
    def __init__(self, height: _Optional[int] = ..., hash: _Optional[bytes] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("height", "hash", "block", "commit", "transaction_ids", "time_ns")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_IDS_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    height: int
    hash: bytes
    block: bytes
    commit: bytes
    transaction_ids: _containers.RepeatedScalarFieldContainer[bytes]
    time_ns: int
    def __init__(self, height: _Optional[int] = ..., hash: _Optional[bytes] = ..., block: _Optional[bytes] = ..., commit: _Optional[bytes] = ..., transaction_ids: _Optional[_Iterable[bytes]] = ..., time_ns: _Optional[int] = ...) -> None: ...

class GetBlocksByHeightRequest(_message.Message):
    __slots__ = ("first", "last")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    first: int
    last: int
    def __init__(self, first: _Optional[int] = ..., last: _Optional[int] = ...) -> None: ...

class BlocksResponse(_message.Message):
    __slots__ = ("blocks",)
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    def __init__(self, blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ...) -> None: ...

class GetLightBlockRequest(_message.Message):
    __slots__ = ("height",)
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    height: int
    def __init__(self, height: _Optional[int] = ...) -> None: ...

class LightBlockResponse(_message.Message):
    __slots__ = ("light_block",)
    LIGHT_BLOCK_FIELD_NUMBER: _ClassVar[int]
    light_block: bytes
    def __init__(self, light_block: _Optional[bytes] = ...) -> None: ...

class GetTransactionRequest(_message.Message):
    __slots__ = ("id", "prove")
    ID_FIELD_NUMBER: _ClassVar[int]
    PROVE_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    prove: bool
    def __init__(self, id: _Optional[bytes] = ..., prove: bool = ...) -> None: ...

class TransactionResult(_message.Message):
    __slots__ = ("id", "found", "height", "index", "code", "log", "data", "transaction", "proof", "pending", "gas_wanted", "gas_used", "result_proof")
    ID_FIELD_NUMBER: _ClassVar[int]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    TRANSACTION_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    GAS_WANTED_FIELD_NUMBER: _ClassVar[int]
    GAS_USED_FIELD_NUMBER: _ClassVar[int]
    RESULT_PROOF_FIELD_NUMBER: _ClassVar[int]
    id: bytes
    found: bool
    height: int
    index: int
    code: int
    log: str
    data: bytes
    transaction: bytes
    proof: Proof
    pending: bool
    gas_wanted: int
    gas_used: int
    result_proof: Proof
    def __init__(self, id: _Optional[bytes] = ..., found: bool = ..., height: _Optional[int] = ..., index: _Optional[int] = ..., code: _Optional[int] = ..., log: _Optional[str] = ..., data: _Optional[bytes] = ..., transaction: _Optional[bytes] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., pending: bool = ..., gas_wanted: _Optional[int] = ..., gas_used: _Optional[int] = ..., result_proof: _Optional[_Union[Proof, _Mapping]] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("total", "index", "leaf_hash", "aunts")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    LEAF_HASH_FIELD_NUMBER: _ClassVar[int]
    AUNTS_FIELD_NUMBER: _ClassVar[int]
    total: int
    index: int
    leaf_hash: bytes
    aunts: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, total: _Optional[int] = ..., index: _Optional[int] = ..., leaf_hash: _Optional[bytes] = ..., aunts: _Optional[_Iterable[bytes]] = ...) -> None: ...

class GetTransactionsRequest(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, ids: _Optional[_Iterable[bytes]] = ...) -> None: ...

class TransactionsResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[TransactionResult]
    def __init__(self, results: _Optional[_Iterable[_Union[TransactionResult, _Mapping]]] = ...) -> None: ...

class QueryRequest(_message.Message):
    __slots__ = ("path", "data", "min_height", "linearizable")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MIN_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LINEARIZABLE_FIELD_NUMBER: _ClassVar[int]
    path: str
    data: bytes
    min_height: int
    linearizable: bool
    def __init__(self, path: _Optional[str] = ..., data: _Optional[bytes] = ..., min_height: _Optional[int] = ..., linearizable: bool = ...) -> None: ...

class QueryResponse(_message.Message):
    __slots__ = ("code", "log", "key", "value", "height")
    CODE_FIELD_NUMBER: _ClassVar[int]
    LOG_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    code: int
    log: str
    key: bytes
    value: bytes
    height: int
    def __init__(self, code: _Optional[int] = ..., log: _Optional[str] = ..., key: _Optional[bytes] = ..., value: _Optional[bytes] = ..., height: _Optional[int] = ...) -> None: ...

class QueryManyRequest(_message.Message):
    __slots__ = ("path", "data", "min_height", "linearizable")
    PATH_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    MIN_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    LINEARIZABLE_FIELD_NUMBER: _ClassVar[int]
    path: str
    data: _containers.RepeatedScalarFieldContainer[bytes]
    min_height: int
    linearizable: bool
    def __init__(self, path: _Optional[str] = ..., data: _Optional[_Iterable[bytes]] = ..., min_height: _Optional[int] = ..., linearizable: bool = ...) -> None: ...

class QueryManyResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[QueryResponse]
    def __init__(self, results: _Optional[_Iterable[_Union[QueryResponse, _Mapping]]] = ...) -> None: ...
