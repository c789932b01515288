"""The double-sign guard's decision (consensus.md 4): sign, repeat what was signed, or refuse.

Pure: the key signs outside, and the state lives in a file of two slots. **A new state is durable before the
signature leaves**, and that of a precommit for a block only after its polka record is on disk.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from catenet.chain.encoding import (
    DecodeError,
    Message,
    bytes_field,
    fields,
    int_field,
    read_time,
    read_uvarint,
    require_canonical,
    sfixed64_field,
)
from catenet.chain.json_fields import JsonError, parse_object
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.types.records import ProposalRecord, Record, RejoinRecord, VoteRecord

NEVER = (1 << 63) - 1
"""A rejoin height that no chain reaches: nothing is signed."""

_STEPS = {VoteType.PROPOSAL: 1, VoteType.PREVOTE: 2, VoteType.PRECOMMIT: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardState:
    """What was signed last: the whole memory of the guard. Nothing at a lower place is ever signed again."""

    height: int = 0
    round: int = 0
    step: int = 0
    """1 proposal, 2 prevote, 3 precommit; 0: nothing was signed yet."""
    sign_bytes: bytes = b""
    signature: bytes = b""
    item: bytes = b""
    """Bytes of the signed `Vote` or `Proposal`; empty in a state that was imported."""

    @property
    def place(self) -> tuple[int, int, int]:
        """What must never go down."""
        return self.height, self.round, self.step

    def vote(self) -> Vote | None:
        """Return the vote that was signed last, for a journal that lost it (consensus.md 4, step 3)."""
        return Vote.decode(self.item) if self.item and self.step > 1 else None

    def encode(self) -> bytes:
        """Return the bytes of the state for a slot."""
        return (
            int_field(1, self.height)
            + int_field(2, self.round)
            + int_field(3, self.step)
            + bytes_field(4, self.sign_bytes)
            + bytes_field(5, self.signature)
            + bytes_field(6, self.item)
        )

    @classmethod
    def decode(cls, data: bytes) -> "GuardState":
        """Read what `encode` gave; empty bytes are the state before any signature. Raises `DecodeError`."""
        message = Message(data, ints=(1, 2, 3), pieces=(4, 5, 6))
        state = cls(
            height=message.signed(1),
            round=message.signed(2, 32),
            step=message.signed(3, 32),
            sign_bytes=message.piece(4),
            signature=message.piece(5),
            item=message.piece(6),
        )
        require_canonical(data, state.encode())
        return state


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """The key may sign `sign_bytes`; `signed` then gives the state that must be durable first."""

    sign_bytes: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """It was signed before: the item with its stored signature, and its stored time."""

    item: Vote | Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Signing would contradict what was signed, or may: silence instead."""

    reason: str


Decision = Sign | Repeat | Refuse


def decide(state: GuardState, item: Vote | Proposal, chain_id: str, rejoin_height: int = 0) -> Decision:
    """Say whether the key may sign. `rejoin_height`: nothing up to it, since what was signed is not known."""
    place = _place(item)
    if rejoin_height == NEVER:
        return Refuse(reason="nothing is signed before the others have said where they are")
    if item.height <= rejoin_height:
        return Refuse(reason=f"height {item.height}: this node signs above {rejoin_height} only")
    if place < state.place:
        return Refuse(reason=f"{_say(place)} lies below {_say(state.place)}, which was signed")
    sign_bytes = item.sign_bytes(chain_id)
    if place > state.place:
        return Sign(sign_bytes=sign_bytes)
    if sign_bytes == state.sign_bytes:
        return Repeat(item=replace(item, signature=state.signature))
    # Only the time differs: the stored vote is returned. A second signature would look like a double vote.
    stored = replace(item, time_ns=_stored_time(state.sign_bytes, item))
    if stored.sign_bytes(chain_id) == state.sign_bytes:
        return Repeat(item=replace(stored, signature=state.signature))
    return Refuse(reason=f"something else was signed at {_say(place)}")


def signed(
    item: Vote | Proposal, *, sign_bytes: bytes, signature: bytes
) -> tuple[GuardState, Vote | Proposal]:
    """Return the state after a signature, and the item that carries it."""
    height, round, step = _place(item)
    done = replace(item, signature=signature)
    state = GuardState(
        height=height,
        round=round,
        step=step,
        sign_bytes=sign_bytes,
        signature=signature,
        item=done.encode(),
    )
    return state, done


