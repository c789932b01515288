"""Rules D7, D8 and G5: fetching, serving, dying. Pitfall 15: what is here needs no wake-up."""

import pytest

from catenet.core.batches.io import BatchConfig
from catenet.types.assembly import Assembled, Broken, Missing
from catenet.types.batch import Batch, Ref, batch_digest
from catenet.types.messages import FoundBatch
from catenet.types.records import BatchRecord
from support.batches import SECOND_US, Net, batch_of, make_compact, tx_id, txs_of


def test_55_an_author_that_sends_to_few_costs_one_fetch() -> None:
    net = Net()
    txs = txs_of("few", 3)
    net.push(3, 0, batch_of(1, txs))
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


def test_55_a_digest_that_nobody_has_stays_missing_and_is_asked_of_all_in_turn() -> None:
    net = Net()
    site = net[0]
    nobody = b"\xaa" * 32
    answer = site.pool.assemble(make_compact((Ref(digest=nobody),)))
    assert answer == Missing(digests=(nobody,))
    net.take(site, site.pool.want((nobody,), (), 1, tuple(net.order[1:]), net.now))
    net.run(10_000)
    for _ in range(3):
        net.take(site, site.pool.on_fetch_ended(site.fetches[-1].request, net.now))
    assert [fetch.peer for fetch in site.fetches] == net.order[1:]
    # All have been asked: the next round comes with the next `want`.
    net.take(site, site.pool.want((nobody,), (), 1, tuple(net.order[1:]), net.now))
    net.run(10_000)
    assert len(site.fetches) == 4


def test_g5_a_peer_that_does_not_answer_holds_nothing_up() -> None:
    net = Net()
    site = net[0]
    wanted = (b"\xaa" * 32,)
    net.take(site, site.pool.want(wanted, (), 1, tuple(net.order[1:]), net.now))
    net.run(10_000)
    # The first one is frozen: its request runs on, and the next `want` goes to another.
    net.run(250_000)
    net.take(site, site.pool.want(wanted, (), 1, tuple(net.order[1:]), net.now))
    net.run(10_000)
    assert [fetch.peer for fetch in site.fetches] == net.order[1:3]


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
    found = FoundBatch(author=net.order[3], batch=batch_of(1, [b"x"]))
    net.take(site, site.pool.on_found(7, net.order[1], found, net.now))
    assert net.appended(0) == 0
    assert [penalty.disconnect for penalty in site.penalised] == [False]


def test_d7_a_fetched_batch_is_appended_and_exempt_from_window() -> None:
    net = Net(config=BatchConfig(window_batches=1))
    site = net[0]
    made = batch_of(5, txs_of("f", 2))
    digest = batch_digest(net.order[3], made)
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.take(site, site.pool.on_found(1, net.order[1], FoundBatch(author=net.order[3], batch=made), net.now))
    assert net.appended(0) == 1
    assert net.tip(0, 3).seq == 0
    assert net.tip(0, 3).credit > 0


def test_d7_when_the_author_pushes_it_later_it_is_acknowledged_and_counted_without_a_second_record() -> None:
    net = Net(config=BatchConfig(window_batches=1))
    site = net[0]
    made = batch_of(1, txs_of("f", 2))
    digest = batch_digest(net.order[3], made)
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.take(site, site.pool.on_found(1, net.order[1], FoundBatch(author=net.order[3], batch=made), net.now))
    net.push(3, 0, made)
    assert net.appended(0) == 1
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
    assert net.appended(0) == 0


def test_pitfall_15_a_batch_that_was_here_before_the_proposal_needs_no_wake_up() -> None:
    net = Net()
    txs = txs_of("early", 2)
    net.submit(3, txs)
    net.run(SECOND_US)
    segments = net.choose(1).segments
    assert isinstance(net[2].pool.assemble(make_compact(segments, txs)), Assembled)


def test_pitfall_15_a_pushed_batch_ends_the_wait_of_a_proposal_that_wants_it() -> None:
    net = Net()
    made = batch_of(1, [b"x"])
    digest = batch_digest(net.order[3], made)
    site = net[0]
    compact = make_compact((Ref(digest=digest),), [b"x"])
    assert isinstance(site.pool.assemble(compact), Missing)
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.push(3, 0, made)
    assert site.stored == [digest]
    assert isinstance(site.pool.assemble(compact), Assembled)
    net.run(10_000)
    assert not site.fetches


def test_pitfall_15_a_late_answer_to_a_fetch_is_no_fault_although_the_push_was_faster() -> None:
    net = Net()
    made = batch_of(1, [b"x"])
    digest = batch_digest(net.order[3], made)
    site = net[0]
    net.take(site, site.pool.want((digest,), (), 1, (net.order[1],), net.now))
    net.run(10_000)
    net.push(3, 0, made)
    found = FoundBatch(author=net.order[3], batch=made)
    net.take(site, site.pool.on_found(site.fetches[0].request, net.order[1], found, net.now))
    assert not site.penalised
    assert net.appended(0) == 1


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
    # Whoever waits for REPLICATED is told that it will not come.
    assert net[0].abandoned == [4]


def test_d8_a_transaction_lives_on_in_another_author_s_batch() -> None:
    net = Net(config=BatchConfig(ttl_heights=5, ttl_ns=0))
    txs = txs_of("twice", 1)
    net.push(3, 0, batch_of(1, txs))
    net.decide(skip=(1, 2, 3))
    net.decide(skip=(1, 2, 3))
    net.push(2, 0, batch_of(1, txs))
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
        net.push(3, 0, batch_of(seq, [bytes([seq]) * 200_000]))
    digests = [record.batch for record in net[0].journal if isinstance(record, BatchRecord)]
    found = net[0].pool.serve([batch_digest(net.order[3], made) for made in digests])
    assert 10 <= len(found) < 19
    assert sum(len(item.batch.payload) for item in found) <= 3 * 1024 * 1024
