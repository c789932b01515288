"""From a decided block to the next state: execute, record, commit. One height at a time; pure.

    Decide -> Execute -> Finalized -> Append(Executed), CommitBlock -> Committed

Blocks that consensus decided and blocks that sync verified take the same way.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from catenet.chain import state as chain_state
from catenet.chain.block import Block
from catenet.chain.commit import BlockID, Commit
from catenet.chain.evidence import DuplicateVoteEvidence, Evidence
from catenet.chain.keys import PublicKey
from catenet.chain.state import ChainState
from catenet.chain.validators import ValidatorSet
from catenet.types.application import (
    BlockOutcome,
    CommitInfo,
    FinalizeBlock,
    Misbehavior,
    MisbehaviorKind,
    ProcessProposal,
)
from catenet.types.assembly import Assembled
from catenet.types.batch import Segment
from catenet.types.effects import Append, CommitBlock, Effect, Execute, Halt
from catenet.types.events import Committed, Finalized
from catenet.types.records import CommitRecord, ExecutedRecord, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A block that is final in order, and the commit that says so."""

    assembled: Assembled
    commit: Commit
    manifest: tuple[Segment, ...] = ()
    """How the block was put together; empty for a synced one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A height is executed, committed and stored."""

    decided: Decided
    state: ChainState
    proof_wanted: bool
    """The block carried work, so that a next header is wanted to prove its results (2.7 c)."""
    updates_pending: bool
    """A validator update is not yet in force (2.7 d)."""


class Execution:
    """The queue of decided blocks and the one that is being executed."""

    def __init__(self, state: ChainState) -> None:
        self.state = state
        """After the newest committed block."""
        self._queue: deque[Decided] = deque()
        self._running = False
        self._next: ChainState | None = None
        self._outcome: BlockOutcome | None = None

    @property
    def busy(self) -> bool:
        """Whether a block waits or is under way."""
        return bool(self._queue)

    def decided(self, decided: Decided) -> list[Effect]:
        """Queue the next block; blocks come in order of height."""
        expected = self.state.height + len(self._queue)
        height = decided.assembled.block.header.height
        assert height == expected, f"height {height} is decided, {expected} is next"
        self._queue.append(decided)
        return self._advance()

    def finalized(self, event: Finalized) -> list[Effect]:
        """Take the application's outcome: compute the next state, record it, ask for the commit."""
        decided = self._queue[0]
        block = decided.assembled.block
        if len(event.outcome.results) != len(block.txs):
            given, wanted = len(event.outcome.results), len(block.txs)
            text = f"the application gave {given} results for {wanted} transactions at height {event.height}"
            return [Halt(reason=text)]
        try:
            self._next = next_state(self.state, decided, event.outcome)
        except ValueError as error:
            # Every honest node halts here alike: the application's updates are part of the chain. Keys that
            # are none and numbers beyond the format are `ValueError`, as bad sets and parameters are.
            return [Halt(reason=f"the application's outcome at height {event.height}: {error}")]
        self._outcome = event.outcome
        return [
            Append(record=ExecutedRecord(height=event.height, outcome=event.outcome)),
            CommitBlock(
                height=event.height,
                block=block,
                raw=decided.assembled.raw,
                block_id=decided.assembled.block_id,
                commit=decided.commit,
                outcome=event.outcome,
                tx_ids=decided.assembled.tx_ids,
                state=self._next,
            ),
        ]

    def committed(self, event: Committed) -> tuple[Done, list[Effect]]:
        """Step to the next height; start on the next decided block when there is one."""
        assert self._next is not None
        assert self._outcome is not None
        decided = self._queue.popleft()
        state, outcome = self._next, self._outcome
        self.state, self._next, self._outcome, self._running = state, None, None, False
        block = decided.assembled.block
        updates = bool(outcome.validator_updates) or outcome.param_updates is not None
        done = Done(
            decided=decided,
            state=state,
            proof_wanted=bool(block.txs) or bool(block.evidence) or updates,
            updates_pending=state.validators.hash() != state.next_validators.hash(),
        )
        return done, self._advance()

    def _advance(self) -> list[Effect]:
        if self._running or not self._queue:
            return []
        self._running = True
        assembled = self._queue[0].assembled
        mismatch = other_result(self.state, assembled.block)
        if mismatch:
            # S4: two thirds signed a header that our own execution contradicts: our application differs.
            return [Halt(reason=f"height {assembled.block.header.height}: {mismatch}")]
        request = finalize_request(self.state, assembled.block, assembled.block_id)
        return [Execute(height=assembled.block.header.height, request=request)]


