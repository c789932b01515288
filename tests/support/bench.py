"""One validator of four with the real machine, the others' keys at hand, and a block that they committed."""

from dataclasses import replace

from catenet.chain.commit import ABSENT, EMPTY_COMMIT, BlockID, Commit, CommitSig, Flag
from catenet.chain.vote import Vote, VoteType
from catenet.core.consensus.io import ConsensusConfig, Decided, Input, Output
from catenet.types.assembly import Assembled
from catenet.types.batch import Compact
from catenet.types.clock import Instant
from catenet.types.effects import Penalise
from catenet.types.events import LinkChanged, Received, Started
from catenet.types.ids import Address
from catenet.types.messages import CommittedBlock, Message, Status
from support.chain import GENESIS_TIME_NS, make_keys
from support.consensus import Node, by_turn, make_block, make_genesis

POWERS = (10, 10, 10, 10)
KEYS = by_turn(make_keys(4), POWERS)
GENESIS = make_genesis(KEYS, POWERS)
NOW = Instant(mono_us=1_000_000, wall_ns=GENESIS_TIME_NS + 10**9)


def status(height: int) -> Status:
    return Status(
        height=height,
        round=0,
        step=1,
        due=False,
        prevotes=b"",
        precommits=b"",
        proposal=False,
        valid_round=-1,
        lowest=1,
        head_hash=b"",
    )


class Bench:
    """The last validator, connected with the others, and a block of height 1 that they committed."""

    def __init__(self) -> None:
        self.node = Node(KEYS[3], GENESIS, config=ConsensusConfig())
        self.node.boot()
        self.peers = [key.public.address for key in KEYS[:3]]
        for peer in self.peers:
            self.node.run(LinkChanged(peer=peer, up=True), NOW)
        self.node.run(Started(), NOW)
        for peer in self.peers:
            self.receive(peer, status(1))
        state = self.node.state
        self.compact = make_block(
            state, self.node.pool, last_commit=EMPTY_COMMIT, txs=[b"tx"], proposer=self.peers[0]
        )
        made = self.node.pool.assemble(self.compact)
        assert isinstance(made, Assembled)
        self.block_id = made.block_id

    def run(self, event: Input) -> list[Output]:
        return self.node.run(event, NOW)

    def receive(self, peer: Address, message: Message) -> list[Output]:
        return self.run(Received(peer=peer, message=message))

    def vote(
        self,
        index: int,
        block_id: BlockID,
        *,
        time_ns: int = NOW.wall_ns,
        type: VoteType = VoteType.PRECOMMIT,
    ) -> Vote:
        member = self.node.state.validators.validators[index]
        key = next(key for key in KEYS if key.public.address == member.address)
        made = Vote(
            type=type,
            height=1,
            round=0,
            block_id=block_id,
            time_ns=time_ns,
            address=member.address,
            index=index,
        )
        return replace(made, signature=key.sign(made.sign_bytes(GENESIS.chain_id)))

    def commit(self, *votes: Vote | None) -> Commit:
        entries = [
            ABSENT
            if vote is None
            else CommitSig(
                flag=Flag.NIL if vote.is_nil else Flag.COMMIT,
                address=vote.address,
                time_ns=vote.time_ns,
                signature=vote.signature,
            )
            for vote in votes
        ]
        return Commit(height=1, round=0, block_id=self.block_id, signatures=tuple(entries))

    def give(self, commit: Commit, compact: Compact | None = None) -> list[Output]:
        block = CommittedBlock(compact=self.compact if compact is None else compact, commit=commit)
        return self.receive(self.peers[0], block)


def faults(outputs: list[Output]) -> list[Penalise]:
    return [output for output in outputs if isinstance(output, Penalise)]


def decides(outputs: list[Output]) -> bool:
    return any(isinstance(output, Decided) for output in outputs)
