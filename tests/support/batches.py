"""A few pools of batches joined by a network that a test controls: who hears what, and when."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from catenet.chain.block import data_hash, encode_txs
from catenet.chain.block_id import NIL
from catenet.chain.commit import EMPTY_COMMIT
from catenet.chain.evidence import encode_list, list_hash
from catenet.chain.header import Header
from catenet.chain.keys import PrivateKey
from catenet.chain.validators import ValidatorSet
from catenet.core.batches.io import BatchConfig, Candidate, Output, Released, Stored
from catenet.core.batches.machine import Batches
from catenet.types.application import CheckResult
from catenet.types.assembly import Assembled
from catenet.types.batch import Batch, Compact, Inline, Ref, Segment
from catenet.types.clock import Instant
from catenet.types.effects import (
    Abandoned,
    Acknowledge,
    Append,
    CheckTxs,
    Dropped,
    Fetch,
    Penalise,
    Send,
    SetTimer,
)
from catenet.types.events import Level, TimerKey
from catenet.types.ids import Address, Ticket, TxId
from catenet.types.messages import BatchMessage, Have, Message, Skip, Tip
from catenet.types.records import BatchRecord, Record

SECOND_US = 1_000_000
SECOND_NS = 10**9
START_NS = 1_700_000_000 * SECOND_NS


def tx_id(tx: bytes) -> TxId:
    return sha256(tx).digest()


def txs_of(name: str, count: int, size: int = 40) -> list[bytes]:
    """Return `count` different transactions of `size` bytes."""
    return [f"{name}-{number}".encode().ljust(size, b".") for number in range(count)]


def validators(powers: Sequence[int]) -> ValidatorSet:
    """Return a set of validators with these powers, the same in every run."""
    keys = [PrivateKey((number + 1).to_bytes(32, "big")) for number in range(len(powers))]
    return ValidatorSet.new([(key.public, power) for key, power in zip(keys, powers, strict=True)])


def batch_of(seq: int, txs: Sequence[bytes], incarnation: int = 1) -> Batch:
    """Return a batch that nobody here authored."""
    return Batch(incarnation=incarnation, seq=seq, payload=encode_txs(txs))


class Window:
    """What is committed: ids and block times. A plain dict stands for the index."""

    def __init__(self) -> None:
        self.times: dict[TxId, int] = {}

    def committed(self, ids: Sequence[TxId]) -> Mapping[TxId, int]:
        return {i: self.times[i] for i in ids if i in self.times}


@dataclass
class Site:
    """One node: its pool and what came out of it."""

    address: Address
    pool: Batches
    window: Window
    journal: list[Record] = field(default_factory=list)
    acknowledged: list[Ticket] = field(default_factory=list)
    abandoned: list[Ticket] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    penalised: list[Penalise] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    stored: list[bytes] = field(default_factory=list)
    released: dict[str, int] = field(default_factory=dict)
    timers: dict[TimerKey, int] = field(default_factory=dict)

    def lose(self, output: Abandoned | Dropped) -> None:
        """Note what clients are told of a loss."""
        if isinstance(output, Dropped):
            self.dropped.append(output)
        else:
            self.abandoned.append(output.ticket)


class Net:
    """Pools of `powers` validators. Links are up from the start; `blocked` ones lose everything."""

    def __init__(
        self,
        powers: Sequence[int] = (10, 10, 10, 10),
        config: BatchConfig | None = None,
        check: Callable[[bytes], int] = lambda tx: 0,
        proposers: int = 4,
    ) -> None:
        """`proposers`: how many of the first nodes count as the next proposers, which get full vectors."""
        self.now_us = 10 * SECOND_US
        self.height = 0
        self.time_ns = START_NS
        self.config = BatchConfig() if config is None else config
        self.set = validators(powers)
        self.check = check
        self.proposers = proposers
        self.blocked: set[tuple[Address, Address]] = set()
        self.queue: list[tuple[Address, Address, Message]] = []
        self.sent: list[tuple[Address, Address, Message]] = []
        self.sites: dict[Address, Site] = {}
        for member in self.set.validators:
            self.sites[member.address] = self._site(member.address)
        self.order = list(self.sites)
        for address in self.order:
            self.sites[address].pool.restore((), self.height, self.time_ns)
            self.boot(address)
        self.run()

    def _site(self, address: Address) -> Site:
        window = Window()
        return Site(address=address, pool=Batches(self.config, address, window), window=window)

    def boot(self, address: Address) -> None:
        site = self.sites[address]
        self.take(site, site.pool.set_validators(self.set, self.upcoming(), self.now))
        self.take(site, site.pool.start(self.now))
        for peer in self.order:
            if peer != address:
                self.take(site, site.pool.on_link(peer, up=True, now=self.now))

    def restart(self, address: Address, journal: Sequence[Record] | None = None) -> Site:
        """Crash a node: what is in its journal (or in the one given) comes back, links come up again."""
        old = self.sites[address]
        site = self._site(address)
        site.window.times = old.window.times
        site.journal = list(old.journal if journal is None else journal)
        self.sites[address] = site
        self.queue = [item for item in self.queue if address not in item[:2]]
        site.pool.restore(site.journal, self.height, self.time_ns)
        for peer in self.order:
            if peer != address:
                other = self.sites[peer]
                self.take(other, other.pool.on_link(address, up=False, now=self.now))
                self.take(other, other.pool.on_link(address, up=True, now=self.now))
        self.boot(address)
        return site

    def upcoming(self) -> list[Address]:
        return [member.address for member in self.set.validators][: self.proposers]

    @property
    def now(self) -> Instant:
        return Instant(mono_us=self.now_us, wall_ns=START_NS + self.now_us * 1000)

    def __getitem__(self, index: int) -> Site:
        return self.sites[self.order[index]]

    def cut(self, a: int, b: int) -> None:
        """Lose everything between two nodes, both ways."""
        self.blocked |= {(self.order[a], self.order[b]), (self.order[b], self.order[a])}

    def heal(self) -> None:
        self.blocked.clear()

    # Running.

    def take(self, site: Site, outputs: Sequence[Output]) -> None:
        """Do what a pool asks for."""
        for output in outputs:
            match output:
                case Append(record=record):
                    site.journal.append(record)
                case Send(peer=peer, message=message):
                    self.sent.append((site.address, peer, message))
                    if (site.address, peer) not in self.blocked:
                        self.queue.append((site.address, peer, message))
                case SetTimer(key=key, delay_us=delay_us):
                    site.timers[key] = self.now_us + delay_us
                case Acknowledge(ticket=ticket, reached=reached):
                    assert reached is Level.REPLICATED
                    site.acknowledged.append(ticket)
                case Abandoned() | Dropped():
                    site.lose(output)
                case Penalise():
                    site.penalised.append(output)
                case Fetch():
                    site.fetches.append(output)
                case CheckTxs(request=request, txs=txs):
                    results = [CheckResult(code=self.check(tx)) for tx in txs]
                    self.take(site, site.pool.on_checked(request, results, self.now))
                case Stored(digests=digests):
                    site.stored.extend(digests)
                case Released(bytes_of=bytes_of):
                    for client, size in bytes_of.items():
                        site.released[client] = site.released.get(client, 0) + size
                case _:
                    pass

    def deliver(self, sender: Address, receiver: Address, message: Message) -> None:
        site = self.sites.get(receiver)
        if site is None:
            return
        match message:
            case BatchMessage():
                self.take(site, site.pool.on_batch(sender, message, self.now))
            case Skip():
                self.take(site, site.pool.on_skip(sender, message, self.now))
            case Have():
                self.take(site, site.pool.on_tips(sender, message, self.now))
            case _:
                raise AssertionError(message)

    def run(self, for_us: int = 0) -> None:
        """Deliver everything and let time pass; timers end in order."""
        end_us = self.now_us + for_us
        for _ in range(100_000):
            if self.queue:
                self.deliver(*self.queue.pop(0))
                continue
            due = [
                (ends_us, number, key)
                for number, site in enumerate(self.sites.values())
                for key, ends_us in site.timers.items()
                if ends_us <= end_us
            ]
            if not due:
                self.now_us = end_us
                return
            ends_us, number, key = min(due, key=lambda item: (item[0], item[1], item[2].name))
            self.now_us = max(self.now_us, ends_us)
            site = self[number]
            del site.timers[key]
            self.take(site, site.pool.on_timer(key, self.now))
        raise AssertionError("the pools never come to rest")

    # What happens.

    def submit(self, index: int, txs: Sequence[bytes], ticket: Ticket = 1, client: str = "client") -> None:
        site = self[index]
        ids = [tx_id(tx) for tx in txs]
        self.take(site, site.pool.enqueue(ticket, txs, ids, self.now, client=client))

    def choose(self, index: int, height: int | None = None, room: int = 1 << 20) -> Candidate:
        """Return what a node would propose; the application answers at once."""
        site = self[index]
        height = self.height + 1 if height is None else height
        for _ in range(2):
            choice = site.pool.choose(height, room, self.now)
            self.take(site, choice.outputs)
            if choice.candidate is not None:
                return choice.candidate
        raise AssertionError("the application was asked twice")

    def decide(
        self,
        segments: tuple[Segment, ...] = (),
        *,
        proposer: int = 0,
        seconds: int = 1,
        skip: Sequence[int] = (),
    ) -> Assembled:
        """Decide a block of these segments at every node but those left out; all must hold its batches."""
        self.height += 1
        self.time_ns += seconds * SECOND_NS
        made: Assembled | None = None
        for number, site in enumerate(self.sites.values()):
            if number in skip:
                continue
            answer = site.pool.assemble(self.compact(segments))
            assert isinstance(answer, Assembled), answer
            made = answer
            site.window.times.update(dict.fromkeys(answer.tx_ids, self.time_ns))
            outputs = site.pool.on_decided(
                self.height, self.time_ns, self.order[proposer], answer.tx_ids, segments, self.now
            )
            self.take(site, outputs)
        assert made is not None
        return made

    def compact(self, segments: tuple[Segment, ...], txs: Sequence[bytes] = ()) -> Compact:
        return make_compact(segments, txs, height=self.height)

    def batches_sent(self, sender: int, receiver: int) -> list[Batch]:
        a, b = self.order[sender], self.order[receiver]
        return [m.batch for s, r, m in self.sent if (s, r) == (a, b) and isinstance(m, BatchMessage)]

    def tips_sent(self, sender: int, receiver: int) -> list[Have]:
        a, b = self.order[sender], self.order[receiver]
        return [m for s, r, m in self.sent if (s, r) == (a, b) and isinstance(m, Have)]

    def push(self, sender: int, receiver: int, batch: Batch) -> None:
        """Hand a batch to a node as if its author had pushed it, whatever the author is at."""
        site = self[receiver]
        self.take(site, site.pool.on_batch(self.order[sender], BatchMessage(batch=batch), self.now))

    def appended(self, index: int) -> int:
        """Return how many batches a node's journal holds."""
        return sum(isinstance(record, BatchRecord) for record in self[index].journal)

    def tip(self, index: int, author: int) -> Tip:
        """Return what a node says to have of an author."""
        tips = {tip.author: tip for tip in self[index].pool.tips().tips}
        return tips[self.order[author]]


