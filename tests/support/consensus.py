"""One node around the real machine: real keys and guard, a journal that can lose its end, a tiny pool.

Who drives it decides about time, network, disk and application: traces by hand, the schedule test by chance.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from catenet.chain import state as chain_state
from catenet.chain.block import Block, block_id, data_hash, encode_txs
from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError
from catenet.chain.evidence import decode_list, list_hash
from catenet.chain.genesis import Genesis
from catenet.chain.header import Header
from catenet.chain.keys import PrivateKey, PublicKey
from catenet.chain.state import ChainState, InvalidBlock
from catenet.core import guard
from catenet.core.consensus.io import (
    AppVerdict,
    BuildBlock,
    Built,
    CheckBlock,
    ConsensusConfig,
    Decided,
    Executed,
    Input,
    Output,
)
from catenet.core.consensus.machine import Consensus
from catenet.types.assembly import Assembled, Broken, Missing
from catenet.types.batch import Compact, Ref
from catenet.types.clock import Instant
from catenet.types.effects import Append, Broadcast, Send, Sign
from catenet.types.events import Refused, Signed
from catenet.types.ids import Address, Digest
from catenet.types.messages import Status
from catenet.types.records import CommitRecord, Record, VoteRecord

_known: dict[tuple[bytes, bytes, bytes], bool] = {}


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Real verification, each signature once per test run."""
    name = (key.data, message, signature)
    if name not in _known:
        _known[name] = key.verify(message, signature)
    return _known[name]


def make_genesis(keys: Sequence[PrivateKey], powers: Sequence[int]) -> Genesis:
    """Return a genesis in which the keys propose in the order given, as far as powers allow."""
    from support.chain import make_genesis as genesis_of

    return genesis_of(keys, powers, chain_id="trace")


def by_turn(keys: Sequence[PrivateKey], powers: Sequence[int]) -> list[PrivateKey]:
    """Return equal validators in the order in which they propose the rounds of the first height."""
    state = ChainState.genesis(make_genesis(keys, powers))
    order: dict[Address, None] = {}
    for round in range(8 * len(keys)):
        order[state.validators.proposer_at(round).address] = None
    found = {key.public.address: key for key in keys}
    return [found[address] for address in order] + [k for k in keys if k.public.address not in order]


class Pool:
    """Batches by digest: a `BlockAssembler` over what one node holds."""

    def __init__(self) -> None:
        self.held: dict[Digest, tuple[bytes, ...]] = {}

    def add(self, txs: Sequence[bytes]) -> Digest:
        digest = sha256(encode_txs(txs)).digest()
        self.held[digest] = tuple(txs)
        return digest

    def assemble(self, compact: Compact) -> Assembled | Missing | Broken:
        digests = [segment.digest for segment in compact.manifest if isinstance(segment, Ref)]
        missing = tuple([digest for digest in digests if digest not in self.held])
        if missing:
            return Missing(digests=missing)
        try:
            header, commit = Header.decode(compact.header), Commit.decode(compact.last_commit)
            evidence = decode_list(compact.evidence)
        except DecodeError as error:
            return Broken(reason=str(error))
        txs = [tx for digest in digests for tx in self.held[digest]]
        block = Block(header=header, txs=txs, evidence=evidence, last_commit=commit)
        raw = block.encode()
        ids = [sha256(tx).digest() for tx in txs]
        return Assembled(
            block=block, raw=raw, block_id=block_id(raw, header), tx_ids=ids, data_hash=data_hash(ids)
        )


def make_block(
    state: ChainState, pool: Pool, *, last_commit: Commit, txs: Sequence[bytes], proposer: Address
) -> Compact:
    """Return the compact block that an honest proposer makes."""
    digests = [pool.add(txs)] if txs else []
    header = chain_state.make_header(
        state,
        time_ns=chain_state.block_time(state, last_commit),
        data_hash=data_hash([sha256(tx).digest() for tx in txs]),
        last_commit=last_commit,
        evidence_hash=list_hash(()),
        proposer_address=proposer,
    )
    return Compact(
        header=header.encode(),
        last_commit=last_commit.encode(),
        evidence=b"",
        manifest=tuple([Ref(digest=digest) for digest in digests]),
    )


@dataclass(slots=True)
class Disk:
    """What survives a crash."""

    records: list[Record] = field(default_factory=list)
    slot: guard.GuardState = field(default_factory=guard.GuardState)


