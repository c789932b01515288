"""Which moves are possible for one validator, given what the others have signed. The traitor has signed all.

Moves that cannot change anything are left out where that is plain: to keep one costs time, nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

from catenet.core.consensus.state import Step
from catenet.testing.model.canonical import View
from catenet.testing.model.moves import (
    NIL_NAME,
    BlockBuilt,
    Cast,
    Certificate,
    Committed,
    Content,
    Fact,
    Kind,
    Made,
    Move,
    Proposed,
    Timer,
    Votes,
)
from catenet.testing.model.scene import INVALID, QUORUM, Scene

Ballot = tuple[int, Kind]
"""A round and a kind of votes."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """What honest validators signed, sorted for one of them."""

    own: dict[Ballot, list[Cast]]
    others: dict[Ballot, list[Cast]]
    made: list[Made]
    """By the others."""
    proposed: frozenset[str]
    """Blocks that anybody honest proposed."""


@dataclass(frozen=True, slots=True)
class _Situation:
    """One validator, and what it and the others have signed."""

    scene: Scene
    view: View
    signed: _Signed

    @property
    def last(self) -> int:
        return self.scene.config.rounds - 1

    def of_others(self, round: int, kind: Kind) -> list[Cast]:
        return self.signed.others.get((round, kind), [])

    def own(self, round: int, kind: Kind) -> list[Cast]:
        return self.signed.own.get((round, kind), [])

    def traitors(self, round: int, kind: Kind) -> list[Cast]:
        return [Cast(self.scene.traitor, round, kind, value) for value in (NIL_NAME, *self.scene.values)]

    def quorum_for(self, round: int, kind: Kind, value: str) -> tuple[Cast, ...]:
        """Return votes of a quorum, the traitor's last of all; none when honest votes are too few."""
        casts = [*self.own(round, kind), *self.of_others(round, kind)]
        found = [cast for cast in casts if cast.value == value]
        if len(found) < QUORUM - 1:
            return ()
        return (*found, Cast(self.scene.traitor, round, kind, value))[:QUORUM]

    def too_few_for(self, round: int, kind: Kind, value: str) -> tuple[Cast, ...]:
        """Return one honest vote and the traitor's: they must not be taken for a quorum."""
        for cast in (*self.own(round, kind), *self.of_others(round, kind)):
            if cast.value == value:
                return cast, Cast(self.scene.traitor, round, kind, value)
        return ()


def possible(scene: Scene, view: View, others: tuple[frozenset[Fact], ...]) -> list[Move]:
    """Return what can happen to a validator."""
    if view.decided is not None:
        return []
    alphabet = _single if scene.config.single_votes else _grouped
    return list(dict.fromkeys(alphabet(_Situation(scene, view, _sorted(view.facts, others)))))


@lru_cache(maxsize=1 << 16)
def _sorted(own: frozenset[Fact], others: tuple[frozenset[Fact], ...]) -> _Signed:
    """Sort what was signed; the order is the same in every run."""
    foreign = [fact for facts in others for fact in facts]
    made = [fact for fact in foreign if isinstance(fact, Made)]
    made.sort(key=lambda one: (one.round, one.proposer, one.value, one.pol_round))
    proposed = frozenset([fact.value for fact in (*own, *foreign) if isinstance(fact, Made)])
    return _Signed(own=_ballots(own), others=_ballots(foreign), made=made, proposed=proposed)


def _ballots(facts: Iterable[Fact]) -> dict[Ballot, list[Cast]]:
    casts = [fact for fact in facts if isinstance(fact, Cast)]
    found: dict[Ballot, list[Cast]] = {}
    for cast in sorted(casts, key=lambda one: (one.round, one.kind, one.voter, one.value)):
        found.setdefault((cast.round, cast.kind), []).append(cast)
    return found


def _grouped(here: _Situation) -> Iterator[Move]:
    view = here.view
    if view.step is Step.PROPOSE and not view.has_proposal:
        yield from _proposals(here, view.round)
    yield from _polkas(here)
    if view.step is Step.PREVOTE and not view.waits_for_prevotes:
        yield from _any_votes(here, Kind.PREVOTE)
    if view.round < here.last and not view.waits_for_precommits:
        yield from _any_votes(here, Kind.PRECOMMIT)
    yield from _skips(here)
    yield from _decisions(here)
    yield from _alone(here)


def _single(here: _Situation) -> Iterator[Move]:
    """Yield single votes in any order, beside all that is not cut into single votes."""
    for casts in here.signed.others.values():
        for cast in casts:
            yield Votes((cast,))
    for round in range(here.last + 1):
        for kind in Kind:
            for cast in here.traitors(round, kind):
                yield Votes((cast,))
        yield from _proposals(here, round)
    yield from _polkas(here)
    yield from _skips(here)
    yield from _decisions(here)
    yield from _alone(here)


