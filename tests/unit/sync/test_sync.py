"""Rules S2 to S5 and G9: whom to ask, what one commit proves, who lied. Pitfall 16: no height is believed."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain.block import Block
from catenet.chain.commit import ABSENT, Commit, CommitSig
from catenet.chain.keys import PublicKey
from catenet.chain.state import advance
from catenet.core.sync.io import SyncConfig
from catenet.core.sync.runs import InHand, Lie, judge, read_block
from catenet.types.effects import RequestBlocks
from support.chain import LocalChain, make_chain, make_keys
from support.sync import Serve, Syncing, forge, honest, mute, peer

A, B, C, D, E = (peer(number) for number in range(1, 6))


def synced(chain: LocalChain, **peers: Serve) -> Syncing:
    """Return a node that synced from peers by name (a, b, ...), all of which claim the whole chain."""
    node = Syncing(chain, {peer(ord(name) - 96): serve for name, serve in peers.items()})
    for address in node.peers:
        node.claim(address, len(chain.decided))
    node.begin()
    return node


def replaced(chain: LocalChain, height: int, raw: bytes) -> Serve:
    """Serve the chain with one block replaced."""

    def serve(request: RequestBlocks) -> Sequence[tuple[int, bytes]]:
        blocks = honest(chain)(request)
        assert blocks is not None
        return [(at, raw if at == height else held) for at, held in blocks]

    return serve


def test_s2_a_node_syncs_up_to_the_last_block_but_one_and_then_takes_part() -> None:
    chain = make_chain(4, 20)
    node = synced(chain, a=honest(chain))
    assert [held.raw for held in node.applied] == [decided.raw for decided in chain.decided[:19]]
    assert [held.block_id for held in node.applied] == [decided.block_id for decided in chain.decided[:19]]
    assert [held.commit.block_id for held in node.applied] == [held.block_id for held in node.applied]
    # The commit of the newest block is needed to take part: it was in the block above.
    assert [caught.last_commit for caught in node.caught] == [chain.decided[18].commit]
    assert not node.sync.active


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


def test_s2_ranges_are_small_and_asked_of_several_peers_in_parallel() -> None:
    chain = make_chain(4, 4)
    node = Syncing(chain, dict.fromkeys((A, B, C, D, E), mute))
    for address in node.peers:
        node.claim(address, 1000)
    node.begin()
    assert len({request.peer for request in node.requests}) == 4
    assert [(request.first, request.last) for request in node.requests] == [
        (1, 32),
        (33, 64),
        (65, 96),
        (97, 128),
    ]


def test_s2_large_blocks_make_small_ranges() -> None:
    chain = make_chain(4, 0)
    for _ in range(12):
        chain.add(chain.build([bytes(100_000)]))
    node = Syncing(chain, {A: honest(chain)}, SyncConfig(range_bytes=400_000))
    node.piece = 2
    node.claim(A, 12)
    node.begin()
    assert len(node.applied) == 11
    assert all(request.last - request.first < 12 for request in node.requests[1:])
    assert len(node.requests) > 2


def test_s2_a_stalled_range_is_asked_elsewhere() -> None:
    chain = make_chain(4, 10)
    node = Syncing(chain, {A: mute, B: honest(chain)})
    node.claim(A, 10)
    node.begin()
    assert [request.peer for request in node.requests] == [A]
    node.claim(B, 10)
    assert not node.applied
    node.wait(4_000_000)
    assert len(node.applied) == 9
    assert len(node.caught) == 1


def test_s2_a_claim_alone_never_keeps_a_node_in_sync() -> None:
    """A liar says 2^60; what it does not give within its deadline does not count."""
    chain = make_chain(4, 10)
    node = Syncing(chain, {A: mute, B: honest(chain)})
    node.claim(A, 1 << 60)
    node.claim(B, 10)
    node.begin()
    node.wait(10_000_000)
    assert len(node.applied) == 9
    assert len(node.caught) == 1
    node.claim(A, 1 << 61)
    assert not node.sync.active


def test_s2_what_a_peer_does_not_keep_any_more_is_not_asked_of_it() -> None:
    chain = make_chain(4, 10)
    node = Syncing(chain, {A: honest(chain), B: honest(chain)})
    node.claim(A, 10, lowest=6)
    node.claim(B, 10)
    node.begin()
    assert len(node.applied) == 9
    assert not [request for request in node.asked_of(A) if request.first < 6]


def test_s2_three_wrong_blocks_cut_a_peer_for_10_minutes() -> None:
    chain = make_chain(4, 10)

    def junk(request: RequestBlocks) -> Sequence[tuple[int, bytes]]:
        return [(request.first, b"junk")]

    node = synced(chain, a=junk, b=honest(chain))
    node.wait(60_000_000)
    while len([penalty for penalty in node.penalised if penalty.peer == A]) < 3:
        node.claim(A, 1000)
        node.begin()
    assert [penalty.disconnect for penalty in node.penalised] == [False, False, True]
    asked = len(node.asked_of(A))
    node.claim(A, 2000)
    node.begin()
    assert len(node.asked_of(A)) == asked
    node.wait(601_000_000)
    node.claim(A, 2000)
    node.begin()
    assert len(node.asked_of(A)) > asked


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


def test_s2_blocks_of_other_heights_than_asked_are_wrong() -> None:
    chain = make_chain(4, 6)

    def shifted(request: RequestBlocks) -> Sequence[tuple[int, bytes]]:
        return [(request.first + 1, chain.decided[request.first].raw)]

    node = synced(chain, a=shifted, b=honest(chain))
    assert [penalty.peer for penalty in node.penalised] == [A]
    assert len(node.applied) == 5


def test_answers_to_requests_that_are_over_are_ignored() -> None:
    chain = make_chain(4, 6)
    node = Syncing(chain, {A: mute, B: honest(chain)})
    node.claim(A, 6)
    node.begin()
    node.wait(5_000_000)
    assert len(node.caught) == 1
    node.peers[A] = honest(chain)
    node.answer(node.requests[0])
    assert not node.applied
    assert not node.penalised


def test_s5_sync_goes_on_where_it_stood() -> None:
    chain = make_chain(4, 12)
    node = Syncing(chain, {A: honest(chain, 6)})
    node.claim(A, 6)
    node.begin()
    assert node.state.last_height == 5
    node.peers[A] = honest(chain)
    node.claim(A, 12)
    node.begin()
    assert node.state.last_height == 11
    assert min(request.first for request in node.requests[1:]) == 6


def test_g9_the_word_of_one_peer_is_proven_before_voting_ends() -> None:
    chain = make_chain(4, 10)
    node = Syncing(chain, {A: honest(chain)})
    node.take(node.sync.probe(node.state, A, 10, node.now))
    assert [(request.first, request.last) for request in node.requests] == [(1, 3)]
    assert [proven.height for proven in node.proven] == [2]
    assert not node.sync.active
    assert not node.applied
    node.begin()
    assert len(node.applied) == 9
    # What the probe proved was not fetched again.
    assert [request.first for request in node.requests][1] > 2


def test_g9_a_lie_of_one_peer_costs_a_probe_and_nothing_else() -> None:
    chain = make_chain(4, 10)
    for serve in (mute, honest(chain, 1)):
        node = Syncing(chain, {A: serve})
        node.take(node.sync.probe(node.state, A, 1 << 60, node.now))
        node.wait(5_000_000)
        assert not node.proven
        assert not node.applied
        assert not node.caught
        again = node.sync.probe(node.state, A, 1 << 60, node.now)
        assert isinstance(again[0], RequestBlocks)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_with_one_honest_peer_every_chain_is_synced_whatever_the_others_send(data: st.DataObject) -> None:
    chain = make_chain(4, 14)

    def liar(request: RequestBlocks) -> Sequence[tuple[int, bytes]] | None:
        kind = data.draw(st.sampled_from(["mute", "empty", "junk", "forged", "cut", "honest", "shifted"]))
        blocks = list(honest(chain)(request) or ())
        match kind:
            case "mute":
                return None
            case "empty":
                return []
            case "junk":
                return [(request.first, data.draw(st.binary(max_size=20)))]
            case "forged" if blocks:
                index = data.draw(st.integers(0, len(blocks) - 1))
                block = chain.decided[blocks[index][0] - 1].block
                blocks[index] = (blocks[index][0], forge(block, app_hash=b"\x13" * 32).encode())
            case "cut":
                return blocks[: len(blocks) // 2]
            case "shifted":
                return [(height + 1, raw) for height, raw in blocks]
            case _:
                pass
        return blocks

    node = Syncing(chain, {A: liar, B: liar, C: honest(chain)}, SyncConfig(range_blocks=4))
    for address, head in ((A, 14), (B, 1 << 60), (C, 14)):
        node.claim(address, head)
    node.begin()
    for _ in range(20):
        node.wait(4_000_000)
        if node.state.last_height >= 13:
            break
        if not node.sync.active:
            node.begin()
    assert [held.raw for held in node.applied] == [decided.raw for decided in chain.decided[:13]]
    assert C not in {penalty.peer for penalty in node.penalised}
    assert not node.halted
