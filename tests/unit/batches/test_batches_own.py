"""Rules D1 and D2: sealing and pushing the own stream; 5.4: what REPLICATED means."""

import pytest

from catenet.chain.block import split_txs
from catenet.core.batches.io import BatchConfig
from catenet.types.messages import BatchMessage, Have, Skip, Tip
from catenet.types.records import BatchRecord, IncarnationRecord
from support.batches import SECOND_US, Net, tx_id, txs_of


def test_d1_a_lone_submission_is_sealed_at_once() -> None:
    net = Net()
    net.submit(0, txs_of("a", 3))
    assert [batch.seq for batch in net.batches_sent(0, 1)] == [1]
    assert split_txs(net.batches_sent(0, 1)[0].payload) == txs_of("a", 3)


def test_d1_while_a_batch_is_in_flight_more_is_gathered_for_5_ms() -> None:
    net = Net()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    net.submit(0, txs_of("a", 1))
    for number in range(4):
        net.submit(0, txs_of(f"b{number}", 1), ticket=2 + number)
    assert len(net.batches_sent(0, 1)) == 1
    net.run(4_999)
    assert len(net.batches_sent(0, 1)) == 1
    net.run(1_000)
    batches = net.batches_sent(0, 1)
    assert [len(split_txs(batch.payload)) for batch in batches] == [1, 4]


def test_d1_a_full_payload_is_sealed_although_something_is_in_flight() -> None:
    net = Net()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    net.submit(0, txs_of("a", 1))
    net.submit(0, txs_of("b", 200, 1000), ticket=2)
    sizes = [len(batch.payload) for batch in net.batches_sent(0, 1)]
    assert len(sizes) == 2
    assert 128 * 1024 <= sizes[1] < 130 * 1024


def test_d1_a_transaction_above_128_kib_is_a_batch_of_its_own() -> None:
    net = Net()
    large = bytes([7]) * (256 * 1024)
    net.submit(0, [*txs_of("a", 2), large, *txs_of("b", 2)])
    net.run(10_000)
    contents = [split_txs(batch.payload) for batch in net.batches_sent(0, 1)]
    assert contents == [txs_of("a", 2), [large], txs_of("b", 2)]


def test_d1_a_full_window_stops_sealing_until_blocks_free_batches() -> None:
    net = Net(config=BatchConfig(window_batches=3))
    for number in range(6):
        net.submit(0, txs_of(f"t{number}", 1), ticket=number)
        net.run(60_000)
    assert len(net.batches_sent(0, 1)) == 3
    assert net[0].pool.buffered_bytes > 0
    net.run(SECOND_US)
    net.decide(net.choose(1).segments)
    net.run(100_000)
    assert [batch.seq for batch in net.batches_sent(0, 1)] == [1, 2, 3, 4]
    assert len(split_txs(net.batches_sent(0, 1)[3].payload)) == 3


