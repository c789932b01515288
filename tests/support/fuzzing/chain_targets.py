"""Readers of the chain format: its binary objects, and the files that CometBFT shares."""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

from catenet.chain import evidence as evidence_format
from catenet.chain.block import Block, encode_txs, split_txs
from catenet.chain.block_id import BlockID
from catenet.chain.commit import Commit
from catenet.chain.encoding import DecodeError, fields, read_time, read_uvarint, time_bytes, uvarint
from catenet.chain.evidence import DuplicateVoteEvidence
from catenet.chain.genesis import Genesis, GenesisError
from catenet.chain.header import Header
from catenet.chain.json_fields import JsonError, members, parse_object
from catenet.chain.keys import (
    PrivateKey,
    PublicKey,
    key_file_json,
    node_key_json,
    parse_key_file,
    parse_node_key,
)
from catenet.chain.params import ConsensusParams
from catenet.chain.state import ChainState
from catenet.chain.time import format_rfc3339, parse_rfc3339
from catenet.chain.validators import InvalidUpdate, ValidatorSet
from catenet.chain.vote import Proposal, Vote
from catenet.core.guard import GuardState, export_json, import_json
from support.fuzzing.corpus import corpus, guard_state, public_keys, texts
from support.fuzzing.mutation import altered, bytes_altered, json_altered
from support.fuzzing.targets import Make, Target, anything, reading, same_bytes, settled
from support.fuzzing.values import chance, pick

T = TypeVar("T")
SEED_CHARS = 43
"""The first 32 bytes of a private key, in base64."""

