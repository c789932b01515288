"""Peer messages survive the wire unchanged, and what is malformed or too long is refused."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain.block_id import NIL
from catenet.chain.commit import Commit
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.types.batch import Batch, Compact, Inline, Pick, Ref
from catenet.types.errors import InvalidInput
from catenet.types.messages import (
    BatchMessage,
    CommittedBlock,
    EvidenceMessage,
    FoundBatch,
    FoundBlock,
    FoundCompact,
    Have,
    Ping,
    ProposalMessage,
    Skip,
    Tip,
    VoteMessage,
    VoteSet,
    Wanted,
)
from catenet.types.ports import BlockRun
from catenet.wire import convert
from catenet.wire.convert import FrameLimits, decode_frame, encode_frame
from catenet.wire.hello import Hello, Proof, decode_hello, decode_proof, encode_hello, encode_proof
from catenet.wire.v1 import peer_pb2 as pb
from support.network import status

VOTE = Vote(
    type=VoteType.PREVOTE,
    height=3,
    round=1,
    block_id=NIL,
    time_ns=5,
    address=bytes(20),
    index=2,
    signature=b"s",
)
COMMIT = Commit(height=3, round=0, block_id=NIL, signatures=())
COMPACT = Compact(
    header=b"h",
    last_commit=b"c",
    evidence=b"",
    manifest=(
        Ref(digest=bytes(32), excluded=(1, 5)),
        Pick(digest=bytes(32), indices=(4, 2)),
        Inline(txs=(b"a", b"")),
    ),
)
SIGNED = Proposal(height=3, round=1, pol_round=0, block_id=NIL, time_ns=5, signature=b"p")
MESSAGES = (
    status(7, 2),
    VoteMessage(vote=VOTE),
    VoteSet(votes=(VOTE, VOTE), answer=True),
    ProposalMessage(signed=SIGNED, compact=COMPACT, pol=VoteSet(votes=(VOTE,))),
    ProposalMessage(signed=SIGNED, compact=COMPACT),
    CommittedBlock(compact=COMPACT, commit=COMMIT),
    EvidenceMessage(evidence=b"e"),
    BatchMessage(batch=Batch(incarnation=2**64 - 1, seq=1, payload=b"\x0a\x00")),
    Skip(to=9, incarnation=7),
    Ping(),
    Have(
        tips=(
            Tip(author=bytes(20), incarnation=1, seq=2, credit=3),
            Tip(author=b"a" * 20, incarnation=0, seq=0, credit=0),
        )
    ),
)


def test_every_message_comes_back_as_it_went_and_in_order() -> None:
    assert decode_frame(encode_frame(77, MESSAGES)) == (77, MESSAGES, 0)
    assert decode_frame(encode_frame(2**70, ())).lamport == 2**64 - 1


@pytest.mark.parametrize(
    "found",
    [
        FoundBatch(author=bytes(20), batch=Batch(incarnation=1, seq=2, payload=b"p")),
        FoundCompact(block_hash=bytes(32), compact=COMPACT),
        FoundBlock(block_hash=bytes(32), block=b"raw", commit=COMMIT),
    ],
)
def test_answers_to_a_fetch_come_back(found: FoundBatch | FoundCompact | FoundBlock) -> None:
    assert convert.decode_found(convert.encode_found(found)) == found


def test_requests_and_runs_come_back() -> None:
    wanted = Wanted(digests=(bytes(32), b"d" * 32), block_hashes=(b"b" * 32,), height=4)
    assert convert.decode_wanted(convert.encode_wanted(wanted)) == wanted
    run = BlockRun(first=4, blocks=(b"a", b"b"), commit=b"c")
    assert convert.decode_run(convert.encode_run(run)) == run


def test_unknown_kinds_are_counted_and_ignored() -> None:
    unknown = b"\xf2\x06\x01x"  # field 110, two bytes, of a later version
    frame = pb.Frame(msgs=[pb.Msg(ping=pb.Ping()), pb.Msg.FromString(unknown), pb.Msg(proof=pb.Proof())])
    assert decode_frame(frame.SerializeToString() + unknown) == (0, (Ping(),), 2)


def _frame(**message: object) -> bytes:
    return pb.Frame(msgs=[pb.Msg(**message)]).SerializeToString()  # type: ignore[arg-type]


REFUSED = [
    _frame(vote=b"\xff"),
    _frame(votes=pb.VoteSet(votes=[b""])),
    _frame(proposal=pb.Proposal(signed=SIGNED.encode()[:-1])),
    _frame(committed=pb.CommittedBlock(commit=b"\x08")),
    _frame(status=pb.Status(step=0)),
    _frame(status=pb.Status(step=4)),
    _frame(status=pb.Status(step=1, round=-1)),
    _frame(status=pb.Status(step=1, valid_round=-2)),
    _frame(status=pb.Status(step=1, height=2**63)),
    _frame(status=pb.Status(step=1, head_hash=bytes(31))),
    _frame(status=pb.Status(step=1, prevotes=bytes(1251))),
    _frame(batch=pb.Batch(incarnation=1, seq=1)),
    _frame(batch=pb.Batch(incarnation=1, payload=b"x")),
    pb.Frame(have=[pb.Tip(author=bytes(19))]).SerializeToString(),
    b"\x0a",
]


@pytest.mark.parametrize("data", REFUSED)
def test_malformed_frames_are_invalid_input(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_frame(data)


def test_limits_hold_at_the_limit_and_one_beyond() -> None:
    vote = VOTE.encode()
    limits = FrameLimits(frame_bytes=10_000, votes=2, tips=1)
    tip = pb.Tip(author=bytes(20))
    assert decode_frame(_frame(votes=pb.VoteSet(votes=[vote] * 2)), limits)
    assert decode_frame(pb.Frame(have=[tip]).SerializeToString(), limits)
    with pytest.raises(InvalidInput, match="set of 3 votes, at most 2"):
        decode_frame(_frame(votes=pb.VoteSet(votes=[vote] * 3)), limits)
    with pytest.raises(InvalidInput, match="too many"):
        decode_frame(pb.Frame(have=[tip] * 2).SerializeToString(), limits)
    empty = len(_frame(evidence=b"x" * 9000)) - 9000
    assert decode_frame(_frame(evidence=b"x" * (10_000 - empty)), limits)
    with pytest.raises(InvalidInput, match="frame of 10001 bytes, at most 10000"):
        decode_frame(_frame(evidence=b"x" * (10_001 - empty)), limits)


def test_a_compact_block_has_its_own_limits() -> None:
    ref = pb.Segment(ref=pb.Ref(digest=bytes(32)))
    assert len(convert.compact_in(pb.Compact(manifest=[ref] * 8192)).manifest) == 8192
    with pytest.raises(InvalidInput, match="8193 segments"):
        convert.compact_in(pb.Compact(manifest=[ref] * 8193))
    with pytest.raises(InvalidInput, match="compact block of"):
        convert.compact_in(pb.Compact(header=bytes(768 * 1024)))
    for segment in (pb.Segment(), pb.Segment(ref=pb.Ref(digest=b"x"))):
        with pytest.raises(InvalidInput):
            convert.compact_in(pb.Compact(manifest=[segment]))


def test_a_fetch_asks_for_a_bounded_number() -> None:
    digest = bytes(32)
    assert len(convert.decode_wanted(pb.Wanted(digests=[digest] * 4096).SerializeToString()).digests) == 4096
    for wrong in (
        pb.Wanted(digests=[digest] * 4097),
        pb.Wanted(block_ids=[digest] * 65),
        pb.Wanted(digests=[b"short"]),
    ):
        with pytest.raises(InvalidInput):
            convert.decode_wanted(wrong.SerializeToString())


def test_hello_and_proof_come_back_and_only_where_they_belong() -> None:
    hello = Hello(
        min_version=1,
        max_version=2,
        chain_id="c",
        address=bytes(20),
        nonce=bytes(32),
        node_id="n",
        certificate=bytes(32),
        software="s",
        caps=("x",),
    )
    assert decode_hello(encode_hello(5, hello)) == (5, hello)
    assert decode_proof(encode_proof(6, Proof(signature=b"s"))) == (6, Proof(signature=b"s"))
    with pytest.raises(InvalidInput, match="not a proof"):
        decode_proof(encode_hello(5, hello))
    with pytest.raises(InvalidInput, match="not a hello"):
        decode_hello(encode_frame(1, [Ping()]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_invalid_input(data: bytes) -> None:
    for decode in (
        decode_frame,
        decode_hello,
        decode_proof,
        convert.decode_wanted,
        convert.decode_found,
        convert.decode_run,
    ):
        with suppress(InvalidInput):
            decode(data)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_damaged_frame_raises_anything_but_invalid_input(data: st.DataObject) -> None:
    frame = bytearray(encode_frame(1, MESSAGES))
    for _ in range(data.draw(st.integers(1, 4))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidInput):
        decode_frame(bytes(frame))
