"""Bringing what is derived to one height at start: blocks and index, then the application (consensus.md 4).

    refill       blocks that the journal decided and executed, and a crash of the machine took from the store
    shake_hands  Info, InitChain when it has no block yet, FinalizeBlock + Commit for each block it lacks

Runs before anything else.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from catenet.chain.block import Block
from catenet.chain.commit import BlockID, Commit
from catenet.chain.genesis import Genesis
from catenet.chain.keys import PublicKey
from catenet.chain.state import ChainState
from catenet.chain.validators import ValidatorSet
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.machine import Batches
from catenet.core.execution import Decided, finalize_request, next_state, other_result, undelivered
from catenet.types.application import Application, BlockOutcome, Info, InitChain, ValidatorUpdate
from catenet.types.assembly import Assembled
from catenet.types.errors import Corrupt
from catenet.types.ids import TxId
from catenet.types.ports import BlockReader, TxWindow
from catenet.types.records import ExecutedRecord, Record

log = logging.getLogger(__name__)


class History(BlockReader, TxWindow, Protocol):
    """The stored chain with the state after each height."""

    def state_at(self, height: int) -> ChainState | None:
        """Return the state after `height`, or None when it is not kept."""
        ...


class Store(History, Protocol):
    """The stored chain, to append to."""

    def append(
        self,
        height: int,
        raw: bytes,
        block_id: BlockID,
        commit: Commit,
        outcome: BlockOutcome,
        tx_ids: Sequence[TxId],
        state: ChainState,
        *,
        evidence: Sequence[bytes] = (),
    ) -> None:
        """Store the next final block; `evidence` hashes what it holds."""
        ...


def refill(store: Store, records: Sequence[Record], genesis: Genesis) -> None:
    """Store the blocks above the head that the journal holds with their outcomes.

    The store is synced in the background only: after a crash of the machine it may lie behind the journal,
    and behind the application.
    """
    state = store.state_at(store.head) if store.head else ChainState.genesis(genesis)
    assert state is not None, f"the state after height {store.head} is missing beside its block"
    outcomes = {r.height: r.outcome for r in records if isinstance(r, ExecutedRecord)}
    if state.height not in outcomes:
        return
    pool = Batches(BatchConfig(), None, store)
    pool.restore(records, state.last_height, state.last_time_ns)
    for record in undelivered(records, state):
        outcome, assembled = outcomes.get(record.height), pool.assemble(record.compact)
        if outcome is None or not isinstance(assembled, Assembled):
            return
        if record.height == genesis.initial_height:
            # What Info and InitChain answered is known to the first header.
            header = assembled.block.header
            state = replace(state, app_hash=header.app_hash, app_version=header.version_app)
        if other_result(state, assembled.block):
            # InitChain chose other validators: the block is executed again instead.
            return
        state = next_state(state, Decided(assembled=assembled, commit=record.commit), outcome)
        log.info("block_stored_again", extra={"height": record.height})
        store.append(
            record.height,
            assembled.raw,
            assembled.block_id,
            record.commit,
            outcome,
            assembled.tx_ids,
            state,
            evidence=[piece.hash() for piece in assembled.block.evidence],
        )


def shake_hands(app: Application, genesis: Genesis, history: History) -> ChainState:
    """Return the state after the newest stored block, with the application at the same height.

    Raises `Corrupt` when the application is ahead of the chain, or does not come to the stored result.
    """
    info = app.info()
    height = info.last_block_height
    if height > history.head:
        text = (
            f"the application is at height {height}, the stored chain ends at {history.head}: the chain's "
            "files are older than the application's. Restore them together, or empty both and sync anew."
        )
        if height == history.head + 1:
            text += " If it only executed that block and did not commit it, start it anew, then this node."
        raise Corrupt(text)
    _check_hash(info, history)
    state = None
    if height == 0:
        state = _init_chain(app, genesis, info.app_version)
    if history.head == 0:
        assert state is not None
        return state
    if height < history.head:
        log.info("replaying", extra={"first": height + 1, "last": history.head})
    for missing in range(max(height + 1, history.lowest), history.head + 1):
        before = state if missing == genesis.initial_height else history.state_at(missing - 1)
        if before is None:
            text = f"the application lacks height {missing}, whose state is not kept any more"
            raise Corrupt(f"{text}; restore a newer copy of its state, or sync this node anew")
        _replay(app, history, before, missing)
    newest = history.state_at(history.head)
    assert newest is not None, f"the state after height {history.head} is missing beside its block"
    return newest


def _init_chain(app: Application, genesis: Genesis, app_version: int) -> ChainState:
    result = app.init_chain(
        InitChain(
            time_ns=genesis.genesis_time_ns,
            chain_id=genesis.chain_id,
            initial_height=genesis.initial_height,
            app_state=genesis.app_state.encode(),
            validators=_first_validators(genesis),
            params=genesis.params,
        )
    )
    members = [(PublicKey(type=v.key_type, data=v.public_key), v.power) for v in result.validators]
    return ChainState.genesis(
        genesis,
        app_hash=result.app_hash or None,
        validators=members or None,
        params=result.params,
        app_version=app_version,
    )


def _first_validators(genesis: Genesis) -> tuple[ValidatorUpdate, ...]:
    """Return the validators in the order of their set, as CometBFT gives them, not in that of the file."""
    members = genesis.members()
    ordered = ValidatorSet.new(members).validators if members else ()
    return tuple(
        ValidatorUpdate(key_type=v.public_key.type, public_key=v.public_key.data, power=v.power)
        for v in ordered
    )


def _check_hash(info: Info, history: History) -> None:
    kept = history.outcome(info.last_block_height)
    # An application need not say its hash.
    if kept is None or not info.last_block_app_hash or info.last_block_app_hash == kept.app_hash:
        return
    raise Corrupt(
        f"the application is at height {info.last_block_height} with application hash "
        f"{info.last_block_app_hash.hex().upper()}, the chain has {kept.app_hash.hex().upper()} there: it is "
        "another application's state, or that of another chain; empty it, and the chain is replayed"
    )


def _replay(app: Application, history: History, before: ChainState, height: int) -> None:
    stored, kept = history.block(height), history.outcome(height)
    assert stored is not None, f"height {height} is between lowest and head and not stored"
    assert kept is not None, f"height {height} is stored without its outcome"
    outcome = app.finalize_block(finalize_request(before, Block.decode(stored.raw), stored.block_id))
    if outcome.app_hash != kept.app_hash:
        raise Corrupt(
            f"replaying height {height} gave application hash {outcome.app_hash.hex().upper()}, the chain "
            f"has {kept.app_hash.hex().upper()}: the application changed or is not deterministic"
        )
    app.commit()
