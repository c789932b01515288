"""Forged receipts, headers and commits: each is refused, and told why. The page lists the same ones."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace

import pytest

from catenet.chain.genesis import Genesis
from catenet.chain.keys import PublicKey
from catenet.chain.receipt import InvalidReceipt, Proven, Receipt, ResultProof, SignedHeader, verify_receipt
from support.chain import make_genesis
from support.forgeries import COMMITS, HEADERS, LAST, TRUE, Forgery
from support.forging import HEIGHT, INDEX, OLD, OTHER_CHAIN, RESULTS, STRANGERS, TXS, receipt_of, town
from support.repository import ROOT

PAGE = ROOT / "docs/reference/receipts.md"


def result_with(change: Callable[[ResultProof], ResultProof]) -> Receipt:
    assert TRUE.result is not None
    return replace(TRUE, result=change(TRUE.result))


def text_with(change: Callable[[dict[str, object]], None]) -> str:
    value = json.loads(TRUE.to_json())
    change(value)
    return json.dumps(value)


def overlong(value: dict[str, object]) -> None:
    """Write the header's first length in two bytes: another text of the same header."""
    path = value["path"]
    assert isinstance(path, list)
    raw = b64decode(path[-1]["header"])
    path[-1]["header"] = b64encode(raw[:1] + bytes([raw[1] | 0x80, 0]) + raw[2:]).decode()


def richer(value: dict[str, object]) -> None:
    sets = value["validator_sets"]
    assert isinstance(sets, list)
    sets[-1][0]["power"] = "1000"


def other_receipt() -> Receipt:
    return receipt_of(town().chain, INDEX + 1)


RECEIPTS = [
    Forgery(
        "another transaction",
        lambda: replace(TRUE, tx=b"transfer 2000000"),
        "the proof does not place the transaction in block 9",
    ),
    Forgery(
        "another place in the block",
        lambda: replace(TRUE, proof=replace(TRUE.proof, index=1)),
        "the proof does not place the transaction in block 9",
    ),
    Forgery(
        "a place outside the block",
        lambda: replace(TRUE, proof=replace(TRUE.proof, index=5)),
        "the proof does not place the transaction in block 9",
    ),
    Forgery(
        "a proof with another hash in it",
        lambda: replace(TRUE, proof=replace(TRUE.proof, aunts=(b"a" * 32, *TRUE.proof.aunts[1:]))),
        "the proof does not place the transaction in block 9",
    ),
    Forgery(
        "a proof with a hash left out",
        lambda: replace(TRUE, proof=replace(TRUE.proof, aunts=TRUE.proof.aunts[:-1])),
        "the proof does not place the transaction in block 9",
    ),
    Forgery(
        "a proof with a hash too many",
        lambda: replace(TRUE, proof=replace(TRUE.proof, aunts=(*TRUE.proof.aunts, b"a" * 32))),
        "the proof does not place the transaction in block 9",
    ),
    Forgery(
        "the proof of a block that the path does not reach",
        lambda: replace(TRUE, path=TRUE.path[:-1], result=None),
        "the proof does not place the transaction in block 6",
    ),
    Forgery("no header at all", lambda: replace(TRUE, path=()), "the receipt has no header"),
    Forgery(
        "a path that leaves out where the validators changed",
        lambda: replace(TRUE, path=(TRUE.path[0], TRUE.path[-1])),
        "header 9: power 0 of 40 of the trusted validators signed",
    ),
    Forgery(
        "a path in another order",
        lambda: replace(TRUE, path=(TRUE.path[-1], *TRUE.path[:-1])),
        "header 9: power 0 of 40 of the trusted validators signed",
    ),
    Forgery(
        "a validator set left out", lambda: replace(TRUE, sets=()), "no set here has its validators_hash"
    ),
    Forgery(
        "a validator with more power",
        lambda: text_with(richer),
        "no set here has its validators_hash",
    ),
    Forgery(
        "a validator that stands twice",
        lambda: text_with(
            lambda value: value["validator_sets"][0].append(value["validator_sets"][0][0])  # type: ignore[index]  # of JSON
        ),
        "the receipt does not read: a validator is changed twice",
    ),
    Forgery(
        "success claimed of a transaction that failed",
        lambda: result_with(lambda result: replace(result, code=result.code ^ 1)),
        "header 10 does not hold this result",
    ),
    Forgery(
        "another answer of the application",
        lambda: result_with(lambda result: replace(result, data=b"balance 1000000")),
        "header 10 does not hold this result",
    ),
    Forgery(
        "less gas used",
        lambda: result_with(lambda result: replace(result, gas_used=result.gas_used - 1)),
        "header 10 does not hold this result",
    ),
    Forgery(
        "the result of another transaction of the block",
        lambda: replace(TRUE, result=other_receipt().result),
        "the result is that of transaction 3 of 5, not of 2 of 5",
    ),
    Forgery(
        "the result of another transaction, said to be this one's",
        lambda: replace(
            TRUE,
            result=replace(result, proof=replace(result.proof, index=INDEX))
            if (result := other_receipt().result)
            else None,
        ),
        "header 10 does not hold this result",
    ),
    Forgery(
        "a result in a header that is not the next one",
        lambda: result_with(lambda result: replace(result, next=SignedHeader.of(town().light(11)))),
        "header 11, which holds the result: height 11 does not follow 9",
    ),
    Forgery(
        "a result in a header that nobody signed",
        lambda: result_with(
            lambda result: replace(
                result,
                next=replace(result.next, header=replace(result.next.header, last_results_hash=b"r" * 32)),
            )
        ),
        "header 10, which holds the result: the commit is for another header",
    ),
    Forgery(
        "a receipt of another chain",
        lambda: TRUE,
        "the receipt is of chain 'test-chain', not 'test-chain-2'",
        make_genesis(OLD, chain_id=OTHER_CHAIN),
    ),
    Forgery(
        "a receipt of a chain of the same name with other validators",
        lambda: replace(TRUE, sets=(*TRUE.sets, town().light(1).validators)),
        "header 4: power 0 of 40 of the trusted validators signed",
        make_genesis(STRANGERS),
    ),
    Forgery(
        "a statement that nothing checks",
        lambda: text_with(lambda value: value.update(paid="in full")),
        "the receipt does not read: 'paid' has no place in a receipt",
    ),
    Forgery(
        "another text of the same header",
        lambda: text_with(overlong),
        "the receipt does not read: overlong varint",
    ),
    Forgery(
        "a format of another time",
        lambda: text_with(lambda value: value.update(format="catenet-receipt/2")),
        "the receipt does not read: format 'catenet-receipt/2', not 'catenet-receipt/1'",
    ),
    Forgery("half a file", lambda: TRUE.to_json()[:1000], "the receipt does not read: not JSON"),
]

