"""Peer messages to frames and back (consensus.md 9), with the limits on what a peer may send.

Malformed input of any kind stops here as `InvalidInput` with a fixed text. Nothing here judges content:
signatures, digests and the rules of a manifest are checked by who uses them. `Hello` and `Proof` are in
`wire/hello.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar, assert_never

from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message as ProtobufMessage

from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError
from catenet.chain.vote import Proposal, Vote
from catenet.types.batch import Batch, Compact, Inline, Pick, Ref, Segment
from catenet.types.errors import InvalidInput
from catenet.types.messages import (
    BatchMessage,
    CommittedBlock,
    EvidenceMessage,
    Found,
    FoundBatch,
    FoundBlock,
    FoundCompact,
    Have,
    Message,
    Ping,
    ProposalMessage,
    Skip,
    Status,
    Tip,
    VoteMessage,
    VoteSet,
    Wanted,
)
from catenet.types.ports import BlockRun
from catenet.wire.v1 import peer_pb2 as pb

U64_MAX = 2**64 - 1
HEIGHT_MAX = 2**63 - 1
HASH_BYTES = 32
ADDRESS_BYTES = 20

CONTROL_FRAME_BYTES_MAX = 1024 * 1024
BULK_FRAME_BYTES_MAX = 4 * 1024 * 1024
COMPACT_BYTES_MAX = 768 * 1024
SEGMENTS_MAX = 8192
DIGESTS_MAX = 4096
BLOCK_HASHES_MAX = 64
WANTED_BYTES_MAX = 256 * 1024
MESSAGES_MAX = 4096
BITMAP_BYTES_MAX = 1250
RUN_BLOCKS_MAX = 4096

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameLimits:
    """What one received frame may hold."""

    frame_bytes: int = CONTROL_FRAME_BYTES_MAX
    votes: int = 20_000
    """Votes of one set: twice the validators, when their number is known."""
    tips: int = 10_000


class Frame(NamedTuple):
    """A decoded frame."""

    lamport: int
    messages: tuple[Message, ...]
    unknown: int
    """Messages of kinds that this version does not know, or that have no place after the handshake."""


def encode_frame(lamport: int, messages: Sequence[Message]) -> bytes:
    """Return the bytes of one frame with all messages, in order; of each author the newest tip."""
    # A clock that a liar pushed to the end stays there: order in logs is lost, nothing else is.
    frame = pb.Frame(lamport=min(lamport, U64_MAX))
    tips: dict[bytes, Tip] = {}
    for message in messages:
        if isinstance(message, Have):
            tips.update({tip.author: tip for tip in message.tips})
        else:
            frame.msgs.append(_message_out(message))
    frame.have.extend([_tip_out(tip) for tip in tips.values()])
    return frame.SerializeToString()


def decode_frame(data: bytes, limits: FrameLimits = FrameLimits()) -> Frame:
    """Return what a frame holds; its tips come last, as one `Have`. Raises `InvalidInput`."""
    if len(data) > limits.frame_bytes:
        raise InvalidInput(f"frame of {len(data)} bytes, at most {limits.frame_bytes} are allowed")
    frame = parse(pb.Frame, data)
    if len(frame.msgs) > MESSAGES_MAX or len(frame.have) > limits.tips:
        raise InvalidInput("frame holds too many messages")
    messages: list[Message] = []
    unknown = 0
    for wire in frame.msgs:
        message = _message_in(wire, limits)
        if message is None:
            unknown += 1
        else:
            messages.append(message)
    if frame.have:
        messages.append(Have(tips=tuple([_tip_in(tip) for tip in frame.have])))
    return Frame(frame.lamport, tuple(messages), unknown)


def encode_wanted(wanted: Wanted) -> bytes:
    """Return the request of a `Fetch`."""
    wire = pb.Wanted(digests=wanted.digests, block_ids=wanted.block_hashes, height=wanted.height)
    return wire.SerializeToString()


def decode_wanted(data: bytes) -> Wanted:
    """Return what a peer asks for. Raises `InvalidInput`."""
    if len(data) > WANTED_BYTES_MAX:
        raise InvalidInput(f"fetch of {len(data)} bytes, at most {WANTED_BYTES_MAX} are allowed")
    wire = parse(pb.Wanted, data)
    if len(wire.digests) > DIGESTS_MAX or len(wire.block_ids) > BLOCK_HASHES_MAX:
        raise InvalidInput(f"at most {DIGESTS_MAX} digests and {BLOCK_HASHES_MAX} blocks in one fetch")
    return Wanted(
        digests=tuple([_sized(digest, HASH_BYTES, "digest") for digest in wire.digests]),
        block_hashes=tuple([_sized(block, HASH_BYTES, "block hash") for block in wire.block_ids]),
        height=_height(wire.height),
    )


def encode_found(found: Found) -> bytes:
    """Return one answer of a `Fetch`."""
    match found:
        case FoundBatch():
            wire = pb.Found(author=found.author, batch=_batch_out(found.batch))
        case FoundCompact():
            wire = pb.Found(block_id=found.block_hash, compact=compact_out(found.compact))
        case FoundBlock():
            wire = pb.Found(block_id=found.block_hash, block=found.block, commit=found.commit.encode())
        case _:
            assert_never(found)
    return wire.SerializeToString()


def decode_found(data: bytes) -> Found:
    """Return one answer of a `Fetch`. Raises `InvalidInput`; the content is not yet checked by hash."""
    wire = parse(pb.Found, data)
    if wire.HasField("batch"):
        author = _sized(wire.author, ADDRESS_BYTES, "author")
        return FoundBatch(author=author, batch=batch_in(wire.batch))
    block_hash = _sized(wire.block_id, HASH_BYTES, "block hash")
    if wire.HasField("compact"):
        return FoundCompact(block_hash=block_hash, compact=compact_in(wire.compact))
    if wire.block:
        commit = _canonical(Commit.decode, wire.commit, "commit")
        return FoundBlock(block_hash=block_hash, block=wire.block, commit=commit)
    raise InvalidInput("answer to a fetch holds neither a batch nor a block")


def encode_run(run: BlockRun) -> bytes:
    """Return one answer of `Blocks`."""
    return pb.BlockRun(first=run.first, blocks=run.blocks, commit=run.commit).SerializeToString()


def decode_run(data: bytes) -> BlockRun:
    """Return consecutive blocks of a peer, not yet verified. Raises `InvalidInput`."""
    wire = parse(pb.BlockRun, data)
    if not wire.blocks or len(wire.blocks) > RUN_BLOCKS_MAX or wire.first < 1:
        raise InvalidInput(f"run of {len(wire.blocks)} blocks from height {wire.first}")
    return BlockRun(first=_height(wire.first), blocks=tuple(wire.blocks), commit=wire.commit)


W = TypeVar("W", bound=ProtobufMessage)


def parse(kind: type[W], data: bytes) -> W:
    """Parse one message of the peer protocol. Raises `InvalidInput` with a fixed text."""
    try:
        return kind.FromString(data)
    except (ProtobufError, RecursionError):
        raise InvalidInput(f"malformed {kind.DESCRIPTOR.full_name}") from None


def _message_out(message: Message) -> pb.Msg:
    match message:
        case Status():
            return pb.Msg(status=_status_out(message))
        case VoteMessage():
            return pb.Msg(vote=message.vote.encode())
        case VoteSet():
            return pb.Msg(votes=vote_set_out(message))
        case ProposalMessage():
            return pb.Msg(proposal=proposal_out(message))
        case CommittedBlock():
            commit = message.commit.encode()
            return pb.Msg(committed=pb.CommittedBlock(compact=compact_out(message.compact), commit=commit))
        case EvidenceMessage():
            return pb.Msg(evidence=message.evidence)
        case BatchMessage():
            return pb.Msg(batch=_batch_out(message.batch))
        case Skip():
            return pb.Msg(skip=pb.Skip(to=message.to, incarnation=message.incarnation))
        case Ping():
            return pb.Msg(ping=pb.Ping())
        case Have():
            raise AssertionError("tips ride in the frame itself")
        case _:
            assert_never(message)


def _message_in(wire: pb.Msg, limits: FrameLimits) -> Message | None:
    """Return a message, or None for a kind that this version ignores."""
    match wire.WhichOneof("m"):
        case "status":
            return _status_in(wire.status)
        case "vote":
            return VoteMessage(vote=_canonical(Vote.decode, wire.vote, "vote"))
        case "votes":
            return vote_set_in(wire.votes, limits.votes)
        case "proposal":
            return proposal_in(wire.proposal, limits.votes)
        case "committed":
            return CommittedBlock(
                compact=compact_in(wire.committed.compact),
                commit=_canonical(Commit.decode, wire.committed.commit, "commit"),
            )
        case "evidence":
            return EvidenceMessage(evidence=wire.evidence)
        case "batch":
            return BatchMessage(batch=batch_in(wire.batch))
        case "skip":
            return Skip(to=wire.skip.to, incarnation=wire.skip.incarnation)
        case "ping":
            return Ping()
        case _:
            return None


def _status_out(status: Status) -> pb.Status:
    return pb.Status(
        height=status.height,
        round=status.round,
        step=status.step,
        due=status.due,
        prevotes=status.prevotes,
        precommits=status.precommits,
        proposal=status.proposal,
        valid_round=status.valid_round,
        lowest=status.lowest,
        head_hash=status.head_hash,
        yours=status.yours,
    )


def _status_in(wire: pb.Status) -> Status:
    if wire.round < 0 or wire.valid_round < -1 or not 1 <= wire.step <= 3:
        raise InvalidInput(f"status of round {wire.round}, step {wire.step}, valid round {wire.valid_round}")
    if max(len(wire.prevotes), len(wire.precommits)) > BITMAP_BYTES_MAX:
        raise InvalidInput("bitmap in a status is too long")
    if wire.head_hash:
        _sized(wire.head_hash, HASH_BYTES, "head hash")
    return Status(
        height=_height(wire.height),
        round=wire.round,
        step=wire.step,
        due=wire.due,
        prevotes=wire.prevotes,
        precommits=wire.precommits,
        proposal=wire.proposal,
        valid_round=wire.valid_round,
        lowest=_height(wire.lowest),
        head_hash=wire.head_hash,
        yours=wire.yours,
    )


def vote_set_out(votes: VoteSet) -> pb.VoteSet:
    """Return the generated class of a vote set."""
    return pb.VoteSet(votes=[vote.encode() for vote in votes.votes], answer=votes.answer)


def vote_set_in(wire: pb.VoteSet, votes_max: int) -> VoteSet:
    """Return a vote set of at most `votes_max` well-formed votes. Raises `InvalidInput`."""
    if len(wire.votes) > votes_max:
        raise InvalidInput(f"set of {len(wire.votes)} votes, at most {votes_max} are allowed")
    votes = tuple([_canonical(Vote.decode, vote, "vote") for vote in wire.votes])
    return VoteSet(votes=votes, answer=wire.answer)


def proposal_out(proposal: ProposalMessage) -> pb.Proposal:
    """Return the generated class of a proposal with its block."""
    pol = None if proposal.pol is None else vote_set_out(proposal.pol)
    return pb.Proposal(signed=proposal.signed.encode(), compact=compact_out(proposal.compact), pol=pol)


def proposal_in(wire: pb.Proposal, votes_max: int) -> ProposalMessage:
    """Return a proposal with its block. Raises `InvalidInput`."""
    return ProposalMessage(
        signed=_canonical(Proposal.decode, wire.signed, "proposal"),
        compact=compact_in(wire.compact),
        pol=vote_set_in(wire.pol, votes_max) if wire.HasField("pol") else None,
    )


def compact_out(compact: Compact) -> pb.Compact:
    """Return the generated class of a compact block."""
    return pb.Compact(
        header=compact.header,
        last_commit=compact.last_commit,
        evidence=compact.evidence,
        manifest=[_segment_out(segment) for segment in compact.manifest],
    )


def compact_in(wire: pb.Compact) -> Compact:
    """Return a compact block within its limits. Raises `InvalidInput`."""
    if len(wire.manifest) > SEGMENTS_MAX:
        raise InvalidInput(f"manifest of {len(wire.manifest)} segments, at most {SEGMENTS_MAX} are allowed")
    if wire.ByteSize() > COMPACT_BYTES_MAX:
        raise InvalidInput(
            f"compact block of {wire.ByteSize()} bytes, at most {COMPACT_BYTES_MAX} are allowed"
        )
    return Compact(
        header=wire.header,
        last_commit=wire.last_commit,
        evidence=wire.evidence,
        manifest=tuple([_segment_in(segment) for segment in wire.manifest]),
    )


def _segment_out(segment: Segment) -> pb.Segment:
    match segment:
        case Ref():
            return pb.Segment(ref=pb.Ref(digest=segment.digest, excluded=segment.excluded))
        case Pick():
            return pb.Segment(pick=pb.Pick(digest=segment.digest, indices=segment.indices))
        case Inline():
            return pb.Segment(inline=pb.Inline(txs=segment.txs))
        case _:
            assert_never(segment)


def _segment_in(wire: pb.Segment) -> Segment:
    match wire.WhichOneof("s"):
        case "ref":
            digest = _sized(wire.ref.digest, HASH_BYTES, "digest")
            return Ref(digest=digest, excluded=tuple(wire.ref.excluded))
        case "pick":
            digest = _sized(wire.pick.digest, HASH_BYTES, "digest")
            return Pick(digest=digest, indices=tuple(wire.pick.indices))
        case "inline":
            return Inline(txs=tuple(wire.inline.txs))
        case _:
            # Without it the block cannot be rebuilt: unlike a message, it cannot be ignored.
            raise InvalidInput("segment of an unknown kind")


def _batch_out(batch: Batch) -> pb.Batch:
    return pb.Batch(incarnation=batch.incarnation, seq=batch.seq, payload=batch.payload)


def batch_in(wire: pb.Batch) -> Batch:
    """Return a batch; its payload is not looked into. Raises `InvalidInput`."""
    if not wire.payload or wire.seq == 0:
        raise InvalidInput(f"batch {wire.seq} is empty or has no number")
    return Batch(incarnation=wire.incarnation, seq=wire.seq, payload=wire.payload)


def _tip_out(tip: Tip) -> pb.Tip:
    return pb.Tip(author=tip.author, incarnation=tip.incarnation, seq=tip.seq, credit=tip.credit)


def _tip_in(wire: pb.Tip) -> Tip:
    author = _sized(wire.author, ADDRESS_BYTES, "author")
    return Tip(author=author, incarnation=wire.incarnation, seq=wire.seq, credit=wire.credit)


def _canonical(decode: Callable[[bytes], T], data: bytes, what: str) -> T:
    """Read an embedded object of the chain format."""
    try:
        return decode(data)
    except DecodeError:
        raise InvalidInput(f"malformed {what}") from None


def _sized(data: bytes, size: int, what: str) -> bytes:
    if len(data) != size:
        raise InvalidInput(f"{what} of {len(data)} bytes, not {size}")
    return data


def _height(height: int) -> int:
    if height > HEIGHT_MAX:
        raise InvalidInput(f"height {height} is beyond {HEIGHT_MAX}")
    return height
