"""Rules D3 and D4, and the attacks of 5.5: receiving, telling, restarting."""

from dataclasses import replace

from catenet.core.batches.io import BatchConfig
from catenet.types.assembly import Assembled, Missing
from catenet.types.batch import Batch, batch_digest
from catenet.types.effects import Send
from catenet.types.messages import BatchMessage, FoundBatch, Have, Skip, Tip
from catenet.types.records import BatchRecord
from support.batches import SECOND_US, START_NS, Net, batch_of, make_compact, settled, tx_id, txs_of


def test_d3_batches_are_taken_in_order_and_a_gap_is_ignored() -> None:
    net = Net()
    net.push(3, 0, batch_of(2, [b"b"]))
    assert net.tip(0, 3).seq == 0
    net.push(3, 0, batch_of(1, [b"a"]))
    net.push(3, 0, batch_of(2, [b"b"]))
    net.push(3, 0, batch_of(2, [b"again"]))
    assert net.tip(0, 3).seq == 2
    assert net.appended(0) == 2
    assert not net[0].penalised


def test_d3_only_members_of_the_set_may_push() -> None:
    net = Net()
    site = net[0]
    outputs = site.pool.on_batch(b"\7" * 20, BatchMessage(batch=batch_of(1, [b"a"])), net.now)
    assert outputs == []


def test_d3_a_flood_of_one_author_ends_at_window_without_penalty() -> None:
    net = Net(config=BatchConfig(window_bytes=10_000))
    for seq in range(1, 30):
        net.push(3, 0, batch_of(seq, txs_of(f"junk{seq}", 10, 100)))
    tip = net.tip(0, 3)
    assert 9 <= tip.seq <= 10
    assert tip.credit < 1_100
    assert not net[0].penalised
    # Other authors are not touched by it.
    net.push(2, 0, batch_of(1, [b"fine"]))
    assert net.tip(0, 2).seq == 1


def test_d3_credit_is_0_when_either_bound_is_hit() -> None:
    net = Net(config=BatchConfig(window_batches=2))
    net.push(3, 0, batch_of(1, [b"a"]))
    assert net.tip(0, 3).credit > 0
    net.push(3, 0, batch_of(2, [b"b"]))
    assert net.tip(0, 3).credit == 0


def test_d3_a_higher_incarnation_replaces_the_stream_and_old_batches_stay_counted() -> None:
    net = Net(config=BatchConfig(window_batches=3))
    net.push(3, 0, batch_of(1, [b"a"], incarnation=5))
    net.push(3, 0, batch_of(2, [b"b"], incarnation=5))
    net.push(3, 0, batch_of(1, [b"c"], incarnation=6))
    net.push(3, 0, batch_of(3, [b"old"], incarnation=5))
    tip = net.tip(0, 3)
    assert (tip.incarnation, tip.seq, tip.credit) == (6, 1, 0)
    assert all(net[0].pool.has(tx_id(tx)) for tx in (b"a", b"b", b"c"))
    assert not net[0].pool.has(tx_id(b"old"))


def test_d3_a_batch_that_holds_no_transactions_cuts_its_author() -> None:
    net = Net()
    for payload in (b"", b"\x0a\x05abc", b"\x12\x01a", b"\x0a\x00", b"\x0a\x81\x00a"):
        net.push(3, 0, Batch(incarnation=1, seq=1, payload=payload))
    assert net.appended(0) == 0
    # An empty payload is ignored like any batch that does not fit; the others are faults of their author.
    assert [penalty.disconnect for penalty in net[0].penalised] == [True] * 4


def test_d3_a_batch_larger_than_any_author_makes_is_refused() -> None:
    net = Net()
    net.push(3, 0, batch_of(1, [bytes(200_000), bytes(200_000)]))
    assert net.tip(0, 3).seq == 0
    assert net[0].penalised


def test_d2_skip_of_another_incarnation_does_not_move_the_stream() -> None:
    net = Net()
    site = net[0]
    net.push(3, 0, batch_of(1, [b"a"], incarnation=5))
    net.take(site, site.pool.on_skip(net.order[3], Skip(to=9, incarnation=4), net.now))
    assert net.tip(0, 3).seq == 1
    net.take(site, site.pool.on_skip(net.order[3], Skip(to=9, incarnation=6), net.now))
    tip = net.tip(0, 3)
    assert (tip.incarnation, tip.seq) == (6, 9)