FORGERIES = [*COMMITS, *HEADERS, *RECEIPTS]


def judged(receipt: Receipt | str, genesis: Genesis) -> Proven:
    """Verify as `catenet verify` does: always from the text."""
    text = receipt if isinstance(receipt, str) else receipt.to_json()
    return verify_receipt(Receipt.from_json(text), genesis, PublicKey.verify, now_ns=town().now_ns)


def test_the_true_receipt_is_accepted() -> None:
    proven = judged(TRUE, town().chain.genesis)
    assert (proven.tx, proven.height, proven.index) == (TXS[INDEX], HEIGHT, INDEX)
    assert (proven.signed, proven.validators) == (4, 4)
    assert proven.block_hash == LAST.hash()
    assert proven.outcome is not None
    outcome = proven.outcome
    assert (outcome.code, outcome.data, outcome.gas_wanted, outcome.gas_used) == RESULTS[INDEX]
    assert judged(replace(TRUE, result=None), town().chain.genesis).outcome is None
    assert Receipt.from_json(TRUE.to_json()) == TRUE


@pytest.mark.parametrize("forgery", FORGERIES, ids=lambda forgery: forgery.name)
def test_a_forgery_is_refused_with_its_reason(forgery: Forgery) -> None:
    with pytest.raises(InvalidReceipt, match=re.escape(forgery.reason)):
        judged(forgery.make(), forgery.genesis)


def test_a_genesis_without_validators_verifies_nothing() -> None:
    with pytest.raises(InvalidReceipt, match="the genesis names no validators"):
        judged(TRUE, replace(town().chain.genesis, validators=()))


def test_the_page_lists_the_forgeries() -> None:
    listed = re.findall(r"^\| \d+ \| (.+?) \| `(.+?)` \|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert listed == [(forgery.name, forgery.reason) for forgery in FORGERIES]
