"""Rules D3, D4, D7, D8 and G5: receiving, telling, fetching, dying; the attacks of 5.5; pitfall 15."""

import pytest

from catenet.chain.block import encode_txs
from catenet.core.batches.io import BatchConfig
from catenet.types.assembly import Assembled, Broken, Missing
from catenet.types.batch import Batch, Ref, batch_digest
from catenet.types.effects import Send
from catenet.types.messages import BatchMessage, FoundBatch, Have, Skip, Tip
from catenet.types.records import BatchRecord
from support.batches import SECOND_US, START_NS, Net, make_compact, tx_id, txs_of


def batch(seq: int, txs: list[bytes], incarnation: int = 1) -> Batch:
    return Batch(incarnation=incarnation, seq=seq, payload=encode_txs(txs))


def push(net: Net, sender: int, receiver: int, made: Batch) -> None:
    site = net[receiver]
    net.take(site, site.pool.on_batch(net.order[sender], BatchMessage(batch=made), net.now))


def appended(net: Net, index: int) -> int:
    return sum(isinstance(record, BatchRecord) for record in net[index].journal)


def test_d3_batches_are_taken_in_order_and_a_gap_is_ignored() -> None:
    net = Net()
    push(net, 3, 0, batch(2, [b"b"]))
    assert net.tip(0, 3).seq == 0
    push(net, 3, 0, batch(1, [b"a"]))
    push(net, 3, 0, batch(2, [b"b"]))
    push(net, 3, 0, batch(2, [b"again"]))
    assert net.tip(0, 3).seq == 2
    assert appended(net, 0) == 2
    assert not net[0].penalised


def test_d3_only_members_of_the_set_may_push() -> None:
    net = Net()
    site = net[0]
    outputs = site.pool.on_batch(b"\7" * 20, BatchMessage(batch=batch(1, [b"a"])), net.now)
    assert outputs == []


def test_d3_a_flood_of_one_author_ends_at_window_without_penalty() -> None:
    net = Net(config=BatchConfig(window_bytes=10_000))
    for seq in range(1, 30):
        push(net, 3, 0, batch(seq, txs_of(f"junk{seq}", 10, 100)))
    tip = net.tip(0, 3)
    assert 9 <= tip.seq <= 10
    assert tip.credit < 1_100
    assert not net[0].penalised
    # Other authors are not touched by it.
    push(net, 2, 0, batch(1, [b"fine"]))
    assert net.tip(0, 2).seq == 1


def test_d3_credit_is_0_when_either_bound_is_hit() -> None:
    net = Net(config=BatchConfig(window_batches=2))
    push(net, 3, 0, batch(1, [b"a"]))
    assert net.tip(0, 3).credit > 0
    push(net, 3, 0, batch(2, [b"b"]))
    assert net.tip(0, 3).credit == 0


def test_d3_a_higher_incarnation_replaces_the_stream_and_old_batches_stay_counted() -> None:
    net = Net(config=BatchConfig(window_batches=3))
    push(net, 3, 0, batch(1, [b"a"], incarnation=5))
    push(net, 3, 0, batch(2, [b"b"], incarnation=5))
    push(net, 3, 0, batch(1, [b"c"], incarnation=6))
    push(net, 3, 0, batch(3, [b"old"], incarnation=5))
    tip = net.tip(0, 3)
    assert (tip.incarnation, tip.seq, tip.credit) == (6, 1, 0)
    assert all(net[0].pool.has(tx_id(tx)) for tx in (b"a", b"b", b"c"))
    assert not net[0].pool.has(tx_id(b"old"))


def test_d3_a_batch_that_holds_no_transactions_cuts_its_author() -> None:
    net = Net()
    for payload in (b"", b"\x0a\x05abc", b"\x12\x01a", b"\x0a\x00", b"\x0a\x81\x00a"):
        push(net, 3, 0, Batch(incarnation=1, seq=1, payload=payload))
    assert appended(net, 0) == 0
    # An empty payload is ignored like any batch that does not fit; the others are faults of their author.
    assert [penalty.disconnect for penalty in net[0].penalised] == [True] * 4


def test_d3_a_batch_larger_than_any_author_makes_is_refused() -> None:
    net = Net()
    push(net, 3, 0, batch(1, [bytes(200_000), bytes(200_000)]))
    assert net.tip(0, 3).seq == 0
    assert net[0].penalised