def test_d4_standalone_tips_keep_their_distance_and_go_to_authors_that_moved() -> None:
    net = Net(proposers=1)
    net.run(SECOND_US)
    net.sent.clear()
    for seq in range(1, 6):
        net.push(3, 1, batch_of(seq, [b"t%d" % seq]))
    # The next proposer is node 0: it gets the full vector, the author its own tip.
    assert [len(have.tips) for have in net.tips_sent(1, 0)] == [3]
    assert [len(have.tips) for have in net.tips_sent(1, 3)] == [1]
    net.run(5_000)
    assert [tip.seq for have in net.tips_sent(1, 3) for tip in have.tips] == [1, 5]


def test_d4_a_new_link_is_told_the_full_vector() -> None:
    net = Net()
    outputs = net[0].pool.on_link(net.order[1], up=True, now=net.now)
    assert outputs == [Send(peer=net.order[1], message=net[0].pool.tips())]
    assert [tip.author for tip in net[0].pool.tips().tips] == net.order[1:]


def test_d4_an_author_that_ran_out_of_credit_hears_when_room_comes_back() -> None:
    net = Net(config=BatchConfig(window_batches=2, pipe_bytes=1 << 20), proposers=1)
    for seq in (1, 2):
        net.push(3, 0, batch_of(seq, [b"t%d" % seq]))
        net.push(3, 1, batch_of(seq, [b"t%d" % seq]))
        net.push(3, 2, batch_of(seq, [b"t%d" % seq]))
    net.run(SECOND_US)
    net.sent.clear()
    net.decide(net.choose(0).segments, skip=(3,))
    assert [tip.credit > 0 for have in net.tips_sent(0, 3) for tip in have.tips] == [True]


def test_55_different_payloads_for_one_number_are_different_batches_and_both_harmless() -> None:
    net = Net()
    net.push(3, 0, batch_of(1, [b"left"]))
    net.push(3, 1, batch_of(1, [b"right"]))
    net.push(3, 2, batch_of(1, [b"right"]))
    net.run(SECOND_US)
    left = net.choose(0).segments
    answer = net[1].pool.assemble(make_compact(left, [b"left"]))
    assert isinstance(answer, Missing)
    [found] = net[0].pool.serve(answer.digests)
    site = net[1]
    net.take(site, site.pool.want(answer.digests, (), 1, (net.order[0],), net.now))
    net.take(site, site.pool.on_found(1, net.order[0], found, net.now))
    assert isinstance(site.pool.assemble(make_compact(left, [b"left"])), Assembled)
    # The other content is pending there still, and its stream goes on.
    assert site.pool.has(tx_id(b"right"))
    net.push(3, 1, batch_of(2, [b"next"]))
    assert net.tip(1, 3).seq == 2


def test_55_a_have_liar_costs_a_fetch_and_acknowledges_nothing_alone() -> None:
    net = Net((10,) * 7)
    for peer in range(1, 7):
        net.cut(0, peer)
    net.submit(0, txs_of("a", 1), ticket=1)
    net.run(100_000)
    site = net[0]
    newest = site.journal[-1]
    assert isinstance(newest, BatchRecord)
    lie = Tip(
        author=site.address, incarnation=newest.batch.incarnation, seq=newest.batch.seq + 1000, credit=1 << 60
    )
    net.take(site, site.pool.on_tips(net.order[5], Have(tips=(lie,)), net.now))
    # A third of seven are three; a liar and this node are two.
    assert site.acknowledged == []


def test_s5_during_sync_batches_are_refused_silently() -> None:
    net = Net()
    site = net[0]
    site.pool.pause(paused=True)
    net.push(3, 0, batch_of(1, [b"a"]))
    tip = net.tip(0, 3)
    assert (tip.seq, tip.credit) == (0, 0)
    assert not site.penalised
    site.pool.pause(paused=False)
    net.push(3, 0, batch_of(1, [b"a"]))
    assert net.tip(0, 3).seq == 1


