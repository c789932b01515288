"""Bytes and values name each other one to one; nothing else is accepted, and nothing else is raised."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catenet.chain import encoding
from catenet.chain.block import Block
from catenet.chain.block_id import NIL, BlockID, PartSetHeader
from catenet.chain.commit import ABSENT, Commit, CommitSig, Flag
from catenet.chain.encoding import ZERO_TIME_NS, DecodeError
from catenet.chain.evidence import DuplicateVoteEvidence, decode_list, encode_list, unwrap, wrap
from catenet.chain.header import Header
from catenet.chain.keys import PublicKey
from catenet.chain.light_fork import make_attack_evidence
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Proposal, Vote, VoteType
from support.chain import make_chain


class Encodable(Protocol):
    def encode(self) -> bytes: ...


# The machine may be busy: how long an example takes says nothing.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

HEIGHTS = st.integers(0, 2**63 - 1)
ROUNDS = st.integers(0, 2**31 - 1)
TIMES = st.integers(ZERO_TIME_NS, 253_402_300_800 * 10**9 - 1)
HASHES = st.binary(min_size=32, max_size=32) | st.just(b"")
PARTS = st.builds(PartSetHeader, total=st.integers(0, 2**32 - 1), hash=HASHES)
BLOCK_IDS = st.just(NIL) | st.builds(BlockID, hash=HASHES, parts=PARTS)
ADDRESSES = st.binary(min_size=20, max_size=20) | st.just(b"")
SMALL = st.binary(max_size=70)
VOTES = st.builds(
    Vote,
    type=st.sampled_from([VoteType.PREVOTE, VoteType.PRECOMMIT]),
    height=HEIGHTS,
    round=ROUNDS,
    block_id=BLOCK_IDS,
    time_ns=TIMES,
    address=ADDRESSES,
    index=ROUNDS,
    signature=SMALL,
    extension=SMALL,
    extension_signature=SMALL,
)
PROPOSALS = st.builds(
    Proposal,
    height=HEIGHTS,
    round=ROUNDS,
    pol_round=st.integers(-(2**31), 2**31 - 1),
    block_id=BLOCK_IDS,
    time_ns=TIMES,
    signature=SMALL,
)
ENTRIES = st.just(ABSENT) | st.builds(
    CommitSig, flag=st.sampled_from(Flag), address=ADDRESSES, time_ns=TIMES, signature=SMALL
)
COMMITS = st.builds(
    Commit,
    height=HEIGHTS,
    round=ROUNDS,
    block_id=BLOCK_IDS,
    signatures=st.lists(ENTRIES, max_size=4).map(tuple),
)
EVIDENCE = st.builds(
    DuplicateVoteEvidence,
    vote_a=VOTES,
    vote_b=VOTES,
    total_power=st.integers(-(2**63), 2**63 - 1),
    validator_power=st.integers(-(2**63), 2**63 - 1),
    time_ns=TIMES,
)
HEADERS = st.builds(
    Header,
    version_block=st.integers(0, 2**64 - 1),
    version_app=st.integers(0, 2**64 - 1),
    chain_id=st.text(max_size=20),
    height=HEIGHTS,
    time_ns=TIMES,
    last_block_id=BLOCK_IDS,
    **{
        name: SMALL
        for name in (
            "last_commit_hash",
            "data_hash",
            "validators_hash",
            "next_validators_hash",
            "consensus_hash",
            "app_hash",
            "last_results_hash",
            "evidence_hash",
            "proposer_address",
        )
    },
)
BLOCKS = st.builds(
    Block,
    header=HEADERS,
    txs=st.lists(SMALL, max_size=4),
    evidence=st.lists(EVIDENCE, max_size=2).map(tuple),
    last_commit=COMMITS,
)

KINDS: dict[str, tuple[Callable[[bytes], Encodable], st.SearchStrategy[Encodable]]] = {
    "block_id": (BlockID.decode, BLOCK_IDS),
    "vote": (Vote.decode, VOTES),
    "proposal": (Proposal.decode, PROPOSALS),
    "commit": (Commit.decode, COMMITS),
    "evidence": (DuplicateVoteEvidence.decode, EVIDENCE),
    "header": (Header.decode, HEADERS),
    "block": (Block.decode, BLOCKS),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_value_comes_back(kind: str) -> None:
    decode, values = KINDS[kind]

    @PATIENT
    @given(value=values)
    def check(value: Encodable) -> None:
        assert decode(value.encode()) == value

    check()


def decode_one_to_one(decode: Callable[[bytes], Encodable], data: bytes) -> None:
    """Decode; either it is refused, or these bytes are the encoding of what was read."""
    try:
        value = decode(data)
    except DecodeError:
        return
    assert value.encode() == data


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_are_refused_or_mean_something_else(kind: str) -> None:
    decode, values = KINDS[kind]

    @PATIENT
    @given(value=values, data=st.data())
    def check(value: Encodable, data: st.DataObject) -> None:
        raw = value.encode()
        place = data.draw(st.integers(0, len(raw)))
        patch = data.draw(st.binary(max_size=3))
        cut = data.draw(st.integers(0, 3))
        decode_one_to_one(decode, raw[:place] + patch + raw[place + cut :])
        decode_one_to_one(decode, raw[:place])

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_refused_or_means_something(kind: str) -> None:
    decode, _ = KINDS[kind]
    for n in range(300):
        noise = bytes((n * 7 + i * i) & 0xFF for i in range(n % 23))
        decode_one_to_one(decode, noise)


def test_every_cut_of_a_real_block_is_refused() -> None:
    raw = make_chain(heights=2).decided[1].raw
    for size in range(len(raw)):
        with pytest.raises(DecodeError):
            Block.decode(raw[:size])


COMMIT = make_chain(heights=1).decided[0].commit
RAW = COMMIT.encode()
PROPOSAL = Proposal(height=1, round=0, pol_round=-1, block_id=COMMIT.block_id, time_ns=0)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (RAW[:-1], "truncated"),
        (RAW + b"\x08", "truncated varint"),
        (RAW + b"\x28\x01", "unexpected field 5"),
        (b"\x10\x00" + RAW, "twice or out of order"),
        (RAW[2:76] + RAW[:2] + RAW[76:], "out of order"),
        (b"\x08\x81\x00" + RAW[2:], "overlong"),
        (b"\x08" + b"\xff" * 9 + b"\x02" + RAW[2:], "beyond 64 bits"),
        (b"\x08" + b"\xff" * 10 + b"\x01" + RAW[2:], "ten bytes"),
        (b"\x09" + b"\x01" * 8 + RAW[2:], "unexpected field 1 of wire type 1"),
        (b"\x0a\x01\x01" + RAW[2:], "unexpected field 1 of wire type 2"),
        (b"\x0b" + RAW[2:], "wire type 3"),
        (b"\x0d\x01\x01\x01\x01" + RAW[2:], "wire type 5"),
        (b"\x00\x01" + RAW, "field number 0"),
        (RAW[:2] + b"\x10\x00" + RAW[2:], "canonical"),
        (RAW[:2] + b"\x10\x80\x80\x80\x80\x08" + RAW[2:], "32 bits"),
        (b"\x08" + b"\xff" * 9 + b"\x01" + RAW[2:], "negative height"),
        (RAW[:2], "field 3 is missing"),
    ],
)
def test_malformed_bytes_are_refused_with_a_reason(raw: bytes, reason: str) -> None:
    assert RAW[:4] == b"\x08\x01\x1a\x48"
    with pytest.raises(DecodeError, match=reason):
        Commit.decode(raw)


@pytest.mark.parametrize("n", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, 2**64 - 1])
def test_varints_come_back(n: int) -> None:
    raw = encoding.uvarint(n)
    assert encoding.read_uvarint(raw, 0) == (n, len(raw))
    assert encoding.delimited(b"x" * 200)[:2] == encoding.uvarint(200)


def test_a_negative_integer_takes_ten_bytes() -> None:
    assert encoding.uvarint(-1) == b"\xff" * 9 + b"\x01"
    assert len(encoding.uvarint(-(2**63))) == 10


@pytest.mark.parametrize("n", [2**64, -(2**63) - 1])
def test_an_integer_beyond_64_bits_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        encoding.uvarint(n)


def test_the_zero_time_takes_eleven_bytes() -> None:
    raw = encoding.time_bytes(ZERO_TIME_NS)
    assert raw == bytes.fromhex("088092b8c398feffffff01")
    assert encoding.read_time(raw) == ZERO_TIME_NS


@pytest.mark.parametrize("seconds", [-62_135_596_801, 253_402_300_800])
def test_a_time_out_of_range_is_refused(seconds: int) -> None:
    with pytest.raises(DecodeError, match="out of range"):
        encoding.read_time(encoding.int_field(1, seconds))


@pytest.mark.parametrize("nanos", [-1, 10**9])
def test_nanoseconds_out_of_range_are_refused(nanos: int) -> None:
    with pytest.raises(DecodeError, match="out of range"):
        encoding.read_time(encoding.int_field(2, nanos))


def test_a_zero_that_is_written_out_is_refused() -> None:
    evidence = DuplicateVoteEvidence(
        vote_a=COMMIT.vote(0), vote_b=COMMIT.vote(1), total_power=0, validator_power=0, time_ns=0
    )
    raw = evidence.encode()
    assert raw.endswith(b"\x2a\x00")
    padded = raw[:-2] + b"\x20\x00" + raw[-2:]
    assert DuplicateVoteEvidence.read(padded) == evidence
    with pytest.raises(DecodeError, match="canonical"):
        DuplicateVoteEvidence.decode(padded)
    with pytest.raises(DecodeError, match="canonical"):
        decode_list(encoding.message_field(1, encoding.message_field(1, padded)))
    header = make_chain(heights=1).decided[0].block.header
    assert header.encode().startswith(b"\x0a\x02\x08\x0b")
    with pytest.raises(DecodeError, match="canonical"):
        Header.decode(b"\x0a\x04\x08\x0b\x10\x00" + header.encode()[4:])
    vote = COMMIT.vote(0).encode()
    with pytest.raises(DecodeError, match="canonical"):
        Vote.decode(vote[:4] + b"\x18\x00" + vote[4:])
    with pytest.raises(DecodeError, match="canonical"):
        Proposal.decode(PROPOSAL.encode()[:4] + b"\x18\x00" + PROPOSAL.encode()[4:])
    with pytest.raises(DecodeError, match="canonical"):
        BlockID.decode(b"\x0a\x00\x12\x00")


def test_evidence_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(DecodeError, match="unknown kind"):
        decode_list(encoding.message_field(1, b""))
    for field in (2, 3):
        with pytest.raises(DecodeError):
            decode_list(encoding.message_field(1, encoding.message_field(field, b"\x08\x01")))
    assert decode_list(encode_list(())) == ()


def test_a_list_of_both_kinds_of_evidence_is_read_as_it_was_written() -> None:
    lights = [decided.light for decided in make_chain(heights=3).decided]
    attack = make_attack_evidence(conflicting=lights[2], trusted=lights[1], common=lights[0])
    double = DuplicateVoteEvidence(
        vote_a=COMMIT.vote(0), vote_b=COMMIT.vote(1), total_power=4, validator_power=1, time_ns=5
    )
    pieces = (double, attack, double)
    assert decode_list(encode_list(pieces)) == pieces
    assert [unwrap(wrap(piece)) for piece in pieces] == list(pieces)
    for cut in (1, 40, 400):
        with pytest.raises(DecodeError):
            unwrap(wrap(attack)[:-cut])


def test_unknown_types_and_flags_are_refused() -> None:
    vote = make_chain(heights=1).decided[0].commit.vote(0).encode()
    with pytest.raises(DecodeError, match="vote type 3"):
        Vote.decode(b"\x08\x03" + vote[2:])
    with pytest.raises(DecodeError, match="block id flag 4"):
        Commit.decode(RAW.replace(b"\x08\x02\x12\x14", b"\x08\x04\x12\x14", 1))
    with pytest.raises(DecodeError, match="proposal type 2"):
        Proposal.decode(b"\x08\x02" + PROPOSAL.encode()[2:])


def test_a_hash_of_another_length_is_refused() -> None:
    with pytest.raises(DecodeError, match="31 bytes"):
        BlockID.decode(encoding.bytes_field(1, b"h" * 31) + b"\x12\x00")


def test_public_keys_are_one_of_two_kinds() -> None:
    key = make_chain().state.validators.proposer.public_key
    assert PublicKey.decode(key.encode()) == key
    for raw in (b"", encoding.bytes_field(1, b"k" * 31), encoding.bytes_field(3, b"k"), key.encode() * 2):
        with pytest.raises(DecodeError):
            PublicKey.decode(raw)


def test_validator_sets_that_cannot_exist_are_refused() -> None:
    valset = make_chain(3).state.validators
    assert ValidatorSet.decode(valset.encode()) == valset
    first, second, third = (encoding.message_field(1, member.encode()) for member in valset.validators)
    tail = encoding.message_field(2, valset.proposer.encode())
    total = encoding.int_field(3, 30)
    assert first + second + third + tail + total == valset.encode()
    powerless = encoding.message_field(1, replace(valset.validators[2], power=0).encode())
    huge = encoding.message_field(1, replace(valset.validators[0], power=2**62).encode())
    for other in (
        tail + total,
        first + second + third + total,
        first + second + third + tail + encoding.int_field(3, 31),
        first + third + second + tail + total,
        first + first + third + tail + total,
        first + second + powerless + tail + encoding.int_field(3, 20),
        huge + second + third + tail + encoding.int_field(3, 2**62 + 20),
    ):
        with pytest.raises(DecodeError):
            ValidatorSet.decode(other)


def test_headers_with_impossible_fields_are_refused() -> None:
    header = make_chain(heights=1).decided[0].block.header
    for other, reason in (
        (replace(header, height=-1).encode(), "negative height"),
        (header.encode().replace(b"test-chain", b"test-chai\xff", 1), "not UTF-8"),
    ):
        with pytest.raises(DecodeError, match=reason):
            Header.decode(other)


def test_numbers_wider_than_their_field_are_refused() -> None:
    parts = encoding.message_field(2, encoding.int_field(1, 2**32))
    with pytest.raises(DecodeError, match="32 bits"):
        BlockID.decode(parts)
    with pytest.raises(DecodeError, match="truncated field 1"):
        list(encoding.fields(b"\x09" + b"\x01" * 7))


def test_votes_and_proposals_below_zero_are_refused() -> None:
    vote = make_chain(heights=1).decided[0].commit.vote(0)
    for fault in (replace(vote, height=-1), replace(vote, round=-1), replace(vote, index=-1)):
        with pytest.raises(DecodeError, match="negative"):
            Vote.decode(fault.encode())
    for low in (replace(PROPOSAL, height=-1), replace(PROPOSAL, round=-1)):
        with pytest.raises(DecodeError, match="negative"):
            Proposal.decode(low.encode())
