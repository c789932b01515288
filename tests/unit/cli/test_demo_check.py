"""The demonstration's verdict: each way in which validators can be wrong is seen."""

from array import array
from collections import Counter
from dataclasses import replace
from hashlib import sha256

from catenet.cli.demo_check import NodeView, verdict
from catenet.cli.demo_run import Measured
from catenet.cli.proving import Signers

TXS = [b"a=1", b"b=2", b"c=3"]
IDS = [sha256(tx).digest() for tx in TXS]
GOOD = NodeView(
    name="node0",
    chain=(b"1", b"2"),
    found=Counter(IDS),
    unreadable=(),
    signers=Signers(signed=3, of=4),
)


def judge(*views: NodeView) -> tuple[bool, int, int]:
    found = verdict(views, TXS, 2)
    return found.agreed, found.lost, found.duplicated


def test_equal_validators_agree() -> None:
    assert judge(GOOD, GOOD, GOOD, GOOD) == (True, 0, 0)


def test_another_block_on_one_is_no_agreement() -> None:
    assert judge(GOOD, replace(GOOD, chain=(b"1", b"X"))) == (False, 0, 0)


def test_a_validator_that_is_behind_is_no_agreement() -> None:
    assert judge(GOOD, replace(GOOD, chain=(b"1",))) == (False, 0, 0)
    assert judge(replace(GOOD, chain=(b"1",)), replace(GOOD, chain=(b"1",))) == (False, 0, 0)


def test_a_commit_that_does_not_hold_is_no_agreement() -> None:
    assert judge(GOOD, replace(GOOD, signers=None)) == (False, 0, 0)


def test_a_transaction_missing_on_one_is_lost() -> None:
    assert judge(GOOD, replace(GOOD, found=Counter(IDS[:2]))) == (True, 1, 0)


def test_a_record_that_does_not_read_on_one_is_lost_once() -> None:
    bad = replace(GOOD, unreadable=(0, 2))
    assert judge(GOOD, bad, bad) == (True, 2, 0)


def test_a_repeated_transaction_is_duplicated() -> None:
    assert judge(GOOD, replace(GOOD, found=Counter(IDS + IDS[:1] * 2))) == (True, 0, 2)


def test_latencies_are_ranked() -> None:
    measured = Measured(transactions=4, latencies=array("d", [0.4, 0.1, 0.2, 0.3]))
    assert measured.latency_ms(0.5) == 300
    assert measured.latency_ms(0.99) == 400
    assert Measured(transactions=0).latency_ms(0.5) == 0
