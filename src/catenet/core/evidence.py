"""The evidence pool (consensus.md 6): evidence that waits for a block, and the rules E1 to E4.

What it proves is decided by `chain.evidence` and `chain.attack`; here: which is known, committed, expired.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from catenet.chain.attack import Disputed, verify_attack
from catenet.chain.encoding import DecodeError
from catenet.chain.evidence import (
    DuplicateVoteEvidence,
    Evidence,
    InvalidEvidence,
    LightClientAttackEvidence,
    encode_list,
    is_expired,
    make,
    unwrap,
    verify_evidence,
    wrap,
)
from catenet.chain.keys import Verify
from catenet.chain.light_block import LightBlock
from catenet.chain.state import ChainState
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote
from catenet.types.effects import Append, Broadcast, Effect, Notice, Penalise
from catenet.types.ids import Address
from catenet.types.messages import EvidenceMessage
from catenet.types.records import EvidenceRecord, Record

PENDING_MAX = 1_024
PENDING_PER_VALIDATOR_MAX = 64
"""A faulty validator can sign any number of votes: a few of them are enough to convict it."""


class History(Protocol):
    """What is known of past heights."""

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Return who could sign at a height; None when that is not known here."""
        ...

    def time_at(self, height: int) -> int | None:
        """Return the block time of a height in nanoseconds; None when that is not known here."""
        ...

    def light_block_at(self, height: int) -> LightBlock | None:
        """Return header, validators and the commit that the next block holds; None when they are not here.

        Of the newest block, the commit is whichever is here.
        """
        ...

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        """Whether a block of the chain holds this evidence."""
        ...


class HistoryMissing(LookupError):
    """Evidence cannot be judged here: a block with it is neither valid nor invalid (E2)."""


class TooEarly(HistoryMissing):
    """The chain must grow before this evidence can be judged: no block may hold it yet."""


