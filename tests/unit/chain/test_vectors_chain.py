"""A real chain of CometBFT v0.38.26: its blocks, commits and rotation, and the rules between its blocks."""

import json
from dataclasses import replace
from functools import cache
from hashlib import sha256
from itertools import pairwise

import pytest

from catenet.chain import light
from catenet.chain.block import Block, block_id, data_hash
from catenet.chain.block_id import BlockID
from catenet.chain.commit import Commit, Flag
from catenet.chain.evidence import list_hash
from catenet.chain.genesis import Genesis
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import PrivateKey, PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.params import ConsensusParams
from catenet.chain.results import results_hash
from catenet.chain.state import ChainState, InvalidBlock, advance, check_block
from catenet.chain.validators import ValidatorSet
from support.known_answers import KnownAnswers, alter
from support.rpc_json import block_id_of, block_of, commit_of, header_of, load_vectors, optional_base64

CHAIN = load_vectors("cometbft_v0_38_chain")
HEIGHTS = [int(name) for name in CHAIN.child("heights").names()]
DAY_NS = 24 * 3600 * 10**9


def at(height: int) -> JsonObject:
    return CHAIN.child("heights").child(str(height))


def block_at(height: int) -> Block:
    return block_of(at(height).child("block").child("block"))


def id_at(height: int) -> BlockID:
    return block_id_of(at(height).child("block").child("block_id"))


def commit_at(height: int) -> Commit:
    return commit_of(at(height).child("commit").child("signed_header").child("commit"))


def genesis() -> Genesis:
    return Genesis.from_json(json.dumps(CHAIN.raw("genesis")))


@cache
def keys_by_name() -> dict[str, PublicKey]:
    """Return the keys by the address prefixes of the rotation.

    Of the validator that joined at height 138 the file has the prefix only. Any key does whose address sorts
    at the same place among the others: the rotation depends on powers and on that order.
    """
    keys = {name_of(key): key for key, _ in genesis().members()}
    public = (PrivateKey(bytes([n]) * 32).public for n in range(256))
    stand_in = next(key for key in public if name_of(key).startswith("C"))
    names = {name for row in CHAIN.items("rotation") for name, _, _ in members_of(row)}
    assert names - set(keys) == {"C3645818"}
    keys["C3645818"] = stand_in
    assert sorted(keys) == sorted(keys, key=lambda name: keys[name].address)
    return keys


def name_of(key: PublicKey) -> str:
    return key.address.hex().upper()[:8]


@cache
def validators_of_all_heights() -> tuple[ValidatorSet, ...]:
    """Walk the rotation from genesis; entry h - 1 is the set of height h. Updates are where powers change."""
    keys, walk = keys_by_name(), [ValidatorSet.new(genesis().members())]
    powers = [{keys[name]: power for name, power, _ in members_of(row)} for row in CHAIN.items("rotation")]
    for old, new in pairwise(powers):
        changes = [(key, new.get(key, 0)) for key in {**old, **new} if old.get(key) != new.get(key)]
        walk.append(walk[-1].update(changes).increment(1))
    return tuple(walk)


def members_of(row: object) -> list[tuple[str, int, int]]:
    assert isinstance(row, list)
    return [(name, power, priority) for name, power, priority in row[3]]


def state_after(height: int) -> ChainState:
    """Return the state that the file implies after a height, with the sets of the walk."""
    block, sets = block_at(height), validators_of_all_heights()
    return replace(
        ChainState.genesis(genesis(), app_version=block.header.version_app),
        last_height=height,
        last_block_id=id_at(height),
        last_time_ns=block.header.time_ns,
        last_validators=sets[height - 1],
        validators=sets[height],
        next_validators=sets[height + 1],
        params=ConsensusParams.from_json(at(height).child("consensus_params").child("consensus_params")),
        app_hash=at(height).child("block_results").base64("app_hash"),
        last_results_hash=results_hash(results_at(height)),
    )


def results_at(height: int) -> list[tuple[int, bytes, int, int]]:
    return [
        (
            result.number("code"),
            optional_base64(result, "data"),
            result.integer("gas_wanted"),
            result.integer("gas_used"),
        )
        for result in at(height).child("block_results").children("txs_results")
    ]