def raised(state: GuardState, item: Vote | Proposal, chain_id: str) -> GuardState:
    """Return the state, raised to what the journal says was signed when that is newer."""
    if _place(item) <= state.place:
        return state
    return signed(item, sign_bytes=item.sign_bytes(chain_id), signature=item.signature)[0]


def raised_by(state: GuardState, records: Iterable[Record], chain_id: str) -> GuardState:
    """Return the state, raised to all that a journal holds of its own (consensus.md 4, step 3).

    Whoever starts from it makes it durable before anything leaves: the journal may be lost next.
    """
    for record in records:
        match record:
            case VoteRecord(vote=vote):
                state = raised(state, vote, chain_id)
            case ProposalRecord(proposal=proposal):
                state = raised(state, proposal.signed, chain_id)
            case _:
                pass
    return state


def names_its_place(state: GuardState, chain_id: str) -> bool:
    """Whether a state's sign bytes are of its height, round and step on a chain. Raises `DecodeError`."""
    length, start = read_uvarint(state.sign_bytes, 0)
    body = state.sign_bytes[start:]
    type = next((type for type, step in _STEPS.items() if step == state.step), None)
    if type is None or length != len(body):
        return False
    head = int_field(1, type) + sfixed64_field(2, state.height) + sfixed64_field(3, state.round)
    chain = bytes_field(7 if type is VoteType.PROPOSAL else 6, chain_id.encode())
    return body.startswith(head) and body.endswith(chain)


def rejoin_height(records: Iterable[Record]) -> int:
    """Return the height up to which a journal forbids to sign: 0 for none, `NEVER` while it is not known."""
    heights = [record.height for record in records if isinstance(record, RejoinRecord)]
    if not heights:
        return 0
    return max(heights) if heights[-1] else NEVER


def rejoin_records(records: Iterable[Record]) -> list[Record]:
    """Return the records of a journal that say up to which height nothing is signed."""
    return [record for record in records if isinstance(record, RejoinRecord)]


def _place(item: Vote | Proposal) -> tuple[int, int, int]:
    step = _STEPS[item.type if isinstance(item, Vote) else VoteType.PROPOSAL]
    return item.height, item.round, step


def _say(place: tuple[int, int, int]) -> str:
    height, round, step = place
    name = ("nothing", "proposal", "prevote", "precommit")[step]
    return f"{name} of height {height} round {round}"


def _stored_time(sign_bytes: bytes, item: Vote | Proposal) -> int:
    """Return the time within sign bytes: field 5 of a vote, 6 of a proposal (chain-format.md 1.6)."""
    number = 5 if isinstance(item, Vote) else 6
    try:
        _, start = read_uvarint(sign_bytes, 0)
        for found, _, value in fields(sign_bytes[start:]):
            if found == number and isinstance(value, bytes):
                return read_time(value)
    except DecodeError:
        pass
    return item.time_ns


# `priv_validator_state.json` (chain-format.md 1.10): CometBFT's file, written and read only on request.


def export_json(state: GuardState) -> str:
    """Return the text of `priv_validator_state.json`."""
    content: dict[str, str | int] = {"height": str(state.height), "round": state.round, "step": state.step}
    if state.signature:
        content["signature"] = base64.b64encode(state.signature).decode()
        content["signbytes"] = state.sign_bytes.hex().upper()
    return json.dumps(content, indent=2) + "\n"


def import_json(text: str) -> GuardState:
    """Read the text of `priv_validator_state.json`; raises `ValueError` that says what is wrong."""
    content = parse_object(text)
    height = content.integer("height") if "height" in content else 0
    round = content.number("round") if "round" in content else 0
    step = content.number("step") if "step" in content else 0
    signature = content.base64("signature") if "signature" in content else b""
    sign_bytes = content.hex("signbytes") if "signbytes" in content else b""
    if height < 0 or not 0 <= round < 1 << 31 or not 0 <= step <= 3:
        raise JsonError(f"height {height}, round {round}, step {step} cannot have been signed")
    if bool(signature) != bool(sign_bytes):
        raise JsonError("signature and signbytes come together or not at all")
    return GuardState(height=height, round=round, step=step, sign_bytes=sign_bytes, signature=signature)
