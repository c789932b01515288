"""One check per kind of known answer in `tests/vectors/reference_vectors_seed1.json.gz`.

Each takes one case, raises AssertionError (or what the chain room raises) when an answer differs, and returns
how many answers it compared.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from catenet.chain import merkle
from catenet.chain.block import Block, block_id, data_hash, encode_txs, part_set_header, split_txs
from catenet.chain.commit import EMPTY_COMMIT, Commit
from catenet.chain.encoding import int_field
from catenet.chain.evidence import DuplicateVoteEvidence, decode_list, encode_list, list_hash
from catenet.chain.genesis import Genesis
from catenet.chain.header import Header
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import ED25519, PrivateKey, PublicKey, node_id
from catenet.chain.params import ConsensusParams
from catenet.chain.results import results_hash
from catenet.chain.state import ChainState, block_time, make_header
from catenet.chain.time import format_rfc3339, parse_rfc3339, weighted_median
from catenet.chain.validators import InvalidUpdate, ValidatorSet
from catenet.chain.vote import Proposal, Vote, VoteType
from support.rpc_json import (
    block_id_of,
    block_of,
    commit_of,
    evidence_of,
    header_of,
    optional_hex,
    time_of,
)

Check = Callable[[JsonObject], int]


class KnownAnswers:
    """How many known answers of each kind were compared."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, kind: str, number: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + number


def check_merkle(case: JsonObject) -> int:
    items = [bytes.fromhex(item) for item in case.texts("items")]
    root = case.hex("root")
    assert merkle.root(items) == root
    assert merkle.root_of_hashes([merkle.leaf_hash(item) for item in items]) == root
    proofs = case.children("proofs")
    for item, expected in zip(items, proofs, strict=bool(proofs)):
        proof = merkle.prove(items, expected.number("index"))
        assert proof.total == expected.number("total")
        assert proof.leaf_hash == expected.hex("leaf_hash")
        assert proof.aunts == tuple(bytes.fromhex(aunt) for aunt in expected.texts("aunts"))
        assert proof.verify(root, item)
    return 1 + len(proofs)


def check_varint(case: JsonObject) -> int:
    expected = case.hex("proposal_proto")
    # The reference's proposals have no type here, which a proposal of ours never lacks.
    height, pol_round = case.number("height"), case.number("pol_round_int32")
    proposal = Proposal(
        height=height,
        round=0,
        pol_round=pol_round,
        block_id=EMPTY_COMMIT.block_id,
        time_ns=parse_rfc3339("0001-01-01T00:00:00Z"),
    )
    assert proposal.encode() == int_field(1, VoteType.PROPOSAL) + expected
    if height >= 0:
        assert Proposal.decode(proposal.encode()) == proposal
    return 1


def check_header(case: JsonObject) -> int:
    header = header_of(case.child("header"))
    assert header.encode() == case.hex("proto")
    assert header.hash() == case.hex("hash")
    assert Header.decode(case.hex("proto")) == header
    return 2


def check_vote(case: JsonObject) -> int:
    chain_id = case.text("chain_id")
    key = PublicKey(ED25519, case.hex("pub_key"))
    vote = Vote(
        type=VoteType(case.number("type")),
        height=case.number("height"),
        round=case.number("round"),
        block_id=block_id_of(case.child("block_id")),
        time_ns=time_of(case),
        address=key.address,
        index=0,
        signature=case.hex("signature"),
        extension=optional_hex(case, "extension"),
    )
    assert vote.sign_bytes(chain_id) == case.hex("sign_bytes")
    assert key.verify(vote.sign_bytes(chain_id), vote.signature)
    assert Vote.decode(vote.encode()) == vote
    if "extension_sign_bytes" not in case:
        return 2
    assert vote.extension_sign_bytes(chain_id) == case.hex("extension_sign_bytes")
    return 3


def check_proposal(case: JsonObject) -> int:
    proposal = Proposal(
        height=case.number("height"),
        round=case.number("round"),
        pol_round=case.number("pol_round"),
        block_id=block_id_of(case.child("block_id")),
        time_ns=time_of(case),
    )
    assert proposal.sign_bytes(case.text("chain_id")) == case.hex("sign_bytes")
    assert Proposal.decode(proposal.encode()) == proposal
    return 1


def check_commit(case: JsonObject) -> int:
    commit = commit_of(case.child("commit"))
    assert commit.encode() == case.hex("proto")
    assert commit.hash() == case.hex("hash")
    assert Commit.decode(case.hex("proto")) == commit
    return 2


def check_data(case: JsonObject) -> int:
    txs = [bytes.fromhex(tx) for tx in case.texts("txs")]
    assert data_hash([sha256(tx).digest() for tx in txs]) == case.hex("data_hash")
    assert split_txs(encode_txs(txs)) == txs
    return 1


def check_results(case: JsonObject) -> int:
    results = [
        (
            result.number("code"),
            optional_hex(result, "data"),
            result.number("gas_wanted"),
            result.number("gas_used"),
        )
        for result in case.children("results")
    ]
    assert results_hash(results) == case.hex("hash")
    return 1


def check_params(case: JsonObject) -> int:
    params = ConsensusParams.from_json(case.child("params"))
    params.validate()
    assert params.hash() == case.hex("hash")
    assert ConsensusParams.from_json(JsonObject(params.to_json())) == params
    return 1