def _proposals(here: _Situation, round: int) -> Iterator[Move]:
    """T4: proposals of a round, each with its polka and without."""
    scene = here.scene
    for made in here.signed.made:
        if made.round == round:
            yield from _with_polka(here, made)
    if scene.proposer(round) != scene.traitor:
        return
    values = [value for value in scene.values if _is_out(here, value)]
    for value in (*values, INVALID):
        yield Proposed(Made(scene.traitor, round, value, -1))
    # A pol_round that no proposal of this round can have.
    yield Proposed(Made(scene.traitor, round, values[0], round))
    for pol_round in range(round):
        for value in values:
            yield from _with_polka(here, Made(scene.traitor, round, value, pol_round))


def _with_polka(here: _Situation, made: Made) -> Iterator[Move]:
    yield Proposed(made)
    if made.pol_round >= 0:
        polka = here.quorum_for(made.pol_round, Kind.PREVOTE, made.value)
        if polka:
            yield Proposed(made, polka)


def _polkas(here: _Situation) -> Iterator[Move]:
    """T6, T6b, T7: a polka, whole or vote by vote; one for nil means nothing once its round is over."""
    view, traitor = here.view, here.scene.traitor
    known = {round for round, _ in view.polkas}
    for round in range(view.round + 1):
        if round in known or (round == view.round and view.step is Step.PROPOSE):
            continue
        for value in (*here.scene.values, NIL_NAME):
            polka = here.quorum_for(round, Kind.PREVOTE, value)
            few = here.too_few_for(round, Kind.PREVOTE, value)
            if few:
                yield Certificate(few)
            if not polka or (value == NIL_NAME and round < view.round):
                continue
            yield Certificate(polka)
            votes = [cast for cast in here.of_others(round, Kind.PREVOTE) if cast.value == value]
            yield Votes(tuple(votes))
            yield Votes((*votes, Cast(traitor, round, Kind.PREVOTE, value)))


def _any_votes(here: _Situation, kind: Kind) -> Iterator[Move]:
    """T5, T8: votes of two thirds for whatever, my own among them or not."""
    round = here.view.round
    others, own = here.of_others(round, kind), here.own(round, kind)
    needed = QUORUM - 1 if own else QUORUM
    for votes in combinations(others, needed):
        yield Votes(votes)
    for votes in combinations(others, needed - 1):
        for traitors in here.traitors(round, kind):
            yield Votes((*votes, traitors))
    if kind is Kind.PRECOMMIT:
        yield from _round_certificate(here, round)


def _round_certificate(here: _Situation, round: int) -> Iterator[Move]:
    honest = [*here.of_others(round, Kind.PRECOMMIT), *here.own(round, Kind.PRECOMMIT)]
    casts = [*honest, Cast(here.scene.traitor, round, Kind.PRECOMMIT, NIL_NAME)]
    if len(casts) >= QUORUM:
        yield Certificate(tuple(casts[:QUORUM]))


def _skips(here: _Situation) -> Iterator[Move]:
    """T10, G3: a third is in a higher round, or a certificate of one is there.

    The traitor shows itself in a round beyond the bound, which uses none of its votes within.
    """
    beyond = Cast(here.scene.traitor, here.last + 1, Kind.PREVOTE, NIL_NAME)
    for round in range(here.view.round + 1, here.last + 1):
        heard = [cast for kind in Kind for cast in here.of_others(round, kind)]
        for cast in heard:
            yield Votes((cast, beyond))
        for pair in combinations(heard, 2):
            if pair[0].voter != pair[1].voter:
                yield Votes(pair)
        yield from _round_certificate(here, round)


def _decisions(here: _Situation) -> Iterator[Move]:
    """T9, G6: precommits of two thirds for one block, in any round, whole or vote by vote."""
    for round in range(here.last + 1):
        for value in here.scene.values:
            commit = here.quorum_for(round, Kind.PRECOMMIT, value)
            few = here.too_few_for(round, Kind.PRECOMMIT, value)
            if few:
                yield Committed(few)
            if commit:
                yield Committed(commit)
                votes = [cast for cast in here.of_others(round, Kind.PRECOMMIT) if cast.value == value]
                yield Votes(tuple(votes))
                yield Votes((*votes, Cast(here.scene.traitor, round, Kind.PRECOMMIT, value)))


def _alone(here: _Situation) -> Iterator[Move]:
    """Blocks that were asked for, timers, and the own block."""
    for value in here.view.lacking:
        if value in here.scene.candidates and _is_out(here, value):
            yield Content(value)
    for key in here.view.timers:
        if not (key.name.endswith("/precommit") and key.round >= here.last):
            yield Timer(key.name, key.round)
    if here.view.building:
        yield BlockBuilt()


def _is_out(here: _Situation, value: str) -> bool:
    """Whether a block can be had: the traitor gives its own to anybody."""
    return here.scene.candidates[value].maker == here.scene.traitor or value in here.signed.proposed
