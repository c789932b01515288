"""Commands of traces that craft messages with the nodes' own keys: what traitors send, and forged things."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from catenet.chain.commit import EMPTY_COMMIT, NIL, BlockID
from catenet.chain.header import Header
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.io import Input
from catenet.types.assembly import Assembled
from catenet.types.batch import Compact
from catenet.types.clock import Instant
from catenet.types.events import Received
from catenet.types.messages import ProposalMessage, Status, VoteMessage, VoteSet
from support.chain import GENESIS_TIME_NS
from support.consensus import Node, make_block
from support.trace_words import Words


class Args:
    """`word word key=value`."""

    def __init__(self, args: Sequence[str]) -> None:
        self.words = [arg for arg in args if "=" not in arg]
        self.named = dict([arg.split("=", 1) for arg in args if "=" in arg])

    def numbers(self, name: str, default: Sequence[int]) -> list[int]:
        return [int(n) for n in self.named[name].split(",")] if name in self.named else list(default)

    def number(self, name: str, default: int) -> int:
        return int(self.named.get(name, default))


class Target(Protocol):
    """The cluster, as crafting sees it."""

    nodes: dict[int, Node]
    words: Words

    def give(self, number: int, event: Input) -> None: ...

    def instant(self) -> Instant: ...


class Crafts:
    """Commands that make a message and hand it over at once."""

    def __init__(self, cluster: Target) -> None:
        self._cluster = cluster
        self.crafted: dict[str, tuple[Compact, BlockID]] = {}

    def do_block(self, args: Args) -> str:
        """`block B by=4 [txs=x] [wrong=app-hash]`: a block that nobody built."""
        node = self._cluster.nodes[args.number("by", 1)]
        txs = [tx.encode() for tx in args.named["txs"].split(",")] if "txs" in args.named else []
        last = node.machine.state.last_commit
        commit = EMPTY_COMMIT if last is None else last.build()
        compact = make_block(node.state, node.pool, last_commit=commit, txs=txs, proposer=node.address)
        if args.named.get("wrong") == "app-hash":
            header = replace(Header.decode(compact.header), app_hash=b"wrong".ljust(32))
            compact = replace(compact, header=header.encode())
        made = node.pool.assemble(compact)
        assert isinstance(made, Assembled)
        for other in self._cluster.nodes.values():
            other.pool.held.update(node.pool.held)
        self._cluster.words.blocks[made.block_id.hash] = args.words[0]
        self.crafted[args.words[0]] = (compact, made.block_id)
        return ""

    def _id(self, letter: str) -> BlockID:
        if letter == "nil":
            return NIL
        if letter in self.crafted:
            return self.crafted[letter][1]
        names = {known: name for name, known in self._cluster.words.blocks.items()}
        for node in self._cluster.nodes.values():
            for entry in node.machine.state.blocks.with_hash(names[letter]):
                return entry.block_id
        raise AssertionError(f"nobody knows block {letter}")

    def _compact(self, letter: str) -> Compact:
        if letter in self.crafted:
            return self.crafted[letter][0]
        for node in self._cluster.nodes.values():
            entry = node.machine.state.blocks.get(self._id(letter))
            if entry is not None and entry.compact is not None:
                return entry.compact
        raise AssertionError(f"nobody has block {letter}")

    def _vote(self, number: int, args: Args) -> Vote:
        node = self._cluster.nodes[number]
        hs = node.machine.state
        index = hs.validators.index_of(node.address)
        assert index is not None
        time_ns = self._cluster.instant().wall_ns if "early" not in args.words else GENESIS_TIME_NS - 1
        vote = Vote(
            type=VoteType[args.named["type"].upper()],
            height=args.number("height", hs.height),
            round=args.number("round", 0),
            block_id=self._id(args.named.get("block", "nil")),
            time_ns=time_ns,
            address=node.address,
            index=index,
        )
        key = self._cluster.nodes[args.number("key", number)].key
        return replace(vote, signature=key.sign(vote.sign_bytes(node.state.chain_id)))

    def do_vote(self, args: Args) -> None:
        """`vote from=4 type=prevote round=0 block=B to=1,2 [early] [key=3] [by=2]`: delivered at once."""
        sender = args.number("from", 1)
        message = VoteMessage(vote=self._vote(args.number("by", sender), args))
        for target in args.numbers("to", []):
            self._cluster.give(target, Received(peer=self._cluster.nodes[sender].address, message=message))

    def do_votes(self, args: Args) -> None:
        """`votes from=1 by=1,2,3 type=prevote round=0 block=A to=4 [answer]`: a set, delivered at once."""
        votes = tuple([self._vote(number, args) for number in args.numbers("by", [])])
        message = VoteSet(votes=votes, answer="answer" in args.words)
        peer = self._cluster.nodes[args.number("from", 1)].address
        for target in args.numbers("to", []):
            self._cluster.give(target, Received(peer=peer, message=message))

    def do_proposal(self, args: Args) -> None:
        """`proposal from=4 round=0 block=B [pol=0] to=1,2 [content=A]`: delivered at once."""
        node, letter = self._cluster.nodes[args.number("from", 1)], args.named["block"]
        signed = Proposal(
            height=node.machine.height,
            round=args.number("round", 0),
            pol_round=args.number("pol", -1),
            block_id=self._id(letter),
            time_ns=self._cluster.instant().wall_ns,
        )
        signed = replace(signed, signature=node.key.sign(signed.sign_bytes(node.state.chain_id)))
        compact = self._compact(args.named.get("content", letter))
        for target in args.numbers("to", []):
            message = ProposalMessage(signed=signed, compact=compact)
            self._cluster.give(target, Received(peer=node.address, message=message))

    def do_claim(self, args: Args) -> None:
        """`claim from=4 height=9 to=1 [due] [yours=prevote|junk block=A [key=3]]`: a Status, true or not."""
        sender = self._cluster.nodes[args.number("from", 1)]
        status = Status(
            height=args.number("height", sender.machine.height),
            round=args.number("round", 0),
            step=1,
            due="due" in args.words,
            prevotes=b"",
            precommits=b"",
            proposal=False,
            valid_round=-1,
            lowest=1,
            head_hash=b"",
        )
        for target in args.numbers("to", []):
            message = replace(status, yours=self._yours(target, args))
            self._cluster.give(target, Received(peer=sender.address, message=message))

    def _yours(self, target: int, args: Args) -> bytes:
        """Return the receiver's newest vote, as the sender says to hold it."""
        kind = args.named.get("yours")
        if kind is None or kind == "junk":
            return b"" if kind is None else b"junk"
        return self._vote(target, Args([*self._pairs(args), f"type={kind}"])).encode()

    @staticmethod
    def _pairs(args: Args) -> list[str]:
        return [f"{name}={value}" for name, value in args.named.items()]