def check_expected(entry: JsonObject) -> int:
    """Compare everything that `expect` says about one height."""
    expect, block = entry.child("expect"), block_of(entry.child("block").child("block"))
    header, raw = block.header, block.encode()
    assert Block.decode(raw) == block
    assert len(raw) == expect.number("block_proto_len")
    assert sha256(raw).digest() == expect.hex("block_proto_sha256")
    identity = block_id(raw, header)
    assert identity == block_id_of(entry.child("block").child("block_id"))
    assert identity.hash == expect.hex("block_hash")
    assert identity.parts.total == expect.number("part_set_total")
    assert identity.parts.hash == expect.hex("part_set_hash")
    assert [leaf.hex() for leaf in header.leaves()] == expect.texts("header_leaves")
    assert header.last_commit_hash == block.last_commit.hash() == expect.hex("last_commit_hash")
    tx_hashes = [sha256(tx).digest() for tx in block.txs]
    assert header.data_hash == data_hash(tx_hashes) == expect.hex("data_hash")
    assert header.evidence_hash == list_hash(block.evidence) == expect.hex("evidence_hash")
    params = ConsensusParams.from_json(entry.child("consensus_params").child("consensus_params"))
    assert header.consensus_hash == params.hash() == expect.hex("consensus_hash")
    return 11 + len(header.leaves())


def check_commit_of(entry: JsonObject) -> int:
    """Compare the sign bytes of a commit, and verify it whole."""
    signed = entry.child("commit").child("signed_header")
    header, commit = header_of(signed.child("header")), commit_of(signed.child("commit"))
    valset = reported_set(entry)
    assert header.hash() == commit.block_id.hash
    assert header.validators_hash == valset.hash() == entry.child("expect").hex("validators_hash")
    answers = 1
    expected = entry.child("expect").items("precommit_sign_bytes")
    assert len(expected) == len(commit.signatures)
    for index, entry_bytes in enumerate(expected):
        if entry_bytes is None:
            assert commit.signatures[index].flag is Flag.ABSENT
            continue
        sign_bytes = commit.sign_bytes(header.chain_id, index)
        assert sign_bytes.hex() == entry_bytes
        vote = commit.vote(index)
        assert valset.validators[index].address == vote.address
        assert valset.validators[index].public_key.verify(sign_bytes, vote.signature)
        answers += 2
    light.verify_commit(header.chain_id, valset, commit.block_id, header.height, commit, PublicKey.verify)
    return answers


def reported_set(entry: JsonObject) -> ValidatorSet:
    """Return the set of `/validators`, in the order it was reported; priorities are compared elsewhere."""
    members = [
        (PublicKey.from_json(member.child("pub_key")), member.integer("voting_power"))
        for member in entry.child("validators").children("validators")
    ]
    valset = ValidatorSet.new(members)
    assert [member.public_key for member in valset.validators] == [key for key, _ in members]
    return valset


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_block_is_rebuilt_to_the_letter(height: int, known_answers: KnownAnswers) -> None:
    known_answers.count("chain: blocks", check_expected(at(height)))


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_commit_verifies(height: int, known_answers: KnownAnswers) -> None:
    known_answers.count("chain: commits", check_commit_of(at(height)))


@pytest.mark.parametrize("height", HEIGHTS)
def test_results_give_the_hash_of_the_next_header(height: int, known_answers: KnownAnswers) -> None:
    found = results_hash(results_at(height))
    assert found == at(height).child("expect").hex("results_hash_for_next_header")
    if height + 1 in HEIGHTS:
        assert block_at(height + 1).header.last_results_hash == found
    known_answers.count("chain: results", 1)


@pytest.mark.parametrize("height", HEIGHTS)
def test_reported_priorities_are_those_of_the_walk(height: int, known_answers: KnownAnswers) -> None:
    valset = validators_of_all_heights()[height - 1]
    reported = at(height).child("validators").children("validators")
    assert [(member.address, member.power, member.priority) for member in valset.validators] == [
        (member.hex("address"), member.integer("voting_power"), member.integer("proposer_priority"))
        for member in reported
    ]
    assert valset.hash() == block_at(height).header.validators_hash
    assert validators_of_all_heights()[height].hash() == block_at(height).header.next_validators_hash
    known_answers.count("chain: sets", 3)


def check_rotation(height: int, row: object) -> int:
    assert isinstance(row, list)
    valset, keys = validators_of_all_heights()[height - 1], keys_by_name()
    assert row[0] == height
    assert valset.proposer_at(row[1]).public_key == keys[row[2]]
    assert [(member.public_key, member.power, member.priority) for member in valset.validators] == [
        (keys[name], power, priority) for name, power, priority in members_of(row)
    ]
    return 2


def test_the_rotation_of_all_heights(known_answers: KnownAnswers) -> None:
    rows = CHAIN.items("rotation")
    for height, row in enumerate(rows, 1):
        known_answers.count("chain: rotation", check_rotation(height, row))
    assert len(rows) == 600


