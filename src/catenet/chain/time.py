"""Block time (chain-format.md 1.8) and the text form of times (1.2). Nothing here reads a clock."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from catenet.chain.commit import Commit, Flag
from catenet.chain.encoding import ZERO_TIME_NS
from catenet.chain.validators import ValidatorSet

_SECOND = 10**9
_LAST_SECOND_NS = 253_402_300_799 * _SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def weighted_median(votes: Iterable[tuple[int, int]]) -> int:
    """Return the median of (time, power) by v0.38's rule, integer half of the power included."""
    ordered = sorted(votes)
    if not ordered:
        raise ValueError("no vote to take a time from")
    half = sum(power for _, power in ordered) // 2
    for time_ns, power in ordered:
        if half <= power:
            return time_ns
        half -= power
    raise AssertionError("half of the power is never more than all of it")


def median_time(commit: Commit, valset: ValidatorSet) -> int:
    """Return the mandatory time of the block after a commit, nil votes included (v0.38)."""
    return weighted_median(
        [
            (entry.time_ns, member.power)
            for entry in commit.signatures
            if entry.flag is not Flag.ABSENT and (member := valset.by_address(entry.address))
        ]
    )


def parse_rfc3339(text: str) -> int:
    """Return nanoseconds since 1970 of an RFC 3339 time of the years 1 to 9999; raises `ValueError`."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time")
    base, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(base + ("+00:00" if zone == "Z" else zone))
        elapsed = moment - _EPOCH
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not an RFC 3339 time: {error}") from error
    seconds = elapsed.days * 86_400 + elapsed.seconds
    if seconds * _SECOND < ZERO_TIME_NS:
        raise ValueError(f"{text!r} is before the year 1")
    if seconds * _SECOND > _LAST_SECOND_NS:
        raise ValueError(f"{text!r} is after the year 9999")
    return seconds * _SECOND + int((fraction or "").ljust(9, "0"))


def format_rfc3339(ns: int) -> str:
    """Return the UTC text of nanoseconds since 1970, without trailing zeros of the fraction."""
    seconds, nanos = divmod(ns, _SECOND)
    moment = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{moment.isoformat()}{fraction}Z"
