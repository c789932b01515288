"""A real chain of blocks to store, and ways to damage files and disks."""

import errno
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from catenet.chain import evidence as evidence_format
from catenet.chain.block import Block, block_id, data_hash
from catenet.chain.commit import EMPTY_COMMIT, Commit, CommitSig, Flag
from catenet.chain.genesis import Genesis, GenesisValidator
from catenet.chain.keys import PrivateKey
from catenet.chain.state import ChainState, advance, block_time, make_header
from catenet.storage.log import Log
from catenet.types.application import BlockOutcome, Event, EventAttribute, TxResult
from catenet.types.effects import CommitBlock

GENESIS_TIME_NS = 1_700_000_000 * 10**9
BLOCK_INTERVAL_NS = 10**9


def genesis_state(key: PrivateKey, *, initial_height: int = 1) -> ChainState:
    """Return the state before the first block of a chain with one validator."""
    public = key.public
    member = GenesisValidator(address=public.address, public_key=public, power=10)
    genesis = Genesis(
        genesis_time_ns=GENESIS_TIME_NS,
        chain_id="storage-tests",
        initial_height=initial_height,
        validators=(member,),
    )
    return ChainState.genesis(genesis)


def chain(
    count: int, *, txs: int = 5, tx_bytes: int = 32, seed: int = 0, initial_height: int = 1
) -> Iterator[CommitBlock]:
    """Yield `count` final blocks, signed, with results of code 0 and 1."""
    choices = random.Random(seed)
    key = PrivateKey(choices.randbytes(32))
    state = genesis_state(key, initial_height=initial_height)
    last_commit = EMPTY_COMMIT
    for _ in range(count):
        final = next_block(state, last_commit, key, [choices.randbytes(tx_bytes) for _ in range(txs)])
        yield final
        state, last_commit = final.state, final.commit


def next_block(state: ChainState, last_commit: Commit, key: PrivateKey, txs: list[bytes]) -> CommitBlock:
    """Return the block after `state`, decided by the one validator."""
    tx_ids = [sha256(tx).digest() for tx in txs]
    time_ns = block_time(state, last_commit) if last_commit.signatures else state.last_time_ns
    header = make_header(
        state,
        time_ns=time_ns,
        data_hash=data_hash(tx_ids),
        last_commit=last_commit,
        evidence_hash=evidence_format.list_hash(()),
        proposer_address=key.public.address,
    )
    block = Block(header=header, txs=txs, evidence=(), last_commit=last_commit)
    raw = block.encode()
    decided = block_id(raw, header)
    results = tuple([TxResult(code=int(index % 5 == 4)) for index in range(len(txs))])
    outcome = BlockOutcome(results=results, app_hash=sha256(raw).digest())
    unsigned = CommitSig(
        flag=Flag.COMMIT,
        address=key.public.address,
        time_ns=time_ns + BLOCK_INTERVAL_NS,
        signature=b"",
    )
    commit = Commit(height=header.height, round=0, block_id=decided, signatures=(unsigned,))
    signature = key.sign(commit.sign_bytes(state.chain_id, 0))
    signed = CommitSig(
        flag=Flag.COMMIT, address=unsigned.address, time_ns=unsigned.time_ns, signature=signature
    )
    commit = Commit(height=header.height, round=0, block_id=decided, signatures=(signed,))
    after = advance(
        state,
        header,
        decided,
        results=[(r.code, r.data, r.gas_wanted, r.gas_used) for r in results],
        app_hash=outcome.app_hash,
    )
    return CommitBlock(
        height=header.height,
        block=block,
        raw=raw,
        block_id=decided,
        commit=commit,
        outcome=outcome,
        tx_ids=tx_ids,
        state=after,
    )


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file, counted from its start."""
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def contents(directory: Path) -> list[list[bytes]]:
    """Open a log, return its groups that hold records, and close its files without a trace."""
    log = Log.open(directory)
    groups = [group for _, group in log.groups() if group]
    abandon(log)
    return groups


def abandon(log: Log) -> None:
    """Close a log's files as a crash would: without the mark of its end."""
    os.close(log._descriptor)
    log._descriptor = -1


class Disk:
    """A sync that counts, and fails from the given call on."""

    def __init__(self, *, fail_at: int | None = None, error: int = errno.EIO) -> None:
        self.syncs = 0
        self.fail_at = fail_at
        self.error = error

    def __call__(self, descriptor: int) -> None:
        self.syncs += 1
        if self.fail_at is not None and self.syncs >= self.fail_at:
            raise OSError(self.error, os.strerror(self.error))
        os.fdatasync(descriptor)


def speaking(block: CommitBlock) -> CommitBlock:
    """Return the block, executed by an application that says what it saw."""

    def seen(**values: str) -> Event:
        attributes = tuple([EventAttribute(key=key, value=value) for key, value in values.items()])
        return Event(type="seen", attributes=attributes)

    results = tuple(
        [
            replace(result, events=(seen(height=str(block.height), index=str(index)),))
            for index, result in enumerate(block.outcome.results)
        ]
    )
    events = (seen(height=str(block.height)),)
    return replace(block, outcome=replace(block.outcome, results=results, events=events))
