"""The commands of traces in `tests/traces/consensus`: a cluster of real machines, moved by hand.

Nodes are numbered in the order in which they propose at height 1. Nothing is delivered, and no timer fires,
unless a command says so. What traitors make is in `trace_crafts`.
"""

from collections.abc import Callable

from catenet.chain.commit import Commit
from catenet.core.consensus.io import (
    BatchArrived,
    BuildBlock,
    CheckBlock,
    ConsensusConfig,
    Decided,
    Due,
    FoundCompactBlock,
    Input,
    Leave,
    Output,
    Reenter,
    Want,
)
from catenet.types.assembly import Assembled
from catenet.types.clock import Instant
from catenet.types.effects import Broadcast, Send, SetTimer
from catenet.types.events import LinkChanged, Received, Started, TimerFired, TimerKey
from catenet.types.messages import CommittedBlock, Message, ProposalMessage, Status, VoteMessage, VoteSet
from catenet.types.records import CommitRecord, RejoinRecord
from support.chain import GENESIS_TIME_NS, make_keys
from support.consensus import Disk, Node, by_turn, held_back, make_genesis
from support.trace_crafts import Args, Crafts
from support.trace_words import Words

KINDS = {
    "status": Status,
    "votes": VoteSet,
    "proposal": ProposalMessage,
    "committed": CommittedBlock,
}