def filler(size: int) -> bytes:
    """Return sha256("0") ‖ sha256("1") ‖ ... cut to `size` bytes."""
    return b"".join(sha256(str(n).encode()).digest() for n in range(size // 32 + 1))[:size]


def check_part_set(case: JsonObject) -> int:
    parts = part_set_header(filler(case.number("filler_len")))
    assert (parts.total, parts.hash) == (case.number("total"), case.hex("hash"))
    return 1


def check_key(case: JsonObject) -> int:
    key = PublicKey(case.text("type"), case.hex("pub_key"))
    assert key.address == case.hex("address")
    assert PublicKey.from_json(case.child("pub_key_json")) == key
    assert key.to_json()["value"] == case.child("pub_key_json").text("value")
    assert PublicKey.decode(key.encode()) == key
    if "priv_key_json" not in case:
        return 2
    private = PrivateKey.from_json(case.child("priv_key_json"))
    assert private.public == key
    assert private.to_json()["value"] == case.child("priv_key_json").text("value")
    assert node_id(key) == case.text("node_id")
    return 4


def _members(changes: list[JsonObject]) -> list[tuple[PublicKey, int]]:
    return [(PublicKey(ED25519, change.hex("pub_key")), change.number("power")) for change in changes]


def check_set_state(valset: ValidatorSet, expected: JsonObject) -> None:
    found = [(member.address, member.power, member.priority) for member in valset.validators]
    assert found == [
        (member.hex("address"), member.number("power"), member.number("priority"))
        for member in expected.children("validators")
    ]
    assert valset.proposer.address == expected.hex("proposer")
    assert valset.hash() == expected.hex("hash")
    assert ValidatorSet.decode(valset.encode()) == valset


def check_validator_set(case: JsonObject) -> int:
    steps = case.children("steps")
    assert steps[0].text("op") == "new"
    valset = ValidatorSet.new(_members(case.children("initial")))
    for step in steps:
        if step.text("op") == "increment":
            valset = valset.increment(step.number("times"))
        elif step.text("op") == "update" and "error" in step:
            with pytest.raises(InvalidUpdate):
                valset.update(_members(step.children("changes")))
        elif step.text("op") == "update":
            valset = valset.update(_members(step.children("changes")))
        check_set_state(valset, step.child("state"))
    return len(steps)


def check_median_time(case: JsonObject) -> int:
    votes = [
        (time_of(vote), vote.number("power")) for vote in case.children("votes") if vote.number("flag") != 1
    ]
    assert format_rfc3339(weighted_median(votes)) == case.text("median")
    return 1


def check_evidence(case: JsonObject) -> int:
    evidence = evidence_of(case.child("evidence"))
    assert evidence.encode() == case.hex("bytes")
    assert evidence.hash() == case.hex("hash")
    assert list_hash([evidence]) == case.hex("list_hash")
    assert DuplicateVoteEvidence.decode(case.hex("bytes")) == evidence
    assert decode_list(encode_list([evidence])) == (evidence,)
    return 3


def check_genesis(case: JsonObject) -> int:
    genesis = Genesis.from_json(json.dumps(case.raw("genesis")))
    state = ChainState.genesis(genesis)
    assert [(member.address, member.priority) for member in state.validators.validators] == [
        (member.hex("address"), member.number("priority")) for member in case.children("validators")
    ]
    assert state.validators.hash() == case.hex("validators_hash")
    assert state.next_validators.hash() == case.hex("next_validators_hash")
    assert state.validators.proposer.address == case.hex("first_proposer")
    # The reference made this block before any handshake, when the results hash is still empty.
    state = replace(state, last_results_hash=b"")
    header = make_header(
        state,
        time_ns=block_time(state, EMPTY_COMMIT),
        data_hash=data_hash([]),
        last_commit=EMPTY_COMMIT,
        evidence_hash=list_hash([]),
        proposer_address=state.validators.proposer.address,
    )
    block = Block(header=header, txs=(), evidence=(), last_commit=EMPTY_COMMIT)
    assert replace(block, txs=[]) == block_of(case.child("empty_first_block"))
    identity = block_id(block.encode(), header)
    parts = case.child("part_set")
    assert identity.hash == case.hex("block_hash")
    assert (identity.parts.total, identity.parts.hash) == (parts.number("total"), parts.hex("hash"))
    assert Genesis.from_json(genesis.to_json()) == genesis
    return 6


CHECKS: dict[str, Check] = {
    "merkle": check_merkle,
    "varints": check_varint,
    "headers": check_header,
    "votes": check_vote,
    "proposals": check_proposal,
    "commits": check_commit,
    "data": check_data,
    "results": check_results,
    "params": check_params,
    "part_sets": check_part_set,
    "keys": check_key,
    "validator_sets": check_validator_set,
    "median_time": check_median_time,
    "evidence": check_evidence,
    "genesis": check_genesis,
}
"""Kind -> check. All kinds of the file but `queries`, which belong to the query language."""


def alter(value: object, path: str) -> None:
    """Change the string or number at a dotted path by one digit."""
    *way, last = path.split(".")
    for step in way:
        value = (
            value[int(step)] if isinstance(value, list) else value[step] if isinstance(value, dict) else None
        )
    if isinstance(value, list):
        value[int(last)] = altered(value[int(last)])
    else:
        assert isinstance(value, dict)
        value[last] = altered(value[last])


def altered(leaf: object) -> object:
    if isinstance(leaf, int):
        return 3 - leaf if leaf in (1, 2) else 1 if leaf == 3 else leaf + 1
    assert isinstance(leaf, str)
    digits = "0123456789"
    head, tail = leaf[:-1], leaf[-1]
    return head + (digits[digits.index(tail) - 1] if tail in digits else "0")