def test_d2_skip_of_another_incarnation_does_not_move_the_stream() -> None:
    net = Net()
    site = net[0]
    push(net, 3, 0, batch(1, [b"a"], incarnation=5))
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
        push(net, 3, 1, batch(seq, [b"t%d" % seq]))
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
        push(net, 3, 0, batch(seq, [b"t%d" % seq]))
        push(net, 3, 1, batch(seq, [b"t%d" % seq]))
        push(net, 3, 2, batch(seq, [b"t%d" % seq]))
    net.run(SECOND_US)
    net.sent.clear()
    net.decide(net.choose(0).segments, skip=(3,))
    assert [tip.credit > 0 for have in net.tips_sent(0, 3) for tip in have.tips] == [True]


def test_55_an_author_that_sends_to_few_costs_one_fetch() -> None:
    net = Net()
    txs = txs_of("few", 3)
    push(net, 3, 0, batch(1, txs))
    assert not net[0].pool.due(net.now)
    net.run(200_000)
    assert net[0].pool.due(net.now)
    segments = net.choose(0).segments
    compact = make_compact(segments, txs)
    answer = net[1].pool.assemble(compact)
    assert isinstance(answer, Missing)
    site = net[1]
    net.take(site, site.pool.want(answer.digests, (), 1, (net.order[0], net.order[2]), net.now))
    assert not site.fetches
    net.run(10_000)
    assert [(fetch.peer, fetch.wanted.digests) for fetch in site.fetches] == [(net.order[0], answer.digests)]
    [found] = net[0].pool.serve(answer.digests)
    net.take(site, site.pool.on_found(site.fetches[0].request, net.order[0], found, net.now))
    assert site.stored == list(answer.digests)
    assert isinstance(site.pool.assemble(compact), Assembled)


def test_55_different_payloads_for_one_number_are_different_batches_and_both_harmless() -> None:
    net = Net()
    push(net, 3, 0, batch(1, [b"left"]))
    push(net, 3, 1, batch(1, [b"right"]))
    push(net, 3, 2, batch(1, [b"right"]))
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
    push(net, 3, 1, batch(2, [b"next"]))
    assert net.tip(1, 3).seq == 2


def test_55_a_digest_that_nobody_has_stays_missing_and_is_asked_of_all_in_turn() -> None:
    net = Net()
    site = net[0]
    nobody = b"\xaa" * 32
    answer = site.pool.assemble(make_compact((Ref(digest=nobody),)))
    assert answer == Missing(digests=(nobody,))
    net.take(site, site.pool.want((nobody,), (), 1, tuple(net.order[1:]), net.now))
    net.run(10_000)
    for _ in range(3):
        net.take(site, site.pool.on_fetch_ended(site.fetches[-1].request))
    assert [fetch.peer for fetch in site.fetches] == net.order[1:]
    # All have been asked: the next round comes with the next `want`.
    net.take(site, site.pool.want((nobody,), (), 1, tuple(net.order[1:]), net.now))
    net.run(10_000)
    assert len(site.fetches) == 4


def test_g5_a_name_is_never_asked_of_two_peers_at_once_and_a_peer_has_one_request() -> None:
    net = Net()
    site = net[0]
    digests = tuple(bytes([n]) * 32 for n in range(30))
    for _ in range(3):
        net.take(site, site.pool.want(digests, (), 1, tuple(net.order[1:]), net.now))
        net.run(10_000)
    asked = [digest for fetch in site.fetches for digest in fetch.wanted.digests]
    assert len(asked) == len(set(asked))
    peers = [fetch.peer for fetch in site.fetches]
    assert len(peers) == len(set(peers))
    assert all(len(fetch.wanted.digests) <= 12 for fetch in site.fetches)


def test_g5_blocks_are_asked_for_by_hash_at_once() -> None:
    net = Net()
    site = net[0]
    net.take(site, site.pool.want((), (b"\1" * 32,), 4, tuple(net.order[1:]), net.now))
    [fetch] = site.fetches
    assert (fetch.wanted.block_hashes, fetch.wanted.height) == ((b"\1" * 32,), 4)


def test_d7_a_batch_that_was_not_asked_for_is_refused() -> None:
    net = Net()
    site = net[0]
    found = FoundBatch(author=net.order[3], batch=batch(1, [b"x"]))
    net.take(site, site.pool.on_found(7, net.order[1], found, net.now))
    assert appended(net, 0) == 0
    assert [penalty.disconnect for penalty in site.penalised] == [False]


