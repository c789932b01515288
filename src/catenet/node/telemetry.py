"""Logs: a fixed event name and fields; JSON lines, or short lines for people on a terminal."""

import json
import logging
import sys
from collections.abc import Callable

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "fields", "taskName"}
FIELD_CHARS_MAX = 400


def configure(*, name: str, level: str, as_json: bool, lamport: Callable[[], int]) -> None:
    """Send the logs of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(name, lamport) if as_json else ShortLines(name))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # gRPC logs three tracebacks for each malformed request: whoever reaches a port could flood the log.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)


class JsonLines(logging.Formatter):
    """One JSON object a line, with the node's name and its Lamport time."""

    def __init__(self, name: str, lamport: Callable[[], int]) -> None:
        super().__init__()
        self._name = name
        self._lamport = lamport

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": f"{record.created:.6f}",
            "lamport": self._lamport(),
            "node": self._name,
            "level": record.levelname,
            "event": record.getMessage(),
        }
        line.update(_fields(record))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=True)


class ShortLines(logging.Formatter):
    """Time, node, event, then `field=value`."""

    def __init__(self, name: str) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        mark = "" if record.levelno < logging.WARNING else f" {record.levelname}"
        text = f"{self.formatTime(record, self.datefmt)} {self._name}{mark} {record.getMessage()} {fields}"
        if record.exc_info:
            text = f"{text.rstrip()}\n{self.formatException(record.exc_info)}"
        return text.rstrip()


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return what was logged beside the event name, escaped and cut."""
    fields = {key: value for key, value in vars(record).items() if key not in STANDARD}
    fields.update(getattr(record, "fields", {}))
    return {key: _plain(value) for key, value in fields.items()}


def _plain(value: object) -> object:
    if isinstance(value, int | float | bool):
        return value
    if isinstance(value, bytes):
        return value.hex()[:FIELD_CHARS_MAX]
    text = value if isinstance(value, str) else str(value)
    return text[:FIELD_CHARS_MAX].encode("unicode_escape").decode("ascii")
