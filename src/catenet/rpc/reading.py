"""Values that clients send as JSON: evidence. The opposite of `shapes`, for the one method that needs it."""

from catenet.chain.block_id import BlockID, PartSetHeader
from catenet.chain.commit import Commit, CommitSig, Flag
from catenet.chain.evidence import DuplicateVoteEvidence, Evidence, LightClientAttackEvidence
from catenet.chain.header import Header
from catenet.chain.json_fields import JsonError, JsonObject
from catenet.chain.keys import PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.time import parse_rfc3339
from catenet.chain.validators import Validator, ValidatorSet
from catenet.chain.vote import Vote, VoteType

DUPLICATE_VOTE = "tendermint/DuplicateVoteEvidence"
LIGHT_CLIENT_ATTACK = "tendermint/LightClientAttackEvidence"


def evidence(value: JsonObject) -> Evidence:
    """Read evidence with its type. Raises `ValueError`."""
    match value.text("type"):
        case "tendermint/DuplicateVoteEvidence":
            return _double_vote(value.child("value"))
        case "tendermint/LightClientAttackEvidence":
            return _attack(value.child("value"))
        case kind:
            raise JsonError(f"type {kind[:100]!r}; known are {DUPLICATE_VOTE} and {LIGHT_CLIENT_ATTACK}")


def _double_vote(inner: JsonObject) -> DuplicateVoteEvidence:
    return DuplicateVoteEvidence(
        vote_a=_vote(inner.child("vote_a")),
        vote_b=_vote(inner.child("vote_b")),
        total_power=inner.integer("TotalVotingPower"),
        validator_power=inner.integer("ValidatorPower"),
        time_ns=_time(inner, "Timestamp"),
    )


def _attack(inner: JsonObject) -> LightClientAttackEvidence:
    block = inner.child("ConflictingBlock")
    signed, members = block.child("signed_header"), block.child("validator_set")
    return LightClientAttackEvidence(
        conflicting_block=LightBlock(
            header=_header(signed.child("header")),
            commit=_commit(signed.child("commit")),
            validators=ValidatorSet(
                validators=tuple(map(_validator, members.children("validators"))),
                proposer=_validator(members.child("proposer")),
            ),
        ),
        common_height=inner.integer("CommonHeight"),
        byzantine_validators=tuple(map(_validator, inner.children("ByzantineValidators"))),
        total_power=inner.integer("TotalVotingPower"),
        time_ns=_time(inner, "Timestamp"),
    )


def _header(value: JsonObject) -> Header:
    version = value.child("version")
    return Header(
        version_block=version.integer("block"),
        version_app=version.integer("app") if "app" in version else 0,
        chain_id=value.text("chain_id"),
        height=value.integer("height"),
        time_ns=_time(value, "time"),
        last_block_id=_block_id(value.child("last_block_id")),
        last_commit_hash=value.hex("last_commit_hash"),
        data_hash=value.hex("data_hash"),
        validators_hash=value.hex("validators_hash"),
        next_validators_hash=value.hex("next_validators_hash"),
        consensus_hash=value.hex("consensus_hash"),
        app_hash=value.hex("app_hash"),
        last_results_hash=value.hex("last_results_hash"),
        evidence_hash=value.hex("evidence_hash"),
        proposer_address=value.hex("proposer_address"),
    )


def _commit(value: JsonObject) -> Commit:
    entries = [
        CommitSig(
            flag=Flag(entry.number("block_id_flag")),
            address=entry.hex("validator_address"),
            time_ns=_time(entry, "timestamp"),
            signature=entry.base64("signature") if "signature" in entry else b"",
        )
        for entry in value.children("signatures")
    ]
    return Commit(
        height=value.integer("height"),
        round=value.number("round"),
        block_id=_block_id(value.child("block_id")),
        signatures=tuple(entries),
    )


def _validator(value: JsonObject) -> Validator:
    return Validator(
        public_key=PublicKey.from_json(value.child("pub_key")),
        power=value.integer("voting_power"),
        priority=value.integer("proposer_priority") if "proposer_priority" in value else 0,
    )


def _vote(value: JsonObject) -> Vote:
    number = value.number("type")
    if number not in (VoteType.PREVOTE, VoteType.PRECOMMIT):
        raise JsonError(f"vote type {number}")
    return Vote(
        type=VoteType(number),
        height=value.integer("height"),
        round=value.number("round"),
        block_id=_block_id(value.child("block_id")),
        time_ns=_time(value, "timestamp"),
        address=value.hex("validator_address"),
        index=value.number("validator_index"),
        signature=value.base64("signature"),
        extension=value.base64("extension") if "extension" in value else b"",
        extension_signature=value.base64("extension_signature") if "extension_signature" in value else b"",
    )


def _block_id(value: JsonObject) -> BlockID:
    parts = value.child("parts")
    return BlockID(
        hash=value.hex("hash"), parts=PartSetHeader(total=parts.number("total"), hash=parts.hex("hash"))
    )


def _time(value: JsonObject, name: str) -> int:
    try:
        return parse_rfc3339(value.text(name))
    except ValueError as error:
        raise JsonError(f"{name}: {error}") from error
