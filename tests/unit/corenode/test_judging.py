"""Judging a rebuilt block (consensus.md 2.4): each rule, broken alone, is found and named."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import pytest

from catenet.chain.block import Block, block_id, data_hash
from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.evidence import DuplicateVoteEvidence, list_hash, make
from catenet.chain.header import Header
from catenet.chain.keys import PublicKey
from catenet.core.batches.io import BatchConfig
from catenet.core.batches.machine import Batches
from catenet.core.consensus.io import CannotJudge
from catenet.core.evidence import EvidencePool
from catenet.core.judging import judge
from catenet.types.assembly import Assembled
from support.batches import Window
from support.chain import make_chain
from support.evidence_traces import History

ID = BlockID(hash=b"a" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))


class Bench:
    """A chain of two heights and a node that is to judge the third block."""

    def __init__(self) -> None:
        self.chain = make_chain(4)
        self.votes = (self.chain.vote(1, ID), self.chain.vote(1, NIL))
        self.chain.grow(2)
        self.history = History(self.chain)
        self.window = Window()
        self.pool = Batches(BatchConfig(), b"m" * 20, self.window)
        self.pool.restore((), self.chain.state.last_height, self.chain.state.last_time_ns)

    @staticmethod
    def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
        return key.verify(message, signature)

    def evidence(self) -> DuplicateVoteEvidence:
        first = self.chain.decided[0]
        return make(*self.votes, first.light.validators, first.block.header.time_ns)

    def judge(self, block: Block, *, txs: Sequence[bytes] | None = None) -> str | CannotJudge | None:
        raw = block.encode()
        ids = tuple([sha256(tx).digest() for tx in (block.txs if txs is None else txs)])
        assembled = Assembled(
            block=block,
            raw=raw,
            block_id=block_id(raw, block.header),
            tx_ids=ids,
            data_hash=data_hash(ids),
        )
        return judge(
            assembled,
            self.chain.state,
            verify=self.verify,
            pool=self.pool,
            evidence=EvidencePool(self.history, self.verify),
        )


def with_header(block: Block, header: Header) -> Block:
    return Block(header=header, txs=block.txs, evidence=block.evidence, last_commit=block.last_commit)


def test_an_honest_block_breaks_no_rule() -> None:
    at = Bench()
    assert at.judge(at.chain.build([b"a", b"b"])) is None
    assert at.judge(at.chain.build(evidence=(at.evidence(),))) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"height": 4}, "height 4 does not follow 2"),
        ({"height": 2}, "height 2 does not follow 2"),
        ({"data_hash": b"x" * 32}, "data_hash is not that of the transactions"),
        ({"last_commit_hash": b"x" * 32}, "last_commit_hash is not that of last_commit"),
        ({"evidence_hash": b"x" * 32}, "evidence_hash is not that of the evidence"),
        ({"app_hash": b"x" * 8}, "app_hash is"),
        ({"chain_id": "another"}, "chain"),
        ({"time_ns": 1}, "time"),
    ],
)
def test_a_broken_header_is_named(change: dict[str, object], reason: str) -> None:
    at = Bench()
    block = at.chain.build([b"a"])
    fields = {name: getattr(block.header, name) for name in block.header.__slots__} | change
    found = at.judge(with_header(block, Header(**fields)))
    assert isinstance(found, str)
    assert reason in found


def test_56_a_transaction_stands_once_in_a_block_and_once_in_the_window() -> None:
    at = Bench()
    repeated = "a transaction stands twice in the block, or was committed in the window before"
    assert at.judge(at.chain.build([b"a", b"a"])) == repeated
    at.window.times[sha256(b"old").digest()] = at.chain.state.last_time_ns
    assert at.judge(at.chain.build([b"old"])) == repeated


def test_e2_evidence_in_a_block_is_verified() -> None:
    at = Bench()
    wrong = replace(at.evidence(), validator_power=11)
    block = at.chain.build(evidence=(wrong,))
    assert block.header.evidence_hash == list_hash((wrong,))
    found = at.judge(block)
    assert isinstance(found, str)
    assert "power 11" in found


def test_e2_a_node_without_the_history_waits() -> None:
    at = Bench()
    at.history.lowest = 2
    found = at.judge(at.chain.build(evidence=(at.evidence(),)))
    assert found == CannotJudge(reason="height 1 is not known here")
