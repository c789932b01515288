"""Every kind of message that a validator's key and the descriptors can make, into real cores.

Pitfall 24 of consensus.md 12, from the other side than `test_review_hostile_peer`: there messages are
composed with intent, here they come from the descriptors of the protocol, filled with what is true at the
moment: votes signed for real blocks, real headers, commits and batches, heights and rounds near the present.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar, cast

import pytest
from google.protobuf.descriptor import Descriptor

from catenet.chain.block_id import NIL
from catenet.chain.encoding import message_field
from catenet.chain.evidence import DuplicateVoteEvidence
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.world import EPOCH_NS
from catenet.types import events, messages
from catenet.types.effects import Fetch
from catenet.types.errors import InvalidInput
from catenet.wire.convert import compact_out, decode_found, decode_frame, decode_run, decode_wanted
from catenet.wire.v1 import peer_pb2 as pb
from support.fuzzing.protobuf import Numbers, Pieces, message
from support.fuzzing.values import chance, pick
from support.hostile import LIAR, Siege, size_of

ENTRIES_MAX = 5_000
"""In all containers of a core, as in `test_review_hostile_peer`."""

SEEDS = 2 * int(os.environ.get("CATENET_SCHEDULES", "1"))
FRAMES = 25
"""To one node at a time."""

KINDS = {field.name for field in cast("Descriptor", pb.Msg.DESCRIPTOR).fields} - {"hello", "proof"}


T = TypeVar("T")


def each_of(names: Sequence[str], values: Sequence[T]) -> dict[str, Sequence[T]]:
    """Give several fields the same values to choose from."""
    return {name: values for name in names}


class Storm(Siege):
    """Frames from the descriptors, at each honest node, between its own steps."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.kinds: dict[str, int] = {}

    def blow(self, frames: int) -> None:
        """Say so many frames to one node, and answer what was asked."""
        host = pick(self.random, self.honest)
        pieces, numbers = self.pieces(host), self.numbers(host)
        for _ in range(frames):
            self.send(host, pieces, numbers)
        self.ask(host, pieces, numbers)
        for _ in range(min(3, len(self.calls.asked))):
            self.answer(pieces, numbers)

    def made(self, kind: type, pieces: Pieces, numbers: Numbers) -> bytes:
        return message(cast("Descriptor", kind.DESCRIPTOR), self.random, pieces, numbers)  # type: ignore[attr-defined]

    def send(self, host: Host, pieces: Pieces, numbers: Numbers) -> None:
        frame = self.frame(pieces, numbers)
        try:
            heard = decode_frame(frame).messages
        except InvalidInput:
            return
        for one in heard:
            name = type(one).__name__
            self.kinds[name] = self.kinds.get(name, 0) + 1
            if isinstance(one, messages.BatchMessage):
                self.note(one.batch.payload)
            host.handle(events.Received(peer=self.me, message=one))

    def frame(self, pieces: Pieces, numbers: Numbers) -> bytes:
        """Return a frame of several messages, or of one: else a malformed one would hide the others."""
        match self.random.randrange(4):
            case 0:
                return self.made(pb.Frame, pieces, numbers)
            case 1:
                # Rarely right by chance, and what a block comes in.
                kind, number = pick(self.random, ((pb.Proposal, 5), (pb.CommittedBlock, 6)))
                return message_field(2, message_field(number, self.made(kind, pieces, numbers)))
            case _:
                return message_field(2, self.made(pb.Msg, pieces, numbers))

    def note(self, payload: bytes) -> None:
        # The monitor wants to know of every transaction that may be committed.
        self.witness.submitted([b"k=v", payload[2:]])

    def ask(self, host: Host, pieces: Pieces, numbers: Numbers) -> None:
        try:
            wanted = decode_wanted(self.made(pb.Wanted, pieces, numbers))
        except InvalidInput:
            return
        host.handle(events.FetchRequested(request=self.random.getrandbits(20), peer=self.me, wanted=wanted))

    def answer(self, pieces: Pieces, numbers: Numbers) -> None:
        """Answer one request with what was not asked for, too much, or nothing."""
        asker, effect = self.calls.asked.pop(self.random.randrange(len(self.calls.asked)))
        request, failed = effect.request, chance(self.random, 2)
        for _ in range(self.random.randrange(4)):
            try:
                if isinstance(effect, Fetch):
                    found = decode_found(self.made(pb.Found, pieces, numbers))
                    event: events.Event = events.FetchReceived(request=request, peer=self.me, found=found)
                    if isinstance(found, messages.FoundBatch):
                        self.note(found.batch.payload)
                else:
                    run = decode_run(self.made(pb.BlockRun, pieces, numbers))
                    event = events.BlocksReceived(
                        request=request, peer=self.me, first=run.first, blocks=run.blocks, commit=run.commit
                    )
            except InvalidInput:
                continue
            asker.handle(event)
        if isinstance(effect, Fetch):
            asker.handle(events.FetchEnded(request=request, peer=self.me, failed=failed))
        else:
            asker.handle(events.BlocksEnded(request=request, peer=self.me, failed=failed))

    # What is true at a node at the moment.

    def numbers(self, host: Host) -> Numbers:
        state = host._core.consensus
        heights = [state.height, state.height, state.height - 1, state.height + 1, 1]
        rounds = [state.round, state.round, state.round + 1, state.round + 2, 0]
        return {
            **each_of(("height", "lowest", "first", "from", "to"), heights),
            **each_of(("round", "valid_round"), rounds),
            **each_of(("incarnation", "seq", "credit"), [1, 2, 3]),
            "step": [1, 2, 3],
        }

    def pieces(self, host: Host) -> Pieces:
        consensus = host._core.consensus.state
        entries = [entry for entry in consensus.blocks if entry.compact]
        compacts = [entry.compact for entry in entries if entry.compact]
        stored = [block for h in range(1, host.chain.head + 1) if (block := host.chain.block(h))][-3:]
        votes = self.votes(host)
        commits = [each.commit.encode() for each in stored]
        names = [each.block_id.hash for each in stored] + [entry.block_id.hash for entry in entries]
        digests = [*host._core._batches._store.held][:8]
        evidence = [message_field(1, message_field(1, each.encode())) for each in self.evidence(host, votes)]
        return {
            **each_of(("vote", "votes", "yours"), [vote.encode() for vote in votes]),
            "signed": [self.proposal(host, vote).encode() for vote in votes if not vote.is_nil][:4],
            "header": [compact.header for compact in compacts],
            **each_of(("commit", "last_commit"), [*commits, *[c.last_commit for c in compacts]]),
            "evidence": [b"", *evidence],
            **each_of(("digest", "digests"), [*digests, bytes(32)]),
            **each_of(("block_id", "block_ids", "head_hash"), [*names, bytes(32)]),
            **each_of(("blocks", "block"), [each.raw for each in stored]),
            "author": [each.address for each in self.hosts],
            "compact": [compact_out(compact).SerializeToString() for compact in compacts],
            "payload": [b"\n\3k=v", b"\n\3a=b\n\3k=v", b"\n\0"],
            "txs": [b"k=v", b"a=b", b""],
        }

    def votes(self, host: Host) -> Sequence[Vote]:
        """True votes, and the own ones for every block that is known, and for nil."""
        state = host._core.consensus.state
        index = state.validators.index_of(self.me)
        assert index is not None
        known = [NIL, host._core.state.last_block_id, *[entry.block_id for entry in state.blocks][:3]]
        own = [
            self.signed(
                state.chain_id,
                Vote(
                    type=type,
                    height=state.height,
                    round=state.round,
                    block_id=block_id,
                    time_ns=EPOCH_NS + self.schedule.now_us * 1000 + self.random.randrange(2),
                    address=self.me,
                    index=index,
                ),
            )
            for block_id in known
            for type in (VoteType.PREVOTE, VoteType.PRECOMMIT)
        ]
        true = [vote for votes in state.votes._rounds.values() for vote in votes.present()]
        return [*own, *true[:8]]

    def signed(self, chain_id: str, vote: Vote) -> Vote:
        return replace(vote, signature=self.key.sign(vote.sign_bytes(chain_id)))

    def proposal(self, host: Host, vote: Vote) -> Proposal:
        signed = Proposal(
            height=vote.height,
            round=vote.round + self.random.randrange(4),
            pol_round=self.random.randrange(-1, 2),
            block_id=vote.block_id,
            time_ns=vote.time_ns,
        )
        chain_id = host._core.state.chain_id
        return replace(signed, signature=self.key.sign(signed.sign_bytes(chain_id)))

    def evidence(self, host: Host, votes: Sequence[Vote]) -> Sequence[DuplicateVoteEvidence]:
        pairs = [(a, b) for a in votes for b in votes if a.type is b.type and a.is_nil and not b.is_nil][:3]
        powers = host._core.state.validators.total_power
        return [
            DuplicateVoteEvidence(
                vote_a=a,
                vote_b=b,
                total_power=powers,
                validator_power=10,
                time_ns=host._core.state.last_time_ns,
            )
            for a, b in pairs
        ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_24_no_message_that_the_descriptors_allow_stops_a_node(seed: int) -> None:
    storm = Storm(seed)
    storm.pass_time(500_000)
    for _ in range(40):
        storm.blow(FRAMES)
        storm.pass_time(50_000)
    head = min(host.chain.head for host in storm.honest)
    assert head >= 4
    # Alone with the liar: the node asks it for what is missing.
    for host in storm.honest[1:]:
        host.crash()
    storm.honest = storm.hosts[:1]
    for _ in range(20):
        storm.blow(FRAMES)
        storm.pass_time(100_000)
    for host in storm.hosts[1:LIAR]:
        host.start()
        host.link(LIAR, up=True)
    storm.pass_time(5_000_000)
    assert len(storm.kinds) > len(KINDS), "every kind was said, and tips"
    for host in storm.hosts[:LIAR]:
        assert host.chain.head >= head + 5
        assert size_of(host._core) < ENTRIES_MAX
