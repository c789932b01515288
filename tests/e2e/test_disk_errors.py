"""The disk is full, or fails, at one call of a node: it ends with a word and loses nothing.

A spread sample here; all calls with `scripts/campaign-disk`.
"""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from support import strace
from support.audit import require_same, signed_by
from support.campaign import Part
from support.solo_process import BLOCKS, Kept, Solo, solo
from support.strace import Point

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ERRORS = ("EIO", "ENOSPC")
SAMPLE = 4
FAILURE = 1
HARMLESS = ("lock", "data/index/lock.mdb", "data/app/lock.mdb")
"""Nothing in them has to last."""


async def broken(node: Solo, kept: Kept, point: Point, error: str, trace: Path) -> bool:
    """Live a life whose disk fails at a point; False when the call was not made this time."""
    node.go_back(kept)
    node.start(strace.breaking(node.home.root, point, f"error={error}", trace))
    await node.work(BLOCKS, "tx")
    code = node.stop()
    if not strace.has_failed(trace):
        assert code == 0, node.net.tails()
        return False
    code = node.net.exit_code(0, within_s=0)
    log, why = node.net.log(0), os.strerror(getattr(errno, error))
    if point.path in HARMLESS and code == 0:
        return True
    assert code == FAILURE, f"exit {code}\n{log}"
    assert why in log, f"nothing says {why!r}\n{log}"
    assert any(f'"event": "{name}"' in log for name in ("halted", "not_started", "not_closed")), log
    assert "\nTraceback" not in log, log
    assert '"event": "escaped"' not in log, f"the failure is taken for a bug\n{log}"
    if point.call in ("fsync", "fdatasync") and not point.is_main:
        assert not strace.calls_after_failure(trace), "a failed sync was tried again"
    return True


def test_a_node_whose_disk_fails_says_so_and_loses_nothing(tmp_path: Path) -> None:
    strace.require_strace()
    trace = tmp_path / "trace"

    async def body() -> None:
        part = Part("errors of the disk")
        with solo(tmp_path / "net") as node:
            kept = node.keep()
            node.start(strace.noting(trace))
            assert await node.work(BLOCKS, "note")
            assert node.stop() == 0
            points = strace.points(trace, node.home.root)
            pairs = [(point, ERRORS[number % 2]) for number, point in enumerate(points)]
            for point, error in part.chosen(pairs, sample=SAMPLE):
                try:
                    met = await broken(node, kept, point, error, trace)
                    signed = signed_by(node.home)
                    after = await node.recovered("after")
                except BaseException:
                    print(f"\n{error} at {point}")
                    raise
                require_same(signed, after.signed)
                part.counts["met" if met else "not met"] += 1
                part.counts["recovered"] += met
                part.counts["acknowledged"] += len(node.acknowledged)
        part.report()

    asyncio.run(body())
