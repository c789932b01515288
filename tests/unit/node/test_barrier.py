"""The read barrier: whom it asks, what it waits for, and who shares a round of questions."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from catenet.chain.validators import ValidatorSet
from catenet.node import barrier
from catenet.node.barrier import Barrier
from catenet.types.errors import Unavailable
from catenet.types.ids import Address
from support.chain import make_keys

KEYS = make_keys(5)
ADDRESSES = [key.public.address for key in KEYS]
FOUR = ValidatorSet.new([(key.public, 1) for key in KEYS[:4]])
OTHER_FOUR = ValidatorSet.new([(key.public, 1) for key in KEYS[1:]])


@dataclass
class World:
    """What a barrier asks: heights by validator, None does not answer. `gate` holds the answers back."""

    head: int = 7
    pledges: dict[Address, int | None] = field(default_factory=lambda: dict.fromkeys(ADDRESSES, 7))
    asked: Counter[Address] = field(default_factory=Counter)
    sets: dict[int, ValidatorSet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.barrier = Barrier(
            address=ADDRESSES[0],
            head=lambda: self.head,
            validators=lambda head: self.sets.get(head, FOUR),
            pledge=lambda: self.pledges[ADDRESSES[0]],
            ask=self.ask,
        )

    async def ask(self, peer: Address) -> int:
        self.asked[peer] += 1
        await self.gate.wait()
        height = self.pledges[peer]
        if height is None:
            raise Unavailable("not connected")
        return height

    def grow(self) -> None:
        self.head += 1
        self.barrier.advanced()

    async def started(self, count: int) -> "list[asyncio.Task[None]]":
        tasks = [asyncio.get_running_loop().create_task(self.barrier.confirm()) for _ in range(count)]
        for _ in range(5):
            await asyncio.sleep(0)
        return tasks


def visit(body: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(10):
            await body(World())

    asyncio.run(main())


def test_a_node_at_the_newest_height_is_confirmed_at_once_without_the_one_that_is_silent() -> None:
    async def body(world: World) -> None:
        world.pledges[ADDRESSES[3]] = None
        await world.barrier.confirm()
        assert world.asked[ADDRESSES[0]] == 0, "nobody asks itself"
        assert world.asked[ADDRESSES[1]] == world.asked[ADDRESSES[2]] == 1

    visit(body)


def test_a_node_that_is_behind_waits_for_the_block() -> None:
    async def body(world: World) -> None:
        world.pledges.update({ADDRESSES[1]: 9, ADDRESSES[2]: 8})
        (reading,) = await world.started(1)
        assert not reading.done()
        world.grow()
        await asyncio.wait_for(reading, 5)
        assert world.head == 8, "three are not above 8: the one that says 9 is not needed"

    visit(body)


def test_a_precommit_of_its_own_counts_against_a_node() -> None:
    async def body(world: World) -> None:
        world.pledges.update({ADDRESSES[0]: 8, ADDRESSES[1]: 8})
        (reading,) = await world.started(1)
        assert not reading.done()
        world.grow()
        await asyncio.wait_for(reading, 5)

    visit(body)


def test_everybody_who_came_before_a_round_shares_it_and_nobody_else() -> None:
    async def body(world: World) -> None:
        world.gate.clear()
        early = await world.started(1)
        late = await world.started(20)
        world.gate.set()
        await asyncio.wait_for(asyncio.wait([*early, *late]), 5)
        assert world.asked[ADDRESSES[1]] == 2, "one round under way, one for all who came meanwhile"
        assert all(task.exception() is None for task in [*early, *late])

    visit(body)


def test_who_gives_up_leaves_the_others_their_turn() -> None:
    async def body(world: World) -> None:
        world.gate.clear()
        first, second, third = await world.started(3)
        first.cancel()
        await asyncio.sleep(0)
        world.gate.set()
        await asyncio.wait_for(asyncio.wait([second, third]), 5)
        assert first.cancelled()
        assert second.exception() is None
        assert third.exception() is None

    visit(body)


def test_new_validators_are_asked_when_the_set_changes_meanwhile() -> None:
    async def body(world: World) -> None:
        world.sets[8] = OTHER_FOUR
        world.pledges.update(dict.fromkeys(ADDRESSES[1:4], 8))
        (reading,) = await world.started(1)
        assert ADDRESSES[4] not in world.asked
        world.pledges[ADDRESSES[3]] = None
        world.grow()
        await asyncio.wait_for(reading, 5)

    visit(body)


def test_a_peer_that_did_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "PAUSE_S", 0.001)

    async def body(world: World) -> None:
        world.pledges.update({ADDRESSES[2]: None, ADDRESSES[3]: None})
        (reading,) = await world.started(1)
        assert not reading.done()
        world.pledges[ADDRESSES[2]] = 7
        await asyncio.wait_for(reading, 5)
        assert world.asked[ADDRESSES[2]] > 1
        assert world.asked[ADDRESSES[1]] == 1

    visit(body)


def test_too_few_answers_are_refused_with_how_many_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier, "CONFIRM_S", 0.05)

    async def body(world: World) -> None:
        world.pledges.update({ADDRESSES[2]: None, ADDRESSES[3]: None})
        with pytest.raises(Unavailable, match="height 7 is the newest: 2 of 4 validators answered"):
            await world.barrier.confirm()
        world.pledges.update(dict.fromkeys(ADDRESSES, 7))
        await world.barrier.confirm()

    visit(body)


def test_a_node_that_takes_no_part_asks_the_others_alone() -> None:
    async def body(world: World) -> None:
        world.pledges[ADDRESSES[0]] = None
        await world.barrier.confirm()
        assert world.asked[ADDRESSES[3]] == 1

    visit(body)
