"""The key-value application: what it admits, what it executes, what it finds again after a restart."""

from base64 import b64encode
from dataclasses import replace

import pytest

from catenet.apps.kv import (
    INVALID_FORMAT,
    KEY_BYTES_MAX,
    NOT_FOUND,
    POWER_TOTAL_MAX,
    REFUSED_UPDATE,
    UNKNOWN_PATH,
    KeyValue,
)
from catenet.chain.params import ConsensusParams
from catenet.types.application import InitChain, Query, ValidatorUpdate
from support.apps import MemoryState, block

KEYS = [bytes([number]) * 32 for number in range(1, 5)]


def started(store: MemoryState | None = None) -> KeyValue:
    app = KeyValue(store or MemoryState())
    app.init_chain(
        InitChain(
            time_ns=0,
            chain_id="test",
            initial_height=1,
            app_state=b"{}",
            validators=tuple(ValidatorUpdate(public_key=key, power=10) for key in KEYS),
            params=ConsensusParams(),
        )
    )
    return app


def val(key: bytes, power: int) -> bytes:
    return b"val=ed25519!%s!%d" % (b64encode(key), power)


@pytest.mark.parametrize(
    ("tx", "code"),
    [
        (b"name=Wei", 0),
        (b"a=b=c", 0),
        (b"a=\x00\xff=", 0),
        (b"k" * KEY_BYTES_MAX + b"=v", 0),
        (b"k" * (KEY_BYTES_MAX + 1) + b"=v", INVALID_FORMAT),
        (b"", INVALID_FORMAT),
        (b"name", INVALID_FORMAT),
        (b"=value", INVALID_FORMAT),
        (b"name=", INVALID_FORMAT),
        (b"=", INVALID_FORMAT),
        (val(KEYS[0], 5), 0),
        (b"val=x", INVALID_FORMAT),
        (b"val=secp256k1!AAAA!1", INVALID_FORMAT),
        (b"val=ed25519!AAAA!1", INVALID_FORMAT),
        (b"val=ed25519!not base64!1", INVALID_FORMAT),
        (b"val=ed25519!%s!-1" % b64encode(KEYS[0]), INVALID_FORMAT),
        (b"val=ed25519!%s!99999999999999999999" % b64encode(KEYS[0]), INVALID_FORMAT),
    ],
)
def test_check_and_execution_agree_on_the_form(tx: bytes, code: int) -> None:
    app = started()
    assert [result.code for result in app.check_txs([b"x=y", tx], recheck=False)] == [0, code]
    assert app.check_tx(tx, recheck=False).code == code
    outcome = app.finalize_block(block(1, b"x=y", tx))
    assert [result.code for result in outcome.results] == [0, code]


def test_values_are_found_after_commit_and_not_before() -> None:
    app = started()
    app.finalize_block(block(1, b"a=1", b"b=2=3", b"a=4"))
    assert app.query(Query(data=b"a")).code == NOT_FOUND
    app.commit()
    found = app.query_many([Query(data=b"a"), Query(data=b"b", path="/store"), Query(data=b"c")])
    assert [(result.code, result.value, result.height) for result in found] == [
        (0, b"4", 1),
        (0, b"2=3", 1),
        (NOT_FOUND, b"", 1),
    ]


@pytest.mark.parametrize("data", [b"=hash", b"", b"=power/" + KEYS[0], b"k" * 600])
def test_a_query_reads_only_keys_that_a_client_can_set(data: bytes) -> None:
    app = started()
    app.finalize_block(block(1, b"a=1"))
    app.commit()
    assert app.query(Query(data=data)).code == NOT_FOUND


def test_an_unknown_path_is_refused_with_its_name() -> None:
    result = started().query(Query(data=b"a", path="/nothing"))
    assert result.code == UNKNOWN_PATH
    assert "/nothing" in result.log


