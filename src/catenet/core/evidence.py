"""The evidence pool (consensus.md 6): double votes that wait for a block, and the rules E1 to E3.

What the two votes prove is decided by `chain.evidence`; here: which evidence is known, committed, expired.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from catenet.chain.encoding import DecodeError, message_field
from catenet.chain.evidence import (
    DuplicateVoteEvidence,
    InvalidEvidence,
    decode_list,
    encode_list,
    is_expired,
    make,
    verify_evidence,
)
from catenet.chain.keys import Verify
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

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        """Whether a block of the chain holds this evidence."""
        ...


class HistoryMissing(LookupError):
    """Evidence cannot be judged here: a block with it is neither valid nor invalid (E2)."""


class EvidencePool:
    """Evidence that is verified and not yet in a block."""

    def __init__(self, history: History, verify: Verify) -> None:
        self._history = history
        self._verify = verify
        self._pending: dict[bytes, DuplicateVoteEvidence] = {}
        """By hash, in the order in which they came."""
        self._accusations: list[tuple[Vote, Vote]] = []
        """Of heights whose block time is not known yet."""

    @property
    def waiting(self) -> bool:
        """Whether there is evidence for a block: a height is due for it (2.7 e)."""
        return bool(self._pending)

    def restore(self, records: Iterable[Record]) -> None:
        """Take evidence out of the journal: it was verified before it was recorded."""
        for record in records:
            if isinstance(record, EvidenceRecord):
                for evidence in decode_list(message_field(1, record.evidence)):
                    if not self._history.evidence_committed(evidence.hash()):
                        self._pending[evidence.hash()] = evidence

    def live_records(self) -> list[EvidenceRecord]:
        """Return what must be kept when the journal is trimmed."""
        return [EvidenceRecord(evidence=_wrapped(evidence)) for evidence in self._pending.values()]

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

    def _add(self, evidence: DuplicateVoteEvidence, state: ChainState) -> list[Effect]:
        """Keep evidence that is not known: append, then tell everybody, once."""
        vote = evidence.vote_a
        of_same = sum([other.vote_a.address == vote.address for other in self._pending.values()])
        if len(self._pending) >= PENDING_MAX or of_same >= PENDING_PER_VALIDATOR_MAX:
            return []
        if self._is_known(evidence.hash()) or _expired(evidence, state):
            return []
        self._pending[evidence.hash()] = evidence
        wrapped = _wrapped(evidence)
        fields = {
            "validator": vote.address.hex().upper(),
            "vote_height": vote.height,
            "vote_round": vote.round,
        }
        return [
            Append(record=EvidenceRecord(evidence=wrapped)),
            Broadcast(message=EvidenceMessage(evidence=wrapped)),
            Notice(name="double-vote", fields=fields, alarm=True),
        ]

    def _is_known(self, evidence_hash: bytes) -> bool:
        return evidence_hash in self._pending or self._history.evidence_committed(evidence_hash)

    def received(self, peer: Address, wrapped: bytes, state: ChainState) -> list[Effect]:
        """Take evidence from a peer: `wrapped` is one `Evidence`. E3: forged evidence disconnects."""
        try:
            (evidence,) = decode_list(message_field(1, wrapped))
        except DecodeError as error:
            return [Penalise(peer=peer, reason=f"evidence that does not parse: {error}")]
        if (
            evidence.height > state.last_height
            or self._is_known(evidence.hash())
            or _expired(evidence, state)
        ):
            return []
        try:
            self._verify_one(evidence, state)
        except HistoryMissing:
            return []
        except InvalidEvidence as error:
            return [Penalise(peer=peer, reason=f"evidence that proves nothing: {error}", disconnect=True)]
        return self._add(evidence, state)

    def _verify_one(self, evidence: DuplicateVoteEvidence, state: ChainState) -> None:
        validators = self._history.validators_at(evidence.height)
        time_ns = self._history.time_at(evidence.height)
        if validators is None or time_ns is None:
            raise HistoryMissing(f"height {evidence.height} is not known here")
        verify_evidence(
            evidence, chain_id=state.chain_id, valset=validators, time_ns=time_ns, verify=self._verify
        )

    def check(self, evidence: Sequence[DuplicateVoteEvidence], state: ChainState) -> str | None:
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
            if self._pending.get(name) == piece:
                # Verified before.
                continue
            try:
                self._verify_one(piece, state)
            except InvalidEvidence as error:
                return f"evidence {name.hex()}: {error}"
        return None

    def pick(self, state: ChainState) -> tuple[DuplicateVoteEvidence, ...]:
        """Return evidence for a block after `state`, oldest first, as much as may stand in it."""
        picked: list[DuplicateVoteEvidence] = []
        for evidence in sorted(self._pending.values(), key=lambda piece: (piece.height, piece.hash())):
            if _expired(evidence, state) or evidence.height > state.last_height:
                continue
            if len(encode_list([*picked, evidence])) > state.params.evidence_max_bytes:
                break
            picked.append(evidence)
        return tuple(picked)

    def committed(self, evidence: Iterable[DuplicateVoteEvidence], state: ChainState) -> list[Effect]:
        """Drop what the newest block holds and what is expired; make evidence of accusations."""
        for piece in evidence:
            self._pending.pop(piece.hash(), None)
        for name in [name for name, piece in self._pending.items() if _expired(piece, state)]:
            del self._pending[name]
        return self._convert(state)


def _wrapped(evidence: DuplicateVoteEvidence) -> bytes:
    return message_field(1, evidence.encode())


def _expired(evidence: DuplicateVoteEvidence, state: ChainState) -> bool:
    """Whether both ages have passed: a function of the chain, so that all judge alike."""
    return is_expired(
        evidence_height=evidence.height,
        evidence_time_ns=evidence.time_ns,
        height=state.last_height,
        time_ns=state.last_time_ns,
        params=state.params,
    )
