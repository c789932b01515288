"""Random schedules over the machine alone: loss, duplicates, reordering, crashes that lose unsynced writes.

Small on purpose: it finds bugs of the machine early. The whole node is driven by the simulator.
"""

import heapq
import random
from dataclasses import dataclass, replace

import pytest

from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.io import (
    Accuse,
    BatchArrived,
    Behind,
    ConsensusConfig,
    Due,
    Executed,
    FoundCompactBlock,
    FoundDecided,
    Input,
    Leave,
    Output,
    Reenter,
    SpeculativeFetch,
    Want,
)
from catenet.types.assembly import Assembled
from catenet.types.batch import Ref
from catenet.types.clock import Instant
from catenet.types.effects import Append, Broadcast, Halt, Penalise, Send, SetTimer
from catenet.types.events import LinkChanged, Received, Started, TimerFired, TimerKey
from catenet.types.ids import Address
from catenet.types.messages import Message
from catenet.types.records import CommitRecord, VoteRecord
from support.chain import GENESIS_TIME_NS, make_keys
from support.consensus import Node, held_back, make_genesis

CHAOS_US = 12_000_000
HEIGHTS_AFTER = 4
EVENTS_MAX = 60_000


@dataclass
class Fate:
    """What one schedule is made of."""

    seed: int
    powers: tuple[int, ...]
    twin: bool = False
    crashes: int = 3
    broken_links: bool = False


