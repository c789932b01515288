"""The query language: the reference's answers, exactness, and refusals that say where and what to do."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenet.types.errors import InvalidInput
from catenet.types.query import QUERY_BYTES_MAX, number_of, parse
from support.rpc_json import load_vectors

VECTORS = load_vectors("reference_vectors_seed1").child("queries")
CASES = VECTORS.children("cases")
EVENTS = {name: VECTORS.child("events").texts(name) for name in VECTORS.child("events").names()}

DIGITS = st.text("0123456789", min_size=1, max_size=60)
DECIMALS = DIGITS | st.builds("{}.{}".format, DIGITS, DIGITS)
VALUES = DIGITS | DECIMALS | st.text(max_size=8) | st.builds("{}{}".format, DECIMALS, st.just("stake"))
TAGS = st.sampled_from(["tx.height", "a.b", "a.b.c", "a", "b", "a.-"])
EVENT_MAPS = st.dictionaries(
    st.sampled_from(["tx.height", "a.b", "a.b.c", "b", "a."]), st.lists(VALUES, max_size=3)
)
CONDITIONS = st.one_of(
    st.builds("{} {} {}".format, TAGS, st.sampled_from(["=", "<", "<=", ">", ">="]), DECIMALS),
    st.builds("{}='{}'".format, TAGS, st.text(max_size=5).filter(lambda text: "'" not in text)),
    st.builds("{} CONTAINS '{}'".format, TAGS, st.text("0123a.", max_size=3)),
    st.builds("{} EXISTS".format, TAGS),
)


def test_the_file_has_54_queries() -> None:
    assert len(CASES) == 54
    assert sum("parse_error" in case for case in CASES) == 15


@pytest.mark.parametrize("number", range(len(CASES)))
def test_the_reference_answers_so(number: int) -> None:
    case = CASES[number]
    if "parse_error" in case:
        with pytest.raises(InvalidInput):
            parse(case.text("query"))
    else:
        assert parse(case.text("query")).matches(EVENTS) is case.raw("match")


@given(value=DECIMALS, bound=DECIMALS)
def test_numbers_compare_exactly(value: str, bound: str) -> None:
    def holds(sign: str) -> bool:
        return parse(f"a.b {sign} {bound}").matches({"a.b": [value]})

    left, right = Decimal(value), Decimal(bound)
    assert (holds("<"), holds("<="), holds("="), holds(">="), holds(">")) == (
        left < right,
        left <= right,
        left == right,
        left >= right,
        left > right,
    )
    assert (number_of(value) == number_of(bound)) is (left == right)


@given(queries=st.lists(CONDITIONS, min_size=1, max_size=4), events=EVENT_MAPS)
def test_a_conjunction_is_all_of_its_conditions(queries: list[str], events: dict[str, list[str]]) -> None:
    joined = " AND ".join(queries)
    if len(joined.encode()) <= QUERY_BYTES_MAX:
        assert parse(joined).matches(events) is all(parse(query).matches(events) for query in queries)


@given(query=CONDITIONS, events=EVENT_MAPS, more=EVENT_MAPS)
def test_more_values_never_make_a_match_vanish(
    query: str, events: dict[str, list[str]], more: dict[str, list[str]]
) -> None:
    grown = {key: [*events.get(key, []), *more.get(key, [])] for key in {**events, **more}}
    if parse(query).matches(events):
        assert parse(query).matches(grown)


@given(text=st.text(max_size=40) | st.text("atx.=<>' ANDTIME0123-:Z", max_size=40))
def test_any_text_is_a_query_or_is_refused(text: str) -> None:
    try:
        query = parse(text)
    except InvalidInput as error:
        assert f"query {text!r}, offset " in str(error)  # noqa: PT017  # both ways are right
    else:
        assert query.conditions
        query.matches(EVENTS)


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("", "offset 0: got the end, wanted a tag"),
        ("tm.event=Tx", "offset 9: got 'Tx', wanted a value; write 'text'"),
        ("tx.height>'15'", "offset 10: > got '15', wanted a number, DATE or TIME"),
        ("tm.event='Tx' OR a.b=1", "offset 14: got 'OR', wanted AND; join conditions with AND"),
        ("tm.event='Tx", "offset 9: the quote is not closed"),
        ("tx.height=-1", "offset 10: '-' cannot stand here"),
        ("a.b=DATE 2026-02-30", "offset 4: '2026-02-30' is no date; write DATE 2026-11-23"),
        ("a.b=TIME 1899-01-01T00:00:00Z", "is no time; write TIME"),
        ("a.b=TIME  2026-01-01T00:00:00Z", "'' is no time"),
        ("a.b ! 1", "offset 4: '!' cannot stand here"),
    ],
)
def test_a_refusal_says_what_is_wrong_where_and_what_to_do(query: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse(query)
    assert what in str(refusal.value)


def test_a_query_of_more_than_512_bytes_is_refused() -> None:
    assert parse("a.b='" + "x" * 506 + "'").conditions
    with pytest.raises(InvalidInput, match="513 bytes: at most 512"):
        parse("a.b='" + "x" * 507 + "'")
    with pytest.raises(InvalidInput, match="at most 512"):
        parse("a.b='" + "ü" * 254 + "'")


def test_a_value_may_go_on_after_its_number() -> None:
    assert parse("a.b>6").matches({"a.b": ["6.5stake"]})
    assert not parse("a.b>6").matches({"a.b": ["-7", "+7", "", "stake7"]})


def test_values_longer_than_python_reads_are_compared() -> None:
    assert parse("a.b>1").matches({"a.b": ["9" * 10_000]})


def test_a_tag_of_one_word_is_the_type_of_an_event() -> None:
    assert parse("a EXISTS").matches({"a.b": []})
    assert parse("a=''").matches({"a.b": ["x"]})
    assert not parse("a='x'").matches({"a": ["x"]})
    assert not parse("b EXISTS").matches({"a.b": ["x"]})


def test_nothing_matches_an_event_without_attributes() -> None:
    assert not parse("tm.event EXISTS").matches({})