def test_d7_a_fetched_batch_is_appended_and_exempt_from_window() -> None:
    net = Net(config=BatchConfig(window_batches=1))
    site = net[0]
    made = batch(5, txs_of("f", 2))
    digest = batch_digest(net.order[3], made)
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.take(site, site.pool.on_found(1, net.order[1], FoundBatch(author=net.order[3], batch=made), net.now))
    assert appended(net, 0) == 1
    assert net.tip(0, 3).seq == 0
    assert net.tip(0, 3).credit > 0


def test_d7_when_the_author_pushes_it_later_it_is_acknowledged_and_counted_without_a_second_record() -> None:
    net = Net(config=BatchConfig(window_batches=1))
    site = net[0]
    made = batch(1, txs_of("f", 2))
    digest = batch_digest(net.order[3], made)
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.take(site, site.pool.on_found(1, net.order[1], FoundBatch(author=net.order[3], batch=made), net.now))
    push(net, 3, 0, made)
    assert appended(net, 0) == 1
    assert net.tip(0, 3).seq == 1
    assert net.tip(0, 3).credit == 0


def test_d7_a_digest_that_names_junk_breaks_the_proposal_and_not_the_peer_that_serves_it() -> None:
    net = Net()
    site = net[0]
    junk = Batch(incarnation=1, seq=1, payload=b"\xff\xff")
    digest = batch_digest(net.order[3], junk)
    compact = make_compact((Ref(digest=digest),))
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.take(site, site.pool.on_found(1, net.order[1], FoundBatch(author=net.order[3], batch=junk), net.now))
    assert isinstance(site.pool.assemble(compact), Broken)
    assert site.stored == [digest]
    assert not site.penalised
    assert appended(net, 0) == 0


def test_pitfall_15_a_batch_that_was_here_before_the_proposal_needs_no_wake_up() -> None:
    net = Net()
    txs = txs_of("early", 2)
    net.submit(3, txs)
    net.run(SECOND_US)
    segments = net.choose(1).segments
    assert isinstance(net[2].pool.assemble(make_compact(segments, txs)), Assembled)


def test_pitfall_15_a_pushed_batch_ends_the_wait_of_a_proposal_that_wants_it() -> None:
    net = Net()
    made = batch(1, [b"x"])
    digest = batch_digest(net.order[3], made)
    site = net[0]
    compact = make_compact((Ref(digest=digest),), [b"x"])
    assert isinstance(site.pool.assemble(compact), Missing)
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    push(net, 3, 0, made)
    assert site.stored == [digest]
    assert isinstance(site.pool.assemble(compact), Assembled)
    net.run(10_000)
    assert not site.fetches


def test_pitfall_15_a_late_answer_to_a_fetch_is_no_fault_although_the_push_was_faster() -> None:
    net = Net()
    made = batch(1, [b"x"])
    digest = batch_digest(net.order[3], made)
    site = net[0]
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.run(10_000)
    push(net, 3, 0, made)
    found = FoundBatch(author=net.order[3], batch=made)
    net.take(site, site.pool.on_found(site.fetches[0].request, net.order[1], found, net.now))
    assert not site.penalised
    assert appended(net, 0) == 1


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


@pytest.mark.slow
def test_d8_a_batch_dies_after_1000_heights_and_10_minutes_of_block_time() -> None:
    net = Net()
    txs = txs_of("stuck", 2)
    net.submit(0, txs, ticket=1, client="alice")
    net.run(SECOND_US)
    for _ in range(999):
        net.decide()
    assert net[1].pool.has(tx_id(txs[0]))
    net.decide()
    assert not any(site.pool.has(tx_id(txs[0])) for site in net.sites.values())
    assert [list(dropped.tx_ids) for dropped in net[0].dropped] == [[tx_id(tx) for tx in txs]]
    assert "EXPIRED" in net[0].dropped[0].reason
    assert not net[1].dropped
    assert net[0].released == {"alice": 80}


def test_d8_a_stalled_chain_expires_nothing() -> None:
    net = Net(config=BatchConfig(ttl_heights=5))
    net.submit(0, txs_of("a", 1))
    net.run(3600 * SECOND_US)
    assert net[1].pool.pending_count == 1
    for _ in range(5):
        net.decide(seconds=1)
    assert net[1].pool.pending_count == 1
    net.decide(seconds=600)
    assert net[1].pool.pending_count == 0


