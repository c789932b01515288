"""Searches: the same answer as asking every event, after flushes, crashes, damage and pruning."""

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catenet.storage.event_rows import event_rows
from catenet.storage.ledger import Ledger
from catenet.storage.search import EventSearch
from catenet.storage.tables import DATA_FILE, SUSPECT_MARK
from catenet.types.application import BlockOutcome, Event, EventAttribute, TxResult
from catenet.types.effects import CommitBlock
from catenet.types.errors import Corrupt, InvalidInput
from catenet.types.ports import EventIndex, Order, TxPlace
from catenet.types.query import Condition, Number, Operator, parse
from support.storage import abandon, chain, flip

TXS = 5
COUNT = 10
KEYS = ("sender", "amount", "memo")
WORDS = ("alice", "bob", "al", "", "8atom", "2026-11-23", "2026-11-23T10:00:00Z", "ünicode", "a/b")
NUMBERS = ("0", "7", "07", "7.0", "7.5", "12", "100", "99999999999999999999", "1" * 80, "1" * 79 + "2")
ASCENDING = Order.ASCENDING


def transfer(**values: str) -> Event:
    return Event(
        type="transfer", attributes=tuple([EventAttribute(key=k, value=v) for k, v in values.items()])
    )


def said(choices: random.Random, name: str) -> Event:
    """Return an event with a few attributes, some of them not indexed."""
    return Event(
        type=name,
        attributes=tuple(
            [
                EventAttribute(
                    key=choices.choice(KEYS),
                    value=choices.choice(WORDS + NUMBERS),
                    index=choices.random() < 0.8,
                )
                for _ in range(choices.randrange(4))
            ]
        ),
    )


def talking(seed: int, count: int = COUNT) -> list[CommitBlock]:
    """Return blocks whose transactions and whose application say something, now and then."""
    choices = random.Random(seed)
    blocks = []
    for block in chain(count, txs=TXS):
        results = tuple(
            [
                replace(
                    result,
                    events=tuple(
                        [
                            said(choices, choices.choice(("transfer", "mint")))
                            for _ in range(choices.randrange(3))
                        ]
                    ),
                )
                for result in block.outcome.results
            ]
        )
        own = tuple([said(choices, "epoch") for _ in range(choices.randrange(3))])
        blocks.append(replace(block, outcome=replace(block.outcome, results=results, events=own)))
    return blocks


BLOCKS = talking(1)


def stored(data: Path, blocks: list[CommitBlock] = BLOCKS, *, flush_at: int = 0) -> Ledger:
    ledger = Ledger.open(data)
    for block in blocks:
        ledger.store(block)
        if block.height == flush_at:
            ledger.flush()
    return ledger


def crash(ledger: Ledger) -> None:
    abandon(ledger._log)
    ledger._tables.abandon()


def passes(condition: Condition, value: str) -> bool:
    """Say what a condition says of a value: in an index, a number is a whole value."""
    is_number = value.replace(".", "", 1).isdigit() and value[0] != "."
    return condition.passes(value) and (is_number or not isinstance(condition.operand, Number))


def holds(events: tuple[Event, ...], conditions: list[Condition]) -> bool:
    bounds: dict[str, list[Condition]] = {}
    for condition in conditions:
        is_bound = isinstance(condition.operand, Number) and condition.operator is not Operator.EQUAL
        bounds.setdefault(condition.tag if is_bound else str(condition), []).append(condition)
    return any(
        all(
            any(
                f"{event.type}.{attribute.key}" == one_value[0].tag
                and all(passes(condition, attribute.value) for condition in one_value)
                for attribute in event.attributes
                if attribute.index
            )
            for one_value in bounds.values()
        )
        for event in events
    )


def expected(query: str, blocks: list[CommitBlock] = BLOCKS) -> tuple[list[TxPlace], list[int]]:
    """Ask every event of every block."""
    conditions = list(parse(query).conditions)
    txs, heights = [], []
    for block in blocks:
        height = [c for c in conditions if c.tag in ("tx.height", "block.height")]
        if not all(c.passes(str(block.height)) for c in height):
            continue
        rest = [c for c in conditions if c not in height]
        for index, result in enumerate(block.outcome.results):
            if not rest or holds(result.events, rest):
                txs.append(TxPlace(block.height, index))
        if not rest or holds(block.outcome.events, rest):
            heights.append(block.height)
    return txs, heights


