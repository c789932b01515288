"""What one hostile validator can say at worst: no exception leaves the core, memory is bounded, blocks go on.

Pitfall 24 of consensus.md 12. Three production cores run in the simulator; the fourth validator holds its key
and says well-formed nonsense: random fields, altered copies of what the honest say, answers never asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import pytest

from catenet.chain.block import Block, block_id, data_hash, encode_txs
from catenet.chain.commit import NIL, BlockID, Commit, CommitSig, Flag, PartSetHeader
from catenet.chain.encoding import message_field
from catenet.chain.evidence import DuplicateVoteEvidence, encode_list, list_hash
from catenet.chain.header import Header
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.world import EPOCH_NS
from catenet.types import events, messages
from catenet.types.assembly import Assembled
from catenet.types.batch import Batch, Compact, Inline, Pick, Ref, Segment
from catenet.types.effects import Fetch, RequestBlocks
from catenet.types.errors import InvalidInput
from catenet.types.messages import Message
from catenet.wire.convert import decode_found, decode_frame, encode_found, encode_frame
from support.hostile import LIAR, Siege, size_of

ENTRIES_MAX = 5_000
"""In all containers of a core: a calm run of this length has about a thousand."""


class Scene(Siege):
    """What the hand of the fourth says."""

    def attack(self, times: int) -> None:
        """Say one thing after the other, each to some node."""
        for _ in range(times):
            self._attack()

    def _attack(self) -> None:
        host = self.random.choice(self.honest)
        if self.calls.asked and self.random.random() < 0.3:
            self._answer()
            return
        maker = self.random.choice(MAKERS)
        try:
            frame = encode_frame(0, [maker(self, host)])
            heard = decode_frame(frame).messages
        except (InvalidInput, ValueError, OverflowError):
            return
        self.frames += 1
        for message in heard:
            host.handle(events.Received(peer=self.me, message=message))

    def _answer(self) -> None:
        asker, effect = self.calls.asked.pop(self.random.randrange(len(self.calls.asked)))
        for _ in range(self.random.randrange(3)):
            asker.handle(self._piece(asker, effect))
        request, failed = effect.request, self.random.random() < 0.5
        if isinstance(effect, Fetch):
            asker.handle(events.FetchEnded(request=request, peer=self.me, failed=failed))
        else:
            asker.handle(events.BlocksEnded(request=request, peer=self.me, failed=failed))

    def _piece(self, host: Host, effect: Fetch | RequestBlocks) -> events.Event:
        if isinstance(effect, RequestBlocks):
            first = self.random.choice([effect.first, effect.first, self.number()])
            count = self.random.randrange(1, 4)
            blocks = [self.raw_block(host, first + n) for n in range(count)]
            commit = self.random.choice([b"", b"\1", self.commit(host).encode()])
            return events.BlocksReceived(
                request=effect.request, peer=self.me, first=first, blocks=blocks, commit=commit
            )
        names = [*effect.wanted.block_hashes, self.hash()]
        choices: list[messages.Found] = [
            messages.FoundBatch(author=self.address(host), batch=self.batch()),
            messages.FoundCompact(block_hash=self.random.choice(names), compact=self.compact(host)),
            messages.FoundBlock(
                block_hash=self.random.choice(names),
                block=self.raw_block(host, self.height(host)),
                commit=self.commit(host),
            ),
        ]
        found = self.random.choice(choices)
        try:
            found = decode_found(encode_found(found))
        except (InvalidInput, ValueError):
            found = messages.FoundBatch(author=self.me, batch=self.batch())
        return events.FetchReceived(request=effect.request, peer=self.me, found=found)

    # Values, mostly near the truth.

    def number(self) -> int:
        return self.random.choice([0, 1, 2, 3, 255, 2**31 - 1, 2**31, 2**60, 2**63 - 1, 2**64 - 1])

    def round(self, host: Host) -> int:
        near = host._core.consensus.round + self.random.randrange(-2, 7)
        return max(0, self.random.choice([near, near, near, 0, 64, 65, 2**31 - 1]))

    def height(self, host: Host) -> int:
        near = host._core.consensus.height + self.random.randrange(-2, 3)
        return max(0, self.random.choice([near, host._core.consensus.height, near, self.number() % 2**63]))

    def hash(self) -> bytes:
        return self.random.choice([self.random.randbytes(32), bytes(32), b"", b"\1" * 20])

    def address(self, host: Host) -> bytes:
        members = [each.address for each in self.hosts]
        return self.random.choice([self.me, self.me, *members, bytes(20)])

    def time(self) -> int:
        now = EPOCH_NS + self.schedule.now_us * 1000
        return self.random.choice([now, now + 1, 0, -(10**18), 253_402_300_799 * 10**9])

    def block_id(self, host: Host) -> BlockID:
        state = host._core.consensus.state
        known = [entry.block_id for entry in state.blocks]
        made = BlockID(hash=self.hash(), parts=PartSetHeader(total=self.number() % 2**32, hash=self.hash()))
        return self.random.choice([NIL, made, *known, *known])

    def vote(self, host: Host) -> Vote:
        state = host._core.consensus.state
        index = state.validators.index_of(self.me)
        assert index is not None
        vote = Vote(
            type=self.random.choice([VoteType.PREVOTE, VoteType.PRECOMMIT]),
            height=self.height(host),
            round=self.round(host),
            block_id=self.block_id(host),
            time_ns=self.time(),
            address=self.me if self.random.random() < 0.9 else self.address(host),
            index=index if self.random.random() < 0.9 else self.number() % 2**31,
            extension=self.random.choice([b"", b"", b"", b"x"]),
        )
        signed = replace(vote, signature=self.key.sign(vote.sign_bytes(state.chain_id)))
        return signed if self.random.random() < 0.95 else vote

    def votes(self, host: Host) -> tuple[Vote, ...]:
        """Votes of anybody: true ones, some altered, repeated, out of place."""
        book = host._core.consensus.state.votes
        true = [vote for votes in book._rounds.values() for vote in votes.present()]
        chosen = [self.random.choice([*true, self.vote(host)]) for _ in range(self.random.randrange(10))]
        return tuple(
            [
                replace(vote, index=self.random.randrange(5)) if self.random.random() < 0.2 else vote
                for vote in chosen
            ]
        )

    def batch(self) -> Batch:
        txs = [self.random.randbytes(self.random.randrange(1, 9)) for _ in range(self.random.randrange(1, 5))]
        self.witness.submitted(txs)
        payload = self.random.choice([encode_txs(txs), self.random.randbytes(9), b"\n\0", b"\n" * 7])
        return Batch(
            incarnation=self.random.choice([1, 2, self.number()]),
            seq=self.random.choice([1, 2, 3, max(1, self.number())]),
            payload=payload,
        )

    def manifest(self, host: Host) -> tuple[Segment, ...]:
        held = [*host._core._batches._store.held][:8]
        indices = [tuple(range(self.random.randrange(3))), (0, 0), (2**32 - 1,), ()]
        segments: list[Segment] = []
        for _ in range(self.random.randrange(4)):
            digest = self.random.choice([*held, self.random.randbytes(32)])
            chosen = self.random.choice(indices)
            kinds: list[Segment] = [
                Ref(digest=digest, excluded=chosen),
                Pick(digest=digest, indices=chosen),
                Inline(txs=self.random.choice([(), (b"",), (b"a=b", b"a=b"), (b"k=v",)])),
            ]
            segments.append(self.random.choice(kinds))
        return tuple(segments)

    def commit(self, host: Host) -> Commit:
        """A commit near the one of the head, or of nothing."""
        stored = host.chain.block(self.random.choice([host.chain.head, 1]))
        if stored is None or self.random.random() < 0.2:
            return Commit(height=0, round=0, block_id=NIL, signatures=())
        commit = stored.commit
        entries = [*commit.signatures]
        match self.random.randrange(6):
            case 0:
                entries.pop()
            case 1:
                entries.append(entries[0])
            case 2:
                entries.reverse()
            case 3:
                entries[0] = replace(entries[0], time_ns=self.time())
            case 4:
                entries = [
                    CommitSig(flag=Flag.ABSENT, address=b"", time_ns=entries[0].time_ns, signature=b"")
                ]
            case _:
                pass
        return replace(
            commit, signatures=tuple(entries), height=self.random.choice([commit.height] * 3 + [7])
        )

    def evidence(self, host: Host) -> tuple[DuplicateVoteEvidence, ...]:
        made = [
            DuplicateVoteEvidence(
                vote_a=self.vote(host),
                vote_b=self.vote(host),
                total_power=self.random.choice([40, self.number() % 2**63]),
                validator_power=self.random.choice([10, self.number() % 2**63]),
                time_ns=self.time(),
            )
            for _ in range(self.random.randrange(3))
        ]
        return tuple(made)

    def compact(self, host: Host) -> Compact:
        """What the next block could be, with a few things wrong."""
        state = host._core.state
        known = [entry.compact for entry in host._core.consensus.state.blocks if entry.compact]
        if known and self.random.random() < 0.3:
            return replace(self.random.choice(known), manifest=self.manifest(host))
        commit = self.commit(host)
        txs = self.random.choice([(), (b"k=v",), (b"k=v", b"k=v")])
        evidence = self.evidence(host) if self.random.random() < 0.3 else ()
        header = Header(
            chain_id=state.chain_id,
            height=self.random.choice([state.height] * 4 + [self.number() % 2**63]),
            time_ns=self.time(),
            last_block_id=state.last_block_id,
            last_commit_hash=commit.hash(),
            data_hash=data_hash([sha256(tx).digest() for tx in txs]),
            validators_hash=state.validators.hash(),
            next_validators_hash=state.next_validators.hash(),
            consensus_hash=state.params.hash(),
            app_hash=state.app_hash,
            last_results_hash=state.last_results_hash,
            evidence_hash=list_hash(evidence),
            proposer_address=self.address(host),
        )
        return Compact(
            header=header.encode() if self.random.random() < 0.9 else self.random.randbytes(8),
            last_commit=commit.encode() if self.random.random() < 0.9 else self.random.randbytes(8),
            evidence=encode_list(evidence) if self.random.random() < 0.9 else self.random.randbytes(8),
            manifest=(Inline(txs=txs),) if txs else self.manifest(host),
        )

    def raw_block(self, host: Host, height: int) -> bytes:
        stored = host.chain.block(host.chain.head)
        if stored is None or self.random.random() < 0.1:
            return self.random.randbytes(20)
        block = Block.decode(stored.raw)
        return replace(block, header=replace(block.header, height=height % 2**63)).encode()

    def proposal(self, host: Host) -> messages.ProposalMessage:
        """A proposal that is signed by the liar, and often in its turn, with a block that rebuilds."""
        compact, state = self.compact(host), host._core.consensus.state
        named = self.block_id(host)
        built = host._core._batches.assemble(compact)
        if isinstance(built, Assembled) and self.random.random() < 0.9:
            named = block_id(built.raw, built.block.header)
        signed = Proposal(
            height=self.height(host),
            round=self.random.choice([state.round, *self.my_rounds(host), self.round(host)]),
            pol_round=self.random.choice([-1, -1, 0, 1, -5, 2**31 - 1, self.round(host)]),
            block_id=named,
            time_ns=self.time(),
        )
        signed = replace(signed, signature=self.key.sign(signed.sign_bytes(state.chain_id)))
        pol = self.random.choice([None, messages.VoteSet(votes=self.votes(host))])
        return messages.ProposalMessage(signed=signed, compact=compact, pol=pol)

    def my_rounds(self, host: Host) -> Sequence[int]:
        state = host._core.consensus.state
        near = range(state.round, state.round + 5)
        return [r for r in near if state.proposer(r).address == self.me]

    def tips(self, host: Host) -> messages.Have:
        own = host._core._batches._own
        assert own is not None
        tips = [
            messages.Tip(
                author=self.address(host),
                incarnation=self.random.choice([own.author.incarnation, self.number()]),
                seq=self.number(),
                credit=self.number(),
            )
            for _ in range(self.random.randrange(6))
        ]
        return messages.Have(tips=tuple(tips))

    def status(self, host: Host) -> messages.Status:
        bitmap = self.random.choice([b"", b"\xff", b"\0", b"\xff" * 1250])
        return messages.Status(
            height=self.height(host),
            round=self.round(host),
            step=self.random.randrange(1, 4),
            due=self.random.random() < 0.5,
            prevotes=bitmap,
            precommits=bitmap,
            proposal=self.random.random() < 0.5,
            valid_round=self.random.choice([-1, 0, 2**31 - 1]),
            lowest=self.number() % 2**63,
            head_hash=self.random.choice([b"", self.random.randbytes(32)]),
            yours=self.random.choice([b"", b"\1\2", self.vote(host).encode()]),
        )


MAKERS: Sequence[Callable[[Scene, Host], Message]] = (
    lambda s, h: messages.VoteMessage(vote=s.vote(h)),
    lambda s, h: messages.VoteSet(votes=s.votes(h), answer=s.random.random() < 0.5),
    Scene.proposal,
    Scene.proposal,
    Scene.status,
    Scene.tips,
    lambda s, h: messages.CommittedBlock(compact=s.compact(h), commit=s.commit(h)),
    lambda s, h: messages.EvidenceMessage(
        evidence=s.random.choice([b"", b"\n", *[message_field(1, e.encode()) for e in s.evidence(h)]])
    ),
    lambda s, h: messages.BatchMessage(batch=s.batch()),
    lambda s, h: messages.Skip(to=s.number(), incarnation=s.number()),
)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_24_nothing_that_a_peer_says_stops_a_node(seed: int) -> None:
    scene = Scene(seed)
    for _ in range(80):
        scene.attack(8)
        scene.pass_time(50_000)
    head = min(host.chain.head for host in scene.honest)
    assert head >= 6
    # Alone with the liar: the node asks it for blocks, and believes nothing.
    for host in scene.honest[1:]:
        host.crash()
    scene.honest = scene.hosts[:1]
    for _ in range(60):
        scene.attack(8)
        scene.pass_time(100_000)
    for host in scene.hosts[1:LIAR]:
        host.start()
        host.link(LIAR, up=True)
    scene.pass_time(8_000_000)
    assert scene.frames > 600
    for host in scene.hosts[:LIAR]:
        assert host.chain.head >= head + 5
        assert size_of(host._core) < ENTRIES_MAX