def test_d8_an_expired_batch_is_never_acknowledged_as_replicated() -> None:
    net = Net(config=BatchConfig(ttl_heights=5, ttl_ns=0))
    for peer in (1, 2, 3):
        net.cut(0, peer)
    net.submit(0, txs_of("a", 1), ticket=4)
    net.run(SECOND_US)
    for _ in range(6):
        net.decide()
    net.heal()
    net.run(10 * SECOND_US)
    assert net[0].dropped
    assert net[0].acknowledged == []


def test_d8_a_transaction_lives_on_in_another_author_s_batch() -> None:
    net = Net(config=BatchConfig(ttl_heights=5, ttl_ns=0))
    txs = txs_of("twice", 1)
    push(net, 3, 0, batch(1, txs))
    net.decide(skip=(1, 2, 3))
    net.decide(skip=(1, 2, 3))
    push(net, 2, 0, batch(1, txs))
    for _ in range(3):
        net.decide(skip=(1, 2, 3))
    assert net[0].pool.has(tx_id(txs[0]))
    for _ in range(2):
        net.decide(skip=(1, 2, 3))
    assert not net[0].pool.has(tx_id(txs[0]))


def test_d8_freed_batches_serve_fetches_for_16_heights() -> None:
    net = Net()
    txs = txs_of("a", 2)
    net.submit(0, txs)
    net.run(SECOND_US)
    segments = net.choose(1).segments
    digests = [segment.digest for segment in segments if isinstance(segment, Ref)]
    net.decide(segments)
    for _ in range(16):
        assert len(net[2].pool.serve(digests)) == 1
        net.decide()
    net.decide()
    assert net[2].pool.serve(digests) == ()


def test_d8_batches_of_a_stored_proposal_are_pinned() -> None:
    net = Net(config=BatchConfig(ttl_heights=2, ttl_ns=0))
    net.submit(0, txs_of("a", 2))
    net.run(SECOND_US)
    digests = [segment.digest for segment in net.choose(1).segments if isinstance(segment, Ref)]
    for site in net.sites.values():
        site.pool.pin(30, digests)
    for _ in range(29):
        net.decide()
    assert len(net[2].pool.serve(digests)) == 1
    for _ in range(20):
        net.decide()
    assert net[2].pool.serve(digests) == ()


def test_an_answer_to_a_fetch_stays_below_the_limit_of_a_message() -> None:
    net = Net()
    for seq in range(1, 20):
        push(net, 3, 0, batch(seq, [bytes([seq]) * 200_000]))
    digests = [record.batch for record in net[0].journal if isinstance(record, BatchRecord)]
    found = net[0].pool.serve([batch_digest(net.order[3], made) for made in digests])
    assert 10 <= len(found) < 19
    assert sum(len(item.batch.payload) for item in found) <= 3 * 1024 * 1024


def test_s5_during_sync_batches_are_refused_silently() -> None:
    net = Net()
    site = net[0]
    site.pool.pause(paused=True)
    push(net, 3, 0, batch(1, [b"a"]))
    tip = net.tip(0, 3)
    assert (tip.seq, tip.credit) == (0, 0)
    assert not site.penalised
    site.pool.pause(paused=False)
    push(net, 3, 0, batch(1, [b"a"]))
    assert net.tip(0, 3).seq == 1


def test_a_restarted_node_acknowledges_only_what_authors_show_it_again() -> None:
    """Its journal may hold batches that were fetched ahead of the stream."""
    net = Net()
    ahead = batch(3, [b"ahead"])
    digest = batch_digest(net.order[3], ahead)
    site = net[0]
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.take(site, site.pool.on_found(1, net.order[1], FoundBatch(author=net.order[3], batch=ahead), net.now))
    site = net.restart(net.order[0])
    assert site.pool.has(tx_id(b"ahead"))
    tip = net.tip(0, 3)
    assert (tip.incarnation, tip.seq) == (1, 0)
    for seq, content in ((1, b"a"), (2, b"b"), (3, b"ahead")):
        push(net, 3, 0, batch(seq, [content]))
    assert net.tip(0, 3).seq == 3
    assert appended(net, 0) == 3


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
