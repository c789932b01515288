"""Building the block that this node proposes: choose, check, prepare, put together (consensus.md 5.1, D5).

BuildBlock -> choose batches -> CheckTxs of foreign ones -> PrepareBlock -> manifest and header -> Built
"""

from collections.abc import Sequence
from dataclasses import dataclass

from catenet.chain.commit import Commit
from catenet.chain.evidence import Evidence, encode_list, list_hash
from catenet.chain.state import ChainState, block_time, make_header
from catenet.core.batches.io import Candidate
from catenet.core.batches.io import Output as PoolOutput
from catenet.core.batches.machine import Batches
from catenet.core.consensus.io import Built
from catenet.core.evidence import EvidencePool
from catenet.core.execution import commit_info, misbehavior
from catenet.types.application import PrepareProposal
from catenet.types.assembly import Assembled
from catenet.types.batch import Compact
from catenet.types.clock import Instant
from catenet.types.effects import PrepareBlock
from catenet.types.events import Prepared
from catenet.types.ids import Address

Output = PoolOutput | Built

BLOCK_OVERHEAD_BYTES = 11 + 626
"""What a block takes beside transactions, evidence and commit: chain-format.md 1.10."""

UPCOMING_HEIGHTS = 2
"""Tips go in full to the proposers of this round and of so many further heights (D4)."""

COMMIT_OVERHEAD_BYTES = 94
COMMIT_ENTRY_BYTES = 109
"""The largest entry of an ed25519 validator in a commit, with its key and length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A proposal in the making, for one height and round."""

    height: int
    round: int
    last_commit: Commit
    evidence: tuple[Evidence, ...]
    time_ns: int


class Proposer:
    """Makes blocks for consensus out of the pool, one at a time."""

    def __init__(self, batches: Batches, evidence: EvidencePool, address: Address | None) -> None:
        self._batches = batches
        self._evidence = evidence
        self._address = address
        self._draft: Draft | None = None
        self._candidate: Candidate | None = None

    def build(
        self, state: ChainState, height: int, round: int, last_commit: Commit, now: Instant
    ) -> Sequence[Output]:
        """Begin a block at the height after `state`; a request for another height is out of date."""
        if height != state.height:
            return ()
        self._draft = Draft(
            height=height,
            round=round,
            last_commit=last_commit,
            evidence=self._evidence.pick(state),
            time_ns=block_time(state, last_commit),
        )
        return self.choose(state, now)

    def choose(self, state: ChainState, now: Instant) -> Sequence[Output]:
        """Take batches for the block in the making; while the application checks some, wait for it."""
        made = self._draft
        if made is None or made.height != state.height or self._candidate is not None:
            return ()
        room = data_bytes_max(state, made.evidence)
        choice = self._batches.choose(made.height, room, now)
        if choice.candidate is None:
            return choice.outputs
        self._candidate = choice.candidate
        request = PrepareProposal(
            max_tx_bytes=room,
            txs=choice.candidate.txs,
            last_commit=commit_info(state.last_validators, made.last_commit),
            misbehavior=misbehavior(made.evidence),
            height=made.height,
            time_ns=made.time_ns,
            next_validators_hash=state.next_validators.hash(),
            proposer_address=self._address or b"",
        )
        return (*choice.outputs, PrepareBlock(height=made.height, round=made.round, request=request))

    def prepared(self, state: ChainState, event: Prepared, now: Instant) -> Sequence[Output]:
        """Put the block together out of what the application made of the candidate."""
        made, candidate = self._draft, self._candidate
        self._candidate = None
        if made is None or candidate is None or self._address is None:
            return ()
        if made.height != state.height:
            self._draft = None
            return ()
        if (made.height, made.round) != (event.height, event.round):
            # A newer round asked for a block while the application was at work for the one before.
            return self.choose(state, now)
        self._draft = None
        manifest = self._batches.manifest_for(candidate, event.txs)
        header = make_header(
            state,
            time_ns=made.time_ns,
            data_hash=manifest.data_hash,
            last_commit=made.last_commit,
            evidence_hash=list_hash(made.evidence),
            proposer_address=self._address,
        )
        compact = Compact(
            header=header.encode(),
            last_commit=made.last_commit.encode(),
            evidence=encode_list(made.evidence),
            manifest=manifest.segments,
        )
        assembled = self._batches.assemble(compact)
        assert isinstance(assembled, Assembled), f"the own block does not assemble: {assembled}"
        return (Built(height=made.height, round=made.round, compact=compact, block_id=assembled.block_id),)


def data_bytes_max(state: ChainState, evidence: Sequence[Evidence]) -> int:
    """Return the space for transactions, with their encoding, in a block of the next height."""
    entries = 0 if state.last_validators is None else len(state.last_validators)
    taken = BLOCK_OVERHEAD_BYTES + COMMIT_OVERHEAD_BYTES + COMMIT_ENTRY_BYTES * entries
    return state.params.max_bytes - taken - len(encode_list(evidence))


def upcoming(state: ChainState) -> list[Address]:
    """Return who proposes next: in this height's first round and in the heights after it."""
    proposers = [state.validators.proposer_at(0).address]
    following = state.next_validators
    for _ in range(UPCOMING_HEIGHTS):
        proposers.append(following.proposer.address)
        following = following.increment(1)
    return proposers
