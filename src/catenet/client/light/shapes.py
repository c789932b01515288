"""JSON of CometBFT's RPC (chain-format.md 2.1) to values of `chain` and back."""

from base64 import b64encode
from collections.abc import Sequence

from catenet.chain.block_id import BlockID, PartSetHeader
from catenet.chain.commit import Commit, CommitSig, Flag
from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.header import Header
from catenet.chain.json_fields import JsonError, JsonObject
from catenet.chain.keys import PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import Proof
from catenet.chain.time import format_rfc3339, parse_rfc3339
from catenet.chain.validators import Validator, ValidatorSet

Json = dict[str, object]


def read_header(value: JsonObject) -> Header:
    """Return a header; raises `ValueError`."""
    version = value.child("version")
    return Header(
        version_block=version.integer("block"),
        version_app=version.integer("app") if "app" in version else 0,
        chain_id=value.text("chain_id"),
        height=value.integer("height"),
        time_ns=parse_rfc3339(value.text("time")),
        last_block_id=read_block_id(value.child("last_block_id")),
        last_commit_hash=_hex(value, "last_commit_hash"),
        data_hash=_hex(value, "data_hash"),
        validators_hash=_hex(value, "validators_hash"),
        next_validators_hash=_hex(value, "next_validators_hash"),
        consensus_hash=_hex(value, "consensus_hash"),
        app_hash=_hex(value, "app_hash"),
        last_results_hash=_hex(value, "last_results_hash"),
        evidence_hash=_hex(value, "evidence_hash"),
        proposer_address=_hex(value, "proposer_address"),
    )


def read_commit(value: JsonObject) -> Commit:
    """Return a commit; raises `ValueError`."""
    return Commit(
        height=value.integer("height"),
        round=value.number("round"),
        block_id=read_block_id(value.child("block_id")),
        signatures=tuple(
            [
                CommitSig(
                    flag=Flag(entry.number("block_id_flag")),
                    address=_hex(entry, "validator_address"),
                    time_ns=parse_rfc3339(entry.text("timestamp")),
                    signature=entry.base64("signature") if "signature" in entry else b"",
                )
                for entry in value.children("signatures")
            ]
        ),
    )


def read_block_id(value: JsonObject) -> BlockID:
    """Return a block id; raises `ValueError`."""
    parts = value.child("parts")
    total = parts.number("total")
    if not 0 <= total < 1 << 32:
        raise JsonError(f"parts.total {total} does not fit into 32 bits")
    return BlockID(hash=_hex(value, "hash"), parts=PartSetHeader(total=total, hash=_hex(parts, "hash")))


def read_member(value: JsonObject) -> tuple[PublicKey, int]:
    """Return key and power of a validator; raises `ValueError`."""
    return PublicKey.from_json(value.child("pub_key")), value.integer("voting_power")


def read_proof(value: JsonObject) -> Proof:
    """Return a Merkle proof; raises `ValueError`."""
    return Proof(
        total=value.integer("total"),
        index=value.integer("index"),
        leaf_hash=value.base64("leaf_hash"),
        aunts=tuple(value.bases64("aunts")),
    )


def light_block(header: Header, commit: Commit, members: Sequence[tuple[PublicKey, int]]) -> LightBlock:
    """Return a light block whose every part has canonical bytes; raises `ValueError`."""
    block = LightBlock(header=header, commit=commit, validators=ValidatorSet.new(members))
    return LightBlock.decode(block.encode())


def header_json(header: Header) -> Json:
    """Return a header as the RPC shows it."""
    return {
        "version": {
            "block": str(header.version_block),
            **({"app": str(header.version_app)} if header.version_app else {}),
        },
        "chain_id": header.chain_id,
        "height": str(header.height),
        "time": format_rfc3339(header.time_ns),
        "last_block_id": block_id_json(header.last_block_id),
        "last_commit_hash": _upper(header.last_commit_hash),
        "data_hash": _upper(header.data_hash),
        "validators_hash": _upper(header.validators_hash),
        "next_validators_hash": _upper(header.next_validators_hash),
        "consensus_hash": _upper(header.consensus_hash),
        "app_hash": _upper(header.app_hash),
        "last_results_hash": _upper(header.last_results_hash),
        "evidence_hash": _upper(header.evidence_hash),
        "proposer_address": _upper(header.proposer_address),
    }


def commit_json(commit: Commit) -> Json:
    """Return a commit as the RPC shows it."""
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": block_id_json(commit.block_id),
        "signatures": [
            {
                "block_id_flag": int(entry.flag),
                "validator_address": _upper(entry.address),
                "timestamp": format_rfc3339(entry.time_ns),
                "signature": base64_json(entry.signature),
            }
            for entry in commit.signatures
        ],
    }


def block_id_json(block_id: BlockID) -> Json:
    """Return a block id as the RPC shows it."""
    parts = {"total": block_id.parts.total, "hash": _upper(block_id.parts.hash)}
    return {"hash": _upper(block_id.hash), "parts": parts}


def validator_json(member: Validator) -> Json:
    """Return a validator as the RPC shows it."""
    return {
        "address": _upper(member.address),
        "pub_key": member.public_key.to_json(),
        "voting_power": str(member.power),
        "proposer_priority": str(member.priority),
    }


def proof_json(proof: Proof) -> Json:
    """Return a Merkle proof as the RPC shows it."""
    return {
        "total": str(proof.total),
        "index": str(proof.index),
        "leaf_hash": base64_json(proof.leaf_hash),
        "aunts": [base64_json(aunt) for aunt in proof.aunts],
    }


def evidence_json(evidence: LightClientAttackEvidence) -> Json:
    """Return evidence as `broadcast_evidence` takes it."""
    block = evidence.conflicting_block
    members = block.validators
    return {
        "type": "tendermint/LightClientAttackEvidence",
        "value": {
            "ConflictingBlock": {
                "signed_header": {"header": header_json(block.header), "commit": commit_json(block.commit)},
                "validator_set": {
                    "validators": [validator_json(member) for member in members.validators],
                    "proposer": validator_json(members.proposer),
                },
            },
            "CommonHeight": str(evidence.common_height),
            "ByzantineValidators": [validator_json(member) for member in evidence.byzantine_validators],
            "TotalVotingPower": str(evidence.total_power),
            "Timestamp": format_rfc3339(evidence.time_ns),
        },
    }


def base64_json(data: bytes) -> str | None:
    """Return bytes as the RPC shows them: base64, null when there are none."""
    return b64encode(data).decode() if data else None


def _hex(value: JsonObject, name: str) -> bytes:
    return value.hex(name) if name in value else b""


def _upper(data: bytes) -> str:
    return data.hex().upper()