def found(index: EventIndex, query: str) -> tuple[list[TxPlace], list[int]]:
    total, txs = index.search_txs(parse(query), page=1, per_page=1000, order=ASCENDING)
    count, heights = index.search_blocks(
        parse(query.replace("tx.height", "block.height")), page=1, per_page=1000, order=ASCENDING
    )
    assert (total, count) == (len(txs), len(heights))
    return list(txs), list(heights)


TAGS = st.sampled_from(
    [f"{name}.{key}" for name in ("transfer", "mint", "epoch") for key in KEYS] + ["no.such"]
)
VALUES = st.sampled_from(NUMBERS)
CONDITIONS = st.one_of(
    st.builds("{}='{}'".format, TAGS, st.sampled_from(WORDS + NUMBERS)),
    st.builds("{} {} {}".format, TAGS, st.sampled_from(["=", "<", "<=", ">", ">="]), VALUES),
    st.builds("{} CONTAINS '{}'".format, TAGS, st.sampled_from(["al", "1", "", "x"])),
    st.builds("{} EXISTS".format, TAGS),
    st.builds("{} {} DATE 2026-11-23".format, TAGS, st.sampled_from(["=", "<", ">="])),
    st.builds("{} {} TIME 2026-11-23T10:00:00Z".format, TAGS, st.sampled_from(["=", "<", ">="])),
    st.builds(
        "tx.height {} {}".format,
        st.sampled_from(["=", "<", "<=", ">", ">="]),
        st.sampled_from(["0", "3", "6.5", "10", "99", "9" * 30]),
    ),
    st.just("tx.height = '4'"),
    st.just("tx.height EXISTS"),
)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Some of it is flushed, some is not."""
    return stored(tmp_path_factory.mktemp("indexed"), flush_at=6)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(query=st.lists(CONDITIONS, min_size=1, max_size=3).map(" AND ".join))
def test_rows_and_outcomes_give_the_answer_of_asking_every_event(indexed: Ledger, query: str) -> None:
    want = expected(query)
    assert found(indexed.events, query) == want
    by_rows = EventSearch(indexed._tables, indexed, direct_blocks_max=0)
    assert found(by_rows, query) == want


def test_conditions_must_hold_in_one_event(tmp_path: Path) -> None:
    (block,) = chain(1, txs=1)
    events = (transfer(sender="alice", amount="5"), transfer(sender="bob", amount="100"))
    outcome = replace(block.outcome, results=(TxResult(events=events),), events=events)
    ledger = stored(tmp_path, [replace(block, outcome=outcome)])
    together, apart = (
        "transfer.sender='bob' AND transfer.amount>50",
        "transfer.sender='alice' AND transfer.amount>50",
    )
    for index in (ledger.events, EventSearch(ledger._tables, ledger, direct_blocks_max=0)):
        assert found(index, together) == ([TxPlace(1, 0)], [1])
        assert found(index, apart) == ([], [])
    ledger.close()


def test_bounds_of_one_tag_are_a_range_for_one_value(tmp_path: Path) -> None:
    (block,) = chain(1, txs=1)
    both = Event(type="t", attributes=tuple([EventAttribute(key="n", value=value) for value in ("1", "100")]))
    outcome = replace(block.outcome, results=(TxResult(events=(both,)),), events=(both,))
    ledger = stored(tmp_path, [replace(block, outcome=outcome)])
    for index in (ledger.events, EventSearch(ledger._tables, ledger, direct_blocks_max=0)):
        assert found(index, "t.n>50 AND t.n<60") == ([], [])
        assert found(index, "t.n>50 AND t.n<=100 AND t.n=1") == ([TxPlace(1, 0)], [1])
        assert found(index, "t.n>60 AND t.n<50") == ([], [])
    ledger.close()


def test_what_is_not_to_be_indexed_is_not_found(tmp_path: Path) -> None:
    (block,) = chain(1, txs=1)
    hidden = Event(type="a", attributes=(EventAttribute(key="b", value="1", index=False),))
    nameless = Event(type="", attributes=(EventAttribute(key="b", value="1"),))
    keyless = Event(type="a", attributes=(EventAttribute(key="", value="1"),))
    own = Event(type="tx", attributes=(EventAttribute(key="height", value="77"),))
    outcome = replace(block.outcome, results=(TxResult(events=(hidden, nameless, keyless, own)),), events=())
    assert event_rows(1, outcome) == {}
    ledger = stored(tmp_path, [replace(block, outcome=outcome)])
    for query in ("a.b EXISTS", "tx.height=77", "a EXISTS"):
        assert found(ledger.events, query) == ([], [])
    ledger.close()


def test_a_transaction_is_found_by_its_hash(indexed: Ledger) -> None:
    def by(query: str) -> list[TxPlace]:
        return list(indexed.events.search_txs(parse(query), page=1, per_page=9, order=ASCENDING)[1])

    tx_id = BLOCKS[4].tx_ids[2].hex()
    place = TxPlace(5, 2)
    assert by(f"tx.hash='{tx_id.upper()}'") == by(f"tx.hash='{tx_id}'") == [place]
    assert by(f"tx.hash='{tx_id}' AND tx.height=5") == [place]
    assert by(f"tx.hash='{tx_id}' AND tx.height=6") == []
    assert by(f"tx.hash='{tx_id}' AND no.such EXISTS") == []
    assert by(f"tx.hash='{BLOCKS[0].tx_ids[0].hex()}' AND tx.hash='{tx_id}'") == []
    assert by(f"tx.hash='{bytes(32).hex()}'") == []
    spoken = next(place for place in expected("transfer.memo EXISTS")[0])
    tx_id = BLOCKS[spoken.height - 1].tx_ids[spoken.index].hex()
    assert by(f"tx.hash='{tx_id}' AND transfer.memo EXISTS") == [spoken]


@pytest.mark.parametrize("query", ["tx.height>0", "tx.height>=3 AND tx.height<=8", "transfer.amount>=0"])
@pytest.mark.parametrize("order", list(Order))
def test_pages_are_pieces_of_the_whole_in_either_order(indexed: Ledger, query: str, order: Order) -> None:
    whole = expected(query)[0][:: 1 if order is ASCENDING else -1]
    assert len(whole) > 4
    pages: list[TxPlace] = []
    for page in range(1, len(whole) + 2):
        total, piece = indexed.events.search_txs(parse(query), page=page, per_page=3, order=order)
        assert total == len(whole)
        pages.extend(piece)
    assert pages == whole
    total, heights = indexed.events.search_blocks(parse("block.height>2"), page=2, per_page=3, order=order)
    assert (total, list(heights)) == (8, [6, 7, 8] if order is ASCENDING else [7, 6, 5])


def test_heights_alone_are_answered_without_looking_at_transactions(tmp_path: Path) -> None:
    blocks = [block for block in chain(40, txs=3)]
    ledger = stored(tmp_path, blocks)
    empty = EventSearch(ledger._tables, ledger, rows_max=0, direct_blocks_max=0)
    total, page = empty.search_txs(
        parse("tx.height>4 AND tx.height<39"), page=34, per_page=3, order=ASCENDING
    )
    assert (total, page) == (34 * 3, [TxPlace(38, 0), TxPlace(38, 1), TxPlace(38, 2)])
    ledger.close()


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("tx.height CONTAINS '1'", "compared with numbers only; write tx.height = 15"),
        ("tx.height = DATE 2026-11-23", "compared with numbers only"),
        ("tx.hash = 'xyz'", "'xyz' is not hex; write its 64 hex digits"),
        ("tx.hash EXISTS", "write tx.hash = 'the hash in hex'"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(indexed: Ledger, query: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        indexed.events.search_txs(parse(query), page=1, per_page=9, order=ASCENDING)
    assert what in str(refusal.value)


def test_a_search_of_too_many_rows_is_refused_and_heights_make_it_possible(tmp_path: Path) -> None:
    blocks = talking(3)
    ledger = stored(tmp_path, blocks)
    narrow = EventSearch(ledger._tables, ledger, rows_max=10, direct_blocks_max=4)
    with pytest.raises(InvalidInput, match="more than 10 indexed values; bound the heights"):
        narrow.search_txs(parse("transfer.memo EXISTS"), page=1, per_page=9, order=ASCENDING)
    query = "transfer.memo EXISTS AND tx.height>=3 AND tx.height<=6"
    assert (
        narrow.search_txs(parse(query), page=1, per_page=99, order=ASCENDING)[1] == expected(query, blocks)[0]
    )
    ledger.close()


QUERIES = (
    "transfer.sender='alice'",
    "transfer.amount>7",
    "mint.memo EXISTS",
    "epoch.memo CONTAINS 'a'",
    "tx.height>2",
)


def agrees(ledger: Ledger, blocks: list[CommitBlock] = BLOCKS) -> None:
    for query in QUERIES:
        assert found(EventSearch(ledger._tables, ledger, direct_blocks_max=0), query) == expected(
            query, blocks
        )


@pytest.mark.parametrize("flush_at", [0, 1, 5, COUNT])
def test_after_a_kill_the_events_of_all_blocks_are_found(tmp_path: Path, flush_at: int) -> None:
    ledger = stored(tmp_path, flush_at=flush_at)
    agrees(ledger)
    crash(ledger)
    ledger = Ledger.open(tmp_path)
    assert not ledger.rebuilt
    agrees(ledger)
    ledger.close()
    ledger = Ledger.open(tmp_path)
    agrees(ledger)
    ledger.close()


def test_a_damaged_row_of_events_is_noticed_and_made_again(tmp_path: Path) -> None:
    ledger = stored(tmp_path)
    ledger.close()
    data = tmp_path / "index" / DATA_FILE
    whole = data.read_bytes()
    flip(data, whole.index(b"alice") * 8)
    ledger = Ledger.open(tmp_path)
    assert ledger.rebuilt
    agrees(ledger)
    ledger.close()


def test_a_row_of_events_that_goes_bad_while_open_is_never_an_answer(tmp_path: Path) -> None:
    (block,) = chain(1, txs=1)
    spoken = TxResult(events=(transfer(sender="alice"),))
    blocks = [replace(block, outcome=replace(block.outcome, results=(spoken,)))]
    crash(stored(tmp_path, blocks, flush_at=1))
    data = tmp_path / "index" / DATA_FILE
    ledger = Ledger.open(tmp_path)
    at = data.read_bytes().index(b"alice")
    with data.open("r+b") as file:
        file.seek(at)
        file.write(b"alicf")
    with pytest.raises(Corrupt, match="does not check"):
        found(EventSearch(ledger._tables, ledger, direct_blocks_max=0), "transfer.sender EXISTS")
    assert (tmp_path / "index" / SUSPECT_MARK).exists()
    crash(ledger)
    ledger = Ledger.open(tmp_path)
    assert ledger.rebuilt
    assert found(ledger.events, "transfer.sender='alice'")[0] == [TxPlace(1, 0)]
    ledger.close()


def test_an_index_of_the_version_before_is_made_again(tmp_path: Path) -> None:
    ledger = stored(tmp_path)
    ledger._tables.put({"meta": {b"state": bytes(48)}})
    ledger.close()
    seen: list[int] = []
    ledger = Ledger.open(tmp_path, progress=seen.append)
    assert ledger.rebuilt
    assert seen == [block.height for block in BLOCKS]
    agrees(ledger)
    ledger.close()


@pytest.mark.parametrize("way", [crash, Ledger.close])
def test_events_of_old_blocks_can_be_forgotten(tmp_path: Path, way: Callable[[Ledger], None]) -> None:
    ledger = stored(tmp_path, flush_at=COUNT)
    before = ledger._tables.verify()
    ledger.forget_events(6)
    ledger.flush()
    way(ledger)
    ledger = Ledger.open(tmp_path)
    assert ledger.events_from == 6
    gone = sum(len(event_rows(block.height, block.outcome)) for block in BLOCKS[:5])
    assert gone > 0
    assert ledger._tables.verify() == before - gone
    late = [block for block in BLOCKS if block.height >= 6]
    for index in (ledger.events, EventSearch(ledger._tables, ledger, direct_blocks_max=0)):
        for query in QUERIES[:-1]:
            assert found(index, query) == expected(query, late)
        assert found(index, "tx.height>2") == expected("tx.height>2")
    ledger.forget_events(6)
    ledger.forget_events(99)
    assert ledger.events_from == COUNT
    ledger.close()


def test_an_application_without_events_adds_no_row() -> None:
    outcome = BlockOutcome(results=(TxResult(),) * 100, app_hash=b"")
    assert event_rows(1, outcome) == {}
