"""Rules S3 and 2.5: what one commit proves, and who lied when it does not."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from catenet.chain.block import Block
from catenet.chain.commit import ABSENT, Commit, CommitSig
from catenet.chain.keys import PublicKey
from catenet.chain.state import advance
from catenet.core.sync.io import SyncConfig
from catenet.core.sync.runs import InHand, Lie, judge, read_block
from catenet.types.effects import RequestBlocks
from support.chain import make_chain, make_keys
from support.sync import Syncing, forge, honest, peer, replaced, synced

A, B, C, D, E = (peer(number) for number in range(1, 6))


def test_s3_the_last_block_is_kept_back_until_its_commit_is_in_hand() -> None:
    chain = make_chain(4, 5)
    node = Syncing(chain, {A: honest(chain)})
    node.commits[5] = chain.decided[4].commit.encode()
    node.claim(A, 5)
    node.begin()
    assert len(node.applied) == 5
    assert node.caught[0].last_commit == chain.decided[4].commit


def test_s3_one_commit_is_verified_per_run() -> None:
    chain = make_chain(4, 32)
    node = Syncing(chain, {A: honest(chain)})
    node.piece = 40
    node.claim(A, 32)
    node.begin()
    assert node.runs == [31]
    assert node.verified == 4


@pytest.mark.parametrize("height", range(1, 11))
def test_s3_a_forged_block_is_found_and_its_sender_scored_down(height: int) -> None:
    chain = make_chain(4, 11)
    forged = forge(chain.decided[height - 1].block, app_hash=b"\x66" * 32).encode()
    node = synced(chain, a=replaced(chain, height, forged), b=honest(chain))
    node.wait(10_000_000)
    assert len(node.applied) == 10
    assert [held.raw for held in node.applied] == [decided.raw for decided in chain.decided[:10]]
    assert {penalty.peer for penalty in node.penalised} <= {A}


def test_s3_a_block_with_other_transactions_than_its_header_names_is_refused_at_once() -> None:
    chain = make_chain(4, 5)
    block = chain.decided[2].block
    swapped = Block(header=block.header, txs=[b"other"], evidence=(), last_commit=block.last_commit).encode()
    node = synced(chain, a=replaced(chain, 3, swapped), b=honest(chain))
    assert [penalty.peer for penalty in node.penalised] == [A]
    assert len(node.applied) == 4


def test_s3_a_commit_with_a_forged_signature_is_refused() -> None:
    chain = make_chain(4, 5)
    commit = chain.decided[4].commit
    entries = (replace(commit.signatures[0], signature=bytes(64)), *commit.signatures[1:])
    node = Syncing(chain, {A: honest(chain)})
    node.commits[5] = replace(commit, signatures=entries).encode()
    node.claim(A, 5)
    node.begin()
    assert len(node.applied) == 4
    assert [penalty.peer for penalty in node.penalised] == [A]


def test_s3_a_commit_of_too_few_is_refused() -> None:
    chain = make_chain(4, 5)
    commit = chain.decided[4].commit
    node = Syncing(chain, {A: honest(chain)})
    node.commits[5] = replace(commit, signatures=(ABSENT, ABSENT, *commit.signatures[2:])).encode()
    node.claim(A, 5)
    node.begin()
    assert len(node.applied) == 4


def test_25_precommits_that_are_not_later_than_the_block_do_not_count() -> None:
    chain = make_chain(4, 5)
    block, state = chain.decided[4].block, chain.state
    assert state.last_validators is not None
    entries: list[CommitSig] = []
    for index, entry in enumerate(chain.decided[4].commit.signatures):
        early = replace(entry, time_ns=block.header.time_ns - index, signature=b"")
        commit = replace(chain.decided[4].commit, signatures=(*entries, early, *[ABSENT] * (3 - index)))
        member = state.last_validators.validators[index]
        signature = chain.keys[member.address].sign(commit.sign_bytes(state.chain_id, index))
        entries.append(replace(early, signature=signature))
    node = Syncing(chain, {A: honest(chain)})
    node.commits[5] = Commit(
        height=5, round=0, block_id=chain.decided[4].block_id, signatures=tuple(entries)
    ).encode()
    node.claim(A, 5)
    node.begin()
    assert len(node.applied) == 4
    assert ["later" in penalty.reason for penalty in node.penalised] == [True]


def test_s3_a_forged_time_does_not_put_the_blame_on_who_brought_the_commit() -> None:
    chain = make_chain(4, 6)
    late = forge(chain.decided[2].block, time_ns=chain.decided[5].block.header.time_ns + 10**12).encode()

    def even(request: RequestBlocks) -> Sequence[tuple[int, bytes]]:
        return honest(chain)(request) or ()

    node = Syncing(chain, {A: replaced(chain, 3, late), B: even}, SyncConfig(range_blocks=1))
    node.claim(B, 6, lowest=4)
    node.claim(A, 6)
    node.begin()
    node.claim(B, 6)
    node.begin()
    assert {penalty.peer for penalty in node.penalised} == {A}
    assert len(node.applied) == 5


def test_s3_a_change_of_validators_ends_a_run() -> None:
    chain = make_chain(4, 0)
    newcomer = make_keys(1, first=50)[0]
    chain.keys[newcomer.public.address] = newcomer
    for height in range(1, 12):
        updates = [(newcomer.public, 10)] if height == 4 else []
        chain.add(chain.build([b"tx %d" % height]), validator_updates=updates)
    node = Syncing(chain, {A: honest(chain)})
    node.piece = 40
    node.updates = {4: [(newcomer.public, 10)]}
    node.claim(A, 11)
    node.begin()
    # The update of 4 signs from 6 on.
    assert node.runs == [5, 5]
    assert len(node.applied[-1].commit.signatures) == 5


def test_s3_validators_change_at_every_height() -> None:
    chain = make_chain(4, 0)
    powers = [chain.state.validators.validators[0].public_key]
    node = Syncing(chain, {A: honest(chain)})
    for height in range(1, 15):
        node.updates[height] = [(powers[0], 10 + height)]
        chain.add(chain.build(), validator_updates=node.updates[height])
    node.claim(A, 14)
    node.begin()
    assert len(node.applied) == 13
    assert not node.penalised


def test_s3_a_forged_set_in_the_future_never_condemns_the_honest() -> None:
    """The liar hides a change of the set: the honest commit above looks wrong under the old one."""
    chain = make_chain(4, 0)
    start = chain.state
    newcomer = make_keys(1, first=50)[0]
    chain.keys[newcomer.public.address] = newcomer
    for height in range(1, 6):
        updates = [(newcomer.public, 10)] if height == 2 else []
        chain.add(chain.build([b"tx %d" % height]), validator_updates=updates)
    old = chain.decided[0].block.header.validators_hash
    raws = {height: decided.raw for height, decided in enumerate(chain.decided, 1)}
    raws[4] = forge(chain.decided[3].block, validators_hash=old).encode()
    blocks: dict[int, InHand] = {}
    for height, raw in raws.items():
        held = read_block(B if height == 5 else A, height, start.chain_id, raw)
        assert held is not None
        blocks[height] = held
    verify = PublicKey.verify
    # Only the first step is certain under the set that is known.
    judgement = judge(start, blocks, {}, verify, 32)
    assert isinstance(judgement, tuple)
    assert [held.raw for held in judgement] == [raws[1]]
    state = start
    for decided in chain.decided[:3]:
        state = advance(
            state,
            decided.block.header,
            decided.block_id,
            results=[(0, b"", 0, 0)],
            app_hash=decided.block.header.height.to_bytes(8, "big"),
            validator_updates=[(newcomer.public, 10)] if decided.block.header.height == 2 else [],
        )
    # Once the new set is computed, the forger is known.
    judgement = judge(state, blocks, {}, verify, 32)
    assert isinstance(judgement, Lie)
    assert (judgement.peer, judgement.height) == (A, 4)


def test_s3_a_history_signed_by_our_validators_that_is_not_ours_halts() -> None:
    keys = make_keys(4)
    ours, theirs = make_chain(4, 3), make_chain(4, 0)
    assert [key.public for key in keys] == [key.public for key in theirs.keys.values()]
    for height in range(1, 7):
        theirs.add(theirs.build([b"another history %d" % height]))
    node = Syncing(ours, {A: honest(ours), B: honest(theirs)})
    node.claim(A, 3)
    node.begin()
    assert node.state.last_height == 2
    node.sync.on_link_down(A, node.now)
    node.claim(B, 6)
    node.begin()
    assert len(node.halted) == 1
    assert len(node.applied) == 2
