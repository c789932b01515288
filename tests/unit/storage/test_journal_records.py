"""Records and outcomes come back from their bytes as they were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain.block_id import NIL, BlockID, PartSetHeader
from catenet.chain.commit import Commit, CommitSig, Flag
from catenet.chain.params import ConsensusParams
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.types.application import BlockOutcome, Event, EventAttribute, TxResult, ValidatorUpdate
from catenet.types.batch import Batch, Compact, Inline, Pick, Ref
from catenet.types.errors import Corrupt
from catenet.types.messages import ProposalMessage, VoteSet
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
from catenet.wire.records import decode_outcome, decode_record, encode_outcome, encode_record

HASH = st.binary(min_size=32, max_size=32)
ADDRESS = st.binary(min_size=20, max_size=20)
SIGNATURE = st.binary(min_size=64, max_size=64)
HEIGHT = st.integers(1, 2**63 - 1)
ROUND = st.integers(0, 2**31 - 1)
TIME_NS = st.integers(0, 2**61)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=8)
DATA = st.binary(max_size=40)

BLOCK_IDS = st.builds(
    lambda block_hash, total, parts: BlockID(hash=block_hash, parts=PartSetHeader(total=total, hash=parts)),
    HASH,
    st.integers(1, 2**31),
    HASH,
)
VOTES = st.builds(
    Vote,
    type=st.sampled_from([VoteType.PREVOTE, VoteType.PRECOMMIT]),
    height=HEIGHT,
    round=ROUND,
    block_id=BLOCK_IDS | st.just(NIL),
    time_ns=TIME_NS,
    address=ADDRESS,
    index=st.integers(0, 1000),
    signature=SIGNATURE,
)
VOTE_LISTS = st.lists(VOTES, max_size=4).map(tuple)
SEGMENTS = st.one_of(
    st.builds(Ref, digest=HASH, excluded=st.lists(U32, max_size=3).map(tuple)),
    st.builds(Pick, digest=HASH, indices=st.lists(U32, max_size=3).map(tuple)),
    st.builds(Inline, txs=st.lists(DATA, max_size=3).map(tuple)),
)
COMPACTS = st.builds(
    Compact,
    header=DATA,
    last_commit=DATA,
    evidence=DATA,
    manifest=st.lists(SEGMENTS, max_size=4).map(tuple),
)
PROPOSALS = st.builds(
    ProposalMessage,
    signed=st.builds(
        Proposal,
        height=HEIGHT,
        round=ROUND,
        pol_round=st.integers(-1, 100),
        block_id=BLOCK_IDS,
        time_ns=TIME_NS,
        signature=SIGNATURE,
    ),
    compact=COMPACTS,
    pol=st.none() | st.builds(VoteSet, votes=VOTE_LISTS, answer=st.booleans()),
)
COMMITS = st.builds(
    Commit,
    height=HEIGHT,
    round=ROUND,
    block_id=BLOCK_IDS,
    signatures=st.lists(
        st.builds(
            CommitSig,
            flag=st.sampled_from([Flag.COMMIT, Flag.NIL]),
            address=ADDRESS,
            time_ns=TIME_NS,
            signature=SIGNATURE,
        ),
        max_size=3,
    ).map(tuple),
)
EVENTS = st.lists(
    st.builds(
        Event,
        type=TEXT,
        attributes=st.lists(
            st.builds(EventAttribute, key=TEXT, value=TEXT, index=st.booleans()), max_size=2
        ).map(tuple),
    ),
    max_size=2,
).map(tuple)
RESULTS = st.just(TxResult()) | st.builds(
    TxResult,
    code=U32,
    data=DATA,
    log=TEXT,
    info=TEXT,
    gas_wanted=I64,
    gas_used=I64,
    events=EVENTS,
    codespace=TEXT,
)
OUTCOMES = st.builds(
    BlockOutcome,
    results=st.lists(RESULTS, max_size=6).map(tuple),
    app_hash=DATA,
    validator_updates=st.lists(
        st.builds(ValidatorUpdate, public_key=HASH, power=I64, key_type=TEXT), max_size=2
    ).map(tuple),
    param_updates=st.none()
    | st.builds(ConsensusParams, max_bytes=st.integers(1, 2**22), app_version=st.integers(0, 9)),
    events=EVENTS,
)
BATCHES = st.builds(
    Batch, incarnation=U64, seq=st.integers(1, 2**64 - 1), payload=st.binary(min_size=1, max_size=40)
)
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(VoteRecord, vote=VOTES),
    st.builds(ProposalRecord, proposal=PROPOSALS),
    st.builds(PolkaRecord, votes=VOTE_LISTS, compact=COMPACTS),
    st.builds(RoundCertRecord, votes=VOTE_LISTS),
    st.builds(BatchRecord, author=ADDRESS, batch=BATCHES),
    st.builds(CommitRecord, height=HEIGHT, compact=COMPACTS, commit=COMMITS),
    st.builds(ExecutedRecord, height=HEIGHT, outcome=OUTCOMES),
    st.builds(CheckpointRecord, height=U64),
    st.builds(IncarnationRecord, incarnation=U64),
    st.builds(RejoinRecord, height=U64),
    st.builds(ForkRecord, height=U64),
    st.builds(EvidenceRecord, evidence=DATA),
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(record=RECORDS)
def test_every_record_comes_back(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(outcome=OUTCOMES)
def test_every_outcome_comes_back(outcome: BlockOutcome) -> None:
    assert decode_outcome(encode_outcome(outcome)) == outcome


def test_equal_results_in_a_row_cost_next_to_nothing() -> None:
    outcome = BlockOutcome(results=(TxResult(),) * 10_000, app_hash=b"h")
    assert len(encode_outcome(outcome)) < 20
    assert decode_outcome(encode_outcome(outcome)) == outcome


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\x0a\x01\xff", b"\xf8\x07\x01", b"\x12\x00"],
    ids=["nothing", "no protobuf", "a vote that is none", "an unknown kind", "an empty proposal"],
)
def test_what_is_no_record_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt, match="cannot be read"):
        decode_record(data)