@pytest.mark.parametrize("height", [height for height in HEIGHTS if height - 1 in HEIGHTS])
def test_rules_hold_for_a_real_block(height: int) -> None:
    block = block_at(height)
    check_block(state_after(height - 1), block, raw_size=len(block.encode()), verify=PublicKey.verify)


def test_the_chain_from_genesis() -> None:
    first = block_at(1)
    state = ChainState.genesis(
        genesis(), app_hash=first.header.app_hash, app_version=first.header.version_app
    )
    for height in (1, 2, 3, 4):
        block, raw = block_at(height), block_at(height).encode()
        assert state.height == height
        check_block(state, block, raw_size=len(raw), verify=PublicKey.verify)
        assert block.header.proposer_address == state.validators.proposer.address
        state = advance(
            state,
            block.header,
            block_id(raw, block.header),
            results=results_at(height),
            app_hash=at(height).child("block_results").base64("app_hash"),
        )
        assert state == state_after(height)
        assert ChainState.from_json(state.to_json()) == state


def light_block_at(height: int) -> LightBlock:
    return LightBlock(
        header=block_at(height).header,
        commit=commit_at(height),
        validators=validators_of_all_heights()[height - 1],
    )


def verify_from(trusted: LightBlock, untrusted: LightBlock) -> None:
    adjacent = untrusted.header.height == trusted.header.height + 1
    verify = light.verify_adjacent if adjacent else light.verify_non_adjacent
    now_ns = untrusted.header.time_ns + 1
    verify(trusted, untrusted, PublicKey.verify, terms=light.Terms(trusting_period_ns=DAY_NS), now_ns=now_ns)


def test_light_verification_follows_the_real_chain() -> None:
    blocks = [light_block_at(height) for height in HEIGHTS]
    for trusted, untrusted in pairwise(blocks):
        if untrusted.header.height == 132:
            # Only one signed, whose power rose from 1 of 4 to 7 of 10 in between.
            with pytest.raises(light.NotTrusted, match="power 1 of 4"):
                verify_from(trusted, untrusted)
        else:
            verify_from(trusted, untrusted)


BLOCK_ALTERATIONS = [
    "block.block.header.chain_id",
    "block.block.header.height",
    "block.block.header.app_hash",
    "block.block.header.proposer_address",
    "block.block.last_commit.round",
    "block.block.last_commit.signatures.0.validator_address",
    "block.block_id.hash",
    "block.block_id.parts.hash",
    "consensus_params.consensus_params.block.max_bytes",
    *[
        f"expect.{name}"
        for name in (
            "block_hash",
            "block_proto_len",
            "block_proto_sha256",
            "consensus_hash",
            "data_hash",
            "evidence_hash",
            "last_commit_hash",
            "part_set_hash",
            "part_set_total",
            "header_leaves.3",
        )
    ],
]


def copy_of(value: JsonObject) -> dict[str, object]:
    copied: object = json.loads(json.dumps({name: value.raw(name) for name in value.names()}))
    assert isinstance(copied, dict)
    return copied


@pytest.mark.parametrize("path", BLOCK_ALTERATIONS)
def test_an_altered_block_is_noticed(path: str) -> None:
    entry = copy_of(at(133))
    check_expected(JsonObject(entry))
    alter(entry, path)
    with pytest.raises((AssertionError, ValueError)):
        check_expected(JsonObject(entry))


@pytest.mark.parametrize(
    "path",
    [
        "expect.validators_hash",
        "expect.precommit_sign_bytes.0",
        "expect.precommit_sign_bytes.1",
        "validators.validators.0.voting_power",
        "commit.signed_header.header.app_hash",
        "commit.signed_header.commit.round",
        "commit.signed_header.commit.signatures.1.validator_address",
        "commit.signed_header.commit.signatures.1.block_id_flag",
    ],
)
def test_an_altered_commit_is_noticed(path: str) -> None:
    entry = copy_of(at(133))
    check_commit_of(JsonObject(entry))
    alter(entry, path)
    with pytest.raises((AssertionError, ValueError)):
        check_commit_of(JsonObject(entry))


@pytest.mark.parametrize("path", ["0", "1", "2", "3.0.1", "3.1.2"])
def test_an_altered_rotation_is_noticed(path: str) -> None:
    row: object = json.loads(json.dumps(CHAIN.items("rotation")[200]))
    check_rotation(201, row)
    alter(row, path)
    with pytest.raises((AssertionError, KeyError)):
        check_rotation(201, row)


def test_a_real_block_at_another_place_is_refused() -> None:
    block = block_at(117)
    with pytest.raises(InvalidBlock, match="height"):
        check_block(state_after(117), block, raw_size=1, verify=PublicKey.verify)
