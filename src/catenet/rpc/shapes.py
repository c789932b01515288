"""The JSON shapes of chain values: the one encoder of what the format hashes (chain-format.md 2.1).

64-bit integers are decimal strings, smaller ones numbers. Hashes and addresses are upper-case hex, other
bytes base64; empty hex is "", empty base64 null.
"""

from base64 import b64encode

from catenet.chain.block import Block
from catenet.chain.commit import BlockID, Commit
from catenet.chain.encoding import ZERO_TIME_NS
from catenet.chain.evidence import Evidence, LightClientAttackEvidence
from catenet.chain.header import Header
from catenet.chain.merkle import Proof
from catenet.chain.params import ConsensusParams
from catenet.chain.time import format_rfc3339
from catenet.chain.validators import Validator
from catenet.chain.vote import Vote

Json = dict[str, object]


def hexed(data: bytes) -> str:
    """Return "hex bytes"."""
    return data.hex().upper()


def based(data: bytes) -> str | None:
    """Return base64; null when empty."""
    return b64encode(data).decode() if data else None


def time(ns: int) -> str:
    """Return a time; the zero time is that of the year 1."""
    return "0001-01-01T00:00:00Z" if ns == ZERO_TIME_NS else format_rfc3339(ns)


def block_id(value: BlockID) -> Json:
    """Return a block's name."""
    return {
        "hash": hexed(value.hash),
        "parts": {"total": value.parts.total, "hash": hexed(value.parts.hash)},
    }


def header(value: Header) -> Json:
    """Return a header."""
    version: Json = {"block": str(value.version_block)}
    if value.version_app:
        version["app"] = str(value.version_app)
    return {
        "version": version,
        "chain_id": value.chain_id,
        "height": str(value.height),
        "time": time(value.time_ns),
        "last_block_id": block_id(value.last_block_id),
        "last_commit_hash": hexed(value.last_commit_hash),
        "data_hash": hexed(value.data_hash),
        "validators_hash": hexed(value.validators_hash),
        "next_validators_hash": hexed(value.next_validators_hash),
        "consensus_hash": hexed(value.consensus_hash),
        "app_hash": hexed(value.app_hash),
        "last_results_hash": hexed(value.last_results_hash),
        "evidence_hash": hexed(value.evidence_hash),
        "proposer_address": hexed(value.proposer_address),
    }


def commit(value: Commit) -> Json:
    """Return a commit: one entry per validator, absent ones included."""
    return {
        "height": str(value.height),
        "round": value.round,
        "block_id": block_id(value.block_id),
        "signatures": [
            {
                "block_id_flag": int(entry.flag),
                "validator_address": hexed(entry.address),
                "timestamp": time(entry.time_ns),
                "signature": based(entry.signature),
            }
            for entry in value.signatures
        ],
    }


def vote(value: Vote) -> Json:
    """Return a vote."""
    return {
        "type": int(value.type),
        "height": str(value.height),
        "round": value.round,
        "block_id": block_id(value.block_id),
        "timestamp": time(value.time_ns),
        "validator_address": hexed(value.address),
        "validator_index": value.index,
        "signature": based(value.signature),
        "extension": based(value.extension),
        "extension_signature": based(value.extension_signature),
    }


def evidence(value: Evidence) -> Json:
    """Return evidence, wrapped in its type."""
    if isinstance(value, LightClientAttackEvidence):
        return {"type": "tendermint/LightClientAttackEvidence", "value": _attack(value)}
    return {
        "type": "tendermint/DuplicateVoteEvidence",
        "value": {
            "vote_a": vote(value.vote_a),
            "vote_b": vote(value.vote_b),
            "TotalVotingPower": str(value.total_power),
            "ValidatorPower": str(value.validator_power),
            "Timestamp": time(value.time_ns),
        },
    }


def _attack(value: LightClientAttackEvidence) -> Json:
    found = value.conflicting_block
    return {
        "ConflictingBlock": {
            "signed_header": {"header": header(found.header), "commit": commit(found.commit)},
            "validator_set": {
                "validators": [validator(member) for member in found.validators.validators],
                "proposer": validator(found.validators.proposer),
            },
        },
        "CommonHeight": str(value.common_height),
        "ByzantineValidators": [validator(member) for member in value.byzantine_validators],
        "TotalVotingPower": str(value.total_power),
        "Timestamp": time(value.time_ns),
    }


def block(value: Block) -> Json:
    """Return a whole block."""
    return {
        "header": header(value.header),
        "data": {"txs": [b64encode(tx).decode() for tx in value.txs]},
        "evidence": {"evidence": [evidence(piece) for piece in value.evidence]},
        "last_commit": commit(value.last_commit),
    }


def validator(value: Validator) -> Json:
    """Return a member of a validator set, with its priority."""
    return {
        "address": hexed(value.address),
        "pub_key": value.public_key.to_json(),
        "voting_power": str(value.power),
        "proposer_priority": str(value.priority),
    }


def params(value: ConsensusParams) -> Json:
    """Return consensus parameters, in the form of the genesis file."""
    return dict(value.to_json())


def tx_proof(root: bytes, tx: bytes, proof: Proof) -> Json:
    """Return the proof that a transaction is in its block."""
    return {
        "root_hash": hexed(root),
        "data": based(tx),
        "proof": {
            "total": str(proof.total),
            "index": str(proof.index),
            "leaf_hash": based(proof.leaf_hash),
            "aunts": [b64encode(aunt).decode() for aunt in proof.aunts],
        },
    }
