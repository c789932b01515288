"""Log lines: nothing that others send can break a line, fill it, or pass for a field."""

import json
import logging

import pytest

from catenet.node.telemetry import FIELD_CHARS_MAX, JsonLines, ShortLines

NASTY = 'x\n{"level": "CRITICAL"}\x1b[31m\u202e\ud800' + "y" * 10_000


@pytest.mark.parametrize("value", [NASTY, NASTY.encode("utf-8", "surrogatepass")])
def test_a_field_of_a_log_line_is_escaped_and_cut_and_its_name_stays(value: object) -> None:
    record = logging.makeLogRecord(
        {"msg": "peer_unreachable", "levelno": logging.INFO, "levelname": "INFO", "reason": value}
    )
    line = JsonLines("node0", lambda: 7).format(record)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    fields = json.loads(line)
    assert (fields["event"], fields["level"]) == ("peer_unreachable", "INFO")
    # An escape takes up to ten characters.
    assert len(fields["reason"]) <= 10 * FIELD_CHARS_MAX
    short = ShortLines("node0").format(record)
    assert short.isascii()
    assert len(short.splitlines()) == 1
    assert " reason=" in short
