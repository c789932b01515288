"""Rules D6 and 5.6: what a block spends, what it leaves out, what comes again."""

from catenet.chain.block import encode_txs
from catenet.types.assembly import Assembled
from catenet.types.batch import Batch, Pick, Ref
from catenet.types.messages import BatchMessage
from catenet.types.records import BatchRecord
from support.batches import SECOND_US, Net, digests, excluding, make_compact, settled, tx_id, txs_of

# D6.


def test_d6_a_block_spends_transactions_everywhere() -> None:
    net = settled(authors=(0, 1))
    made = net.decide(net.choose(1).segments)
    assert len(made.tx_ids) == 8
    assert all(site.pool.pending_count == 0 for site in net.sites.values())


def test_d6_what_a_block_leaves_out_stays_pending_at_every_holder() -> None:
    net = settled()
    net.decide(excluding(net.choose(1).segments, 1, 3))
    left = [txs_of("author0", 4)[index] for index in (1, 3)]
    for site in net.sites.values():
        assert site.pool.pending_count == 2
        assert all(site.pool.has(tx_id(tx)) for tx in left)
    candidate = net.choose(2)
    assert list(candidate.txs) == left
    assert isinstance(candidate.segments[0], Ref | Pick)


def test_d6_one_proposer_alone_cannot_make_residue() -> None:
    net = settled()
    for _ in range(5):
        net.decide(excluding(net.choose(3).segments, 0), proposer=3)
        assert net[1].pool.due(net.now)
        assert len(net.choose(1).txs) == 1


def test_d6_residue_makes_no_height_due_and_is_offered_every_8_heights() -> None:
    net = settled()
    segments = excluding(net.choose(1).segments, 0)
    net.decide(segments, proposer=2)
    [digest] = digests(segments)
    # Two of four are a third: from now on it is residue.
    net.decide((Pick(digest=digest, indices=()),), proposer=3)
    net.run(SECOND_US)
    assert not any(site.pool.due(net.now) for site in net.sites.values())
    offers = []
    for _ in range(12):
        offers.append(len(net.choose(1).txs))
        net.decide()
    assert offers == [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]


def test_d6_residue_is_checked_once_more_before_it_is_offered() -> None:
    net = settled()
    segments = excluding(net.choose(1).segments, 0, 1)
    net.decide(segments, proposer=2)
    net.decide((Pick(digest=digests(segments)[0], indices=()),), proposer=3)
    net.check = lambda tx: 5 if b"-0" in tx else 0
    assert list(net.choose(0).txs) == [txs_of("author0", 4)[1]]
    assert [list(dropped.tx_ids) for dropped in net[0].dropped] == [[tx_id(txs_of("author0", 4)[0])]]


def test_d6_the_author_seals_its_residue_anew_after_16_heights_and_holders_free_the_old_batch() -> None:
    net = settled()
    segments = excluding(net.choose(1).segments, 0)
    net.decide(segments, proposer=2)
    net.decide((Pick(digest=digests(segments)[0], indices=()),), proposer=3)
    for _ in range(15):
        net.decide()
    net.run(SECOND_US)
    assert len(net.batches_sent(0, 1)) == 1
    net.decide()
    net.run(SECOND_US)
    new = net.batches_sent(0, 1)[-1]
    assert (new.seq, new.payload) == (2, encode_txs(txs_of("author0", 4)[:1]))
    for index in (1, 2, 3):
        # Only the new batch counts against WINDOW.
        assert net.tip(index, 0).credit == net.config.window_bytes - len(new.payload)
        assert net[index].pool.pending_count == 1
    made = net.decide(net.choose(1).segments)
    assert list(made.tx_ids) == [tx_id(txs_of("author0", 4)[0])]
    assert all(site.pool.pending_count == 0 for site in net.sites.values())


def test_d6_a_dead_author_loses_nothing_that_is_replicated() -> None:
    net = settled()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    # Its batch is excluded on purpose by one proposer; the next one names it again.
    net.decide(excluding(net.choose(3).segments, 0, 1, 2, 3), proposer=3, skip=(0,))
    made = net.decide(net.choose(2).segments, proposer=2, skip=(0,))
    assert list(made.tx_ids) == [tx_id(tx) for tx in txs_of("author0", 4)]


# 5.6.


def test_56_a_committed_transaction_that_comes_again_is_not_pending() -> None:
    net = settled()
    made = net.decide(net.choose(1).segments)
    again = Batch(incarnation=1, seq=1, payload=encode_txs(list(made.block.txs)))
    site = net[1]
    net.take(site, site.pool.on_batch(net.order[3], BatchMessage(batch=again), net.now))
    assert isinstance(site.journal[-1], BatchRecord)
    assert site.pool.pending_count == 0
    assert net.tip(1, 3).credit == net.config.window_bytes


def test_56_a_block_that_repeats_a_transaction_is_seen() -> None:
    net = settled()
    candidate = net.choose(1)
    pool = net[1].pool
    assert not pool.repeated(candidate.ids)
    assert pool.repeated([*candidate.ids, candidate.ids[0]])
    made = net.decide(candidate.segments)
    assert pool.repeated(made.tx_ids[:1])
    assert not pool.repeated([tx_id(b"unknown")])


def test_56_after_the_window_a_transaction_may_come_again() -> None:
    net = settled()
    made = net.decide(net.choose(1).segments)
    for _ in range(17):
        net.decide(seconds=200)
    assert net[1].pool.repeated(made.tx_ids[:1])
    net.decide(seconds=300)
    assert not net[1].pool.repeated(made.tx_ids[:1])


def test_56_the_newest_blocks_count_although_the_index_lags() -> None:
    net = settled()
    made = net.decide(net.choose(1).segments)
    net[1].window.times.clear()
    assert net[1].pool.repeated(made.tx_ids[:1])


# A whole block, fetched.


def test_d7_a_fetched_block_becomes_a_compact_one_that_assembles_to_it() -> None:
    net = settled()
    candidate = net.choose(1)
    compact = make_compact(candidate.segments, candidate.txs)
    original = net[1].pool.assemble(compact)
    assert isinstance(original, Assembled)
    late, wanted = Net()[0], original.block_id.hash
    late.pool.want((), (wanted,), 1, [], net.now)
    assert late.pool.on_found_block(1, wanted, b"junk", net.now) == (None, [])
    taken, outputs = late.pool.on_found_block(1, wanted, original.raw, net.now)
    assert taken is not None
    assert [type(output).__name__ for output in outputs][:2] == ["Append", "Stored"]
    rebuilt = late.pool.assemble(taken)
    assert isinstance(rebuilt, Assembled)
    assert (rebuilt.raw, rebuilt.block_id) == (original.raw, original.block_id)
