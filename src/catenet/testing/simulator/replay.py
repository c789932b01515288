"""Invariant 9 of consensus.md 10.2, second half: replaying the log gives the state that was.

A second core is restored from what a live node has handed to its disk, and must stand where the first does.
"""

from collections.abc import Sequence

from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.state import HeightState
from catenet.core.node import Node
from catenet.testing.simulator.host import Host


def difference(host: Host) -> str | None:
    """Say in what a core restored from the host's journal differs from the live one; None: in nothing.

    One that decided and has not yet stored a block replays it first: then there is nothing to compare.
    """
    restored = host.replayed()
    live, again = host.core.consensus.state, restored.consensus.state
    if live.height != again.height or not _takes_part(host.core) or not _takes_part(restored):
        return None
    for what, was, found in _compared(live, again):
        if was != found:
            return f"{what} at height {live.height} was {was} and is {found} after a replay of the journal"
    return None


def has_much_to_lose(host: Host) -> bool:
    """Whether a node stands in the middle of a height, with a lock or in a later round.

    A vote that waits for its signature after a start counts as cast here (T2), and nowhere else. So does one
    that is never signed, at a height up to which a lost journal forbids it: nobody knows of its lock.
    """
    consensus = host.core.consensus
    state = consensus.state
    waiting = [vote for vote in state.mine.values() if not vote.signature]
    deep = state.locked is not None or state.round > 0
    return bool(state.mine) and deep and not waiting and consensus.signs and _takes_part(host.core)


def _compared(live: HeightState, again: HeightState) -> Sequence[tuple[str, object, object]]:
    # A round that was entered with its certificate in hand is over for a restart (consensus.md 4, step 4).
    latest = max(live.round, live.logged_cert_round + 1)
    pairs: list[tuple[str, object, object]] = [
        ("the own votes", _signed(live), _signed(again)),
        ("the own proposals", _proposed(live), _proposed(again)),
        ("the lock", live.locked, again.locked),
        ("the valid value", live.valid, again.valid),
        ("the round is not later: it", again.round <= latest, True),
    ]
    if (live.round, VoteType.PREVOTE) in _signed(live):
        pairs.append(("the round", latest, again.round))
        if latest == live.round:
            pairs.append(("the step", live.step, again.step))
    return pairs


def _signed(state: HeightState) -> dict[tuple[int, VoteType], Vote]:
    return {step: vote for step, vote in state.mine.items() if vote.signature}


def _proposed(state: HeightState) -> dict[int, Proposal]:
    return {
        round_: message.signed for round_, message in state.mine_proposals.items() if message.signed.signature
    }


def _takes_part(core: Node) -> bool:
    return core._taking_part and not core.syncing
