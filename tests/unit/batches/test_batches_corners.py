"""What happens seldom in a pool of batches: observers, full manifests, old incarnations, pins that end."""

from dataclasses import replace

import pytest

from catenet.core.batches.io import BatchConfig
from catenet.core.batches.machine import Batches
from catenet.types.assembly import Assembled, Missing
from catenet.types.batch import Inline, Ref, batch_digest
from catenet.types.effects import Acknowledge, Append, Notice
from catenet.types.messages import BatchMessage, Have, Tip
from catenet.types.records import BatchRecord, IncarnationRecord, Record
from support.batches import (
    SECOND_NS,
    SECOND_US,
    START_NS,
    Net,
    Window,
    batch_of,
    digests,
    excluding,
    make_compact,
    settled,
    tx_id,
    txs_of,
    validators,
)


def test_g10_an_observer_holds_batches_for_blocks_and_authors_none() -> None:
    net = settled()
    pool = Batches(BatchConfig(ttl_heights=5, ttl_ns=0), None, Window())
    pool.restore((), 0, START_NS)
    assert pool.set_validators(net.set, net.upcoming(), net.now) == []
    assert (pool.start(net.now), pool.accepting, pool.buffered_bytes) == ([], False, 0)
    assert pool.live_records() == []
    # Nobody pushes to it. It fetches what blocks name, and serves it.
    segments = net.choose(0).segments
    compact = make_compact(segments, txs_of("author0", 4))
    missing = pool.assemble(compact)
    assert isinstance(missing, Missing)
    pool.want(missing.digests, (), 1, (net.order[0],), net.now)
    [found] = net[0].pool.serve(missing.digests)
    outputs = pool.on_found(1, net.order[0], found, net.now)
    assert isinstance(outputs[0], Append)
    made = pool.assemble(compact)
    assert isinstance(made, Assembled)
    assert [type(output).__name__ for output in pool.on_link(net.order[0], up=True, now=net.now)] == ["Send"]
    assert pool.on_link(net.order[0], up=False, now=net.now) == []
    assert pool.on_tips(net.order[0], Have(tips=()), net.now) == []
    assert pool.pending_count == 4
    pool.on_decided(1, START_NS + SECOND_NS, net.order[0], made.tx_ids[:2], segments, net.now)
    assert pool.pending_count == 2
    # What nobody commits expires here as everywhere; there is no client to tell.
    for height in range(2, 8):
        assert not [
            output
            for output in pool.on_decided(
                height, START_NS + height * SECOND_NS, net.order[0], (), (), net.now
            )
            if not isinstance(output, Append)
        ]
    assert pool.pending_count == 0


def test_d1_batches_of_an_older_incarnation_stay_but_their_numbers_do_not_count() -> None:
    net = Net()
    me = net.order[0]
    journal: list[Record] = [
        BatchRecord(author=me, batch=batch_of(7, [b"old"], incarnation=1)),
        IncarnationRecord(incarnation=2),
        BatchRecord(author=me, batch=batch_of(3, [b"three"], incarnation=2)),
        BatchRecord(author=me, batch=batch_of(2, [b"two"], incarnation=2)),
        BatchRecord(author=me, batch=batch_of(2, [b"two"], incarnation=2)),
    ]
    site = net.restart(me, journal)
    assert {tx for tx in (b"old", b"two", b"three") if site.pool.has(tx_id(tx))} == {b"old", b"two", b"three"}
    net.submit(0, [b"next"])
    net.run(SECOND_US)
    record = site.journal[-1]
    assert isinstance(record, BatchRecord)
    assert (record.batch.incarnation, record.batch.seq) == (2, 4)


def test_d1_before_it_starts_a_pool_without_a_journal_has_nothing_to_keep() -> None:
    pool = Batches(BatchConfig(), b"m" * 20, Window())
    assert pool.live_records() == []


def test_d1_a_tip_from_the_far_future_is_a_lie() -> None:
    """An incarnation is a clock's reading: one of next century would end all later ones."""
    net = settled()
    site, liar = net[0], net.order[2]
    before = [r for r in site.journal if isinstance(r, IncarnationRecord)]
    far = net.now.wall_ns // 1_000_000 + 10**12
    tip = Tip(author=site.address, incarnation=far, seq=1, credit=1 << 20)
    net.take(site, site.pool.on_tips(liar, Have(tips=(tip,)), net.now))
    assert [r for r in site.journal if isinstance(r, IncarnationRecord)] == before


