"""Which blocks in hand are proven, and who lied if they are not (S3). Pure checks of values, no asking."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from catenet.chain import light
from catenet.chain.block import Block, block_id
from catenet.chain.commit import BlockID, Commit, Flag
from catenet.chain.encoding import DecodeError
from catenet.chain.keys import Verify
from catenet.chain.state import ChainState, InvalidBlock, check_contents
from catenet.chain.validators import ValidatorSet
from catenet.core.sync.io import SyncedBlock
from catenet.types.ids import Address, TxId

MAX_BLOCK_BYTES = 4 * 1024 * 1024
"""No parameters allow a larger block (2.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InHand:
    """A block as a peer gave it: its contents match its header, nothing more is known."""

    peer: Address
    block: Block
    raw: bytes
    block_id: BlockID
    tx_ids: tuple[TxId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCommit:
    """The commit that a peer sent along with the last block of a run."""

    peer: Address
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class Lie:
    """A peer gave something false about a height; drop the block or the commit."""

    peer: Address
    height: int
    reason: str
    commit: bool = False
    """The commit that was sent along is false; the block may be true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """More than two thirds of our validators signed a history that is not ours."""

    height: int


Judgement = tuple[SyncedBlock, ...] | Lie | Fork | None
"""A proven run, who lied, a fork, or None: more blocks are needed."""


def read_block(peer: Address, height: int, chain_id: str, raw: bytes) -> InHand | None:
    """Read a block and check that it is whole and of this height; None: it is not."""
    if len(raw) > MAX_BLOCK_BYTES:
        return None
    try:
        block = Block.decode(raw)
        tx_ids = tuple([sha256(tx).digest() for tx in block.txs])
        check_contents(block, tx_ids)
    except (DecodeError, InvalidBlock):
        return None
    if block.header.height != height or block.header.chain_id != chain_id:
        return None
    return InHand(peer=peer, block=block, raw=raw, block_id=block_id(raw, block.header), tx_ids=tx_ids)


def judge(
    state: ChainState,
    blocks: Mapping[int, InHand],
    sent: Mapping[int, SentCommit],
    verify: Verify,
    limit: int,
) -> Judgement:
    """Find the longest run with our validators and prove it by one commit (S3)."""
    first = state.height
    top = first
    ours = state.validators.hash()
    while top in blocks and top < first + limit and blocks[top].block.header.validators_hash == ours:
        top += 1
    if top == first:
        if first in blocks:
            return Lie(peer=blocks[first].peer, height=first, reason="a block of other validators")
        return None
    # The last block counts only with a commit for it: from the next block, or sent along.
    for last in range(top - 1, first - 1, -1):
        carrier = blocks.get(last + 1)
        if carrier is None and last not in sent:
            continue
        judgement = _prove(state, blocks, last, carrier, sent.get(last), verify)
        if not isinstance(judgement, Lie) or last == first or judgement.height < last:
            return judgement
        # A forged block may hide a change of the set, and an honest commit look wrong: go one certain step.
        certain = blocks.get(first + 1)
        return _prove(state, blocks, first, certain, sent.get(first), verify)
    return None


def _prove(
    state: ChainState,
    blocks: Mapping[int, InHand],
    last: int,
    carrier: InHand | None,
    sent: SentCommit | None,
    verify: Verify,
) -> Judgement:
    """Prove the run up to `last` by the commit in the block above it, or by the one that was sent along."""
    claimed = blocks[last]
    if carrier is not None:
        commit, lie = carrier.block.last_commit, Lie(peer=carrier.peer, height=last + 1, reason="")
    elif sent is not None:
        commit, lie = sent.commit, Lie(peer=sent.peer, height=last, reason="", commit=True)
    else:
        return None
    try:
        light.verify_commit(state.chain_id, state.validators, commit.block_id, last, commit, verify)
    except light.InvalidCommit as error:
        # The set of this height is ours, so a commit that fails is the fault of who brought it.
        return replace(lie, reason=error.reason)
    if commit.block_id != claimed.block_id:
        return Lie(peer=claimed.peer, height=last, reason="not the block that was decided")
    if not _eligible(state.validators, commit, claimed.block.header.time_ns):
        return replace(lie, reason="too few precommits are later than the block")
    # Backwards from a proven block: whoever brought what its parent hash does not name lied.
    for height in range(last, state.height, -1):
        if blocks[height].block.header.last_block_id != blocks[height - 1].block_id:
            parent = blocks[height - 1]
            return Lie(peer=parent.peer, height=height - 1, reason="not the parent of the block above")
    if state.last_height and blocks[state.height].block.header.last_block_id != state.last_block_id:
        return Fork(height=state.height)
    return _run(blocks, state.height, last, commit)


def _eligible(validators: ValidatorSet, commit: Commit, time_ns: int) -> bool:
    """2.5: a precommit counts only when its time is above the block's."""
    entries = zip(commit.signatures, validators.validators, strict=True)
    return validators.two_thirds(
        sum(
            [
                member.power
                for entry, member in entries
                if entry.flag is Flag.COMMIT and entry.time_ns > time_ns
            ]
        )
    )


def _run(blocks: Mapping[int, InHand], first: int, last: int, commit: Commit) -> tuple[SyncedBlock, ...]:
    run: list[SyncedBlock] = []
    for height in range(first, last + 1):
        held = blocks[height]
        run.append(
            SyncedBlock(
                block=held.block,
                raw=held.raw,
                block_id=held.block_id,
                tx_ids=held.tx_ids,
                commit=commit if height == last else blocks[height + 1].block.last_commit,
            )
        )
    return tuple(run)