def test_a_restarted_node_acknowledges_only_what_authors_show_it_again() -> None:
    """Its journal may hold batches that were fetched ahead of the stream."""
    net = Net()
    ahead = batch_of(3, [b"ahead"])
    digest = batch_digest(net.order[3], ahead)
    site = net[0]
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.take(site, site.pool.on_found(1, net.order[1], FoundBatch(author=net.order[3], batch=ahead), net.now))
    site = net.restart(net.order[0])
    assert site.pool.has(tx_id(b"ahead"))
    tip = net.tip(0, 3)
    assert (tip.incarnation, tip.seq) == (1, 0)
    for seq, content in ((1, b"a"), (2, b"b"), (3, b"ahead")):
        net.push(3, 0, batch_of(seq, [content]))
    assert net.tip(0, 3).seq == 3
    assert net.appended(0) == 3


def test_a_restarted_author_goes_on_with_its_numbers() -> None:
    net = Net()
    for number in range(3):
        net.submit(0, txs_of(f"t{number}", 1), ticket=number)
        net.run(100_000)
    incarnation = net.tip(1, 0).incarnation
    net.restart(net.order[0])
    net.run(3 * SECOND_US)
    net.submit(0, txs_of("new", 1), ticket=9)
    net.run(3 * SECOND_US)
    tip = net.tip(1, 0)
    assert (tip.incarnation, tip.seq) == (incarnation, 4)
    assert net[0].acknowledged == [9]


def test_a_trimmed_journal_holds_what_is_live_and_the_newest_own_number() -> None:
    net = Net()
    net.submit(0, txs_of("done", 1), ticket=1)
    net.run(SECOND_US)
    net.decide(net.choose(1).segments)
    net.submit(1, txs_of("open", 1), ticket=2)
    net.run(SECOND_US)
    site = net.restart(net.order[0], net[0].pool.live_records())
    net.run(3 * SECOND_US)
    assert site.pool.has(tx_id(txs_of("open", 1)[0]))
    assert not site.pool.has(tx_id(txs_of("done", 1)[0]))
    net.submit(0, txs_of("new", 1), ticket=3)
    net.run(3 * SECOND_US)
    assert net.tip(1, 0).seq == 2
    assert net.now.wall_ns > START_NS


def test_d4_the_same_tips_open_a_new_link_again() -> None:
    net = settled()
    author, peer = net[0], net.order[1]
    same = net[1].pool.tips()
    net.run()
    net.cut(0, 1)
    for up in (False, True):
        net.take(author, author.pool.on_link(peer, up=up, now=net.now))
    net.submit(0, txs_of("later", 2), ticket=9)
    net.run()
    # What it lost is not known before it says what it has.
    assert len(net.batches_sent(0, 1)) == 1
    net.take(author, author.pool.on_tips(peer, same, net.now))
    assert len(net.batches_sent(0, 1)) == 2


def test_d4_tips_that_repeat_the_last_ones_ask_for_nothing_and_others_do() -> None:
    net = settled()
    author, peer = net[0], net.order[1]
    said = net[1].pool.tips()
    net.take(author, author.pool.on_tips(peer, said, net.now))
    assert author.pool.on_tips(peer, said, net.now) == []
    # It lost its journal: the stream begins anew.
    lost = Have(tips=tuple(replace(tip, seq=0) for tip in said.tips))
    sent = len(net.batches_sent(0, 1))
    net.take(author, author.pool.on_tips(peer, lost, net.now))
    assert len(net.batches_sent(0, 1)) == sent + 1
    net.take(author, author.pool.on_tips(peer, said, net.now))
    net.submit(0, txs_of("later", 2), ticket=9)
    net.run()
    assert net.batches_sent(0, 1)[-1].seq == 2


def test_d4_the_same_tips_count_again_for_an_author_that_left_the_set_and_returned() -> None:
    net = settled(authors=(3,))
    pool = net[0].pool
    tips = {peer: net.sites[peer].pool.tips() for peer in net.order[1:3]}
    for peer, said in tips.items():
        net.take(net[0], pool.on_tips(peer, said, net.now))
    assert pool.due(net.now)
    key = next(m.public_key for m in net.set.validators if m.address == net.order[3])
    without = net.set.update([(key, 0)])
    for members in (without, net.set):
        net.take(net[0], pool.set_validators(members, net.upcoming(), net.now))
    assert not pool.due(net.now)
    for peer, said in tips.items():
        net.take(net[0], pool.on_tips(peer, said, net.now))
    assert pool.due(net.now)