class EvidencePool:
    """Evidence that is verified and not yet in a block."""

    def __init__(self, history: History, verify: Verify) -> None:
        self._history = history
        self._verify = verify
        self._pending: dict[bytes, Evidence] = {}
        """By hash, in the order in which they came."""
        self._accusations: list[tuple[Vote, Vote]] = []
        """Of heights whose block time is not known yet."""
        self._sound: dict[bytes, tuple[int, bool]] = {}
        """Of pending attacks: at which height they were looked at last, and whether they hold."""

    @property
    def waiting(self) -> bool:
        """Whether there is evidence for a block: a height is due for it (2.7 e)."""
        return bool(self._pending)

    def restore(self, records: Iterable[Record]) -> None:
        """Take evidence out of the journal: it was verified before it was recorded."""
        for record in records:
            if isinstance(record, EvidenceRecord):
                evidence = unwrap(record.evidence)
                if not self._history.evidence_committed(evidence.hash()):
                    self._pending[evidence.hash()] = evidence

    def live_records(self) -> list[EvidenceRecord]:
        """Return what must be kept when the journal is trimmed."""
        return [EvidenceRecord(evidence=wrap(evidence)) for evidence in self._pending.values()]

    def accuse(self, vote_a: Vote, vote_b: Vote, state: ChainState) -> list[Effect]:
        """E1: two different votes of one step. Evidence needs the time of its block, which may be to come."""
        if len(self._accusations) < PENDING_MAX:
            self._accusations.append((vote_a, vote_b))
        return self._convert(state)

    def _convert(self, state: ChainState) -> list[Effect]:
        effects: list[Effect] = []
        accusations, self._accusations = self._accusations, []
        for vote_a, vote_b in accusations:
            if vote_a.height > state.last_height:
                self._accusations.append((vote_a, vote_b))
                continue
            validators = self._history.validators_at(vote_a.height)
            time_ns = self._history.time_at(vote_a.height)
            if validators is None or time_ns is None:
                continue
            try:
                evidence = make(vote_a, vote_b, validators, time_ns)
            except InvalidEvidence as error:
                effects.append(Notice(name="accusation-dropped", fields={"reason": str(error)}))
                continue
            effects.extend(self._add(evidence, state))
        return effects

    def _add(self, evidence: Evidence, state: ChainState) -> list[Effect]:
        """Keep evidence that is not known: append, then tell everybody, once."""
        of_same = sum([other.accused[:1] == evidence.accused[:1] for other in self._pending.values()])
        if len(self._pending) >= PENDING_MAX or of_same >= PENDING_PER_VALIDATOR_MAX:
            return []
        if self._is_known(evidence.hash()) or _expired(evidence, state):
            return []
        self._pending[evidence.hash()] = evidence
        wrapped = wrap(evidence)
        return [
            Append(record=EvidenceRecord(evidence=wrapped)),
            Broadcast(message=EvidenceMessage(evidence=wrapped)),
            _alarm(evidence),
        ]

    def _is_known(self, evidence_hash: bytes) -> bool:
        return evidence_hash in self._pending or self._history.evidence_committed(evidence_hash)

    def received(
        self, peer: Address, wrapped: bytes, state: ChainState, *, is_behind: bool = False
    ) -> list[Effect]:
        """Take evidence from a peer: `wrapped` is one `Evidence`. E3: forged evidence disconnects.

        Who is behind takes none: it would judge its age by an old height, and pass on what others refuse.
        """
        if is_behind:
            return []
        try:
            evidence = unwrap(wrapped)
        except DecodeError as error:
            return [Penalise(peer=peer, reason=f"evidence that does not parse: {error}")]
        if evidence.height > state.last_height or self._is_known(evidence.hash()):
            return []
        if _expired(evidence, state):
            # E3: no honest peer is so far behind that it could take this for fresh.
            if _expired(evidence, state, ages=2):
                return [Penalise(peer=peer, reason="evidence that expired long ago", disconnect=True)]
            return []
        try:
            self._verify_one(evidence, state)
        except HistoryMissing:
            return []
        except InvalidEvidence as error:
            # Near the head an honest peer may know one block more or less of the chain.
            is_forged = not isinstance(error, Disputed)
            return [
                Penalise(peer=peer, reason=f"evidence that proves nothing: {error}", disconnect=is_forged)
            ]
        return self._add(evidence, state)

    def refusal(self, wrapped: bytes, state: ChainState) -> str | None:
        """Say why evidence that a client hands in is refused; None: it is good, or known already."""
        try:
            evidence = unwrap(wrapped)
            if self._is_known(evidence.hash()):
                return None
            if evidence.height > state.last_height:
                return f"height {evidence.height} is not decided here, the newest is {state.last_height}"
            if _expired(evidence, state):
                return f"evidence of height {evidence.height} has expired"
            self._verify_one(evidence, state)
        except (DecodeError, InvalidEvidence, HistoryMissing) as error:
            return str(error)
        return None

    def _verify_one(self, evidence: Evidence, state: ChainState) -> None:
        if len(encode_list([evidence])) > state.params.evidence_max_bytes:
            raise InvalidEvidence(f"no block takes more than {state.params.evidence_max_bytes} bytes of it")
        if isinstance(evidence, LightClientAttackEvidence):
            self._verify_attack(evidence, state)
            return
        validators = self._history.validators_at(evidence.height)
        time_ns = self._history.time_at(evidence.height)
        if validators is None or time_ns is None:
            raise HistoryMissing(f"height {evidence.height} is not known here")
        verify_evidence(
            evidence, chain_id=state.chain_id, valset=validators, time_ns=time_ns, verify=self._verify
        )

    def _verify_attack(self, evidence: LightClientAttackEvidence, state: ChainState) -> None:
        """E4: against the chain up to `state`, so that all who have it judge alike."""
        conflict = evidence.conflicting_block.height
        if conflict == state.last_height:
            # The commit that all nodes have alike is in the next block.
            raise TooEarly(f"the chain does not hold the commit of height {state.last_height} yet")
        common = self._history.light_block_at(evidence.height)
        trusted = self._history.light_block_at(min(conflict, state.last_height))
        if common is None or trusted is None:
            raise HistoryMissing(f"height {evidence.height} or {conflict} is not known here")
        verify_attack(evidence, chain_id=state.chain_id, common=common, trusted=trusted, verify=self._verify)

    def check(self, evidence: Sequence[Evidence], state: ChainState) -> str | None:
        """E2: return why the evidence of a block after `state` breaks a rule, or None.

        Raises `HistoryMissing` when this node cannot know.
        """
        if not evidence:
            return None
        size = len(encode_list(evidence))
        if size > state.params.evidence_max_bytes:
            return f"{size} bytes of evidence, {state.params.evidence_max_bytes} are allowed"
        seen: set[bytes] = set()
        for piece in evidence:
            name = piece.hash()
            if name in seen or self._history.evidence_committed(name):
                return f"evidence {name.hex()} is repeated"
            seen.add(name)
            if piece.height > state.last_height:
                return f"evidence of height {piece.height}, which is not decided"
            if _expired(piece, state):
                return f"evidence {name.hex()} is expired"
            if isinstance(piece, DuplicateVoteEvidence) and self._pending.get(name) == piece:
                # Verified before; what an attack proves may change while the chain grows.
                continue
            try:
                self._verify_one(piece, state)
            except (InvalidEvidence, TooEarly) as error:
                return f"evidence {name.hex()}: {error}"
        return None

    def pick(self, state: ChainState) -> tuple[Evidence, ...]:
        """Return evidence for a block after `state`, oldest first, as much as may stand in it."""
        picked: list[Evidence] = []
        for evidence in sorted(self._pending.values(), key=lambda piece: (piece.height, piece.hash())):
            if _expired(evidence, state) or evidence.height > state.last_height:
                continue
            if len(encode_list([*picked, evidence])) > state.params.evidence_max_bytes:
                break
            if self._is_sound(evidence, state):
                picked.append(evidence)
        return tuple(picked)

    def _is_sound(self, evidence: Evidence, state: ChainState) -> bool:
        """Whether evidence that was verified once still proves something; looked at once a height."""
        if isinstance(evidence, DuplicateVoteEvidence):
            return True
        name = evidence.hash()
        at, is_sound = self._sound.get(name, (0, False))
        if at != state.last_height:
            try:
                self._verify_one(evidence, state)
                is_sound = True
            except (InvalidEvidence, HistoryMissing):
                is_sound = False
            self._sound[name] = (state.last_height, is_sound)
        return is_sound

    def committed(self, evidence: Iterable[Evidence], state: ChainState) -> list[Effect]:
        """Drop what the newest block holds and what is expired; make evidence of accusations."""
        for piece in evidence:
            self._pending.pop(piece.hash(), None)
        for name in [name for name, piece in self._pending.items() if _expired(piece, state)]:
            del self._pending[name]
        self._sound = {name: found for name, found in self._sound.items() if name in self._pending}
        return self._convert(state)


def _alarm(evidence: Evidence) -> Notice:
    if isinstance(evidence, LightClientAttackEvidence):
        guilty = ", ".join([address.hex().upper() for address in evidence.accused])
        conflict = evidence.conflicting_block.height
        attack: dict[str, object] = {"validators": guilty, "height": conflict, "common": evidence.height}
        return Notice(name="light-client-attack", fields=attack, alarm=True)
    vote = evidence.vote_a
    fields: dict[str, object] = {
        "validator": vote.address.hex().upper(),
        "vote_height": vote.height,
        "vote_round": vote.round,
    }
    return Notice(name="double-vote", fields=fields, alarm=True)


def _expired(evidence: Evidence, state: ChainState, *, ages: int = 1) -> bool:
    """Whether both ages have passed, so many times: a function of the chain, so that all judge alike."""
    return is_expired(
        evidence_height=evidence.height,
        evidence_time_ns=evidence.time_ns,
        height=state.last_height,
        time_ns=state.last_time_ns,
        params=replace(
            state.params,
            evidence_max_age_blocks=ages * state.params.evidence_max_age_blocks,
            evidence_max_age_ns=ages * state.params.evidence_max_age_ns,
        )
        if ages > 1
        else state.params,
    )
