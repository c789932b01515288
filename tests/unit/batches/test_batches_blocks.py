"""Rules D5, D6, 2.4 (manifests), 2.7 b and 5.6: what is proposed, rebuilt, spent, left out, offered again."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain.block import Block, data_hash, encode_txs
from catenet.chain.block import block_id as identify
from catenet.core.batches.io import BatchConfig
from catenet.types.assembly import Assembled, Broken
from catenet.types.batch import Batch, Compact, Inline, Pick, Ref, Segment
from catenet.types.messages import BatchMessage
from catenet.types.records import BatchRecord
from support.batches import SECOND_US, Net, make_compact, tx_id, txs_of


def settled(config: BatchConfig | None = None, authors: Sequence[int] = (0,), count: int = 4) -> Net:
    """Return a network in which these authors' transactions reached everybody."""
    net = Net(config=config)
    for author in authors:
        net.submit(author, txs_of(f"author{author}", count), ticket=author + 1)
    net.run(10_000)
    return net


def digests(segments: Sequence[Segment]) -> list[bytes]:
    return [segment.digest for segment in segments if not isinstance(segment, Inline)]


def excluding(segments: Sequence[Segment], *indices: int) -> tuple[Segment, ...]:
    return tuple([Ref(digest=digest, excluded=indices) for digest in digests(segments)])


# 2.7 b.


def test_27b_a_batch_acknowledged_by_a_third_makes_the_height_due() -> None:
    net = Net()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    net.submit(0, txs_of("a", 1))
    net.run(10_000)
    assert not net[0].pool.due(net.now)
    net.blocked -= {(net.order[0], net.order[1]), (net.order[1], net.order[0])}
    net.run(2_100_000)
    assert net[0].pool.due(net.now)


def test_27b_a_batch_of_200_ms_makes_the_height_due_and_a_timer_says_so() -> None:
    net = Net()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    net.submit(0, txs_of("a", 1))
    fired: list[int] = []
    while not net[0].pool.due(net.now):
        fired = [ends_us for key, ends_us in net[0].timers.items() if key.name == "batches/age"]
        assert fired
        net.run(fired[0] - net.now_us)
    assert net.now_us == 10 * SECOND_US + 200_000


def test_27b_a_height_is_not_due_without_pending_transactions() -> None:
    net = settled()
    assert net[2].pool.due(net.now)
    net.decide(net.choose(1).segments)
    assert not any(site.pool.due(net.now) for site in net.sites.values())


# D5.


def test_d5_whole_batches_are_named_by_plain_refs_and_joined() -> None:
    net = settled(authors=(0, 1))
    candidate = net.choose(2)
    assert all(isinstance(segment, Ref) and not segment.excluded for segment in candidate.segments)
    answer = net[3].pool.assemble(make_compact(candidate.segments, candidate.txs))
    assert isinstance(answer, Assembled)
    assert answer.block.txs == list(candidate.txs)
    assert list(answer.tx_ids) == [tx_id(tx) for tx in candidate.txs]
    assert answer.data_hash == data_hash(answer.tx_ids) == answer.block.header.data_hash
    assert answer.raw == answer.block.encode()
    assert Block.decode(answer.raw) == answer.block
    assert answer.block_id == identify(answer.raw, answer.block.header)


def test_d5_authors_take_turns_from_index_h_mod_n() -> None:
    net = settled(authors=(0, 1, 2, 3), count=1)
    for height in range(1, 6):
        names = [tx.rstrip(b".")[:7] for tx in net.choose(0, height).txs]
        start = height % 4
        assert names == [b"author%d" % ((start + turn) % 4) for turn in range(4)]


def test_d5_numbers_of_an_author_ascend_and_authors_alternate() -> None:
    net = Net()
    for turn in range(3):
        for author in (0, 1):
            net.submit(author, txs_of(f"a{author}t{turn}", 1), ticket=10 * turn + author)
        net.run(10_000)
    names = [tx.rstrip(b".")[:4] for tx in net.choose(2, 4).txs]
    assert names == [b"a0t0", b"a1t0", b"a0t1", b"a1t1", b"a0t2", b"a1t2"]


def test_d5_young_batches_of_few_holders_wait_while_others_are_offered() -> None:
    net = settled(authors=(1,))
    net.cut(0, 1)
    net.cut(0, 2)
    net.cut(0, 3)
    net.submit(0, txs_of("alone", 2), ticket=9)
    net.run(10_000)
    assert not [tx for tx in net.choose(0).txs if tx.startswith(b"alone")]
    net.run(200_000)
    assert [tx for tx in net.choose(0).txs if tx.startswith(b"alone")]


