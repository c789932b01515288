"""What goes out as a message of ABCI comes in as the same value."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.abci import answers, requests, values
from catenet.chain.params import ConsensusParams
from catenet.types.application import (
    BlockOutcome,
    CheckResult,
    CommitInfo,
    Event,
    EventAttribute,
    FinalizeBlock,
    Info,
    InitChain,
    InitChainResult,
    Misbehavior,
    MisbehaviorKind,
    PrepareProposal,
    ProcessProposal,
    Query,
    QueryResult,
    TxResult,
    ValidatorUpdate,
)
from catenet.types.errors import InvalidInput
from catenet.types.extensions import ChunkOutcome, ChunkResult, Snapshot
from catenet.wire.abci import abci_pb2 as pb

M = TypeVar("M", bound=Message)
V = TypeVar("V")

data = st.binary(max_size=40)
text = st.text(st.characters(codec="utf-8"), max_size=20)
natural = st.integers(0, 2**63 - 1)
integer = st.integers(-(2**63), 2**63 - 1)
small = st.integers(0, 2**32 - 1)
# Times a protobuf timestamp can hold: the years 1 to 9999.
time_ns = st.integers(-62_135_596_800 * 10**9, 253_402_300_799 * 10**9)
txs = st.lists(data, max_size=5).map(tuple)

events = st.lists(
    st.builds(
        Event,
        type=text,
        attributes=st.lists(
            st.builds(EventAttribute, key=text, value=text, index=st.booleans()), max_size=3
        ).map(tuple),
    ),
    max_size=3,
).map(tuple)
results = st.builds(
    TxResult,
    code=small,
    data=data,
    log=text,
    info=text,
    gas_wanted=integer,
    gas_used=integer,
    events=events,
    codespace=text,
)
updates = st.lists(
    st.builds(
        ValidatorUpdate,
        public_key=data,
        power=integer,
        key_type=st.sampled_from(["ed25519", "secp256k1"]),
    ),
    max_size=3,
).map(tuple)
params = st.builds(
    ConsensusParams,
    max_bytes=integer,
    max_gas=integer,
    evidence_max_age_blocks=integer,
    evidence_max_age_ns=st.integers(0, 10**18),
    evidence_max_bytes=integer,
    key_types=st.lists(text, max_size=2).map(tuple),
    app_version=natural,
    vote_extensions_height=natural,
)
commits = st.builds(
    CommitInfo,
    round=st.integers(0, 2**31 - 1),
    votes=st.lists(st.tuples(data, integer, st.integers(1, 3)), max_size=4).map(tuple),
)
found = st.lists(
    st.builds(
        Misbehavior,
        address=data,
        power=integer,
        height=integer,
        time_ns=time_ns,
        total_power=integer,
        kind=st.sampled_from(MisbehaviorKind),
    ),
    max_size=2,
).map(tuple)
block = {
    "txs": txs,
    "last_commit": commits,
    "misbehavior": found,
    "height": integer,
    "time_ns": time_ns,
    "next_validators_hash": data,
    "proposer_address": data,
}


def through(message: M) -> M:
    """Return a message as its reader gets it."""
    return type(message).FromString(message.SerializeToString())


def case(strategy: st.SearchStrategy[V], out: Callable[[V], M], back: Callable[[M], V]) -> Callable[[], None]:
    """Return a run that sends values there and back."""

    @given(value=strategy)
    @settings(max_examples=20, deadline=None)
    def check(value: V) -> None:
        assert back(through(out(value))) == value

    return check


CASES = {
    "InitChain": case(
        st.builds(
            InitChain,
            time_ns=time_ns,
            chain_id=text,
            initial_height=integer,
            app_state=st.binary(min_size=1, max_size=20),
            validators=updates,
            params=params,
        ),
        requests.init_chain_out,
        requests.init_chain_in,
    ),
    "ProcessProposal": case(
        st.builds(ProcessProposal, hash=data, **block),
        requests.process_out,
        requests.process_in,
    ),
    "FinalizeBlock": case(
        st.builds(FinalizeBlock, hash=data, **block),
        requests.finalize_out,
        requests.finalize_in,
    ),
    "Query": case(
        st.builds(Query, data=data, path=text, height=integer, prove=st.booleans()),
        requests.query_out,
        requests.query_in,
    ),
    "Info": case(
        st.builds(
            Info,
            last_block_height=integer,
            last_block_app_hash=data,
            data=text,
            version=text,
            app_version=natural,
        ),
        answers.info_out,
        answers.info_in,
    ),
    "InitChainResult": case(
        st.builds(InitChainResult, app_hash=data, validators=updates, params=st.none() | params),
        answers.init_chain_out,
        lambda message: answers.init_chain_in(message, ConsensusParams()),
    ),
    "CheckResult": case(
        st.builds(CheckResult, code=small, log=text, data=data, gas_wanted=integer, codespace=text),
        answers.check_out,
        answers.check_in,
    ),
    "BlockOutcome": case(
        st.builds(
            BlockOutcome,
            results=st.lists(results, max_size=3).map(tuple),
            app_hash=data,
            validator_updates=updates,
            param_updates=st.none() | params,
            events=events,
        ),
        answers.outcome_out,
        lambda message: answers.outcome_in(message, ConsensusParams()),
    ),
    "QueryResult": case(
        st.builds(
            QueryResult,
            code=small,
            log=text,
            key=data,
            value=data,
            height=integer,
            index=integer,
            codespace=text,
        ),
        answers.query_out,
        answers.query_in,
    ),
    "Snapshot": case(
        st.builds(Snapshot, height=natural, format=small, chunks=small, hash=data, metadata=data),
        values.snapshot_out,
        values.snapshot_in,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_come_through_messages_unchanged(name: str) -> None:
    CASES[name]()


@given(value=st.builds(PrepareProposal, max_tx_bytes=integer, **block))
@settings(max_examples=20, deadline=None)
def test_a_proposal_to_prepare_comes_through_with_an_extension_for_each_vote(value: PrepareProposal) -> None:
    seen = requests.prepare_in(through(requests.prepare_out(value)))
    assert seen.vote_extensions == (b"",) * len(value.last_commit.votes)
    for name in ("max_tx_bytes", *block):
        assert getattr(seen, name) == getattr(value, name)


def test_vote_extensions_are_those_of_the_votes() -> None:
    message = pb.RequestPrepareProposal()
    message.local_last_commit.votes.add(vote_extension=b"one", block_id_flag=2)
    message.local_last_commit.votes.add(block_id_flag=1)
    assert requests.prepare_in(message).vote_extensions == (b"one", b"")


def test_an_update_of_some_parameters_leaves_the_others() -> None:
    base = ConsensusParams(max_bytes=2_000_000, max_gas=7, app_version=3, evidence_max_bytes=9)
    message = pb.ConsensusParams(version=pb.VersionParams(app=4))
    assert values.params_in(message, base) == ConsensusParams(
        max_bytes=2_000_000, max_gas=7, app_version=4, evidence_max_bytes=9
    )
    message = pb.ConsensusParams(block=pb.BlockParams(max_bytes=1_500_000, max_gas=-1))
    changed = values.params_in(message, base)
    assert (changed.max_bytes, changed.max_gas, changed.app_version) == (1_500_000, -1, 3)


def test_text_that_is_not_utf8_does_not_cost_the_message() -> None:
    # Applications in Go put raw bytes into their logs.
    message = pb.ResponseCheckTx(code=1, log=b"bad tx \xff\xfe", codespace=b"\x80")
    seen = answers.check_in(through(message))
    assert (seen.log, seen.codespace) == ("bad tx \\xff\\xfe", "\\x80")


def test_text_that_utf8_cannot_hold_is_escaped() -> None:
    assert answers.check_out(CheckResult(log="half a pair: \ud800")).log == b"half a pair: \\ud800"


def test_what_no_value_of_ours_holds_is_refused() -> None:
    with pytest.raises(InvalidInput, match="neither ed25519 nor secp256k1"):
        values.updates_in([pb.ValidatorUpdate(power=1)])
    with pytest.raises(InvalidInput, match="misbehavior of type 3"):
        values.misbehavior_in([pb.Misbehavior(type=3)])
    with pytest.raises(ValueError, match="not 'bls12381'"):
        values.updates_out([ValidatorUpdate(public_key=b"", power=1, key_type="bls12381")])


def test_a_genesis_without_state_reads_alike_under_both_engines() -> None:
    assert requests.init_chain_in(pb.RequestInitChain()).app_state == b"{}"


@pytest.mark.parametrize("result", ChunkResult)
def test_what_became_of_a_chunk_has_its_number(result: ChunkResult) -> None:
    message = answers.chunk_out(ChunkOutcome(result=result, refetch_chunks=(1, 2), reject_senders=("peer",)))
    assert (message.result, list(message.refetch_chunks)) == (result.value, [1, 2])