def test_d1_tickets_of_what_is_spent_meanwhile_are_acknowledged_in_the_new_incarnation() -> None:
    net = Net()
    for peer in (1, 2, 3):
        net.cut(0, peer)
    site = net[0]
    net.submit(0, [b"spent"], ticket=5)
    # Somebody else's copy of it was committed.
    site.pool.on_decided(1, START_NS + SECOND_NS, net.order[1], [tx_id(b"spent")], (), net.now)
    newer = Tip(author=site.address, incarnation=net.now.wall_ns // 1_000_000 + 5, seq=9, credit=1 << 20)
    outputs = site.pool.on_tips(net.order[1], Have(tips=(newer,)), net.now)
    assert [output.name for output in outputs if isinstance(output, Notice)] == ["batches.incarnation"]
    assert [output.ticket for output in outputs if isinstance(output, Acknowledge)] == [5]


def test_a_repetition_that_ingress_could_not_see_costs_no_second_place() -> None:
    """Two submissions of one transaction, checked by the application at the same time."""
    for client, given_back in (("", {}), ("bob", {"bob": 40})):
        net = Net()
        [tx] = txs_of("x", 1)
        net.submit(0, [tx], ticket=1, client="alice")
        net.submit(0, [tx], ticket=2, client=client)
        net.run(SECOND_US)
        assert net[0].acknowledged == [1, 2]
        assert net.appended(0) == 1
        assert net[0].released == given_back


def test_d6_a_transaction_in_two_batches_of_one_author_is_held_by_the_newer() -> None:
    net = Net()
    first, second, third = batch_of(1, [b"a", b"b"]), batch_of(2, [b"a"]), batch_of(3, [b"b", b"b"])
    net.push(3, 0, first)
    net.push(3, 0, second)
    pool = net[0].pool
    compact = make_compact((Ref(digest=batch_digest(net.order[3], first)),), [b"a", b"b"])
    assert isinstance(pool.assemble(compact), Assembled)
    assert pool.pending_count == 2
    net.push(3, 0, third)
    assert pool.pending_count == 2
    # Its first batch holds nothing that is pending any more: it counts no longer against WINDOW.
    store = pool._store
    assert [held.batch.seq for held in store.live[net.order[3]].values()] == [2, 3]
    assert store.usage[net.order[3]].batches == 2
    # An older one that is fetched late takes nothing back.
    late = replace(batch_of(1, [b"a"]), incarnation=0)
    pool.want((batch_digest(net.order[3], late),), (), 1, (net.order[1],), net.now)
    found = net[0].pool.serve([batch_digest(net.order[3], second)])[0]
    pool.on_found(1, net.order[1], replace(found, batch=late), net.now)
    assert store.pending[tx_id(b"a")].batch.seq == 2


def test_d8_a_batch_whose_transactions_another_author_holds_dies_without_them() -> None:
    net = Net(config=BatchConfig(ttl_heights=5, ttl_ns=0))
    net.push(3, 0, batch_of(1, [b"shared"]))
    net.decide(skip=(1, 2, 3))
    net.push(2, 0, batch_of(1, [b"shared"]))
    net.push(1, 0, batch_of(1, [b"shared"]))
    for _ in range(4):
        net.decide(skip=(1, 2, 3))
    # The first copy is gone; the second holds the transaction. Both others die together, later.
    assert net[0].pool.has(tx_id(b"shared"))
    net.decide(skip=(1, 2, 3))
    assert not net[0].pool.has(tx_id(b"shared"))
    assert net[0].pool._store._shared == {}


def test_d8_a_pin_keeps_a_freed_batch_until_its_height_is_decided() -> None:
    net = settled(BatchConfig(retain_heights=2))
    segments = net.choose(0).segments
    net.decide(segments)
    pool = net[1].pool
    pool.pin(6, digests(segments))
    for _ in range(4):
        net.decide()
    assert len(pool.serve(digests(segments))) == 1
    for _ in range(2):
        net.decide()
    assert pool.serve(digests(segments)) == ()


def test_56_an_id_that_is_committed_again_after_its_window_is_known_as_the_newer_one() -> None:
    net = Net(config=BatchConfig(retain_heights=2))
    pool = net[0].pool
    name = tx_id(b"again")
    pool.on_decided(1, START_NS, net.order[0], [name], (), net.now)
    pool.on_decided(2, START_NS, net.order[0], [name], (), net.now)
    pool.on_decided(3, START_NS, net.order[0], [], (), net.now)
    assert pool._store._recent == {name: 2}
    pool.on_decided(4, START_NS, net.order[0], [], (), net.now)
    assert pool._store._recent == {}


def test_d5_a_block_names_as_many_segments_as_it_may_and_not_more() -> None:
    net = Net(config=BatchConfig(segments=2))
    for author in range(4):
        net.push(author if author else 1, 0, batch_of(1 if author else 2, txs_of(f"n{author}", 1)))
    net.run(SECOND_US)
    assert len(net.choose(0).segments) == 2


def test_d5_no_room_for_anything_gives_an_empty_block() -> None:
    net = settled()
    for room in (0, 1, 41):
        assert net.choose(0, room=room).txs == []
    assert len(net.choose(0, room=42).txs) == 1


def test_a_manifest_that_is_full_ends_there() -> None:
    """The application may scatter a block over more segments than a manifest has."""
    net = Net(config=BatchConfig(segments=4))
    for author in (1, 2):
        net.push(author, 0, batch_of(1, txs_of(f"n{author}", 4)))
    net.run(SECOND_US)
    candidate = net.choose(0)
    left, right = txs_of("n1", 4), txs_of("n2", 4)
    mixed = [tx for pair in zip(left, right, strict=True) for tx in pair]
    manifest = net[0].pool.manifest_for(candidate, mixed)
    assert len(manifest.segments) <= 4
    assert list(manifest.txs) == mixed[: len(manifest.txs)]
    assert 0 < len(manifest.txs) < 8
    made = net[0].pool.assemble(make_compact(manifest.segments, manifest.txs))
    assert isinstance(made, Assembled)
    assert made.data_hash == manifest.data_hash


def test_a_batch_that_is_gone_when_the_application_answers_is_named_no_more() -> None:
    net = settled(BatchConfig(retain_heights=1))
    candidate = net.choose(0)
    net.decide(candidate.segments)
    for _ in range(3):
        net.decide()
    manifest = net[0].pool.manifest_for(candidate, [*candidate.txs[:1], b"new"])
    assert manifest.segments == (Inline(txs=(b"new",)),)


def test_the_same_set_again_forgets_nothing() -> None:
    net = settled()
    holders = net[0].pool._holders
    before = {author: dict(haves) for author, haves in holders._haves.items()}
    assert before
    holders.set_validators(net.set)
    assert holders._haves == before
    smaller = validators((10, 10, 10))
    holders.set_validators(smaller)
    assert set(holders._haves) <= {member.address for member in smaller.validators}


def test_rebuilt_blocks_are_remembered_within_a_bound() -> None:
    net = settled()
    segments = net.choose(0).segments
    pool = net[0].pool
    compacts = [make_compact(excluding(segments, index % 4), height=index) for index in range(40)]
    first = pool.assemble(compacts[0])
    assert pool.assemble(compacts[0]) is first
    for compact in compacts[1:]:
        pool.assemble(compact)
    again = pool.assemble(compacts[0])
    assert again is not first
    assert again == first


@pytest.mark.parametrize("skipped", [True, False])
def test_d3_a_pushed_batch_that_was_freed_meanwhile_counts_for_nothing(skipped: bool) -> None:
    net = Net()
    made = batch_of(1, [b"x"])
    digest = batch_digest(net.order[3], made)
    site = net[0]
    site.pool.want((digest,), (), 1, (net.order[1],), net.now)
    net.push(3, 1, made)
    [found] = net[1].pool.serve([digest])
    net.take(site, site.pool.on_found(1, net.order[1], found, net.now))
    if skipped:
        site.pool.on_decided(1, START_NS, net.order[1], [tx_id(b"x")], (), net.now)
    net.take(site, site.pool.on_batch(net.order[3], BatchMessage(batch=made), net.now))
    assert net.tip(0, 3).seq == 1
    usage = site.pool._store.usage.get(net.order[3])
    assert (0 if usage is None else usage.batches) == (0 if skipped else 1)