def test_the_hash_depends_on_every_byte_and_on_the_order() -> None:
    hashes = {
        started().finalize_block(block(1, *txs)).app_hash
        for txs in [
            (),
            (b"a=1",),
            (b"a=1", b"b=2"),
            (b"b=2", b"a=1"),
            (b"a=1b", b"=2"),
            (b"a=1b=2",),
            (b"a=2",),
        ]
    }
    # `=2` is refused, so the fifth list has the effect of `a=1b` alone: seven different states.
    assert len(hashes) == 7


def test_an_empty_block_keeps_the_hash() -> None:
    app = started()
    first = app.finalize_block(block(1, b"a=1")).app_hash
    app.commit()
    assert app.finalize_block(block(2)).app_hash == first
    app.commit()
    assert app.info().last_block_height == 2
    assert app.finalize_block(block(3, b"bad")).app_hash == first


def test_a_restart_continues_from_the_committed_block() -> None:
    store = MemoryState()
    app = started(store)
    app.finalize_block(block(1, b"a=1", val(KEYS[0], 7)))
    app.commit()
    second = app.finalize_block(block(2, b"b=2", val(KEYS[1], 0)))
    # Not committed: the node executes the block again after a restart.
    again = KeyValue(store)
    assert again.info() == replace(app.info(), last_block_height=1)
    assert again.query(Query(data=b"b")).code == NOT_FOUND
    assert again.finalize_block(block(2, b"b=2", val(KEYS[1], 0))) == second
    again.commit()
    assert again.query(Query(data=b"b")).value == b"2"
    assert again.query(Query(data=b64encode(KEYS[0]), path="/val")).value == b"7"
    assert again.query(Query(data=b64encode(KEYS[1]), path="/val")).code == NOT_FOUND


def test_executing_a_block_again_before_commit_gives_the_same() -> None:
    app = started()
    first = app.finalize_block(block(1, b"a=1", val(KEYS[0], 7)))
    assert app.finalize_block(block(1, b"a=1", val(KEYS[0], 7))) == first


def test_updates_are_one_per_validator_and_the_last_one_counts() -> None:
    app = started()
    outcome = app.finalize_block(
        block(1, val(KEYS[0], 7), val(bytes(32), 3), val(KEYS[0], 8), val(KEYS[1], 0))
    )
    assert [result.code for result in outcome.results] == [0, 0, 0, 0]
    assert outcome.validator_updates == (
        ValidatorUpdate(public_key=bytes(32), power=3),
        ValidatorUpdate(public_key=KEYS[0], power=8),
        ValidatorUpdate(public_key=KEYS[1], power=0),
    )


def test_a_validator_that_came_and_went_in_one_block_is_no_update() -> None:
    outcome = started().finalize_block(block(1, val(bytes(32), 3), val(bytes(32), 0)))
    assert outcome.validator_updates == ()


@pytest.mark.parametrize(
    "tx", [val(bytes(32), 0), val(KEYS[0], POWER_TOTAL_MAX), val(bytes(32), POWER_TOTAL_MAX - 39)]
)
def test_an_update_that_no_set_could_take_is_refused(tx: bytes) -> None:
    outcome = started().finalize_block(block(1, tx))
    assert outcome.results[0].code == REFUSED_UPDATE
    assert outcome.validator_updates == ()


def test_what_a_removal_frees_does_not_count_in_the_same_block() -> None:
    room = POWER_TOTAL_MAX - 40
    assert started().finalize_block(block(1, val(bytes(32), room))).results[0].code == 0
    outcome = started().finalize_block(block(1, val(KEYS[0], 0), val(bytes(32), room + 1)))
    assert [result.code for result in outcome.results] == [0, REFUSED_UPDATE]


def test_the_last_validator_stays() -> None:
    outcome = started().finalize_block(block(1, *(val(key, 0) for key in KEYS)))
    assert [result.code for result in outcome.results] == [0, 0, 0, REFUSED_UPDATE]
    assert len(outcome.validator_updates) == 3
