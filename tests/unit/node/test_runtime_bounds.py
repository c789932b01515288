"""The heart: signatures are answered within their turn, and a peer that floods takes only its share."""

import asyncio
from collections.abc import Callable

from catenet.chain.commit import NIL
from catenet.chain.vote import Vote, VoteType
from catenet.node.runtime import PEER_BYTES_MAX, PEER_EVENTS_MAX, TURN_EVENTS_MAX, Runtime
from catenet.types.clock import Instant
from catenet.types.effects import Effect, Sign
from catenet.types.events import Event, LinkChanged, Received, Signed
from catenet.types.messages import Ping

VOTE = Vote(type=VoteType.PREVOTE, height=1, round=0, block_id=NIL, time_ns=0, address=bytes(20), index=0)
LINK = LinkChanged(peer=b"a" * 20, up=True)


class Recorder:
    """A core and a performer: remembers what came, and signs for the last event of a full turn."""

    def __init__(self) -> None:
        self.turns: list[list[Event]] = [[]]
        self.sign_at = -1
        self.post: Callable[[Event], None] = self.turns[-1].append

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        self.turns[-1].append(event)
        return [Sign(item=VOTE)] if len(self.turns[-1]) == self.sign_at else []

    def perform(self, effect: Effect) -> None:
        assert isinstance(effect, Sign)
        self.post(Signed(item=effect.item))

    def end_turn(self) -> None:
        self.turns.append([])


def run(events: int, *, sign_at: int = -1) -> list[list[Event]]:
    async def main() -> list[list[Event]]:
        recorder = Recorder()
        recorder.sign_at = sign_at
        runtime = Runtime(asyncio.get_running_loop())
        recorder.post = runtime.post
        for _ in range(events):
            runtime.post(LINK)
        runtime.start(recorder, recorder)
        for _ in range(events):
            await asyncio.sleep(0)
        assert sum(map(len, recorder.turns)) >= events
        return [turn for turn in recorder.turns if turn]

    return asyncio.run(main())


def test_a_turn_is_bounded_and_the_rest_comes_in_the_next() -> None:
    assert [len(turn) for turn in run(TURN_EVENTS_MAX + 3)] == [TURN_EVENTS_MAX, 3]


def test_the_answer_to_a_signature_is_taken_in_the_turn_that_asked() -> None:
    # Else the guard's slot would go to the disk in a group before the record of the vote.
    first, second = run(TURN_EVENTS_MAX + 3, sign_at=TURN_EVENTS_MAX)
    assert first[-1] == Signed(item=VOTE)
    assert second == [LINK] * 3


def test_a_stopped_runtime_takes_no_event() -> None:
    async def main() -> Recorder:
        recorder = Recorder()
        runtime = Runtime(asyncio.get_running_loop())
        runtime.post(LINK)
        runtime.start(recorder, recorder)
        runtime.stop()
        runtime.post(LINK)
        for _ in range(3):
            await asyncio.sleep(0)
        return recorder

    assert [turn for turn in asyncio.run(main()).turns if turn] == []


def test_a_flooding_peer_is_held_to_its_share_and_others_are_not() -> None:
    async def main() -> None:
        recorder = Recorder()
        runtime = Runtime(asyncio.get_running_loop())
        flood, other = (Received(peer=name * 20, message=Ping()) for name in (b"f", b"o"))
        taken = [runtime.post_message(flood, 10) for _ in range(PEER_EVENTS_MAX + 5)]
        assert taken == [True] * PEER_EVENTS_MAX + [False] * 5
        assert runtime.post_message(other, PEER_BYTES_MAX + 1), "a single message always fits"
        assert not runtime.post_message(other, 1)
        runtime.start(recorder, recorder)
        for _ in range(PEER_EVENTS_MAX // TURN_EVENTS_MAX + 2):
            await asyncio.sleep(0)
        assert sum(map(len, recorder.turns)) == PEER_EVENTS_MAX + 1
        assert runtime.post_message(flood, 10), "what was taken in makes room"
        assert runtime.post_message(other, 1)

    asyncio.run(main())