def test_d1_a_new_journal_starts_an_incarnation_by_the_clock() -> None:
    net = Net()
    assert net[0].journal == [IncarnationRecord(incarnation=net.now.wall_ns // 1_000_000)]


def test_d1_a_batch_is_appended_before_it_is_sent() -> None:
    net = Net()
    site = net[0]
    outputs = site.pool.enqueue(1, [b"x"], [tx_id(b"x")], net.now)
    kinds = [type(output).__name__ for output in outputs]
    assert kinds.index("Append") < kinds.index("Send")


def test_d2_unacknowledged_bytes_to_a_peer_stay_within_pipe() -> None:
    net = Net(config=BatchConfig(pipe_bytes=300_000))
    net.cut(0, 3)
    for number in range(10):
        net.submit(0, txs_of(f"t{number}", 130, 1000), ticket=number)
        net.run(10_000)
    assert len(net.batches_sent(0, 1)) == 10
    assert sum(len(batch.payload) for batch in net.batches_sent(0, 3)) <= 300_000
    net.heal()
    net.run(3 * SECOND_US)
    assert net.tip(3, 0).seq == 10


def test_d2_a_lost_batch_is_sent_again_after_2_s_without_progress() -> None:
    net = Net()
    net.cut(0, 3)
    net.submit(0, txs_of("a", 1))
    net.run()
    net.heal()
    net.run(1_900_000)
    assert net.tip(3, 0).seq == 0
    net.run(200_000)
    assert net.tip(3, 0).seq == 1


def test_d2_a_full_window_is_never_answered_by_sending_again() -> None:
    net = Net(config=BatchConfig(window_batches=2))
    for number in range(2):
        net.submit(0, txs_of(f"t{number}", 1), ticket=number)
        net.run(60_000)
    # Node 0 frees what node 1 still holds, so that it may seal more than node 1 takes.
    segments = net.choose(0).segments
    net.decide(segments, skip=(1, 2, 3))
    net.submit(0, txs_of("more", 1), ticket=9)
    net.run(60_000)
    before = len(net.batches_sent(0, 1))
    net.run(20 * SECOND_US)
    assert len(net.batches_sent(0, 1)) == before


def test_d2_reconnecting_goes_back_to_have_plus_one() -> None:
    net = Net()
    net.cut(0, 2)
    net.submit(0, txs_of("a", 1))
    net.run(10_000)
    net.submit(0, txs_of("b", 1), ticket=2)
    net.run(10_000)
    net.heal()
    a, b = net[0], net[2]
    for up in (False, True):
        net.take(a, a.pool.on_link(b.address, up=up, now=net.now))
        net.take(b, b.pool.on_link(a.address, up=up, now=net.now))
    net.run()
    assert net.tip(2, 0).seq == 2


def test_d2_freed_batches_are_skipped() -> None:
    net = Net()
    net.cut(0, 3)
    net.submit(0, txs_of("a", 1))
    net.run(300_000)
    net.decide(net.choose(1).segments, skip=(3,))
    net.submit(0, txs_of("b", 1), ticket=2)
    net.heal()
    net.run(3 * SECOND_US)
    skips = [m for s, r, m in net.sent if isinstance(m, Skip)]
    assert skips
    assert {(skip.to, skip.incarnation) for skip in skips} == {(1, net.tip(3, 0).incarnation)}
    assert net.tip(3, 0).seq == 2
    assert not net[3].pool.has(tx_id(txs_of("a", 1)[0]))
    assert net[3].pool.has(tx_id(txs_of("b", 1)[0]))


def test_d2_a_skip_never_covers_a_batch_whose_arrival_is_in_doubt() -> None:
    """Batch 1 is lost on its way, batch 2 is freed before it is sent: a skip to 2 would acknowledge both."""
    net = Net(config=BatchConfig(pipe_bytes=100))
    net.cut(0, 3)
    net.submit(0, txs_of("lost", 1, 80), ticket=1)
    net.run(10_000)
    net.submit(0, txs_of("gone", 1, 80), ticket=2)
    net.run(10_000)
    assert [batch.seq for batch in net.batches_sent(0, 3)] == [1]
    net.heal()
    _, gone = net.choose(1).segments
    net.decide((gone,), skip=(3,))
    net.run(10_000)
    assert net.tip(3, 0).seq == 0
    net.run(3 * SECOND_US)
    assert net.tip(3, 0).seq == 2
    assert net[3].pool.has(tx_id(txs_of("lost", 1, 80)[0]))
    assert not net[3].pool.has(tx_id(txs_of("gone", 1, 80)[0]))


def test_d2_nothing_is_pushed_before_the_peer_said_what_it_has() -> None:
    net = Net()
    a, b = net[0], net[1]
    net.take(a, a.pool.on_link(b.address, up=False, now=net.now))
    net.sent.clear()
    net.take(a, a.pool.on_link(b.address, up=True, now=net.now))
    net.submit(0, txs_of("a", 1))
    assert not [m for s, r, m in net.sent if r == b.address and isinstance(m, BatchMessage)]


@pytest.mark.parametrize(
    ("powers", "needed"),
    [((10,), 0), ((10, 10, 10), 0), ((10,) * 4, 1), ((10,) * 7, 2), ((30, 10, 10, 10, 10), 0)],
)
def test_54_replicated_means_own_node_and_holders_with_a_third_of_the_power(
    powers: tuple[int, ...], needed: int
) -> None:
    net = Net(powers)
    others = range(1, len(powers))
    for peer in others:
        net.cut(0, peer)
    net.submit(0, txs_of("a", 2), ticket=5)
    net.run(100_000)
    for peer in list(others)[:needed]:
        assert not net[0].acknowledged
        net.blocked -= {(net.order[0], net.order[peer]), (net.order[peer], net.order[0])}
        net.run(3 * SECOND_US)
    assert net[0].acknowledged == [5]


def test_54_a_submission_cut_into_several_batches_is_acknowledged_when_all_are_held() -> None:
    net = Net()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    net.submit(0, txs_of("a", 300, 1000), ticket=7)
    net.run(100_000)
    assert len(net.batches_sent(0, 1)) == 3
    first = net.batches_sent(0, 1)[0]
    site = net[1]
    net.take(site, site.pool.on_batch(net.order[0], BatchMessage(batch=first), net.now))
    net.take(net[0], net[0].pool.on_tips(net.order[1], site.pool.tips(), net.now))
    assert not net[0].acknowledged
    net.heal()
    net.run(3 * SECOND_US)
    assert net[0].acknowledged == [7]


def test_54_a_repeated_transaction_joins_the_batch_that_holds_it() -> None:
    net = Net()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    txs = txs_of("a", 1)
    net.submit(0, txs, ticket=1)
    net.submit(0, txs, ticket=2)
    net.submit(0, txs_of("b", 1), ticket=3)
    net.submit(0, [*txs, *txs_of("b", 1)], ticket=4)
    net.run(100_000)
    assert len(net.batches_sent(0, 1)) == 2
    assert not net[0].acknowledged
    net.heal()
    net.run(3 * SECOND_US)
    assert sorted(net[0].acknowledged) == [1, 2, 3, 4]


def test_54_a_transaction_known_from_another_author_is_acknowledged_with_its_batch() -> None:
    net = Net((10,) * 7)
    txs = txs_of("a", 1)
    for peer in (1, 2, 3, 5, 6):
        net.cut(4, peer)
    for peer in (1, 2, 3, 4, 5, 6):
        net.cut(0, peer)
    net.blocked -= {(net.order[4], net.order[0])}
    net.submit(4, txs)
    net.run(100_000)
    net.submit(0, txs, ticket=2)
    net.run(100_000)
    # Holders: the author, and this node; a third of seven are three.
    assert not net[0].acknowledged
    net.heal()
    net.run(6 * SECOND_US)
    assert net[0].acknowledged == [2]


def test_54_a_transaction_that_is_committed_meanwhile_is_acknowledged_at_once() -> None:
    net = Net()
    net.submit(0, [], ticket=3)
    assert net[0].acknowledged == [3]


def test_the_quota_of_a_client_is_given_back_when_its_batches_are_freed() -> None:
    net = Net()
    txs = txs_of("a", 10)
    net.submit(0, txs, client="alice")
    net.run(300_000)
    assert net[0].released == {}
    net.decide(net.choose(1).segments)
    assert net[0].released == {"alice": 400}


def test_an_author_that_leaves_the_set_hands_back_what_is_not_ordered() -> None:
    net = Net((10, 10, 10, 10))
    txs = txs_of("a", 2)
    net.submit(0, txs, client="alice")
    net.run(100_000)
    smaller = net.set.update([(net.set.validators[0].public_key, 0)]).increment(1)
    site = net[0]
    net.take(site, site.pool.set_validators(smaller, (), net.now))
    assert [list(dropped.tx_ids) for dropped in site.dropped] == [[tx_id(tx) for tx in txs]]
    assert not site.pool.accepting
    net.submit(0, txs_of("late", 1), ticket=9, client="alice")
    assert site.dropped[-1].tx_ids[-1] == tx_id(txs_of("late", 1)[0])
    assert site.released == {"alice": 120}


def test_d1_a_peer_that_knows_newer_numbers_of_ours_makes_us_start_a_new_incarnation() -> None:
    net = Net()
    net.submit(0, txs_of("old", 1))
    net.run(100_000)
    old = net.tip(1, 0)
    # The home was restored from a copy made before the batch: its number must not be used again.
    journal = [record for record in net[0].journal if not isinstance(record, BatchRecord)]
    net.restart(net.order[0], journal)
    net.submit(0, txs_of("new", 1), ticket=2)
    net.run(5 * SECOND_US)
    new = net.tip(1, 0)
    assert new.incarnation > old.incarnation
    assert new.seq >= 1
    assert all(site.pool.has(tx_id(txs_of("new", 1)[0])) for site in net.sites.values())
    assert 2 in net[0].acknowledged


def test_d1_a_liar_about_our_incarnation_cannot_make_us_begin_anew_for_ever() -> None:
    net = Net()
    site = net[0]
    start = len(site.journal)

    def lie(incarnation: int) -> None:
        tip = Tip(author=site.address, incarnation=incarnation, seq=9, credit=1)
        net.take(site, site.pool.on_tips(net.order[3], Have(tips=(tip,)), net.now))

    for _ in range(50):
        lie(max(r.incarnation for r in site.journal if isinstance(r, IncarnationRecord)) + 1)
    lie(1 << 63)
    assert len(site.journal) - start <= 8
    net.submit(0, txs_of("a", 1), ticket=1)
    net.run(5 * SECOND_US)
    assert site.acknowledged == [1]
