"""Genesis, parameters, keys and times as text, and evidence as values: what is read, and what is refused."""

import json
from dataclasses import replace

import pytest

from catenet.chain import time as chain_time
from catenet.chain.block_id import BlockID, PartSetHeader
from catenet.chain.encoding import ZERO_TIME_NS
from catenet.chain.evidence import InvalidEvidence, is_expired, make, verify_evidence
from catenet.chain.genesis import Genesis, GenesisError
from catenet.chain.json_fields import JsonError, JsonObject, members, parse_object
from catenet.chain.keys import (
    PrivateKey,
    PublicKey,
    key_file_json,
    node_id,
    node_key_json,
    parse_key_file,
    parse_node_key,
    verify_ed25519,
)
from catenet.chain.params import ConsensusParams, InvalidParams
from catenet.chain.vote import Vote
from support.chain import LocalChain, make_chain, make_genesis, make_keys

KEYS = make_keys(3)
GENESIS = replace(make_genesis(KEYS), app_state='{"b": 1.0,  "a": [1e2]}', app_hash=b"\x01\xab")


def changed(**values: object) -> str:
    content = json.loads(GENESIS.to_json())
    for name, value in values.items():
        if value is None:
            del content[name]
        else:
            content[name] = value
    return json.dumps(content)


def test_a_genesis_comes_back_with_its_app_state_to_the_letter() -> None:
    text = GENESIS.to_json()
    assert Genesis.from_json(text) == GENESIS
    assert '"app_state": {"b": 1.0,  "a": [1e2]}' in text
    assert Genesis.from_json(text).hash() == GENESIS.hash()


def test_a_genesis_has_the_form_of_cometbft() -> None:
    content = json.loads(GENESIS.to_json())
    assert list(content) == [
        "genesis_time",
        "chain_id",
        "initial_height",
        "consensus_params",
        "validators",
        "app_hash",
        "app_state",
        "catenet",
    ]
    assert content["genesis_time"] == "2023-11-14T22:13:20Z"
    assert content["initial_height"] == "1"
    assert content["validators"][0]["power"] == "10"
    assert content["validators"][0]["pub_key"]["type"] == "tendermint/PubKeyEd25519"
    assert content["app_hash"] == "01AB"
    assert content["catenet"] == {"dedup_window": "3600000000000"}
    assert content["consensus_params"]["block"] == {"max_bytes": "2097152", "max_gas": "-1"}


def test_what_may_miss_in_a_genesis() -> None:
    content = {"genesis_time": "2026-01-01T00:00:00Z", "chain_id": "c", "app_hash": "", "validators": None}
    genesis = Genesis.from_json(json.dumps(content))
    assert (genesis.initial_height, genesis.app_state, genesis.validators) == (1, "{}", ())
    # CometBFT's own defaults, for the same file is the same chain; Catenet then declines to run it.
    assert genesis.params.max_bytes == 22_020_096
    with pytest.raises(GenesisError, match="max_bytes"):
        genesis.check_bounds()
    GENESIS.check_bounds()
    assert Genesis.from_json(changed(initial_height="0")).initial_height == 1
    assert Genesis.from_json(changed(catenet=None)).dedup_window_ns == 3600 * 10**9
    assert Genesis.from_json(changed(catenet={"dedup_window": "5"})).dedup_window_ns == 5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("[" * 100_000, "not JSON"),
        (changed(chain_id=None), "chain_id is missing"),
        (changed(chain_id=""), "1 to 50 bytes"),
        (changed(chain_id="x" * 51), "1 to 50 bytes"),
        (changed(genesis_time="yesterday"), "genesis_time"),
        (changed(genesis_time=5), "not a string"),
        (changed(initial_height="-1"), "below 1"),
        (changed(initial_height=1), "not a string"),
        (changed(initial_height="1.0"), "64-bit integer"),
        (changed(initial_height="9223372036854775808"), "64-bit integer"),
        (changed(app_hash="xy"), "not hex"),
        (changed(catenet={"dedup_window": "-1"}), "negative"),
        (changed(catenet={}), "dedup_window is missing"),
        (changed(validators={}), "not a list"),
        (changed(validators=[1]), r"validators\[0\] is not an object"),
        (changed(consensus_params={}), "consensus_params.block is missing"),
    ],
)
def test_a_false_genesis_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(GenesisError, match=reason):
        Genesis.from_json(text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"power": "0"}, "power 0"),
        ({"power": 1}, "not a string"),
        ({"address": "00" * 20}, "does not belong"),
        ({"pub_key": {"type": "tendermint/PubKeyMldsa65", "value": ""}}, "key type"),
        ({"pub_key": {"type": "tendermint/PubKeyEd25519", "value": "AAAA"}}, "3 bytes, not 32"),
        ({"pub_key": {"type": "tendermint/PubKeyEd25519", "value": "*"}}, "not base64"),
    ],
)
def test_a_false_validator_is_refused(change: dict[str, object], reason: str) -> None:
    validators = json.loads(GENESIS.to_json())["validators"]
    validators[1].update(change)
    with pytest.raises(GenesisError, match=reason):
        Genesis.from_json(changed(validators=validators))
    validators[1] = validators[0]
    with pytest.raises(GenesisError, match="twice"):
        Genesis.from_json(changed(validators=validators))


