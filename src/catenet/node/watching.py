"""Tells a watcher what consensus does: looks at the core before and after each event, and changes nothing."""

from collections.abc import Sequence

from catenet.chain.vote import Vote
from catenet.core.consensus.state import HeightState
from catenet.core.node import Node
from catenet.types.clock import Instant
from catenet.types.desk import RoundView, Watcher
from catenet.types.effects import Effect
from catenet.types.events import Event, Received, Signed
from catenet.types.messages import VoteMessage, VoteSet


class WatchedCore:
    """The core, as the runtime drives it (`node.runtime.Core`)."""

    def __init__(self, core: Node) -> None:
        self._core = core
        self._watcher: Watcher | None = None

    def watch(self, watcher: Watcher | None) -> None:
        """Tell this one from now on; None: nobody."""
        self._watcher = watcher

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """Have the core take one event."""
        watcher = self._watcher
        if watcher is None:
            return self._core.handle(event, now)
        # A vote that decides the height ends it: what it was counted in is looked at before.
        state = self._core.consensus.state
        before = (state.height, state.round, state.step)
        fresh = [vote for vote in _votes(event) if vote.height == state.height and not _held(state, vote)]
        effects = self._core.handle(event, now)
        for vote in fresh:
            if _held(state, vote):
                watcher.on_vote(vote)
        self._tell_step(watcher, before)
        return effects

    def _tell_step(self, watcher: Watcher, before: tuple[int, int, int]) -> None:
        state = self._core.consensus.state
        after = (state.height, state.round, state.step)
        if after == before:
            return
        proposer = state.validators.proposer_at(state.round)
        view = RoundView(
            height=state.height,
            round=state.round,
            step=self._core.consensus.step,
            proposer=proposer.address,
            proposer_index=state.validators.index_of(proposer.address) or 0,
        )
        watcher.on_step(view, new_round=after[:2] != before[:2])


def _votes(event: Event) -> Sequence[Vote]:
    match event:
        case Signed(item=Vote() as vote) | Received(message=VoteMessage(vote=vote)):
            return (vote,)
        case Received(message=VoteSet(votes=votes)):
            return votes
        case _:
            return ()


def _held(state: HeightState, vote: Vote) -> bool:
    """Whether a vote counts at its height."""
    if not 0 <= vote.index < len(state.validators):
        return False
    return state.votes.held(vote.round, vote.type, vote.index) == vote