class Cluster:
    """The nodes of one trace, what is between them, and the clock."""

    def __init__(self) -> None:
        self.words = Words()
        self.nodes: dict[int, Node] = {}
        self.flying: list[tuple[int, int, Message]] = []
        self.down: set[frozenset[int]] = set()
        self.timers: dict[int, dict[TimerKey, int]] = {}
        self.builds: dict[int, BuildBlock] = {}
        self.checks: dict[int, list[CheckBlock]] = {}
        self.wants: dict[int, Want] = {}
        self.decisions: dict[int, list[Assembled]] = {}
        self.held: dict[int, list[tuple[int, Output]]] = {}
        self.slow_disk: set[int] = set()
        self.copies: dict[int, Disk] = {}
        self._crafts = Crafts(self)
        self.now_us = 10_000_000
        self.lines: list[tuple[int, str]] = []

    def command(self, verb: str, args: list[str]) -> str:
        """Do one command; return what the nodes did."""
        self.lines = []
        name = f"do_{verb.replace('-', '_')}"
        handler: Callable[[Args], str | None] = getattr(self, name, None) or getattr(self._crafts, name)
        answer = handler(Args(args))
        if answer is not None:
            return answer
        text, last = [], 0
        for number, line in self.lines:
            text.append(f"  {line}" if number == last else f"{number} {line}")
            last = number
        return "\n".join(text)

    def instant(self) -> Instant:
        return Instant(mono_us=self.now_us, wall_ns=GENESIS_TIME_NS + self.now_us * 1000)

    def give(self, number: int, event: Input) -> None:
        node = self.nodes[number]
        if not node.up:
            return
        for output in node.run(event, self.instant()):
            self._take(number, output)
        if number not in self.slow_disk:
            self._sync(number)

    def _take(self, number: int, output: Output) -> None:
        node = self.nodes[number]
        line = self.words.output(output)
        match output:
            case SetTimer(key=key, delay_us=delay_us):
                self.timers[number][key] = self.now_us + delay_us
            case BuildBlock():
                self.builds[number] = output
            case CheckBlock():
                self.checks.setdefault(number, []).append(output)
            case Want():
                self.wants[number] = output
            case Decided(assembled=made):
                self.decisions.setdefault(number, []).append(made)
            case Send() | Broadcast() if held_back(output):
                self.held[number].append((len(node.written), output))
                line = f"{line} (held back)" if number in self.slow_disk else line
            case Send(peer=peer, message=message):
                self._fly(number, self._number(peer), message)
            case _:
                pass
        if line is not None:
            self.lines.append((number, line))

    def _sync(self, number: int) -> None:
        node = self.nodes[number]
        node.sync()
        for _, output in self.held[number]:
            if isinstance(output, Send):
                self._fly(number, self._number(output.peer), output.message)
            elif isinstance(output, Broadcast):
                for other in self.nodes:
                    self._fly(number, other, output.message)
        self.held[number] = []

    def _number(self, address: bytes) -> int:
        return next(number for number, node in self.nodes.items() if node.address == address)

    def _fly(self, number: int, other: int, message: Message) -> None:
        if number != other and frozenset((number, other)) not in self.down:
            self.flying.append((number, other, message))

    def _nodes(self, args: Args) -> list[int]:
        return args.numbers("nodes", [n for n, node in self.nodes.items() if node.up])

    # Commands: the cluster.

    def do_nodes(self, args: Args) -> str | None:
        """`nodes 4 [powers=..] [observers=1] [show] [apart] [config field=..]`: start and connect all.

        `show`: print what they do; `apart`: their first Status is lost, so the gate stays closed.
        """
        count = int(args.words[0])
        powers = args.numbers("powers", [10] * count)
        observers = args.number("observers", 0)
        known = ConsensusConfig.__dataclass_fields__
        config = ConsensusConfig(**{k: int(v) for k, v in args.named.items() if k in known})  # type: ignore[arg-type]  # all are ints
        keys = make_keys(count)
        genesis = make_genesis(keys, powers)
        keys = by_turn(keys, powers)
        for number, key in enumerate([*keys, *make_keys(observers, first=100)], 1):
            self.nodes[number] = Node(key, genesis, config=config, member=number <= count)
            self.words.nodes[key.public.address] = str(number)
        for number in self.nodes:
            self._boot(number)
        if "apart" in args.words:
            self.flying.clear()
            return ""
        self._deliver(lambda message: isinstance(message, Status))
        return None if "show" in args.words else ""

    def _boot(self, number: int) -> None:
        node = self.nodes[number]
        self.timers[number], self.held[number] = {}, []
        self.builds.pop(number, None)
        node.boot()
        for other, peer in self.nodes.items():
            if other != number and peer.up and frozenset((number, other)) not in self.down:
                self.give(number, LinkChanged(peer=peer.address, up=True))
                self.give(other, LinkChanged(peer=node.address, up=True))
        self.give(number, Started())

    def do_show(self, args: Args) -> str:
        """`show status sign`: give these a line, too."""
        self.words.shown = set(args.words)
        return ""

    def do_crash(self, args: Args) -> str:
        """`crash 1 [lost=2] [guard-ahead]`: lose the last records that were not synced."""
        for number in [int(word) for word in args.words if word.isdigit()]:
            node = self.nodes[number]
            lost = args.number("lost", len(node.written) - node.synced)
            kept = len(node.written) - lost
            assert kept >= node.synced, "what is synced cannot be lost"
            node.crash(kept=kept, guard_ahead="guard-ahead" in args.words)
            self.held[number] = []
            for other, peer in self.nodes.items():
                if peer.up:
                    self.give(other, LinkChanged(peer=node.address, up=False))
        return ""

    def do_restart(self, args: Args) -> None:
        for word in args.words:
            self._boot(int(word))

    def do_backup(self, args: Args) -> str:
        """`backup 2`: somebody copies its whole home."""
        for word in args.words:
            disk = self.nodes[int(word)].disk
            self.copies[int(word)] = Disk(records=list(disk.records), slot=disk.slot)
        return ""

    def do_put_back(self, args: Args) -> str:
        """`put-back 2 [lost]`: the stopped node's home is replaced by the copy; or is lost, to rejoin."""
        number, rejoining = int(args.words[0]), Disk(records=[RejoinRecord(height=0)])
        assert not self.nodes[number].up, "only a stopped node's home can be replaced"
        self.nodes[number].disk = rejoining if "lost" in args.words else self.copies[number]
        return ""

    def do_slow_disk(self, args: Args) -> str:
        """`slow-disk 1`: from here on its records are durable only after `fsync 1`."""
        self.slow_disk.update([int(word) for word in args.words])
        return ""

    def do_fsync(self, args: Args) -> str:
        for word in args.words:
            self._sync(int(word))
        return ""

    def do_link(self, args: Args) -> None:
        """`link 1 2 down`."""
        a, b, how = int(args.words[0]), int(args.words[1]), args.words[2]
        (self.down.add if how == "down" else self.down.discard)(frozenset((a, b)))
        self.flying = [f for f in self.flying if frozenset(f[:2]) not in self.down]
        self.give(a, LinkChanged(peer=self.nodes[b].address, up=how == "up"))
        self.give(b, LinkChanged(peer=self.nodes[a].address, up=how == "up"))

    # Commands: network and time.

    def _filter(self, args: Args) -> Callable[[int, int, Message], bool]:
        senders = args.numbers("from", list(self.nodes))
        targets = args.numbers("to", list(self.nodes))

        def fits(sender: int, target: int, message: Message) -> bool:
            named = not args.words or any(self._is(message, word) for word in args.words)
            return named and sender in senders and target in targets

        return fits

    @staticmethod
    def _is(message: Message, kind: str) -> bool:
        if isinstance(message, VoteMessage):
            return message.vote.type.name.lower() == kind
        return isinstance(message, KINDS.get(kind, ()))

    def do_deliver(self, args: Args) -> None:
        """`deliver [proposal|prevote|precommit|votes|status|committed] [from=1] [to=2]`: what flies now."""
        fits = self._filter(args)
        chosen = [flight for flight in self.flying if fits(*flight)]
        self.flying = [flight for flight in self.flying if not fits(*flight)]
        for sender, target, message in chosen:
            self.give(target, Received(peer=self.nodes[sender].address, message=message))

    def do_drop(self, args: Args) -> str:
        fits = self._filter(args)
        before = len(self.flying)
        self.flying = [flight for flight in self.flying if not fits(*flight)]
        return f"{before - len(self.flying)} dropped"

    def do_stabilize(self, args: Args) -> None:
        """Deliver until nothing flies."""
        self._deliver(lambda message: True)

    def _deliver(self, wanted: Callable[[Message], bool]) -> None:
        for _ in range(1_000):
            found = next((f for f in self.flying if wanted(f[2])), None)
            if found is None:
                return
            self.flying.remove(found)
            sender, target, message = found
            self.give(target, Received(peer=self.nodes[sender].address, message=message))
        raise AssertionError("it never gets quiet")

    def do_tick(self, args: Args) -> str:
        """`tick 500ms`: time passes, no timer fires."""
        self.now_us += int(args.words[0].removesuffix("ms")) * 1000
        return ""

    def do_timeout(self, args: Args) -> None:
        """`timeout propose [nodes=1,2]`: these nodes' newest timer of that name fires, at its time."""
        name = "consensus/" + args.words[0]
        for number in self._nodes(args):
            found = [key for key in self.timers[number] if key.name == name]
            if not found:
                self.lines.append((number, "no such timer"))
                continue
            key = max(found, key=lambda key: (key.height, key.round))
            self.now_us = max(self.now_us, self.timers[number].pop(key))
            self.give(number, TimerFired(key=key))

    # Commands: blocks and the application.

    def do_propose(self, args: Args) -> None:
        """`propose [txs=a,b] [without=3]`: who was asked to build does; some lack the batch."""
        assert len(self.builds) == 1, f"asked to build: {sorted(self.builds)}"
        number, request = self.builds.popitem()
        txs = [tx.encode() for tx in args.named["txs"].split(",")] if "txs" in args.named else []
        built = self.nodes[number].build(request, txs)
        self.words.block(built.block_id)
        without = args.numbers("without", [])
        for other, node in self.nodes.items():
            if txs and other not in without:
                node.pool.add(txs)
        self.give(number, built)

    def do_batch(self, args: Args) -> None:
        """`batch txs=a,b to=3`: the batch arrives."""
        txs = [tx.encode() for tx in args.named["txs"].split(",")]
        for number in args.numbers("to", []):
            self.nodes[number].pool.add(txs)
            self.give(number, BatchArrived())

    def do_fetch(self, args: Args) -> None:
        """`fetch node=3 from=1`: the peer answers what it has of the newest want."""
        number, source = args.number("node", 1), self.nodes[args.number("from", 1)]
        want = self.wants.pop(number)
        for digest in want.digests:
            if digest in source.pool.held:
                self.nodes[number].pool.add(source.pool.held[digest])
                self.give(number, BatchArrived())
        for name in want.block_hashes:
            for entry in source.machine.state.blocks.with_hash(name):
                if entry.compact is not None:
                    self.give(number, FoundCompactBlock(peer=source.address, compact=entry.compact))

    def do_refuse(self, args: Args) -> str:
        """`refuse A nodes=2`: the application there will reject the block."""
        names = {letter: name for name, letter in self.words.blocks.items()}
        for number in self._nodes(args):
            self.nodes[number].refuse_blocks.add(names[args.words[0]])
        return ""

    def do_hold(self, args: Args) -> str:
        """`hold check|execute nodes=1`: the application takes its time."""
        for number in self._nodes(args):
            if args.words[0] == "check":
                self.nodes[number].auto_check = False
            else:
                self.nodes[number].auto_execute = False
        return ""

    def do_check(self, args: Args) -> None:
        """`check nodes=1`: the application answers what it was asked."""
        for number in self._nodes(args):
            for request in self.checks.pop(number, []):
                self.give(number, self.nodes[number].check(request))

    def do_execute(self, args: Args) -> None:
        for number in self._nodes(args):
            for made in self.decisions.pop(number, []):
                self.give(number, self.nodes[number].execute(made))

    def do_due(self, args: Args) -> None:
        """`due nodes=1`: batches wait there."""
        for number in self._nodes(args):
            self.give(number, Due(height=self.nodes[number].machine.height))

    # Commands: block sync, and looking.

    def do_leave(self, args: Args) -> None:
        for word in args.words:
            self.give(int(word), Leave())

    def do_reenter(self, args: Args) -> None:
        """`reenter 4 from=1`: block sync brought it what the other has decided."""
        number, source = int(args.words[0]), self.nodes[args.number("from", 1)]
        node = self.nodes[number]
        commit: Commit | None = None
        for record in source.written:
            if isinstance(record, CommitRecord) and record.height == node.state.height:
                node.pool.held.update(source.pool.held)
                made = node.pool.assemble(record.compact)
                assert isinstance(made, Assembled)
                node.execute(made)
                node.written.append(record)
                commit = record.commit
        self.give(number, Reenter(state=node.state, last_commit=commit))

    def do_status(self, args: Args) -> str:
        """`status [nodes=1]`: where each stands."""
        lines = []
        for number in self._nodes(args):
            hs = self.nodes[number].machine.state
            values = ""
            for name, value in (("locked", hs.locked), ("valid", hs.valid)):
                if value is not None:
                    values += f" {name}={self.words.block(value.block_id)}@{value.round}"
            flags = (" ready" if hs.ready else "") + (" due" if hs.due else "")
            lines.append(f"{number} {hs.height}/{hs.round} {hs.step.name.lower()}{values}{flags}")
        return "\n".join(lines)

    def do_waits(self, args: Args) -> str:
        """`waits nodes=1`: the sentence of `catenet status`."""
        return "\n".join(
            [
                f"{n} waits for {self.words.plain(self.nodes[n].machine.waits_for().lower())}"
                for n in self._nodes(args)
            ]
        )
