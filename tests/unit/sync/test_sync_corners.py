"""What happens seldom in block sync: answers cut short, nonsense beside good blocks, peers that go."""

from dataclasses import replace

from catenet.core.sync.io import SyncConfig
from catenet.core.sync.peers import Sources
from catenet.core.sync.runs import MAX_BLOCK_BYTES, read_block
from catenet.types.events import BlocksEnded, BlocksReceived, TimerKey
from support.chain import make_chain
from support.sync import Syncing, forge, honest, mute, peer

A, B = peer(1), peer(2)


def test_s3_a_block_is_whole_of_its_height_and_of_this_chain_or_it_is_none() -> None:
    decided = make_chain(4, 3).decided[1]
    held = read_block(A, 2, "test-chain", decided.raw)
    assert held is not None
    assert (held.block_id, held.tx_ids) == (decided.block_id, held.tx_ids)
    assert read_block(A, 3, "test-chain", decided.raw) is None
    assert read_block(A, 1, "test-chain", decided.raw) is None
    assert read_block(A, 2, "other-chain", decided.raw) is None
    assert read_block(A, 2, "test-chain", decided.raw[:-1]) is None
    assert read_block(A, 2, "test-chain", decided.raw.ljust(MAX_BLOCK_BYTES + 1, b"\0")) is None


def test_s3_a_first_block_of_other_validators_is_a_lie() -> None:
    """The set of the next height is known: a block that names another one cannot be it."""
    chain = make_chain(4, 4)
    forged = forge(chain.decided[0].block, validators_hash=b"v" * 32).encode()
    node = Syncing(chain, {A: lambda request: [(1, forged)], B: honest(chain)})
    node.claim(A, 4)
    node.begin()
    reasons = {penalty.reason for penalty in node.penalised}
    assert reasons == {"block sync: height 1: a block of other validators"}
    assert node.penalised[-1].disconnect
    node.claim(B, 4)
    node.begin()
    assert len(node.applied) == 3


def test_a_commit_that_does_not_parse_is_passed_over() -> None:
    chain = make_chain(4, 4)
    node = Syncing(chain, {A: honest(chain)})
    node.commits[4] = b"\xff"
    node.claim(A, 4)
    node.begin()
    assert len(node.applied) == 3
    assert not node.penalised


def test_answers_that_nobody_waits_for_change_nothing() -> None:
    chain = make_chain(4, 4)
    node = Syncing(chain, {A: mute})
    assert node.sync.on_timer(TimerKey(name="sync/another"), node.now) == []
    assert node.sync.on_ended(BlocksEnded(request=9, peer=A, failed=True), node.now) == []
    node.claim(A, 4)
    node.begin()
    [request] = node.requests
    # The right request, but of another peer.
    stolen = BlocksReceived(
        request=request.request, peer=B, first=1, blocks=[chain.decided[0].raw], commit=b""
    )
    assert node.sync.on_blocks(stolen, node.now) == []
    assert node.sync.on_applied(node.state, node.now) == []
    assert not node.applied


def test_g9_a_probed_peer_that_goes_ends_the_probe() -> None:
    chain = make_chain(4, 9)
    node = Syncing(chain, {A: mute})
    node.take(node.sync.probe(node.state, A, 9, node.now))
    assert len(node.requests) == 1
    # One at a time.
    assert node.sync.probe(node.state, B, 9, node.now) == []
    assert node.sync.on_link_down(A, node.now) == []
    node.peers[B] = honest(chain)
    node.take(node.sync.probe(node.state, B, 9, node.now))
    assert [proven.height for proven in node.proven] == [2]


def test_a_peer_that_goes_leaves_its_range_to_others() -> None:
    chain = make_chain(4, 9)
    node = Syncing(chain, {A: mute, B: honest(chain)})
    node.claim(A, 9)
    node.begin()
    node.take(node.sync.on_status(B, 1, 9, node.now))
    assert not node.applied
    node.take(node.sync.on_link_down(A, node.now))
    assert len(node.applied) == 8


def test_s5_what_a_probe_proved_is_of_no_use_when_the_chain_went_on_meanwhile() -> None:
    chain = make_chain(4, 9)
    node = Syncing(chain, {A: honest(chain)})
    node.take(node.sync.probe(node.state, A, 9, node.now))
    assert len(node.proven) == 1
    # Consensus decided height 1 before sync had the word.
    other = Syncing(chain, {A: honest(chain, 2)})
    other.claim(A, 2)
    other.begin()
    node.state = other.state
    node.begin()
    assert [held.block.header.height for held in node.applied] == list(range(2, 9))


def test_s2_what_a_peer_says_after_it_was_cut_is_heard_when_its_time_is_over() -> None:
    config = SyncConfig()
    sources = Sources(config)
    sources.claim(A, 1, 10, 0)
    assert [sources.strike(A, 0) for _ in range(config.wrong_blocks)] == [False, False, True]
    # It is gone: nothing more is counted against it.
    assert not sources.strike(A, 0)
    sources.claim(A, 1, 10, config.cut_us - 1)
    assert sources.target() == 0
    sources.claim(A, 1, 10, config.cut_us)
    assert sources.target() == 10


def test_s2_rates_decide_who_is_asked_first_and_for_how_long() -> None:
    config = replace(SyncConfig(), stall_min_us=1_000_000, stall_first_us=3_000_000)
    sources = Sources(config)
    sources.claim(A, 1, 100, 0)
    sources.claim(B, 1, 100, 0)
    assert sources.pick(1) == A
    assert sources.pick(101) is None
    sources.peers[A].piece_us = 500_000
    assert sources.pick(1) == B
    assert (sources._deadline_us(A), sources._deadline_us(B)) == (2_000_000, 3_000_000)
    sources.peers[A].piece_us = 10
    assert sources._deadline_us(A) == 1_000_000
    sources.peers[A].piece_us = 10**9
    assert sources._deadline_us(A) == 3_000_000
    assert sources._deadline_us(b"gone" * 5) == 3_000_000