def test_a_genesis_with_impossible_parameters_is_refused() -> None:
    params = replace(GENESIS.params, max_bytes=0).to_json()
    with pytest.raises(GenesisError, match=r"consensus_params: block.max_bytes 0"):
        Genesis.from_json(changed(consensus_params=params))


def test_members_are_found_as_they_were_written() -> None:
    text = ' {"a" : 1.50 ,"b\\u0041":{"x": "}"}\n, "c":null}'
    assert members(text) == {"a": "1.50", "bA": '{"x": "}"}', "c": "null"}
    assert members("{ }") == {}
    with pytest.raises(JsonError):
        members('{"a": 1')


@pytest.mark.parametrize(
    "params",
    [
        ConsensusParams(max_bytes=0),
        ConsensusParams(max_bytes=-2),
        ConsensusParams(max_bytes=100 * 1024 * 1024 + 1),
        ConsensusParams(max_gas=-2),
        ConsensusParams(evidence_max_age_blocks=0),
        ConsensusParams(evidence_max_age_ns=0),
        ConsensusParams(evidence_max_bytes=-1),
        ConsensusParams(max_bytes=1000, evidence_max_bytes=1001),
        ConsensusParams(key_types=()),
        ConsensusParams(key_types=("ed25519", "rsa")),
        ConsensusParams(vote_extensions_height=-1),
        ConsensusParams(app_version=-1),
    ],
)
def test_parameters_that_no_chain_may_have(params: ConsensusParams) -> None:
    with pytest.raises(InvalidParams):
        params.validate()
    with pytest.raises(InvalidParams):
        params.check_bounds()


@pytest.mark.parametrize(
    "params",
    [
        ConsensusParams(max_bytes=-1),
        ConsensusParams(max_bytes=1024 * 1024 - 1),
        ConsensusParams(max_bytes=3 * 1024 * 1024 + 1),
        ConsensusParams(evidence_max_bytes=128 * 1024 + 1),
        ConsensusParams(key_types=("ed25519", "secp256k1")),
    ],
)
def test_parameters_that_catenet_does_not_run(params: ConsensusParams) -> None:
    params.validate()
    with pytest.raises(InvalidParams):
        params.check_bounds()


def test_parameters_at_the_bounds() -> None:
    for mebibytes in (1, 2, 3):
        ConsensusParams(max_bytes=mebibytes * 1024 * 1024).check_bounds()
    assert ConsensusParams().max_bytes == 2 * 1024 * 1024
    assert ConsensusParams(max_bytes=-1).block_bytes == 100 * 1024 * 1024


def test_the_consensus_hash_covers_bytes_and_gas_only() -> None:
    params = ConsensusParams()
    assert replace(params, evidence_max_bytes=1, app_version=3).hash() == params.hash()
    assert replace(params, max_gas=1).hash() != params.hash()
    assert replace(params, max_bytes=1).hash() != params.hash()


def test_key_files_come_back() -> None:
    key = KEYS[0]
    assert parse_key_file(key_file_json(key)) == key
    assert parse_node_key(node_key_json(key)) == key
    assert parse_object(key_file_json(key)).names() == ["address", "pub_key", "priv_key"]
    assert node_id(key.public) == key.public.address.hex()
    assert key.seed.hex() not in repr(key)
    assert str(key.seed) not in repr(key)