class World:
    """A heap of events over real machines; the seed is the only source of chance."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.rng = random.Random(fate.seed)
        self.now_us = 1_000_000
        self.heap: list[tuple[int, int, tuple[object, ...]]] = []
        self.count = 0
        keys = make_keys(len(fate.powers))
        genesis = make_genesis(keys, fate.powers)
        config = ConsensusConfig()
        self.nodes = [Node(key, genesis, config=config) for key in keys]
        self.honest = list(range(len(keys)))
        if fate.twin:
            traitor = self.honest.pop()
            self.nodes[traitor].guarded = False
            self.nodes.append(Node(keys[traitor], genesis, config=config, guarded=False))
        self.by_address: dict[Address, list[int]] = {}
        for index, node in enumerate(self.nodes):
            self.by_address.setdefault(node.address, []).append(index)
        self.skew_ns = [self.rng.randrange(-200, 200) * 10**6 for _ in self.nodes]
        self.timers: list[dict[TimerKey, int]] = [{} for _ in self.nodes]
        self.held: list[list[tuple[int, Output]]] = [[] for _ in self.nodes]
        self.broken = self._broken_links() if fate.broken_links else set()
        self.blocks: dict[int, bytes] = {}
        self.signed: dict[tuple[Address, int, int, VoteType], Vote] = {}
        self.problems: list[str] = []
        for index, node in enumerate(self.nodes):
            node.auto_execute = False
            node.auto_build = lambda request, node=node: [b"%d/%d" % (request.height, request.round)]
            self.at(self.rng.randrange(1_000_000), "boot", index)
        for _ in range(fate.crashes):
            self.at(self.rng.randrange(CHAOS_US), "crash", self.rng.choice(self.honest))

    def _broken_links(self) -> set[frozenset[int]]:
        """Cut links for good, but keep everybody connected through the first node."""
        pairs = [(a, b) for a in range(1, len(self.nodes)) for b in range(1, a)]
        return {frozenset(pair) for pair in pairs if self.rng.random() < 0.6}

    def at(self, delay_us: int, *what: object) -> None:
        self.count += 1
        heapq.heappush(self.heap, (self.now_us + delay_us, self.count, what))

    @property
    def chaos(self) -> bool:
        return self.now_us < CHAOS_US

    def instant(self, index: int) -> Instant:
        return Instant(
            mono_us=self.now_us, wall_ns=GENESIS_TIME_NS + self.now_us * 1000 + self.skew_ns[index]
        )

    def run(self) -> None:
        goal: int | None = None
        for _ in range(EVENTS_MAX):
            self.now_us, _, what = heapq.heappop(self.heap)
            getattr(self, f"on_{what[0]}")(*what[1:])
            assert not self.problems, self.problems
            if goal is None and not self.chaos:
                goal = max(node.machine.height for node in self.nodes if node.up) + HEIGHTS_AFTER
            if goal is not None and all(
                self.nodes[i].up and self.nodes[i].machine.height >= goal for i in self.honest
            ):
                return
        places = [
            (n.up, n.machine.height, n.machine.round, n.machine.step, n.machine.waits_for())
            for n in self.nodes
        ]
        raise AssertionError(f"no progress: {places}, seed {self.fate}")

    # Events.

    def on_boot(self, index: int) -> None:
        node = self.nodes[index]
        self.timers[index], self.held[index] = {}, []
        node.boot()
        for other, peer in enumerate(self.nodes):
            if other != index and peer.up and frozenset((index, other)) not in self.broken:
                self.give(index, LinkChanged(peer=peer.address, up=True))
                self.give(other, LinkChanged(peer=node.address, up=True))
        self.give(index, Started())
        self.at(self.rng.randrange(300_000), "due", index, node.machine.height)

    def on_crash(self, index: int) -> None:
        node = self.nodes[index]
        if not node.up:
            return
        kept = self.rng.randint(node.synced, len(node.written))
        node.crash(kept=kept, guard_ahead=self.rng.random() < 0.5)
        for other, peer in enumerate(self.nodes):
            if other != index and peer.up and peer.address != node.address:
                self.give(other, LinkChanged(peer=node.address, up=False))
        self.at(self.rng.randrange(3_000_000), "boot", index)

    def on_timer(self, index: int, key: TimerKey, token: int) -> None:
        if self.timers[index].get(key) == token and self.nodes[index].up:
            del self.timers[index][key]
            self.give(index, TimerFired(key=key))

    def on_message(self, index: int, sender: Address, message: Message) -> None:
        if self.nodes[index].up:
            self.give(index, Received(peer=sender, message=message))

    def on_due(self, index: int, height: int) -> None:
        if self.nodes[index].up:
            self.give(index, Due(height=height))

    def on_executed(self, index: int, life: object, event: Executed) -> None:
        node = self.nodes[index]
        if node.up and node.machine is life:
            node.state = event.state
            self.give(index, event)
            self.at(self.rng.randrange(400_000), "due", index, event.state.height)

    def on_sync(self, index: int, life: object, place: int) -> None:
        node = self.nodes[index]
        if node.up and node.machine is life:
            node.sync(place)
            self.release(index)

    def on_fetch(self, index: int, want: Want, source: Address) -> None:
        """The source answers what it has, after a while."""
        for other in self.by_address[source]:
            peer = self.nodes[other]
            if not peer.up:
                continue
            for digest in want.digests:
                if digest in peer.pool.held:
                    self.at(self.delay(), "batch", index, peer.pool.held[digest])
            for name in want.block_hashes:
                for entry in peer.machine.state.blocks.with_hash(name):
                    if entry.compact is not None:
                        found = FoundCompactBlock(peer=source, compact=entry.compact)
                        self.at(self.delay(), "found", index, found)
                for block in peer.machine._ctx.decided.values():
                    if block.commit.block_id.hash == name:
                        whole = FoundDecided(peer=source, compact=block.compact, commit=block.commit)
                        self.at(self.delay(), "found", index, whole)

    def on_sync_blocks(self, index: int, life: object) -> None:
        """Stand in for block sync: take what an honest peer has decided and stored."""
        node = self.nodes[index]
        if not node.up or node.machine is not life:
            return
        source = max([self.nodes[i] for i in self.honest if self.nodes[i].up], key=lambda n: n.state.height)
        for record in source.disk.records:
            if isinstance(record, CommitRecord) and node.state.height == record.height < source.state.height:
                node.pool.held.update(source.pool.held)
                made = node.pool.assemble(record.compact)
                assert isinstance(made, Assembled)
                node.execute(made)
                node.written.append(record)
                self.judge_block(index, record.height, made.block_id.hash)
        commits = [r.commit for r in node.written if isinstance(r, CommitRecord)]
        commit = commits[-1] if commits else None
        node.sync()
        self.give(index, Reenter(state=node.state, last_commit=commit))
        self.at(self.rng.randrange(400_000), "due", index, node.state.height)

    def on_speculate(self, index: int, source: Address) -> None:
        """Stand in for S3 of block sync: the next block and its commit, from one peer."""
        node = self.nodes[index]
        for other in self.by_address[source]:
            peer = self.nodes[other]
            for record in peer.disk.records if peer.up and node.up else ():
                if isinstance(record, CommitRecord) and record.height == node.machine.height:
                    node.pool.held.update(peer.pool.held)
                    whole = FoundDecided(peer=source, compact=record.compact, commit=record.commit)
                    self.give(index, whole)
                    return

    def on_batch(self, index: int, txs: tuple[bytes, ...]) -> None:
        self.nodes[index].pool.add(txs)
        if self.nodes[index].up:
            self.give(index, BatchArrived())

    def on_found(self, index: int, found: Input) -> None:
        if self.nodes[index].up:
            self.give(index, found)

    # What nodes put out.

    def give(self, index: int, event: Input) -> None:
        node = self.nodes[index]
        for output in node.run(event, self.instant(index)):
            self.perform(index, output)
        if node.synced < len(node.written):
            delay = self.rng.randrange(30_000 if self.chaos else 3_000)
            self.at(delay, "sync", index, node.machine, len(node.written))

    def perform(self, index: int, output: Output) -> None:
        node = self.nodes[index]
        match output:
            case SetTimer(key=key, delay_us=delay_us):
                self.timers[index][key] = self.count + 1
                self.at(delay_us, "timer", index, key, self.count + 1)
            case Append(record=VoteRecord(vote=vote)):
                self.judge_vote(index, vote)
            case Want(sources=sources):
                self.at(self.delay(), "fetch", index, output, sources[0])
            case Behind() if not node.machine.away:
                self.give(index, Leave())
                self.at(self.rng.randrange(300_000), "sync_blocks", index, node.machine)
            case SpeculativeFetch(peer=peer):
                self.at(self.delay(), "speculate", index, peer)
            case Halt(reason=reason):
                self.problems.append(f"halt: {reason}")
            case Accuse(vote_a=vote):
                if any(self.nodes[i].address == vote.address for i in self.honest):
                    self.problems.append(f"an honest validator is accused: {output}")
            case Penalise(peer=peer, reason=reason):
                if any(self.nodes[i].address == peer for i in self.honest):
                    self.problems.append(f"an honest peer is penalised: {reason}")
            case _ if held_back(output):
                self.held[index].append((len(node.written), output))
                self.release(index)
            case Send(peer=peer, message=message):
                self.transmit(index, peer, message)
            case _:
                made = getattr(output, "assembled", None)
                commit = getattr(output, "commit", None)
                if made is not None and commit is not None:
                    self.judge_block(index, made.block.header.height, made.block_id.hash)
                    event = self.execute(node, made)
                    self.at(self.rng.randrange(20_000), "executed", index, node.machine, event)

    @staticmethod
    def execute(node: Node, made: object) -> Executed:
        before = node.state
        event = node.execute(made)  # type: ignore[arg-type]  # narrowed by its attributes above
        node.state = before
        return event

    def release(self, index: int) -> None:
        node, waiting = self.nodes[index], self.held[index]
        while waiting and waiting[0][0] <= node.synced:
            _, output = waiting.pop(0)
            if isinstance(output, Send):
                self.transmit(index, output.peer, output.message)
            elif isinstance(output, Broadcast):
                for other in range(len(self.nodes)):
                    if self.nodes[other].address != node.address:
                        self.post(index, other, output.message)

    def transmit(self, index: int, peer: Address, message: Message) -> None:
        for other in self.by_address[peer]:
            self.post(index, other, message)

    def post(self, index: int, other: int, message: Message) -> None:
        if frozenset((index, other)) in self.broken:
            return
        for _ in range(2 if self.chaos and self.rng.random() < 0.05 else 1):
            if self.chaos and self.rng.random() < 0.2:
                continue
            self.at(self.delay(), "message", other, self.nodes[index].address, message)
        compact = getattr(message, "compact", None)
        if compact is not None and self.rng.random() < 0.6:
            for segment in compact.manifest:
                if isinstance(segment, Ref) and segment.digest in self.nodes[index].pool.held:
                    self.at(self.delay(), "batch", other, self.nodes[index].pool.held[segment.digest])

    def delay(self) -> int:
        if self.chaos and self.rng.random() < 0.1:
            return self.rng.randrange(5_000_000)
        return self.rng.randrange(1_000, 40_000)

    # Invariants.

    def judge_block(self, index: int, height: int, name: bytes) -> None:
        if index in self.honest and self.blocks.setdefault(height, name) != name:
            self.problems.append(f"two blocks at height {height}")

    def judge_vote(self, index: int, vote: Vote) -> None:
        if index not in self.honest:
            return
        place = (vote.address, vote.height, vote.round, vote.type)
        first = self.signed.setdefault(place, vote)
        if first.block_id != vote.block_id:
            self.problems.append(f"two votes: {first} and {vote}")
        for refused in self.nodes[index].refused:
            # Only a proposal whose record was lost may be refused: a vote is restored from the guard.
            if not isinstance(refused.item, Proposal):
                self.problems.append(f"the guard had to refuse a vote: {refused.reason}")


def run(fate: Fate) -> None:
    World(fate).run()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_four_equal_validators_survive_chaos_and_crashes(seed: int) -> None:
    run(Fate(seed=seed, powers=(10, 10, 10, 10)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_a_twin_with_one_key_makes_no_fork_and_no_stall(seed: int) -> None:
    run(Fate(seed=seed, powers=(10, 10, 10, 10), twin=True))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_unequal_powers(seed: int) -> None:
    rng = random.Random(seed)
    run(Fate(seed=seed, powers=tuple([rng.randint(1, 3) for _ in range(5)]), crashes=4))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_links_that_are_broken_for_ever(seed: int) -> None:
    run(Fate(seed=seed, powers=(10, 10, 10, 10), broken_links=True))


@pytest.mark.parametrize("seed", range(2))
def test_a_single_validator(seed: int) -> None:
    run(replace(Fate(seed=seed, powers=(10,)), crashes=1))
