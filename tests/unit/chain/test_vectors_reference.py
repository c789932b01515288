"""Every known answer of the reference library, and proof that each kind of check can fail."""

import json

import pytest

from catenet.chain.json_fields import JsonObject
from support.known_answers import CHECKS, KnownAnswers, alter
from support.rpc_json import load_vectors

REFERENCE = load_vectors("reference_vectors_seed1")


def test_every_kind_in_the_file_has_a_check() -> None:
    described = {"seed", "source", "queries"}
    assert set(REFERENCE.names()) - described == set(CHECKS)


@pytest.mark.parametrize("kind", sorted(CHECKS))
def test_reference_answers(kind: str, known_answers: KnownAnswers) -> None:
    cases = REFERENCE.children(kind)
    assert cases
    for case in cases:
        known_answers.count(kind, CHECKS[kind](case))


ALTERATIONS = [
    ("merkle", 5, "root"),
    ("merkle", 5, "items.0"),
    ("merkle", 5, "proofs.1.aunts.0"),
    ("varints", 3, "height"),
    ("varints", 3, "proposal_proto"),
    ("headers", 3, "proto"),
    ("headers", 3, "hash"),
    *[
        ("headers", 3, f"header.{name}")
        for name in (
            "chain_id",
            "height",
            "last_commit_hash",
            "data_hash",
            "validators_hash",
            "next_validators_hash",
            "consensus_hash",
            "app_hash",
            "evidence_hash",
            "proposer_address",
        )
    ],
    ("votes", 0, "sign_bytes"),
    ("votes", 0, "signature"),
    ("votes", 0, "pub_key"),
    ("votes", 0, "height"),
    ("votes", 0, "extension"),
    ("votes", 0, "extension_sign_bytes"),
    ("votes", 0, "block_id.parts.total"),
    ("proposals", 0, "sign_bytes"),
    ("proposals", 0, "pol_round"),
    ("proposals", 0, "chain_id"),
    ("commits", 1, "hash"),
    ("commits", 1, "proto"),
    ("commits", 1, "commit.round"),
    ("commits", 1, "commit.signatures.0.block_id_flag"),
    ("data", 2, "data_hash"),
    ("data", 2, "txs.0"),
    ("results", 2, "hash"),
    ("results", 2, "results.0.code"),
    ("results", 2, "results.0.data"),
    ("results", 2, "results.1.gas_wanted"),
    ("params", 3, "hash"),
    ("params", 3, "params.block.max_bytes"),
    ("part_sets", 5, "hash"),
    ("part_sets", 5, "total"),
    ("part_sets", 5, "filler_len"),
    ("keys", 0, "address"),
    ("keys", 0, "pub_key"),
    ("keys", 0, "node_id"),
    ("keys", 9, "address"),
    ("validator_sets", 0, "initial.0.power"),
    ("validator_sets", 0, "steps.4.times"),
    ("validator_sets", 0, "steps.9.state.validators.0.priority"),
    ("validator_sets", 0, "steps.9.state.proposer"),
    ("validator_sets", 0, "steps.9.state.hash"),
    ("median_time", 0, "votes.2.flag"),
    ("evidence", 0, "bytes"),
    ("evidence", 0, "hash"),
    ("evidence", 0, "list_hash"),
    ("evidence", 0, "evidence.value.vote_a.round"),
    ("evidence", 0, "evidence.value.TotalVotingPower"),
    ("genesis", 1, "block_hash"),
    ("genesis", 1, "part_set.hash"),
    ("genesis", 1, "genesis.chain_id"),
    ("genesis", 1, "genesis.validators.0.power"),
    ("genesis", 1, "first_proposer"),
]


@pytest.mark.parametrize(("kind", "index", "path"), ALTERATIONS)
def test_an_altered_answer_is_noticed(kind: str, index: int, path: str) -> None:
    case: object = json.loads(json.dumps(REFERENCE.items(kind)[index]))
    assert isinstance(case, dict)
    CHECKS[kind](JsonObject(case))
    alter(case, path)
    with pytest.raises((AssertionError, ValueError)):
        CHECKS[kind](JsonObject(case))


def test_every_kind_is_altered_somewhere() -> None:
    assert {kind for kind, _, _ in ALTERATIONS} == set(CHECKS)
