"""What must hold of everything that honest validators signed and decided (consensus.md 10.2).

Counted by heads, not by the production code's quorums: four validators, one of them byzantine, whose vote
counts wherever it could have been given.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from catenet.testing.model.canonical import View
from catenet.testing.model.moves import NIL_NAME, Cast, Kind, Made
from catenet.testing.model.scene import INVALID, Scene

HONEST_QUORUM = 2
"""Honest votes in any quorum of three."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """All that honest validators signed."""

    votes: tuple[Cast, ...]
    made: tuple[Made, ...]

    def has_quorum(self, round: int, kind: Kind, value: str | None = None) -> bool:
        """Whether honest votes and the traitor's make a quorum; for whatever, without a value."""
        voters = {
            cast.voter
            for cast in self.votes
            if (cast.round, cast.kind) == (round, kind) and value in (None, cast.value)
        }
        return len(voters) >= HONEST_QUORUM


def broken(scene: Scene, views: Sequence[View]) -> Iterator[tuple[str, str]]:
    """Yield (invariant, what is wrong) of one state of the network."""
    facts = [fact for view in views for fact in view.facts]
    signed = _Signed(
        votes=tuple([fact for fact in facts if isinstance(fact, Cast)]),
        made=tuple([fact for fact in facts if isinstance(fact, Made)]),
    )
    for view in views:
        for problem in view.problems:
            yield "no honest validator halts, is refused or is blamed", problem
    yield from _agreement(signed, views)
    yield from _single_signatures(signed)
    yield from _precommits(signed)
    yield from _lock(signed)
    yield from _rounds(signed)
    yield from _proposals(scene, signed)


def _agreement(signed: _Signed, views: Sequence[View]) -> Iterator[tuple[str, str]]:
    decided = [(view.turn, view.decided) for view in views if view.decided is not None]
    if len({value for _, value in decided}) > 1:
        yield "agreement", ", ".join([f"v{turn} decides {value}" for turn, value in decided])
    for view in views:
        if view.decided is None:
            continue
        if not signed.has_quorum(view.decided_round, Kind.PRECOMMIT, view.decided):
            yield "a decision has a commit", f"v{view.turn} decides {view.decided} without precommits"


def _single_signatures(signed: _Signed) -> Iterator[tuple[str, str]]:
    steps: dict[tuple[int, int, Kind | None], set[str]] = defaultdict(set)
    for cast in signed.votes:
        steps[cast.voter, cast.round, cast.kind].add(cast.value)
    for made in signed.made:
        steps[made.proposer, made.round, None].add(f"{made.value}/{made.pol_round}")
    for (turn, round, kind), values in steps.items():
        if len(values) > 1:
            step = "proposal" if kind is None else str(kind)
            yield "one signature a step", f"v{turn}, {step} of round {round}: {' and '.join(sorted(values))}"


def _precommits(signed: _Signed) -> Iterator[tuple[str, str]]:
    for cast in signed.votes:
        if cast.kind is not Kind.PRECOMMIT or cast.value == NIL_NAME:
            continue
        if not signed.has_quorum(cast.round, Kind.PREVOTE, cast.value):
            yield "a precommit has a polka", f"v{cast.voter} signed {cast} without one"


def _lock(signed: _Signed) -> Iterator[tuple[str, str]]:
    """A prevote against an own earlier lock needs a polka of a later round than the lock, or of the same."""
    for lock in signed.votes:
        if lock.kind is not Kind.PRECOMMIT or lock.value == NIL_NAME:
            continue
        for cast in signed.votes:
            if cast.kind is not Kind.PREVOTE or (cast.voter, cast.value) in (
                (lock.voter, lock.value),
                (lock.voter, NIL_NAME),
            ):
                continue
            if cast.voter != lock.voter or cast.round <= lock.round:
                continue
            later = range(lock.round, cast.round)
            if not any(signed.has_quorum(round, Kind.PREVOTE, cast.value) for round in later):
                yield "a lock is left for a newer polka only", f"v{cast.voter} signed {cast} after {lock}"


def _rounds(signed: _Signed) -> Iterator[tuple[str, str]]:
    for cast in signed.votes:
        if cast.round > 0 and not signed.has_quorum(cast.round - 1, Kind.PRECOMMIT):
            yield "a round follows precommits of the one before", f"v{cast.voter} signed {cast}"


def _proposals(scene: Scene, signed: _Signed) -> Iterator[tuple[str, str]]:
    made_values = {made.value for made in signed.made}
    for made in signed.made:
        if made.pol_round >= 0 and not signed.has_quorum(made.pol_round, Kind.PREVOTE, made.value):
            yield "a proposal's polka exists", f"v{made.proposer} made a {made}"
    for cast in signed.votes:
        if cast.value == NIL_NAME:
            continue
        candidate = scene.candidates.get(cast.value)
        if candidate is None or cast.value == INVALID:
            yield "validity", f"v{cast.voter} signed {cast}, which is no valid block"
        elif candidate.maker != scene.traitor and cast.value not in made_values:
            yield "validity", f"v{cast.voter} signed {cast}, which nobody proposed"