def undelivered(records: Sequence[Record], state: ChainState) -> list[CommitRecord]:
    """Return the blocks after `state` that the journal knows to be decided, in order."""
    decided = {record.height: record for record in records if isinstance(record, CommitRecord)}
    height, found = state.height, []
    while height in decided:
        found.append(decided[height])
        height += 1
    return found


def other_result(state: ChainState, block: Block) -> str:
    """Say where a decided header contradicts our own execution of the height before; empty: nowhere."""
    header = block.header
    ours = {
        "app_hash": state.app_hash,
        "last_results_hash": state.last_results_hash,
        "validators_hash": state.validators.hash(),
        "next_validators_hash": state.next_validators.hash(),
        "consensus_hash": state.params.hash(),
    }
    for name, value in ours.items():
        theirs: bytes = getattr(header, name)
        if theirs != value:
            return f"the chain has {name} {theirs.hex().upper()}, this node computed {value.hex().upper()}"
    return ""


def next_state(state: ChainState, decided: Decided, outcome: BlockOutcome) -> ChainState:
    """Return the state after a block; raises `ValueError` for an outcome that no chain can have."""
    return chain_state.advance(
        state,
        decided.assembled.block.header,
        decided.assembled.block_id,
        results=[(r.code, r.data, r.gas_wanted, r.gas_used) for r in outcome.results],
        app_hash=outcome.app_hash,
        validator_updates=[
            (PublicKey(type=update.key_type, data=update.public_key), update.power)
            for update in outcome.validator_updates
        ],
        params=outcome.param_updates,
    )


def finalize_request(state: ChainState, block: Block, block_id: BlockID) -> FinalizeBlock:
    """Return what the application is told of a decided block."""
    return FinalizeBlock(
        txs=block.txs,
        last_commit=commit_info(state.last_validators, block.last_commit),
        misbehavior=misbehavior(block.evidence),
        hash=block_id.hash,
        height=block.header.height,
        time_ns=block.header.time_ns,
        next_validators_hash=block.header.next_validators_hash,
        proposer_address=block.header.proposer_address,
    )


def process_request(state: ChainState, assembled: Assembled) -> ProcessProposal:
    """Return what the application is told of a proposed block."""
    block = assembled.block
    return ProcessProposal(
        txs=block.txs,
        last_commit=commit_info(state.last_validators, block.last_commit),
        misbehavior=misbehavior(block.evidence),
        hash=assembled.block_id.hash,
        height=block.header.height,
        time_ns=block.header.time_ns,
        next_validators_hash=block.header.next_validators_hash,
        proposer_address=block.header.proposer_address,
    )


def commit_info(validators: ValidatorSet | None, commit: Commit) -> CommitInfo:
    """Return who signed the height before, as applications are told."""
    if validators is None:
        return CommitInfo(round=0, votes=())
    votes = [
        (validator.address, validator.power, int(entry.flag))
        for validator, entry in zip(validators.validators, commit.signatures, strict=True)
    ]
    return CommitInfo(round=commit.round, votes=tuple(votes))


def misbehavior(evidence: tuple[Evidence, ...]) -> tuple[Misbehavior, ...]:
    """Return the evidence in a block, as applications are told: an entry for each who is convicted."""
    told: list[Misbehavior] = []
    for item in evidence:
        if isinstance(item, DuplicateVoteEvidence):
            guilty, kind = [(item.vote_a.address, item.validator_power)], MisbehaviorKind.DUPLICATE_VOTE
        else:
            guilty = [(member.address, member.power) for member in item.byzantine_validators]
            kind = MisbehaviorKind.LIGHT_CLIENT_ATTACK
        told += [
            Misbehavior(
                address=address,
                power=power,
                height=item.height,
                time_ns=item.time_ns,
                total_power=item.total_power,
                kind=kind,
            )
            for address, power in guilty
        ]
    return tuple(told)