TIMES = (
    *("2023-11-14T22:13:20Z", "9999-12-31T23:59:59.999999999Z"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-00:01"),
)


def from_real(real: Callable[[], Sequence[bytes]]) -> Make:
    """Return a maker of altered copies of real objects; once in a while, of an unaltered one."""

    def make(random: Random) -> bytes:
        items = real()
        chosen = pick(random, items)
        return chosen if chance(random, 20) else altered(chosen, random, items)

    return make


def from_json(name: str) -> Make:
    """Return a maker of altered copies of one of the JSON files."""

    def make(random: Random) -> bytes:
        text = texts()[name]
        return text.encode() if chance(random, 12) else json_altered(text, random)

    return make


def _canonical(
    name: str, decode: Callable[[bytes], T], encode: Callable[[T], bytes], real: Callable[[], Sequence[bytes]]
) -> Target:
    return reading(
        f"chain.{name}",
        from_real(real),
        decode,
        errors=(DecodeError,),
        check=same_bytes(encode),
    )


def binary_targets() -> list[Target]:
    """Return the readers of canonical objects."""
    real = corpus
    sets = ("validators", "next_validators", "last_validators")
    made: list[Target] = [
        _canonical("vote", Vote.decode, Vote.encode, lambda: [each.encode() for each in real().votes]),
        _canonical(
            "proposal", Proposal.decode, Proposal.encode, lambda: [each.encode() for each in real().proposals]
        ),
        _canonical("header", Header.decode, Header.encode, lambda: real().pieces()["header"]),
        _canonical("block", Block.decode, Block.encode, lambda: real().pieces()["block"]),
        _canonical("commit", Commit.decode, Commit.encode, lambda: real().pieces()["commit"]),
        _canonical(
            "block_id",
            BlockID.decode,
            BlockID.encode,
            lambda: [each.block_id.encode() for each in real().votes],
        ),
        _canonical(
            "evidence",
            DuplicateVoteEvidence.decode,
            DuplicateVoteEvidence.encode,
            lambda: [each.encode() for each in real().evidence],
        ),
        _canonical(
            "evidence_list",
            evidence_format.decode_list,
            evidence_format.encode_list,
            lambda: real().pieces()["evidence"],
        ),
        _canonical(
            "validator_set",
            ValidatorSet.decode,
            ValidatorSet.encode,
            lambda: [getattr(real().chain.state, name).encode() for name in sets],
        ),
        _canonical(
            "public_key", PublicKey.decode, PublicKey.encode, lambda: [key.encode() for key in public_keys()]
        ),
        _canonical("txs", split_txs, encode_txs, lambda: [encode_txs(real().pieces()["data"])]),
        _canonical("guard_state", GuardState.decode, GuardState.encode, lambda: [guard_state().encode()]),
    ]
    return [*made, *_primitives()]


def _primitives() -> list[Target]:
    times = [time_bytes(ns) for ns in (0, 1, -1, 1_700_000_000_000_000_001)]
    numbers = [uvarint(number) for number in (0, 127, 128, 2**63, 2**64 - 1)]

    def check_number(data: bytes, read: tuple[int, int]) -> None:
        assert uvarint(read[0]) == data[: read[1]]

    return [
        reading(
            "chain.uvarint",
            from_real(lambda: numbers),
            lambda data: read_uvarint(data, 0),
            errors=(DecodeError,),
            check=check_number,
        ),
        reading(
            "chain.time",
            from_real(lambda: times),
            read_time,
            errors=(DecodeError,),
            check=settled(read_time, time_bytes),
        ),
        reading(
            "chain.fields",
            from_real(lambda: [*corpus().pieces()["vote"], *numbers]),
            lambda data: list(fields(data)),
            errors=(DecodeError,),
            check=anything,
        ),
    ]


def text_targets() -> list[Target]:
    """Return the readers of JSON files and of times."""
    made: list[Target] = [
        reading(
            "file.genesis",
            from_json("genesis"),
            lambda data: Genesis.from_json(_text(data)),
            errors=(GenesisError, UnicodeDecodeError),
            check=_check_genesis,
            weight=3,
        ),
        reading(
            "file.params",
            from_json("params"),
            _read_params,
            errors=(JsonError,),
            check=settled(_read_params, lambda params: json.dumps(params.to_json()).encode()),
        ),
        reading(
            "file.chain_state",
            from_json("state"),
            ChainState.from_json,
            errors=(DecodeError,),
            check=settled(ChainState.from_json, ChainState.to_json),
        ),
        reading(
            "file.sign_state",
            from_json("sign state"),
            lambda data: import_json(_text(data)),
            errors=(ValueError,),
            check=settled(lambda data: import_json(_text(data)), lambda state: export_json(state).encode()),
        ),
        reading(
            "file.json_members",
            from_json("genesis"),
            lambda data: members(_text(data)),
            errors=(JsonError, UnicodeDecodeError),
            check=_check_members,
        ),
        reading(
            "file.rfc3339",
            lambda random: bytes_altered(pick(random, TIMES).encode(), random),
            lambda data: parse_rfc3339(_text(data)),
            errors=(ValueError,),
            check=settled(lambda data: parse_rfc3339(_text(data)), lambda ns: format_rfc3339(ns).encode()),
        ),
    ]
    return [
        *made,
        _key("key", parse_key_file, key_file_json),
        _key("node key", parse_node_key, node_key_json),
    ]


def _key(name: str, parse: Callable[[str], PrivateKey], write: Callable[[PrivateKey], str]) -> Target:
    def read(data: bytes) -> PrivateKey:
        try:
            return parse(_text(data))
        except JsonError as error:
            secret = json.loads(texts()[name])["priv_key"]["value"]
            if secret[:SEED_CHARS] in str(error):
                raise AssertionError("a secret stands in an error") from None
            raise

    return reading(
        f"file.{name.replace(' ', '_')}",
        from_json(name),
        read,
        errors=(JsonError, UnicodeDecodeError),
        check=settled(read, lambda key: write(key).encode()),
    )


def _text(data: bytes) -> str:
    return data.decode()


def _read_params(data: bytes) -> ConsensusParams:
    return ConsensusParams.from_json(parse_object(data))


def _check_genesis(data: bytes, genesis: Genesis) -> None:
    assert Genesis.from_json(genesis.to_json()) == genesis, "does not come back as it was"
    try:
        genesis.check_bounds()
        state = ChainState.genesis(genesis)
    except (GenesisError, InvalidUpdate):
        return
    assert ChainState.from_json(state.to_json()) == state


def _check_members(data: bytes, found: dict[str, str]) -> None:
    value = json.loads(_text(data))
    assert list(found) == list(value)
    assert all(json.dumps(json.loads(text)) == json.dumps(value[name]) for name, text in found.items())