class Node:
    """A validator, or with `member=False` an observer. `run` gives back what leaves it."""

    def __init__(
        self,
        key: PrivateKey,
        genesis: Genesis,
        *,
        config: ConsensusConfig,
        member: bool = True,
        guarded: bool = True,
    ) -> None:
        self.key = key
        self.address = key.public.address
        self.config = config
        self.member = member
        self.guarded = guarded
        self.genesis = genesis
        self.pool = Pool()
        self.disk = Disk()
        self.up = False
        self.refuse_blocks: set[bytes] = set()
        self.auto_check = True
        self.auto_build: Callable[[BuildBlock], Sequence[bytes]] | None = None
        self.auto_execute = True
        self.refused: list[Refused] = []
        self.decided: dict[int, bytes] = {}
        self.executed = 0

    def boot(self) -> None:
        """Read the disk: execute the decided blocks again, hand the rest to a new machine."""
        self.up = True
        self.state = ChainState.genesis(self.genesis)
        self.written: list[Record] = list(self.disk.records)
        self.synced = len(self.written)
        self.guard = self.disk.slot
        self.guard_log: list[tuple[int, guard.GuardState]] = []
        last_commit: Commit | None = None
        for record in self.written:
            if isinstance(record, CommitRecord) and record.height == self.state.height:
                made = self.pool.assemble(record.compact)
                assert isinstance(made, Assembled)
                self.state = self._after(made)
                last_commit = record.commit
        self.machine = Consensus(
            self.config,
            self.state,
            self.address if self.member else None,
            self.pool,
            self._check,
            verify,
        )
        vote = self.guard.vote()
        if vote is not None and not any(r == VoteRecord(vote=vote) for r in self.written):
            self.written.append(VoteRecord(vote=vote))
        self.guard = guard.raised_by(self.guard, self.written, self.state.chain_id)
        self.machine.restore(self.written, last_commit)

    def _check(self, assembled: Assembled) -> str | None:
        try:
            chain_state.check_block(
                self.state,
                assembled.block,
                raw_size=len(assembled.raw),
                verify=self.machine.verify,
            )
        except InvalidBlock as error:
            return error.reason
        return None

    def _after(self, made: Assembled) -> ChainState:
        return chain_state.advance(
            self.state,
            made.block.header,
            made.block_id,
            results=[(0, b"", 0, 0) for _ in made.block.txs],
            app_hash=sha256(self.state.app_hash + made.block.header.data_hash).digest(),
        )

    def run(self, event: Input, now: Instant) -> list[Output]:
        """Give the machine an event; sign, check, build and execute by itself where that is not held back."""
        left: list[Output] = []
        inbox: list[Input] = [event]
        while inbox:
            for output in self.machine.handle(inbox.pop(0), now):
                left.append(output)
                inbox.extend(self._react(output))
        return left

    def _react(self, output: Output) -> Iterable[Input]:
        match output:
            case Append(record=record):
                self.written.append(record)
            case Sign():
                return [self._sign(output)]
            case CheckBlock() if self.auto_check:
                return [self.check(output)]
            case BuildBlock() if self.auto_build is not None:
                return [self.build(output, self.auto_build(output))]
            case Decided(assembled=assembled):
                self.decided[assembled.block.header.height] = assembled.block_id.hash
                if self.auto_execute:
                    return [self.execute(assembled)]
            case _:
                pass
        return []

    def _sign(self, sign: Sign) -> Signed | Refused:
        if not self.guarded:
            data = sign.item.sign_bytes(self.state.chain_id)
            done = guard.signed(sign.item, sign_bytes=data, signature=self.key.sign(data))[1]
            return Signed(item=done)
        match guard.decide(self.guard, sign.item, self.state.chain_id):
            case guard.Sign(sign_bytes=data):
                self.guard, done = guard.signed(sign.item, sign_bytes=data, signature=self.key.sign(data))
                # The record of the item comes next: the slot is written beside it.
                self.guard_log.append((len(self.written), self.guard))
                return Signed(item=done)
            case guard.Repeat(item=item):
                return Signed(item=item)
            case guard.Refuse(reason=reason):
                refused = Refused(item=sign.item, reason=reason)
                self.refused.append(refused)
                return refused

    def check(self, request: CheckBlock) -> AppVerdict:
        accepted = request.block_hash not in self.refuse_blocks
        return AppVerdict(height=request.height, block_hash=request.block_hash, accepted=accepted)

    def build(self, request: BuildBlock, txs: Sequence[bytes]) -> Built:
        compact = make_block(
            self.state, self.pool, last_commit=request.last_commit, txs=txs, proposer=self.address
        )
        made = self.pool.assemble(compact)
        assert isinstance(made, Assembled)
        return Built(height=request.height, round=request.round, compact=compact, block_id=made.block_id)

    def execute(self, made: Assembled) -> Executed:
        self.state = self._after(made)
        return Executed(
            height=made.block.header.height,
            state=self.state,
            proof_wanted=bool(made.block.txs),
            updates_pending=False,
        )

    def sync(self, upto: int | None = None) -> None:
        """Make what is written durable, up to a place."""
        self.synced = max(self.synced, len(self.written) if upto is None else upto)
        self.disk.records = self.written[: self.synced]
        for place, state in self.guard_log:
            if place < self.synced:
                self.disk.slot = state

    def crash(self, *, kept: int | None = None, guard_ahead: bool = False) -> None:
        """Lose what is not durable, but for `kept` records; the guard's slot may be one signature ahead."""
        self.sync(len(self.written) if kept is None else kept)
        ahead = [state for place, state in self.guard_log if place <= self.synced]
        if guard_ahead and ahead:
            self.disk.slot = ahead[-1]
        self.up = False


def held_back(output: Output) -> bool:
    """Whether the law keeps an output until every record before it is durable; Status promises nothing."""
    return isinstance(output, Send | Broadcast) and not isinstance(output.message, Status)
