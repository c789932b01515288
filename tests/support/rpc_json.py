"""CometBFT's RPC JSON as values of `catenet.chain`: for known answers, and for what a real node said."""

import gzip
from pathlib import Path

from catenet.chain.block import Block
from catenet.chain.block_id import BlockID, PartSetHeader
from catenet.chain.commit import Commit, CommitSig, Flag
from catenet.chain.evidence import DuplicateVoteEvidence
from catenet.chain.header import Header
from catenet.chain.json_fields import JsonObject, parse_object
from catenet.chain.time import parse_rfc3339
from catenet.chain.vote import Vote, VoteType

VECTORS = Path(__file__).parent.parent / "vectors"


def load_vectors(name: str) -> JsonObject:
    """Return one file of known answers."""
    return parse_object(gzip.decompress((VECTORS / f"{name}.json.gz").read_bytes()))


def optional_hex(value: JsonObject, name: str) -> bytes:
    return value.hex(name) if name in value else b""


def optional_base64(value: JsonObject, name: str) -> bytes:
    return value.base64(name) if name in value else b""


def time_of(value: JsonObject, name: str = "timestamp") -> int:
    return parse_rfc3339(value.text(name))


def block_id_of(value: JsonObject) -> BlockID:
    parts = value.child("parts")
    return BlockID(
        hash=optional_hex(value, "hash"),
        parts=PartSetHeader(total=parts.number("total"), hash=optional_hex(parts, "hash")),
    )


def header_of(value: JsonObject) -> Header:
    version = value.child("version")
    return Header(
        version_block=version.integer("block"),
        version_app=version.integer("app") if "app" in version else 0,
        chain_id=value.text("chain_id"),
        height=value.integer("height"),
        time_ns=time_of(value, "time"),
        last_block_id=block_id_of(value.child("last_block_id")),
        last_commit_hash=optional_hex(value, "last_commit_hash"),
        data_hash=optional_hex(value, "data_hash"),
        validators_hash=optional_hex(value, "validators_hash"),
        next_validators_hash=optional_hex(value, "next_validators_hash"),
        consensus_hash=optional_hex(value, "consensus_hash"),
        app_hash=optional_hex(value, "app_hash"),
        last_results_hash=optional_hex(value, "last_results_hash"),
        evidence_hash=optional_hex(value, "evidence_hash"),
        proposer_address=optional_hex(value, "proposer_address"),
    )


def commit_of(value: JsonObject) -> Commit:
    return Commit(
        height=value.integer("height"),
        round=value.number("round"),
        block_id=block_id_of(value.child("block_id")),
        signatures=tuple(
            CommitSig(
                flag=Flag(entry.number("block_id_flag")),
                address=optional_hex(entry, "validator_address"),
                time_ns=time_of(entry),
                signature=optional_base64(entry, "signature"),
            )
            for entry in value.children("signatures")
        ),
    )


def vote_of(value: JsonObject) -> Vote:
    return Vote(
        type=VoteType(value.number("type")),
        height=value.integer("height"),
        round=value.number("round"),
        block_id=block_id_of(value.child("block_id")),
        time_ns=time_of(value),
        address=value.hex("validator_address"),
        index=value.number("validator_index"),
        signature=optional_base64(value, "signature"),
        extension=optional_base64(value, "extension"),
        extension_signature=optional_base64(value, "extension_signature"),
    )


def evidence_of(value: JsonObject) -> DuplicateVoteEvidence:
    assert value.text("type") == "tendermint/DuplicateVoteEvidence"
    inner = value.child("value")
    return DuplicateVoteEvidence(
        vote_a=vote_of(inner.child("vote_a")),
        vote_b=vote_of(inner.child("vote_b")),
        total_power=inner.integer("TotalVotingPower"),
        validator_power=inner.integer("ValidatorPower"),
        time_ns=time_of(inner, "Timestamp"),
    )


def block_of(value: JsonObject) -> Block:
    return Block(
        header=header_of(value.child("header")),
        txs=value.child("data").bases64("txs"),
        evidence=tuple(evidence_of(piece) for piece in value.child("evidence").children("evidence")),
        last_commit=commit_of(value.child("last_commit")),
    )