@pytest.mark.parametrize("part", ["address", "pub_key", "priv_key"])
def test_a_key_file_whose_parts_do_not_belong_together_is_refused(part: str) -> None:
    mine, other = json.loads(key_file_json(KEYS[0])), json.loads(key_file_json(KEYS[1]))
    with pytest.raises(JsonError, match="belong"):
        parse_key_file(json.dumps({**mine, part: other[part]}))
    with pytest.raises(JsonError, match=f"{part} is missing"):
        parse_key_file(json.dumps({name: value for name, value in mine.items() if name != part}))


def test_a_damaged_private_key_is_refused_without_being_shown() -> None:
    value = KEYS[0].to_json()["value"]
    for damaged in (value[:-4], value[:40] + "AAAA" + value[44:], "*" + value[1:]):
        text = json.dumps({"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": damaged}})
        with pytest.raises(JsonError) as caught:
            parse_node_key(text)
        assert value[4:20] not in str(caught.value)
    with pytest.raises(JsonError, match="private key type"):
        parse_node_key(json.dumps({"priv_key": {"type": "other", "value": value}}))


def test_signatures_are_checked_without_raising() -> None:
    key, message = KEYS[0], b"message"
    signature = key.sign(message)
    assert len(signature) == 64
    assert key.public.verify(message, signature)
    assert verify_ed25519(key.public.data, message, signature)
    assert not key.public.verify(b"other", signature)
    assert not KEYS[1].public.verify(message, signature)
    for odd in (b"", signature[:63], signature + b"x", b"\xff" * 64):
        assert not key.public.verify(message, odd)
    assert not verify_ed25519(key.public.data[:31], message, signature)
    # The neutral element as a key would accept many messages: libsodium refuses keys of small order.
    assert not verify_ed25519(b"\x01" + b"\0" * 31, message, b"\x01" + b"\0" * 63)
    assert not PublicKey("secp256k1", b"\x02" * 33).verify(message, signature)


def test_keys_of_another_kind_or_length_are_refused() -> None:
    for kind, size in (("ed25519", 33), ("secp256k1", 32), ("mldsa65", 32)):
        with pytest.raises(ValueError, match="key"):
            PublicKey(kind, b"k" * size)
    with pytest.raises(ValueError, match="seed"):
        PrivateKey(b"s" * 31)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("0001-01-01T00:00:00Z", ZERO_TIME_NS),
        ("1969-12-31T23:59:59.999999999Z", -1),
        ("2026-11-23T07:31:25.766981339Z", 1_795_419_085_766_981_339),
        ("2026-11-23T07:31:25.7Z", 1_795_419_085_700_000_000),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_800 * 10**9 - 1),
    ],
)
def test_times_are_read_and_written_to_the_nanosecond(text: str, ns: int) -> None:
    assert chain_time.parse_rfc3339(text) == ns
    assert chain_time.format_rfc3339(ns) == text


def test_times_of_other_zones_are_read() -> None:
    assert chain_time.parse_rfc3339("1970-01-01T01:30:00+01:30") == 0
    assert chain_time.parse_rfc3339("1970-01-01T00:00:00.10Z") == 10**8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1970-01-01",
        "1970-01-01 00:00:00Z",
        "1970-01-01T00:00:00",
        "1970-02-30T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:00:60Z",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1234567890Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "1970-01-01T00:00:00Z\n",
        "١٩٧٠-01-01T00:00:00Z",
    ],
)
def test_other_texts_are_no_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an RFC 3339 time|before the year 1"):
        chain_time.parse_rfc3339(text)


def test_the_median_of_nobody_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no vote"):
        chain_time.weighted_median([])
    assert chain_time.weighted_median([(3, 10), (1, 10), (2, 10)]) == 2
    assert chain_time.weighted_median([(3, 1), (1, 1), (2, 1)]) == 1


def first_id(letter: bytes) -> BlockID:
    return BlockID(hash=letter * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))


def two_votes(chain: LocalChain) -> tuple[Vote, Vote]:
    return chain.vote(1, first_id(b"a")), chain.vote(1, first_id(b"b"))