def test_d5_a_height_that_is_due_by_a_third_gets_no_empty_block() -> None:
    net = Net()
    net.cut(0, 2)
    net.cut(0, 3)
    net.submit(0, txs_of("a", 2))
    net.run(10_000)
    assert net[0].pool.due(net.now)
    assert len(net.choose(0).txs) == 2


def test_d5_a_block_is_filled_up_to_its_bytes_and_not_beyond() -> None:
    net = Net()
    for author in range(4):
        for turn in range(3):
            net.submit(author, txs_of(f"a{author}t{turn}", 20, 500), ticket=turn)
            net.run(10_000)
    for room in (100, 503, 5_000, 30_000, 60_000, 200_000):
        candidate = net.choose(0, room=room)
        assert len(encode_txs(candidate.txs)) <= room
        if room >= 503:
            assert candidate.txs


def test_d5_a_transaction_of_two_authors_is_offered_once() -> None:
    net = Net()
    shared = txs_of("shared", 3)
    for peer in (1, 2, 3):
        net.cut(0, peer)
    net.submit(0, [*txs_of("a", 2), *shared], ticket=1)
    net.submit(1, [*txs_of("b", 2), *shared], ticket=1)
    net.heal()
    net.run(5 * SECOND_US)
    candidate = net.choose(2)
    assert sorted(candidate.txs) == sorted([*txs_of("a", 2), *txs_of("b", 2), *shared])
    made = net.decide(candidate.segments)
    assert list(made.tx_ids) == list(candidate.ids)
    assert all(site.pool.pending_count == 0 for site in net.sites.values())


def test_d5_foreign_batches_pass_check_txs_once_and_own_ones_were_checked_at_ingress() -> None:
    asked: list[bytes] = []

    def check(tx: bytes) -> int:
        asked.append(tx)
        return 0

    net = settled(authors=(0, 1))
    net.check = check
    asked.clear()
    net.choose(0)
    # The next proposer asked when the batches came; nobody asks twice.
    assert asked == []
    net.choose(2)
    net.choose(2)
    assert sorted(asked) == sorted([*txs_of("author0", 4), *txs_of("author1", 4)])


def test_d5_what_check_txs_refuses_is_not_proposed_and_no_longer_pending_here() -> None:
    net = Net(check=lambda tx: 7 if tx.startswith(b"bad") else 0)
    txs = [*txs_of("good", 2), *txs_of("bad", 2)]
    net.submit(1, txs)
    net.run(10_000)
    assert list(net.choose(0).txs) == txs_of("good", 2)
    assert not net[0].pool.has(tx_id(txs[-1]))
    assert net[2].pool.has(tx_id(txs[-1]))
    assert not net[0].dropped


def test_d5_the_candidate_waits_for_the_application_s_answer() -> None:
    net = settled(authors=(1,))
    site = net[2]
    choice = site.pool.choose(1, 1 << 20, net.now)
    assert choice.candidate is None
    again = site.pool.choose(1, 1 << 20, net.now)
    assert (again.candidate, again.outputs) == (None, ())
    net.take(site, choice.outputs)
    done = site.pool.choose(1, 1 << 20, net.now).candidate
    assert done is not None
    assert list(done.txs) == txs_of("author1", 4)


# The manifest for what the application returns.


def test_the_application_may_take_the_candidate_as_it_is() -> None:
    net = settled()
    candidate = net.choose(1)
    manifest = net[1].pool.manifest_for(candidate, list(candidate.txs))
    assert manifest.segments == candidate.segments
    assert manifest.data_hash == data_hash([tx_id(tx) for tx in candidate.txs])


def test_the_application_may_reorder_drop_and_add() -> None:
    net = settled(authors=(0, 1))
    candidate = net.choose(2)
    returned = [*reversed(candidate.txs[1:]), b"added", candidate.txs[0]]
    manifest = net[2].pool.manifest_for(candidate, returned)
    assert list(manifest.txs) == returned
    assert Inline(txs=(b"added",)) in manifest.segments
    answer = net[3].pool.assemble(make_compact(manifest.segments, returned))
    assert isinstance(answer, Assembled)
    assert answer.block.txs == returned
    assert answer.data_hash == manifest.data_hash


def test_what_the_application_repeats_is_named_once() -> None:
    net = settled()
    candidate = net.choose(1)
    first = candidate.txs[0]
    manifest = net[1].pool.manifest_for(candidate, [first, b"new", first, b"new"])
    assert list(manifest.txs) == [first, b"new"]