def make_compact(segments: tuple[Segment, ...], txs: Sequence[bytes] = (), height: int = 1) -> Compact:
    """Return a compact block around a manifest, with the data hash of `txs`."""
    header = Header(
        chain_id="pool",
        height=height,
        time_ns=START_NS,
        last_block_id=NIL,
        last_commit_hash=EMPTY_COMMIT.hash(),
        data_hash=data_hash([tx_id(tx) for tx in txs]),
        validators_hash=b"\2" * 32,
        next_validators_hash=b"\3" * 32,
        consensus_hash=b"\4" * 32,
        app_hash=b"",
        last_results_hash=b"\5" * 32,
        evidence_hash=list_hash(()),
        proposer_address=b"\6" * 20,
    )
    return Compact(
        header=header.encode(),
        last_commit=EMPTY_COMMIT.encode(),
        evidence=encode_list(()),
        manifest=segments,
    )


def settled(config: BatchConfig | None = None, authors: Sequence[int] = (0,), count: int = 4) -> Net:
    """Return a network in which these authors' transactions reached everybody."""
    net = Net(config=config)
    for author in authors:
        net.submit(author, txs_of(f"author{author}", count), ticket=author + 1)
    net.run(10_000)
    return net


def digests(segments: Sequence[Segment]) -> list[bytes]:
    return [segment.digest for segment in segments if not isinstance(segment, Inline)]


def excluding(segments: Sequence[Segment], *indices: int) -> tuple[Segment, ...]:
    return tuple([Ref(digest=digest, excluded=indices) for digest in digests(segments)])
