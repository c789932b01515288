"""Rules D5, 2.4 (manifests) and 2.7 b: what is proposed, and rebuilt."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain.block import Block, data_hash, encode_txs
from catenet.chain.block import block_id as identify
from catenet.types.assembly import Assembled, Broken
from catenet.types.batch import Compact, Inline, Pick, Ref, Segment
from support.batches import SECOND_US, Net, digests, make_compact, settled, tx_id, txs_of

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