def test_a_committed_transaction_that_the_application_adds_is_left_out() -> None:
    net = settled()
    done = net.decide(net.choose(1).segments).block.txs[0]
    manifest = net[1].pool.manifest_for(net.choose(1), [done, b"new"])
    assert list(manifest.txs) == [b"new"]


def test_inline_transactions_stop_at_256_kib() -> None:
    net = settled()
    added = [bytes([n]) * 100_000 for n in range(1, 5)]
    manifest = net[1].pool.manifest_for(net.choose(1), added)
    assert list(manifest.txs) == added[:2]
    assert isinstance(net[1].pool.assemble(make_compact(manifest.segments, added[:2])), Assembled)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_manifest_gives_back_what_the_application_returned(data: st.DataObject) -> None:
    net = settled(authors=(0, 1, 2), count=5)
    candidate = net.choose(3)
    pool = [*candidate.txs, b"inline-1", b"inline-2", b"inline-3"]
    returned = data.draw(st.lists(st.sampled_from(pool), max_size=25))
    manifest = net[3].pool.manifest_for(candidate, returned)
    assert list(manifest.txs) == list(dict.fromkeys(returned))
    answer = net[1].pool.assemble(make_compact(manifest.segments, manifest.txs))
    assert isinstance(answer, Assembled)
    assert answer.block.txs == list(manifest.txs)
    assert answer.data_hash == manifest.data_hash
    assert answer.raw == answer.block.encode()


# 2.4: manifests that break a rule.


@pytest.mark.parametrize(
    "segment",
    [
        Ref(digest=b"", excluded=(4,)),
        Ref(digest=b"", excluded=(1, 1)),
        Ref(digest=b"", excluded=(2, 1)),
        Ref(digest=b"", excluded=(-1,)),
        Pick(digest=b"", indices=(0, 4)),
        Pick(digest=b"", indices=(-1,)),
        Pick(digest=b"", indices=(0, 1, 2, 3, 0)),
        Inline(txs=(bytes(256 * 1024), b"x")),
    ],
    ids=lambda segment: repr(segment)[:60],
)
def test_24_a_manifest_that_breaks_a_rule_is_broken_never_invalid(segment: Segment) -> None:
    net = settled()
    [digest] = digests(net.choose(1).segments)
    match segment:
        case Ref(excluded=excluded):
            segment = Ref(digest=digest, excluded=excluded)
        case Pick(indices=indices):
            segment = Pick(digest=digest, indices=indices)
        case Inline():
            pass
    assert isinstance(net[1].pool.assemble(make_compact((segment,))), Broken)


def test_24_a_manifest_cannot_name_more_than_a_block_holds() -> None:
    net = settled()
    [digest] = digests(net.choose(1).segments)
    many = make_compact(tuple([Ref(digest=digest)] * 8193))
    assert isinstance(net[1].pool.assemble(many), Broken)
    net.submit(0, [bytes(250_000)], ticket=5)
    net.run(10_000)
    large = digests(net.choose(1).segments)[-1]
    assert isinstance(net[1].pool.assemble(make_compact(tuple([Ref(digest=large)] * 8000))), Broken)


def test_24_bytes_that_do_not_parse_are_broken() -> None:
    net = settled()
    good = make_compact(())
    for field in ("header", "last_commit", "evidence"):
        parts = {name: getattr(good, name) for name in ("header", "last_commit", "evidence")}
        parts[field] += b"\xff"
        answer = net[1].pool.assemble(Compact(**parts, manifest=()))
        assert isinstance(answer, Broken), field


def test_an_empty_block_is_assembled() -> None:
    answer = Net()[0].pool.assemble(make_compact(()))
    assert isinstance(answer, Assembled)
    assert answer.block.txs == []
    assert answer.data_hash == data_hash([])


def test_assembling_again_answers_from_memory_until_the_height_is_decided() -> None:
    net = settled()
    compact = make_compact(net.choose(1).segments)
    first = net[1].pool.assemble(compact)
    assert net[1].pool.assemble(compact) is first
    net.decide()
    assert net[1].pool.assemble(compact) is not first


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
    late = Net()[0]
    taken, outputs = late.pool.on_found_block(b"\1" * 32, original.raw, net.now)
    assert taken is not None
    assert [type(output).__name__ for output in outputs][:2] == ["Append", "Stored"]
    rebuilt = late.pool.assemble(taken)
    assert isinstance(rebuilt, Assembled)
    assert (rebuilt.raw, rebuilt.block_id) == (original.raw, original.block_id)
    assert late.pool.on_found_block(b"\2" * 32, b"junk", net.now) == (None, [])
