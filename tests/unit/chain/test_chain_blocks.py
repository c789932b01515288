"""Blocks: transactions in and out of `Data`, parts, identity; Merkle trees and proofs below them."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catenet.chain import merkle
from catenet.chain.block import (
    PART_BYTES,
    Block,
    block_id,
    data_hash,
    encode_block,
    encode_txs,
    part_set_header,
    split_txs,
)
from catenet.chain.encoding import DecodeError, bytes_field, message_field
from catenet.chain.evidence import encode_list
from support.chain import make_chain


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 16_383, 16_384, 2_097_151, 2_097_152])
def test_transactions_of_every_length_come_back(size: int) -> None:
    txs = [b"a" * size, b"", b"b" * size]
    assert split_txs(encode_txs(txs)) == txs
    assert encode_txs(txs) == b"".join(message_field(1, tx) for tx in txs)


def test_joined_payloads_are_the_data_of_all() -> None:
    first, second = [b"1", b"", b"3" * 300], [b"4"]
    assert encode_txs(first) + encode_txs(second) == encode_txs(first + second)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x0a", "truncated"),
        (b"\x0a\x02x", "truncated"),
        (b"\x0a\x80", "truncated"),
        (b"\x0a\x01x\x0a\x81", "truncated"),
        (b"\x0a\x80\x80\x80", "truncated"),
        (b"\x12\x01x", "field key"),
        (b"\x08\x01", "field key"),
        (b"\x0a\x81\x00x", "overlong"),
        (b"\x0a\x81\x80\x00x", "overlong"),
        (b"\x0a" + b"\xff" * 9 + b"\x02", "64 bits"),
        (b"\x0a" + b"\xff" * 9 + b"\x01", "truncated"),
        (b"\x0a\xff\xff\xff\xff\x07x", "truncated"),
    ],
)
def test_malformed_data_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        split_txs(data)


@pytest.mark.slow
@settings(deadline=None)
@given(data=st.binary(max_size=40))
def test_data_is_refused_or_canonical(data: bytes) -> None:
    try:
        txs = split_txs(data)
    except DecodeError:
        return
    assert encode_txs(txs) == data


@pytest.mark.parametrize("size", [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 5])
def test_parts_are_a_tree_over_pieces(size: int) -> None:
    raw = bytes(i * 31 & 0xFF for i in range(251)) * (size // 251 + 1)
    raw = raw[:size]
    parts = part_set_header(raw)
    pieces = [raw[start : start + PART_BYTES] for start in range(0, size, PART_BYTES)]
    assert (parts.total, parts.hash) == (len(pieces), merkle.root(pieces))


def test_a_block_of_several_parts_comes_back() -> None:
    chain = make_chain()
    txs = [bytes([n]) * 30_000 for n in range(9)]
    block = chain.build(txs)
    raw = block.encode()
    assert Block.decode(raw) == block
    assert block_id(raw, block.header).parts.total == 5
    assert block.header.data_hash == data_hash(sha256(tx).digest() for tx in txs)


def test_a_block_can_be_joined_from_its_pieces() -> None:
    block = make_chain(heights=2).decided[1].block
    joined = encode_block(
        block.header.encode(),
        encode_txs(block.txs),
        encode_list(block.evidence),
        block.last_commit.encode(),
    )
    assert joined == block.encode()


def test_the_first_last_commit_is_present_but_empty() -> None:
    assert make_chain(heights=1).decided[0].raw.endswith(bytes.fromhex("1a00 2204 1a021200"))


def test_a_block_without_one_of_its_fields_is_refused() -> None:
    block = make_chain(heights=2).decided[1].block
    pieces = [
        message_field(1, block.header.encode()),
        message_field(2, encode_txs(block.txs)),
        message_field(3, b""),
        message_field(4, block.last_commit.encode()),
    ]
    assert Block.decode(b"".join(pieces)) == block
    for missing in range(4):
        with pytest.raises(DecodeError, match=f"field {missing + 1} is missing"):
            Block.decode(b"".join(pieces[:missing] + pieces[missing + 1 :]))
    with pytest.raises(DecodeError):
        Block.decode(b"".join(pieces) + bytes_field(5, b"x"))


def rfc6962(items: list[bytes]) -> bytes:
    """The definition: split at the largest power of two below n."""
    if len(items) <= 1:
        return sha256(b"\0" + items[0]).digest() if items else sha256(b"").digest()
    split = 1 << (len(items) - 1).bit_length() - 1
    return sha256(b"\1" + rfc6962(items[:split]) + rfc6962(items[split:])).digest()


@pytest.mark.parametrize("number", [*range(18), 31, 32, 33, 64, 65])
def test_the_root_is_that_of_the_definition(number: int) -> None:
    items = [b"%d" % n for n in range(number)]
    assert merkle.root(items) == rfc6962(items)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 8, 13, 21])
def test_a_proof_holds_for_its_item_and_place_only(number: int) -> None:
    items = [b"%d" % n for n in range(number)]
    root = merkle.root(items)
    for index, item in enumerate(items):
        proof = merkle.prove(items, index)
        assert proof.verify(root, item)
        assert not proof.verify(root, b"another")
        assert not proof.verify(sha256(root).digest(), item)
        assert not replace(proof, aunts=(*proof.aunts, root)).verify(root, item)
        if number > 1:
            assert not replace(proof, index=(index + 1) % number).verify(root, item)
            assert not replace(proof, aunts=proof.aunts[:-1]).verify(root, item)
        for place in (-1, number):
            assert not replace(proof, index=place).verify(root, item)


def test_there_is_no_proof_of_a_missing_item() -> None:
    with pytest.raises(IndexError):
        merkle.prove([b"x"], 1)
