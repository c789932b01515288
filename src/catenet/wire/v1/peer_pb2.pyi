from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Frame(_message.Message):
    __slots__ = ("lamport", "msgs", "have")
    LAMPORT_FIELD_NUMBER: _ClassVar[int]
    MSGS_FIELD_NUMBER: _ClassVar[int]
    HAVE_FIELD_NUMBER: _ClassVar[int]
    lamport: int
    msgs: _containers.RepeatedCompositeFieldContainer[Msg]
    have: _containers.RepeatedCompositeFieldContainer[Tip]
    def __init__(self, lamport: _Optional[int] = ..., msgs: _Optional[_Iterable[_Union[Msg, _Mapping]]] = ..., have: _Optional[_Iterable[_Union[Tip, _Mapping]]] = ...) -> None: ...

class Msg(_message.Message):
    __slots__ = ("hello", "status", "vote", "votes", "proposal", "committed", "evidence", "batch", "skip", "ping", "proof")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    VOTE_FIELD_NUMBER: _ClassVar[int]
    VOTES_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    status: Status
    vote: bytes
    votes: VoteSet
    proposal: Proposal
    committed: CommittedBlock
    evidence: bytes
    batch: Batch
    skip: Skip
    ping: Ping
    proof: Proof
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., status: _Optional[_Union[Status, _Mapping]] = ..., vote: _Optional[bytes] = ..., votes: _Optional[_Union[VoteSet, _Mapping]] = ..., proposal: _Optional[_Union[Proposal, _Mapping]] = ..., committed: _Optional[_Union[CommittedBlock, _Mapping]] = ..., evidence: _Optional[bytes] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., skip: _Optional[_Union[Skip, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("min_version", "max_version", "chain_id", "address", "nonce", "node_id", "software", "caps", "certificate")
    MIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SOFTWARE_FIELD_NUMBER: _ClassVar[int]
    CAPS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    min_version: int
    max_version: int
    chain_id: str
    address: bytes
    nonce: bytes
    node_id: str
    software: str
    caps: _containers.RepeatedScalarFieldContainer[str]
    certificate: bytes
    def __init__(self, min_version: _Optional[int] = ..., max_version: _Optional[int] = ..., chain_id: _Optional[str] = ..., address: _Optional[bytes] = ..., nonce: _Optional[bytes] = ..., node_id: _Optional[str] = ..., software: _Optional[str] = ..., caps: _Optional[_Iterable[str]] = ..., certificate: _Optional[bytes] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("signature",)
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    signature: bytes
    def __init__(self, signature: _Optional[bytes] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Tip(_message.Message):
    __slots__ = ("author", "incarnation", "seq", "credit")
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    author: bytes
    incarnation: int
    seq: int
    credit: int
    def __init__(self, author: _Optional[bytes] = ..., incarnation: _Optional[int] = ..., seq: _Optional[int] = ..., credit: _Optional[int] = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ("height", "round", "step", "due", "prevotes", "precommits", "proposal", "valid_round", "lowest", "head_hash", "yours")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    DUE_FIELD_NUMBER: _ClassVar[int]
    PREVOTES_FIELD_NUMBER: _ClassVar[int]
    PRECOMMITS_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_FIELD_NUMBER: _ClassVar[int]
    VALID_ROUND_FIELD_NUMBER: _ClassVar[int]
    LOWEST_FIELD_NUMBER: _ClassVar[int]
    HEAD_HASH_FIELD_NUMBER: _ClassVar[int]
    YOURS_FIELD_NUMBER: _ClassVar[int]
    height: int
    round: int
    step: int
    due: bool
    prevotes: bytes
    precommits: bytes
    proposal: bool
    valid_round: int
    lowest: int
    head_hash: bytes
    yours: bytes
    def __init__(self, height: _Optional[int] = ..., round: _Optional[int] = ..., step: _Optional[int] = ..., due: bool = ..., prevotes: _Optional[bytes] = ..., precommits: _Optional[bytes] = ..., proposal: bool = ..., valid_round: _Optional[int] = ..., lowest: _Optional[int] = ..., head_hash: _Optional[bytes] = ..., yours: _Optional[bytes] = ...) -> None: ...

class VoteSet(_message.Message):
    __slots__ = ("votes", "answer")
    VOTES_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    votes: _containers.RepeatedScalarFieldContainer[bytes]
    answer: bool
    def __init__(self, votes: _Optional[_Iterable[bytes]] = ..., answer: bool = ...) -> None: ...

class Segment(_message.Message):
    __slots__ = ("ref", "pick", "inline")
    REF_FIELD_NUMBER: _ClassVar[int]
    PICK_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    ref: Ref
    pick: Pick
    inline: Inline
    def __init__(self, ref: _Optional[_Union[Ref, _Mapping]] = ..., pick: _Optional[_Union[Pick, _Mapping]] = ..., inline: _Optional[_Union[Inline, _Mapping]] = ...) -> None: ...

class Ref(_message.Message):
    __slots__ = ("digest", "excluded")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    EXCLUDED_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    excluded: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, digest: _Optional[bytes] = ..., excluded: _Optional[_Iterable[int]] = ...) -> None: ...

class Pick(_message.Message):
    __slots__ = ("digest", "indices")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    INDICES_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    indices: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, digest: _Optional[bytes] = ..., indices: _Optional[_Iterable[int]] = ...) -> None: ...

class Inline(_message.Message):
    __slots__ = ("txs",)
    TXS_FIELD_NUMBER: _ClassVar[int]
    txs: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, txs: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Compact(_message.Message):
    __slots__ = ("header", "last_commit", "evidence", "manifest")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    LAST_COMMIT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    header: bytes
    last_commit: bytes
    evidence: bytes
    manifest: _containers.RepeatedCompositeFieldContainer[Segment]
    def __init__(self, header: _Optional[bytes] = ..., last_commit: _Optional[bytes] = ..., evidence: _Optional[bytes] = ..., manifest: _Optional[_Iterable[_Union[Segment, _Mapping]]] = ...) -> None: ...

class Proposal(_message.Message):
    __slots__ = ("signed", "compact", "pol")
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    COMPACT_FIELD_NUMBER: _ClassVar[int]
    POL_FIELD_NUMBER: _ClassVar[int]
    signed: bytes
    compact: Compact
    pol: VoteSet
    def __init__(self, signed: _Optional[bytes] = ..., compact: _Optional[_Union[Compact, _Mapping]] = ..., pol: _Optional[_Union[VoteSet, _Mapping]] = ...) -> None: ...

class CommittedBlock(_message.Message):
    __slots__ = ("compact", "commit")
    COMPACT_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    compact: Compact
    commit: bytes
    def __init__(self, compact: _Optional[_Union[Compact, _Mapping]] = ..., commit: _Optional[bytes] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("incarnation", "seq", "payload")
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    incarnation: int
    seq: int
    payload: bytes
    def __init__(self, incarnation: _Optional[int] = ..., seq: _Optional[int] = ..., payload: _Optional[bytes] = ...) -> None: ...

class Skip(_message.Message):
    __slots__ = ("to", "incarnation")
    TO_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    to: int
    incarnation: int
    def __init__(self, to: _Optional[int] = ..., incarnation: _Optional[int] = ...) -> None: ...

class Wanted(_message.Message):
    __slots__ = ("digests", "block_ids", "height")
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_IDS_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[bytes]
    block_ids: _containers.RepeatedScalarFieldContainer[bytes]
    height: int
    def __init__(self, digests: _Optional[_Iterable[bytes]] = ..., block_ids: _Optional[_Iterable[bytes]] = ..., height: _Optional[int] = ...) -> None: ...

class Found(_message.Message):
    __slots__ = ("digest", "author", "batch", "block_id", "compact", "block", "commit")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BLOCK_ID_FIELD_NUMBER: _ClassVar[int]
    COMPACT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    author: bytes
    batch: Batch
    block_id: bytes
    compact: Compact
    block: bytes
    commit: bytes
    def __init__(self, digest: _Optional[bytes] = ..., author: _Optional[bytes] = ..., batch: _Optional[_Union[Batch, _Mapping]] = ..., block_id: _Optional[bytes] = ..., compact: _Optional[_Union[Compact, _Mapping]] = ..., block: _Optional[bytes] = ..., commit: _Optional[bytes] = ...) -> None: ...

class BlocksRequest(_message.Message):
    __slots__ = ("to", "follow", "max_bytes")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    to: int
    follow: bool
    max_bytes: int
    def __init__(self, to: _Optional[int] = ..., follow: bool = ..., max_bytes: _Optional[int] = ..., **kwargs) -> None: ...

class PledgeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PledgeAnswer(_message.Message):
    __slots__ = ("height",)
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    height: int
    def __init__(self, height: _Optional[int] = ...) -> None: ...

class BlockRun(_message.Message):
    __slots__ = ("first", "blocks", "commit")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    first: int
    blocks: _containers.RepeatedScalarFieldContainer[bytes]
    commit: bytes
    def __init__(self, first: _Optional[int] = ..., blocks: _Optional[_Iterable[bytes]] = ..., commit: _Optional[bytes] = ...) -> None: ...
