"""How a trace of the consensus machine reads: nodes by number, blocks by letter, one line for each output."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from catenet.chain.commit import BlockID, Commit, Flag
from catenet.chain.vote import Proposal, Vote
from catenet.core.consensus.io import (
    Accuse,
    Behind,
    BuildBlock,
    CheckBlock,
    Decided,
    Output,
    SpeculativeFetch,
    Want,
)
from catenet.types.effects import Append, Broadcast, Halt, Notice, Penalise, Send, SetTimer, Sign
from catenet.types.ids import Address
from catenet.types.messages import CommittedBlock, Message, ProposalMessage, Status, VoteMessage, VoteSet
from catenet.types.records import (
    CommitRecord,
    PolkaRecord,
    ProposalRecord,
    Record,
    RejoinRecord,
    RoundCertRecord,
    VoteRecord,
)


@dataclass
class Words:
    """Names of nodes and blocks, and which outputs are worth a line."""

    nodes: dict[Address, str] = field(default_factory=dict)
    blocks: dict[bytes, str] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    """Of `status`, `sign`, `notice`: what is shown beside the usual."""

    def block(self, block_id: BlockID) -> str:
        return "nil" if block_id.is_nil else self.hash(block_id.hash)

    def hash(self, name: bytes) -> str:
        return self.blocks.setdefault(name, chr(ord("A") + len(self.blocks)))

    def node(self, address: Address) -> str:
        return self.nodes.get(address, "?")

    def all(self, addresses: Iterable[Address]) -> str:
        return ",".join(sorted([self.node(address) for address in addresses])) or "-"

    def vote(self, vote: Vote) -> str:
        return f"{vote.type.name.lower()} {vote.round} {self.block(vote.block_id)}"

    def votes(self, votes: Sequence[Vote]) -> str:
        groups: dict[str, list[Address]] = {}
        for vote in votes:
            groups.setdefault(self.vote(vote), []).append(vote.address)
        return "; ".join([f"{what} by {self.all(by)}" for what, by in groups.items()])

    def proposal(self, signed: Proposal) -> str:
        pol = "" if signed.pol_round < 0 else f" pol={signed.pol_round}"
        return f"proposal {signed.round} {self.block(signed.block_id)}{pol}"

    def commit(self, commit: Commit) -> str:
        by = [e.address for e in commit.signatures if e.flag is Flag.COMMIT]
        nil = [e.address for e in commit.signatures if e.flag is Flag.NIL]
        return f"by {self.all(by)}" + (f" nil {self.all(nil)}" if nil else "")

    def message(self, message: Message) -> str | None:
        match message:
            case Status():
                if "status" not in self.shown:
                    return None
                due = " due" if message.due else ""
                return f"status {message.height}/{message.round} step {message.step}{due}"
            case VoteMessage(vote=vote):
                return self.vote(vote)
            case VoteSet(votes=votes, answer=answer):
                return ("answer " if answer else "votes ") + self.votes(votes)
            case ProposalMessage(signed=signed):
                return self.proposal(signed)
            case CommittedBlock(commit=commit):
                return f"committed {commit.height} {self.block(commit.block_id)}"
            case _:
                return type(message).__name__.lower()

    def record(self, record: Record) -> str:
        match record:
            case VoteRecord(vote=vote):
                return self.vote(vote)
            case ProposalRecord(proposal=proposal):
                return self.proposal(proposal.signed)
            case PolkaRecord(votes=votes):
                return f"polka {votes[0].round} {self.block(votes[0].block_id)}"
            case RoundCertRecord(votes=votes):
                return f"round-cert {votes[0].round}"
            case CommitRecord(height=height, commit=commit):
                return f"commit {height} {self.block(commit.block_id)}"
            case RejoinRecord(height=height):
                return f"rejoin: signs above {height}" if height else "rejoin: signs nothing yet"
            case _:
                return type(record).__name__

    def output(self, output: Output) -> str | None:
        """Return the line of an output; None for what is not worth one."""
        match output:
            case Append(record=record):
                return "append " + self.record(record)
            case Send(peer=peer, message=message):
                said = self.message(message)
                return None if said is None else f"send {self.node(peer)} {said}"
            case Broadcast(message=message):
                said = self.message(message)
                return None if said is None else f"broadcast {said}"
            case SetTimer(key=key, delay_us=delay_us):
                name = key.name.removeprefix("consensus/")
                if name in ("status", "first-signature", "heartbeat") and name not in self.shown:
                    return None
                place = f" {key.round}" if name in ("propose", "prevote", "precommit") else ""
                return f"timer {name}{place} {delay_us // 1000}ms"
            case Sign(item=item):
                what = self.vote(item) if isinstance(item, Vote) else self.proposal(item)
                return f"sign {what}" if "sign" in self.shown else None
            case Notice(name=name, alarm=alarm):
                return f"alarm {name}" if alarm else f"notice {name}"
            case Penalise(peer=peer, reason=reason, disconnect=disconnect):
                cut = " and disconnect" if disconnect else ""
                return f"penalise{cut} {self.node(peer)}: {self.plain(reason)}"
            case Halt(reason=reason):
                return f"halt: {self.plain(reason)}"
            case _:
                return self._own_output(output)

    def _own_output(
        self, output: BuildBlock | CheckBlock | Want | Decided | Accuse | Behind | SpeculativeFetch
    ) -> str:
        match output:
            case BuildBlock(height=height, round=round, last_commit=commit):
                last = f", last commit {self.commit(commit)}" if commit.signatures else ""
                return f"build {height}/{round}{last}"
            case CheckBlock(block_hash=name):
                return f"check {self.hash(name)}"
            case Want(digests=digests, block_hashes=hashes, sources=sources):
                blocks = ",".join([self.hash(name) for name in hashes]) or "-"
                ask = ",".join([self.node(peer) for peer in sources])
                return f"want {len(digests)} batches, blocks {blocks}, of {ask}"
            case Decided(assembled=made, commit=commit):
                what = f"{made.block.header.height} {self.block(commit.block_id)} round {commit.round}"
                return f"decide {what} {self.commit(commit)}"
            case Accuse(vote_a=a, vote_b=b):
                return f"accuse {self.node(a.address)}: {self.vote(a)} and {self.vote(b)}"
            case Behind(height=height):
                return f"behind {height}"
            case SpeculativeFetch(peer=peer, height=height):
                return f"look at {self.node(peer)}, which claims {height}"
            case _:
                assert_never(output)

    def plain(self, text: str) -> str:
        """Replace hashes and addresses by their names."""
        for name, letter in self.blocks.items():
            text = text.replace(name.hex(), letter)
        for address, number in self.nodes.items():
            text = text.replace(address.hex(), number)
        return text
