"""The pretended world behaves: time, chance, links, and what a crash takes away."""

from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.disk import Disk
from catenet.testing.simulator.network import CALM_DELAY_US, Network
from catenet.testing.simulator.schedule import Schedule


def drain(schedule: Schedule) -> None:
    """Do all that is planned."""
    while schedule.step():
        pass


def test_actions_of_one_instant_keep_their_order() -> None:
    schedule, seen = Schedule(), list[int]()
    for number in (1, 2, 3):
        schedule.after(10, lambda number=number: seen.append(number))  # type: ignore[misc]
    schedule.after(5, lambda: seen.append(0))
    drain(schedule)
    assert seen == [0, 1, 2, 3]
    assert schedule.now_us == 10


def test_equal_seeds_choose_equally() -> None:
    first, second, third = Chooser(7), Chooser(7), Chooser(8)
    assert [first.choose(1000) for _ in range(50)] == [second.choose(1000) for _ in range(50)]
    assert [third.choose(1000) for _ in range(50)] != [Chooser(7).choose(1000) for _ in range(50)]


def test_a_group_is_durable_together_and_a_slot_never_before_its_records() -> None:
    schedule, durable = Schedule(), list[int]()
    disk = Disk(schedule, Chooser(1), fsync_us=1000)
    disk.open(durable.append)
    assert disk.write([b"a"], None) == 1
    assert disk.write([b"b"], b"slot 1") == 2
    assert disk.write([b"c"], b"slot 2") == 3
    assert disk.records == []
    drain(schedule)
    # The first write began at once; what came meanwhile went together.
    assert durable == [1, 3]
    assert disk.records == [b"a", b"b", b"c"]
    assert disk.guard == b"slot 2"


def test_a_crash_keeps_a_prefix_of_what_was_being_written() -> None:
    kept, slots = set(), set()
    for seed in range(200):
        schedule = Schedule()
        disk = Disk(schedule, Chooser(seed), fsync_us=1000)
        disk.open(lambda _: None)
        disk.write([b"a", b"b"], b"slot")
        disk.write([b"c"], None)
        disk.crash()
        drain(schedule)
        kept.add(tuple(disk.records))
        slots.add((len(disk.records), disk.guard))
    assert kept == {(), (b"a",), (b"a", b"b")}
    assert slots == {(0, None), (1, None), (2, None), (2, b"slot")}


def test_calm_links_keep_order_within_a_bound_and_broken_ones_stay_broken() -> None:
    schedule, seen = Schedule(), list[tuple[int, int]]()
    config = SimulationConfig(validators=4, broken_links=1, partition_every_us=0)
    network = Network(schedule, Chooser(3), config)
    network.start(lambda node, peer, up: None)
    for node in range(4):
        network.set_alive(node, alive=True)
    network.end_chaos()
    drain(schedule)
    links = [(a, b) for a in range(4) for b in range(4) if a != b and network.reaches(a, b)]
    assert len(links) == 12 - 2
    assert {(0, peer) for peer in (1, 2, 3)} <= set(links)
    start = schedule.now_us
    for number in range(50):
        assert network.carry(0, 1, lambda number=number: seen.append((number, schedule.now_us)))  # type: ignore[misc]
    drain(schedule)
    assert [number for number, _ in seen] == list(range(50))
    assert all(start < at <= start + CALM_DELAY_US for _, at in seen)


def test_chaos_loses_repeats_and_reorders() -> None:
    schedule, seen = Schedule(), list[int]()
    config = SimulationConfig(validators=2, loss=0.2, duplication=0.2, partition_every_us=0)
    network = Network(schedule, Chooser(5), config)
    network.start(lambda node, peer, up: None)
    network.set_alive(0, alive=True)
    network.set_alive(1, alive=True)
    drain(schedule)
    for number in range(200):
        network.carry(0, 1, lambda number=number: seen.append(number))  # type: ignore[misc]
    drain(schedule)
    assert len(set(seen)) < 200
    assert len(seen) > len(set(seen))
    assert seen != sorted(seen)
