"""Files of records: what is read, how values are shown, and what is said about a file that is not one."""

import zipfile
from pathlib import Path

import orjson
import pytest

from catenet.cli.flights import TEMPLATE
from catenet.cli.importing import Position, batched
from catenet.cli.rows import count_lines, default_template, maker, plain, read_rows
from catenet.cli.shape import Failure

FLIGHTS = """year,month,day,dep_time,carrier,flight,origin,time_hour
2013,1,1,517,UA,1545,EWR,2013-01-01T10:00:00Z
2013,12,31,,B6,"72,5",JFK,2013-01-01T10:00:00Z
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_departure_becomes_its_transaction(tmp_path: Path) -> None:
    path = write(tmp_path / "flights.csv", FLIGHTS)
    make = maker(TEMPLATE, path)
    made = [make(number, row) for number, row in enumerate(read_rows(path), 1)]
    assert [key for key, _ in made] == [b"2013-01-01/UA/1545/EWR", b"2013-12-31/B6/72,5/JFK"]
    key, separator, value = made[0][1].partition(b"=")
    assert (key, separator) == (made[0][0], b"=")
    assert orjson.loads(value) == {
        "year": 2013,
        "month": 1,
        "day": 1,
        "dep_time": 517,
        "carrier": "UA",
        "flight": 1545,
        "origin": "EWR",
        "time_hour": "2013-01-01T10:00:00Z",
    }
    assert orjson.loads(made[1][1].partition(b"=")[2])["dep_time"] is None


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("", None),
        ("7", 7),
        ("-3", -3),
        ("0.5", 0.5),
        ("007", "007"),
        ("1e5", "1e5"),
        ("1.50", "1.50"),
        ("+1", "+1"),
        ("1_0", "1_0"),
        ("nan", "nan"),
        ("²", "²"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
    ],
)
def test_a_cell_is_a_number_only_when_it_reads_back_as_the_same_text(cell: str, value: object) -> None:
    assert plain(cell) == value


def test_json_lines_and_archives_read_alike(tmp_path: Path) -> None:
    lines = write(tmp_path / "r.jsonl", '{"a": 1}\n\n{"a": "x=y"}\n')
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.write(lines, "inner.jsonl")
        archive.writestr("README.md", "no records")
    assert list(read_rows(lines)) == list(read_rows(tmp_path / "r.zip")) == [{"a": 1}, {"a": "x=y"}]
    assert count_lines(lines) == count_lines(tmp_path / "r.zip") == 3
    key, tx = maker(default_template(lines), lines)(2, {"a": "x=y"})
    assert (key, tx) == (b"r/2", b'r/2={"a":"x=y"}')


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("r.txt", "a\n", "cannot tell the format"),
        ("r.csv", "", "must name the columns"),
        ("r.csv", "a,a\n1,2\n", "must name the columns"),
        ("r.csv", "a,b\n1\n", "row 1 has 1 cells for 2 columns"),
        ("r.csv", 'a,b\n1,2\n3,"4\n5,6\n', "r.csv:4: not CSV: unexpected end of data"),
        ("r.jsonl", '{"a": 1}\n{"a"\n', "r.jsonl:2: not JSON"),
        ("r.jsonl", '{"a": 1234567890123456789012\n', "r.jsonl:1: not JSON"),
        ("r.jsonl", "[1]\n", "r.jsonl:1: each line must be an object, not list"),
    ],
)
def test_a_wrong_file_is_named_with_its_row(tmp_path: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(Failure) as caught:
        list(read_rows(write(tmp_path / name, text)))
    assert said in caught.value.message


def test_no_digit_of_a_whole_number_is_lost(tmp_path: Path) -> None:
    lines = write(tmp_path / "r.jsonl", '{"a":123456789012345678901234567890,"b":"Wéi"}\n')
    (row,) = read_rows(lines)
    assert maker("k", lines)(1, row)[1] == b"k=" + lines.read_bytes().strip()


def test_a_large_cell_is_read(tmp_path: Path) -> None:
    cell = "x" * 200_000
    assert list(read_rows(write(tmp_path / "r.csv", f"a,b\n1,{cell}\n"))) == [{"a": 1, "b": cell}]


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_bytes(b"a\n\xff\n")
    with pytest.raises(Failure, match="byte 0xff is not UTF-8"):
        list(read_rows(tmp_path / "r.csv"))


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{b}", "no field 'b'; known are a, _row"),
        ("{0}", "does not fit row 7"),
        ("{a", "does not fit row 7"),
        ("", "a key is not empty"),
        ("k=", "has no `=`"),
    ],
)
def test_a_template_that_does_not_fit_is_explained(tmp_path: Path, template: str, said: str) -> None:
    with pytest.raises(Failure) as caught:
        maker(template, tmp_path / "r.csv")(7, {"a": 1})
    assert said in caught.value.message


def test_batches_keep_order_and_the_rest() -> None:
    assert list(batched([b"1", b"2", b"3"], 2)) == [[b"1", b"2"], [b"3"]]


def test_an_import_goes_on_after_the_last_row_without_a_gap(tmp_path: Path) -> None:
    file = write(tmp_path / "r.csv", FLIGHTS)
    position = Position.find(file, "t", "chain")
    position.acknowledge(10, 5)
    position.acknowledge(0, 4)
    position.save()
    assert Position.find(file, "t", "chain").done == 4
    position.acknowledge(4, 6)
    position.save()
    assert Position.find(file, "t", "chain").done == 15
    # Another network, template or content is another import.
    assert Position.find(file, "t", "other").done == 0
    assert Position.find(file, "u", "chain").done == 0
    write(file, FLIGHTS + "\n")
    assert Position.find(file, "t", "chain").done == 0
    position.forget()
    assert not position.path.exists()