def test_evidence_is_made_in_order_and_verified() -> None:
    chain = make_chain(4, heights=1)
    a, b = two_votes(chain)
    valset = chain.state.validators
    evidence = make(b, a, valset, 77)
    assert (evidence.vote_a, evidence.vote_b, evidence.height) == (a, b, 2)
    assert evidence == make(a, b, valset, 77)
    verify_evidence(evidence, chain_id="test-chain", valset=valset, time_ns=77, verify=PublicKey.verify)
    for false, reason in (
        (replace(evidence, time_ns=78), "time"),
        (replace(evidence, validator_power=9), "power"),
        (replace(evidence, total_power=41), "power"),
        (replace(evidence, vote_b=replace(b, signature=a.signature)), "signature is wrong"),
        (replace(evidence, vote_a=replace(a, signature=b"")), "without signature"),
        (replace(evidence, vote_a=replace(a, time_ns=1)), "signature is wrong"),
        (replace(evidence, vote_a=replace(a, index=2), vote_b=replace(b, index=2)), "not validator 2"),
        (replace(evidence, vote_a=replace(a, extension=b"x")), "extension"),
        (replace(evidence, vote_a=replace(a, height=0), vote_b=replace(b, height=0)), "height 0"),
        (
            replace(evidence, vote_a=replace(a, address=b""), vote_b=replace(b, address=b"")),
            "address of 0 bytes",
        ),
        (replace(evidence, vote_a=replace(a, block_id=BlockID(hash=b"a" * 32))), "half a block id"),
    ):
        with pytest.raises(InvalidEvidence, match=reason):
            verify_evidence(false, chain_id="test-chain", valset=valset, time_ns=77, verify=PublicKey.verify)


def test_votes_that_prove_nothing_make_no_evidence() -> None:
    chain = make_chain(4, heights=1)
    a, b = two_votes(chain)
    valset = chain.state.validators
    later = chain.vote(1, first_id(b"a"), time_ns=5)
    for first, second in ((a, later), (a, replace(b, round=1)), (a, chain.vote(2, first_id(b"b")))):
        with pytest.raises(InvalidEvidence):
            make(first, second, valset, 77)
    stranger = replace(a, address=b"s" * 20)
    with pytest.raises(InvalidEvidence, match="no validator"):
        make(stranger, replace(b, address=b"s" * 20), valset, 77)


def test_evidence_expires_when_both_ages_have_passed() -> None:
    params = ConsensusParams(evidence_max_age_blocks=10, evidence_max_age_ns=100)
    for height, time_ns, expired in ((11, 101, False), (12, 101, True), (12, 100, False), (11, 999, False)):
        found = is_expired(
            evidence_height=1, evidence_time_ns=0, height=height, time_ns=time_ns, params=params
        )
        assert found is expired


def test_reading_json_names_the_place() -> None:
    value = JsonObject({"a": {"b": [1]}, "n": True, "t": [1]})
    for read, reason in (
        (lambda: value.child("a").texts("b"), "a.b holds"),
        (lambda: value.number("n"), "n is True"),
        (lambda: value.child("n"), "n is not an object"),
        (lambda: value.text("a"), "not a string"),
        (lambda: value.bases64("t"), "t holds"),
    ):
        with pytest.raises(JsonError, match=reason):
            read()


def test_version_and_abci_may_miss_or_be_empty() -> None:
    whole = ConsensusParams(app_version=3, vote_extensions_height=7)
    content = json.loads(json.dumps(whole.to_json()))
    assert ConsensusParams.from_json(JsonObject(content)) == whole
    for name in ("version", "abci"):
        content[name] = {}
    assert ConsensusParams.from_json(JsonObject(content)) == ConsensusParams()
    del content["version"], content["abci"]
    assert ConsensusParams.from_json(JsonObject(content)) == ConsensusParams()


def test_text_that_is_no_base64_is_named_and_not_shown() -> None:
    value = JsonObject({"secret": "not base64!", "list": ["YQ==", "not base64!"]})
    assert value.bases64("none") == []
    for read, name in ((lambda: value.base64("secret"), "secret"), (lambda: value.bases64("list"), "list")):
        with pytest.raises(JsonError, match=name) as caught:
            read()
        assert "!" not in str(caught.value)
