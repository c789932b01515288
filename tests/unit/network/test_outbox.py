"""The bounded queues of consensus.md 5.3."""

import asyncio

import pytest

from catenet.network.backoff import Backoff
from catenet.network.outbox import LinkClosed, Outbox, Parcel
from catenet.types.messages import Status
from support.network import status


def control(*, bytes_max: int = 100, frames_max: int = 4) -> Outbox:
    def encode(newest: Status) -> bytes:
        return f"status {newest.height}".encode()

    return Outbox(bytes_max=bytes_max, frames_max=frames_max, encode_status=encode)


def drain(outbox: Outbox) -> list[bytes]:
    async def body() -> list[bytes]:
        return [await outbox.get() for _ in range(len(outbox))]

    return asyncio.run(body())


def test_frames_leave_in_the_order_they_came() -> None:
    outbox = control()
    for each in (b"a", b"b", b"c", b"d"):
        outbox.put(Parcel(data=each))
    assert drain(outbox) == [b"a", b"b", b"c", b"d"]
    assert outbox.bytes == 0


def test_one_frame_too_many_leaves_only_the_newest_status() -> None:
    outbox = control(frames_max=4)
    outbox.put(Parcel(data=b"old", status=status(1)))
    outbox.put(Parcel(data=b"vote and status", status=status(2)))
    outbox.put(Parcel(data=b"vote"))
    outbox.put(Parcel(data=b"vote"))
    assert len(outbox) == 4
    outbox.put(Parcel(data=b"vote"))
    assert outbox.dropped == 4
    assert drain(outbox) == [b"status 2"]


def test_one_byte_too_many_leaves_only_the_newest_status() -> None:
    outbox = control(bytes_max=100)
    outbox.put(Parcel(data=bytes(100)))
    assert len(outbox) == 1
    outbox.put(Parcel(data=b"x", status=status(9)))
    assert drain(outbox) == [b"status 9"]
    outbox.put(Parcel(data=bytes(100)))
    outbox.put(Parcel(data=b"x"))
    assert len(outbox) == 0


def test_a_full_bulk_queue_refuses_what_comes_and_keeps_the_order() -> None:
    outbox = Outbox(bytes_max=3, frames_max=10, encode_status=None)
    for each in (b"a", b"b", b"c", b"d"):
        outbox.put(Parcel(data=each))
    assert (drain(outbox), outbox.dropped) == ([b"a", b"b", b"c"], 1)


def test_a_closed_queue_wakes_who_waits_and_says_why() -> None:
    async def body() -> None:
        outbox = control()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(_reason(outbox))
            await asyncio.sleep(0)
            outbox.close("because")
        assert waiting.result() == "because"
        outbox.put(Parcel(data=b"late"))
        assert len(outbox) == 0

    asyncio.run(body())


async def _reason(outbox: Outbox) -> str:
    with pytest.raises(LinkClosed) as caught:
        await outbox.get()
    return str(caught.value)


def test_pauses_have_full_jitter_under_a_doubling_bound_up_to_the_cap() -> None:
    class Ones:
        def random(self) -> float:
            return 1.0

    pauses = Backoff(random=Ones(), cap_s=1.0)  # type: ignore[arg-type]  # only random() is used
    assert [pauses.next_s() for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    pauses.reset()
    assert pauses.next_s() == 0.05
