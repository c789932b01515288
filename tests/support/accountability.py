"""Who is to blame for a fork, by the journals that nodes export: double votes, locks broken without a polka.

Only signatures that verify count. Nothing is taken from the simulator: an operator can do it by hand.
"""

from collections.abc import Iterable, Sequence

from catenet.chain.commit import BlockID, Flag
from catenet.chain.evidence import DuplicateVoteEvidence, unwrap
from catenet.chain.keys import Verify
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Vote, VoteType
from catenet.types.ids import Address
from catenet.types.records import (
    CommitRecord,
    EvidenceRecord,
    PolkaRecord,
    Record,
    RoundCertRecord,
    VoteRecord,
)

Cast = dict[tuple[Address, int, int, VoteType], dict[BlockID, None]]


def guilty(
    journals: Iterable[Sequence[Record]], *, chain_id: str, validators: ValidatorSet, verify: Verify
) -> list[Address]:
    """Return whom the journals prove to have voted twice, or against a lock of their own, in set order."""
    cast: Cast = {}
    for record in [record for journal in journals for record in journal]:
        for vote in _votes(record):
            member = validators.by_address(vote.address)
            if member is not None and verify(member.public_key, vote.sign_bytes(chain_id), vote.signature):
                cast.setdefault((vote.address, vote.height, vote.round, vote.type), {})[vote.block_id] = None
    named = {key[0] for key, ids in cast.items() if len(ids) > 1}
    named.update(_forgetful(cast, validators))
    return [member.address for member in validators.validators if member.address in named]


def _votes(record: Record) -> list[Vote]:
    match record:
        case VoteRecord(vote=vote):
            return [vote]
        case PolkaRecord(votes=votes) | RoundCertRecord(votes=votes):
            return [*votes]
        case CommitRecord(commit=commit):
            places = range(len(commit.signatures))
            return [commit.vote(i) for i in places if commit.signatures[i].flag is not Flag.ABSENT]
        case EvidenceRecord(evidence=wrapped):
            piece = unwrap(wrapped)
            return [piece.vote_a, piece.vote_b] if isinstance(piece, DuplicateVoteEvidence) else []
        case _:
            return []


def _forgetful(cast: Cast, validators: ValidatorSet) -> list[Address]:
    """Return who prevoted another block after a lock although no polka for it lies between."""
    found: list[Address] = []
    for (address, height, round_, type_), ids in cast.items():
        if type_ is not VoteType.PRECOMMIT:
            continue
        locks = [block_id for block_id in ids if not block_id.is_nil]
        for (voter, at, later, kind), choices in cast.items():
            if (voter, at, kind) != (address, height, VoteType.PREVOTE) or later <= round_:
                continue
            others = [choice for choice in choices if not choice.is_nil and locks and choice not in locks]
            between = range(round_, later)
            if any(
                not any(_polka(cast, validators, height, r, choice) for r in between) for choice in others
            ):
                found.append(address)
    return found


def _polka(cast: Cast, validators: ValidatorSet, height: int, round_: int, block_id: BlockID) -> bool:
    return validators.two_thirds(
        sum(
            [
                member.power
                for member in validators.validators
                if block_id in cast.get((member.address, height, round_, VoteType.PREVOTE), {})
            ]
        )
    )
