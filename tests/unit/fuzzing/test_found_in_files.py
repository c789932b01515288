"""What fuzzing found in the files of the chain format: inputs on which a reader once broke its promise."""

import json

import pytest

from catenet.chain.genesis import Genesis, GenesisError
from catenet.chain.json_fields import JsonError, parse_object
from catenet.chain.keys import parse_node_key
from catenet.chain.time import parse_rfc3339
from support.fuzzing.corpus import texts


@pytest.mark.parametrize("name", ["chain_id", "app_hash", "genesis_time"])
def test_a_genesis_with_half_a_surrogate_pair_is_a_false_genesis(name: str) -> None:
    content = {**json.loads(texts()["genesis"]), name: "a\ud800"}
    with pytest.raises(GenesisError, match=name):
        Genesis.from_json(json.dumps(content))


def test_a_key_type_with_half_a_surrogate_pair_is_no_string() -> None:
    with pytest.raises(JsonError, match="types holds"):
        parse_object('{"types": ["\\udfff"]}').texts("types")


def test_a_time_that_its_zone_moves_beyond_the_year_9999_is_refused() -> None:
    assert parse_rfc3339("9999-12-31T23:59:59.999999999Z") == 253_402_300_799_999_999_999
    for text in ("9999-12-31T23:59:59-00:01", "9999-12-31T00:01:00-23:59"):
        with pytest.raises(ValueError, match="after the year 9999"):
            parse_rfc3339(text)


@pytest.mark.parametrize(
    "private",
    [
        {"type": "SECRET" * 12, "value": "x"},
        {"type": "tendermint/PrivKeyEd25519", "value": ["SECRET" * 12]},
        {"type": "tendermint/PrivKeyEd25519", "value": "SECRET" * 12 + "\ud800"},
    ],
)
def test_a_private_key_in_the_wrong_place_is_refused_without_being_shown(private: object) -> None:
    with pytest.raises(JsonError) as caught:
        parse_node_key(json.dumps({"priv_key": private}))
    assert "SECRET" not in str(caught.value)
