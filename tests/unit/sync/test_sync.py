"""Rules S2, S5 and G9: whom to ask, when to stop. Pitfall 16: no height is believed."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.core.sync.io import SyncConfig
from catenet.types.effects import RequestBlocks
from support.chain import make_chain
from support.sync import Syncing, forge, honest, mute, peer, synced

A, B, C, D, E = (peer(number) for number in range(1, 6))


def test_s2_a_node_syncs_up_to_the_last_block_but_one_and_then_takes_part() -> None:
    chain = make_chain(4, 20)
    node = synced(chain, a=honest(chain))
    assert [held.raw for held in node.applied] == [decided.raw for decided in chain.decided[:19]]
    assert [held.block_id for held in node.applied] == [decided.block_id for decided in chain.decided[:19]]
    assert [held.commit.block_id for held in node.applied] == [held.block_id for held in node.applied]
    # The commit of the newest block is needed to take part: it was in the block above.
    assert [caught.last_commit for caught in node.caught] == [chain.decided[18].commit]
    assert not node.sync.active


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


def test_s2_a_frozen_peer_costs_less_than_half_a_second() -> None:
    chain = make_chain(4, 10)
    node = Syncing(chain, {A: mute, B: honest(chain)})
    node.claim(A, 10)
    node.begin()
    node.claim(B, 10)
    node.wait(500_000)
    assert len(node.applied) == 9
    # Its own range is out of date by then: sync does not wait for the deadline.
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
