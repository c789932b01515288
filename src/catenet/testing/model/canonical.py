"""What of a validator's state can still make a difference, as a value that can be compared and hashed.

Left out, and why nothing is lost by it:

- clocks, token buckets, caches of signatures, what was accused, who named a block: no rule T asks for them;
- whatever belongs to rounds that are over and is not asked for again: their proposals, their timers;
- the slots of the vote book, how far each validator was seen, and which blocks are here: see the text of the
  package. With `single_votes` they stay.

What a restart would read is part of the state as long as there may be one.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from catenet.chain.vote import VoteType
from catenet.core.consensus.state import RoundValue, Step
from catenet.core.consensus.timers import PRECOMMIT, PREVOTE, PROPOSE
from catenet.testing.model.moves import Fact
from catenet.testing.model.scene import Scene
from catenet.testing.model.validator import Validator
from catenet.types.events import TimerKey
from catenet.types.records import PolkaRecord, ProposalRecord, Record, RoundCertRecord, VoteRecord

ROUND_TIMERS = (PROPOSE, PREVOTE, PRECOMMIT)
"""Those of T11 to T13. The others only ask and tell, which a network that shows everything needs not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the alphabet needs to know of a validator, beside its canonical state."""

    turn: int
    round: int
    step: Step
    decided: str | None
    facts: frozenset[Fact]
    problems: tuple[str, ...]
    polkas: frozenset[tuple[int, str]]
    has_proposal: bool
    lacking: tuple[str, ...]
    """Blocks that were named and are not here."""
    timers: tuple[TimerKey, ...]
    building: bool
    waits_for_prevotes: bool
    """T5 has set its timer in this round."""
    waits_for_precommits: bool
    """T8 has."""
    locked: bool
    decided_round: int
    crashes: int
    records: int
    """How many are on disk."""


def view(validator: Validator) -> View:
    """Look at a validator."""
    scene, hs = validator.scene, validator.machine.state
    return View(
        turn=validator.turn,
        round=hs.round,
        step=hs.step,
        decided=validator.decided,
        facts=frozenset(validator.facts),
        problems=tuple(validator.problems),
        polkas=frozenset([(round, scene.name(polka.block_id)) for round, polka in hs.polkas.items()]),
        has_proposal=hs.round in hs.proposals,
        lacking=tuple([scene.name(entry.block_id) for entry in hs.blocks if entry.compact is None]),
        timers=tuple([key for key in validator.armed if key.name in ROUND_TIMERS]),
        building=validator.building is not None,
        waits_for_prevotes=hs.prevote_timer_round == hs.round,
        waits_for_precommits=hs.precommit_timer_round == hs.round,
        locked=hs.locked is not None,
        decided_round=decided_round(validator),
        crashes=validator.crashes,
        records=len(validator.records),
    )


def decided_round(validator: Validator) -> int:
    """Return the round whose precommits decided, or -1."""
    block = validator.machine._ctx.decided.get(validator.scene.chain.height)
    return -1 if block is None else block.commit.round


def canonical(validator: Validator) -> Hashable:
    """Return what can still make a difference."""
    facts, problems = frozenset(validator.facts), tuple(validator.problems)
    if validator.decided is not None:
        return validator.decided, decided_round(validator), facts, problems, validator.crashes
    parts: list[Hashable] = [facts, problems, validator.crashes, _rules(validator)]
    config = validator.scene.config
    if config.crashes:
        parts.append((validator.slot.place, validator.slot.item))
    if validator.crashes < config.crashes:
        parts.append(tuple([_record(validator.scene, record) for record in validator.records]))
    if config.single_votes:
        parts.append((_book(validator), _blocks(validator)))
    return tuple(parts)


def heard(validator: Validator) -> frozenset[Fact]:
    """Return what the vote book holds of other honest validators."""
    hs, scene = validator.machine.state, validator.scene
    if validator.decided is not None:
        return frozenset()
    return frozenset(
        [
            cast
            for round in range(scene.config.rounds)
            for type in (VoteType.PREVOTE, VoteType.PRECOMMIT)
            if (votes := hs.votes.of(round, type)) is not None
            for vote in votes.present()
            if (cast := scene.cast_of(vote)).voter not in (validator.turn, scene.traitor)
        ]
    )


def _rules(validator: Validator) -> Hashable:
    """Return what the rules T1 to T13 will still ask for."""
    scene, hs = validator.scene, validator.machine.state
    name, step = scene.name, hs.step
    last = hs.round == scene.config.rounds - 1
    proposal = hs.proposals.get(hs.round) if step is Step.PROPOSE else None
    armed = [key.name for key in validator.armed if key.name in ROUND_TIMERS and key.round == hs.round]
    # After the last prevote a lock, a valid value and older polkas are of no use within the bounds.
    over = last and step is not Step.PROPOSE
    oldest = hs.round if over else 0
    if over and step is Step.PRECOMMIT:
        return hs.round, step
    return (
        hs.round,
        step,
        None if over else (_value(scene, hs.locked), _value(scene, hs.valid)),
        frozenset(
            [
                (round, name(polka.block_id))
                for round, polka in hs.polkas.items()
                if round >= oldest and not polka.block_id.is_nil
            ]
        ),
        None if proposal is None else (name(proposal.block_id), proposal.pol_round),
        step is Step.PROPOSE and (hs.entered_round, hs.built_round, PROPOSE in armed),
        step is Step.PREVOTE and (hs.prevote_timer_round == hs.round, PREVOTE in armed),
        not last and (hs.precommit_timer_round == hs.round, PRECOMMIT in armed),
        step is Step.PROPOSE and validator.building is not None and validator.building.round == hs.round,
    )


def _value(scene: Scene, value: RoundValue | None) -> Hashable:
    return None if value is None else (value.round, scene.name(value.block_id))


def _blocks(validator: Validator) -> Hashable:
    return frozenset(
        [
            (validator.scene.name(entry.block_id), entry.compact is not None, entry.verdict)
            for entry in validator.machine.state.blocks
        ]
    )


def _book(validator: Validator) -> Hashable:
    hs, name = validator.machine.state, validator.scene.name
    slots = [
        (round, type, tuple([None if vote is None else name(vote.block_id) for vote in votes.by_index]))
        for round in range(validator.scene.config.rounds)
        for type in (VoteType.PREVOTE, VoteType.PRECOMMIT)
        if (votes := hs.votes.of(round, type)) is not None
    ]
    proposals = [(round, name(one.block_id), one.pol_round) for round, one in hs.proposals.items()]
    return tuple(slots), tuple(hs.votes.max_round), frozenset(proposals)


def _record(scene: Scene, record: Record) -> Hashable:
    match record:
        case VoteRecord(vote=vote):
            return scene.cast_of(vote)
        case ProposalRecord(proposal=message):
            signed = message.signed
            return signed.round, signed.pol_round, scene.name(signed.block_id)
        case PolkaRecord(votes=votes):
            return "polka", votes[0].round, scene.name(votes[0].block_id)
        case RoundCertRecord(votes=votes):
            return "certificate", votes[0].round
        case _:
            return type(record).__name__
