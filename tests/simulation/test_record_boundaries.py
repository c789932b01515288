"""The power fails at every record of three heights: nobody signs twice, and the chain goes on.

Which records there are is not listed here: a run without a fault says it.
"""

from functools import cache

import pytest

from catenet.types.records import (
    BatchRecord,
    CommitRecord,
    ExecutedRecord,
    IncarnationRecord,
    PolkaRecord,
    ProposalRecord,
    VoteRecord,
)
from catenet.wire.records import decode_record
from support.town import Point, Town

HEIGHTS = 3


def fed_town() -> Town:
    """Return a town in which transactions come all the time: equal up to the first fault."""
    town = Town()
    town.start()
    town.schedule.after(900_000, town.feed)
    return town


@cache
def points(index: int) -> tuple[Point, ...]:
    """Return all places in a node's journal up to the end of the first heights."""
    town = fed_town()
    town.until(lambda: min(town.heights) >= HEIGHTS)
    return tuple(town.disks[index].points)


def require_signed_once(town: Town) -> None:
    """No journal holds two different signed things for one step."""
    for disk in town.disks:
        signed: dict[tuple[int, int, int], bytes] = {}
        for record in map(decode_record, disk.records):
            match record:
                case VoteRecord(vote=vote):
                    step, bytes_ = (vote.height, vote.round, int(vote.type)), vote.encode()
                case ProposalRecord(proposal=proposal):
                    item = proposal.signed
                    step, bytes_ = (item.height, item.round, 0), item.encode()
                case _:
                    continue
            assert signed.setdefault(step, bytes_) == bytes_, f"two things at {step}"


def fail_at(index: int, point: Point, *, everybody: bool = False) -> None:
    """Let the power fail at one node's record, of this node or of all, and go on."""
    town = fed_town()
    down: list[int] = []

    def hit() -> None:
        down.append(index)
        if everybody:
            town.crash_all()
        else:
            town.crash(index)

    disk = town.disks[index]
    disk.point, disk.hit = point, hit
    town.until(lambda: bool(down))
    kept = len(disk.records)
    assert kept == point.record - (point.when == "before")
    town.until(lambda: all(host.alive for host in town.hosts))
    town.grow(2)
    assert len(disk.records) > kept
    require_signed_once(town)
    town.require_one_chain()


@pytest.mark.parametrize("everybody", [False, True])
@pytest.mark.parametrize("index", range(4))
def test_the_power_fails_at_some_records(index: int, everybody: bool) -> None:
    places = points(index)
    assert {point.when for point in places} == {"before", "after", "slot"}
    for point in places[2 * index + everybody :: len(places) // 2]:
        fail_at(index, point, everybody=everybody)


@pytest.mark.slow
@pytest.mark.parametrize("everybody", [False, True])
@pytest.mark.parametrize("index", range(4))
def test_the_power_fails_at_each_record(index: int, everybody: bool) -> None:
    for point in points(index):
        fail_at(index, point, everybody=everybody)


def test_the_first_heights_have_every_record_that_matters() -> None:
    town = fed_town()
    town.until(lambda: min(town.heights) >= HEIGHTS)
    kinds = {type(decode_record(data)) for disk in town.disks for data in disk.records}
    assert kinds >= {
        IncarnationRecord,
        BatchRecord,
        ProposalRecord,
        VoteRecord,
        PolkaRecord,
        CommitRecord,
        ExecutedRecord,
    }
