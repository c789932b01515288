"""Kinds of bugs that stopped or split ledgers before this one: one regression test for each kind.

Those that had their test elsewhere already are listed in `tests/unit/house/test_promises.py`, which names the
test of every kind.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from catenet.apps.kv import KeyValue
from catenet.chain.block_id import BlockID
from catenet.chain.params import MAX_CATENET_BLOCK_BYTES, MIN_CATENET_BLOCK_BYTES, ConsensusParams
from catenet.chain.vote import Vote, VoteType
from catenet.network.handshake import proof_text
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.world import EPOCH_NS
from catenet.types import effects, events, messages
from catenet.types.batch import Batch, batch_digest
from catenet.wire.hello import Hello
from support.apps import MemoryState, block
from support.chain import make_chain
from support.hostile import LIAR, Siege
from support.network import status
from support.solo import Solo
from support.sync import Syncing, honest, peer

A, B = peer(1), peer(2)


@pytest.mark.parametrize("heads", [(1 << 60, 0), (10, 2), (2, 1 << 62, 3), (0, 0), (10, 0, 1 << 60)])
def test_a_height_that_falls_or_is_poisoned_holds_up_no_sync(heads: Sequence[int]) -> None:
    chain = make_chain(4, 10)
    node = Syncing(chain, {A: honest(chain, min(heads)), B: honest(chain)})
    node.claim(A, heads[0])
    node.claim(B, 10)
    node.begin()
    for head in heads[1:]:
        node.claim(A, head)
        node.wait(5_000_000)
    if not node.applied:
        node.begin()
    assert [held.raw for held in node.applied] == [decided.raw for decided in chain.decided[:9]]
    assert B not in {penalty.peer for penalty in node.penalised}
    assert not node.halted


def malformed(host: Host, siege: Siege) -> list[messages.Message]:
    """Return what is well-formed on the wire and no message of this height: bit arrays, votes, extensions."""
    state = host._core.consensus.state
    index = state.validators.index_of(siege.me)
    assert index is not None
    plain = Vote(
        type=VoteType.PRECOMMIT,
        height=state.height,
        round=state.round,
        block_id=host._core.state.last_block_id,
        time_ns=EPOCH_NS + siege.schedule.now_us * 1000,
        address=siege.me,
        index=index,
    )
    half = BlockID(hash=plain.block_id.hash)
    votes = [
        replace(plain, block_id=half),
        replace(plain, extension=b"x", extension_signature=b"y" * 64),
        replace(plain, index=2**31 - 1),
        replace(plain, address=b""),
        replace(plain, round=2**31 - 1),
    ]
    signed = [replace(each, signature=siege.key.sign(each.sign_bytes(state.chain_id))) for each in votes]
    now = replace(status(state.height, state.round), step=3)
    return [
        *[messages.VoteMessage(vote=each) for each in [*signed, plain]],
        messages.VoteSet(votes=tuple(signed), answer=True),
        messages.VoteSet(votes=()),
        *[replace(now, prevotes=bits, precommits=bits) for bits in (b"", b"\xff", b"\0" * 2, b"\xff" * 1250)],
        replace(now, round=2**31 - 1, valid_round=2**31 - 1, yours=b"\xff" * 300),
    ]


@pytest.mark.slow
def test_no_bit_array_of_another_length_and_no_malformed_vote_stops_consensus() -> None:
    siege = Siege(7)
    siege.pass_time(2_000_000)
    for _ in range(10):
        for host in siege.honest:
            for message in malformed(host, siege):
                host.handle(events.Received(peer=siege.me, message=message))
        siege.pass_time(50_000)
    head = max(host.chain.head for host in siege.hosts[:LIAR])
    siege.pass_time(3_000_000)
    assert min(host.chain.head for host in siege.hosts[:LIAR]) > head > 0


def test_no_change_of_parameters_that_may_be_made_stops_the_chain() -> None:
    smallest = ConsensusParams(
        max_bytes=MIN_CATENET_BLOCK_BYTES,
        max_gas=0,
        evidence_max_bytes=0,
        evidence_max_age_blocks=1,
        evidence_max_age_ns=1,
        app_version=2**63 - 1,
    )
    largest = replace(smallest, max_bytes=MAX_CATENET_BLOCK_BYTES, max_gas=2**63 - 1, app_version=1)
    solo = Solo(params={1: smallest, 2: largest, 3: smallest})
    for number in range(8):
        tx = b"k=%d" % number
        solo.give(events.Submitted(ticket=number, client="c", txs=[tx], level=events.Level.COMMITTED))
        solo.run(solo.now_us + 1_000_000)
    assert solo.core.state.params == smallest
    txs = [tx for effect in solo.done if isinstance(effect, effects.CommitBlock) for tx in effect.block.txs]
    assert txs == [b"k=%d" % number for number in range(8)]
    assert not [effect for effect in solo.done if isinstance(effect, effects.Halt)]


def kv_hash(*txs: bytes) -> bytes:
    app = KeyValue(MemoryState())
    return app.finalize_block(block(1, *txs)).app_hash


def hello(**changes: object) -> Hello:
    plain = Hello(
        min_version=1,
        max_version=1,
        chain_id="ab",
        address=b"\1" * 20,
        nonce=b"\2" * 32,
        node_id="n",
        certificate=b"\3" * 32,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_bytes_that_move_from_one_piece_to_the_next_change_the_hash() -> None:
    shifted = [(b"a=1x", b"x=2"), (b"a=1", b"xx=2"), (b"a=1xx=2",), (b"x=2", b"a=1x")]
    hashes = [kv_hash(*txs) for txs in shifted]
    digests = [
        batch_digest(b"\1" * 20, Batch(incarnation=incarnation, seq=seq, payload=payload))
        for incarnation, seq, payload in (
            (1, 2, b"x"),
            (2, 1, b"x"),
            (1, 2, b"\0x"),
            (256, 2, b"x"),
            (1, 512, b"x"),
        )
    ]
    # The bytes of a Hello's texts and addresses, moved by one.
    texts = [
        proof_text(signer=signer, other=hello())
        for signer in (
            hello(),
            hello(chain_id="a", address=b"b" + b"\1" * 20),
            hello(chain_id="ab\1", address=b"\1" * 19),
        )
    ]
    for made in (hashes, digests, texts):
        assert len(set(made)) == len(made)


def test_what_one_key_signs_for_one_purpose_is_never_text_for_another() -> None:
    block_id = make_chain(1, 1).decided[0].block_id
    vote = Vote(
        type=VoteType.PREVOTE,
        height=1,
        round=0,
        block_id=block_id,
        time_ns=0,
        address=b"",
        index=0,
        extension=b"x",
    )
    texts = [
        vote.sign_bytes("c"),
        replace(vote, type=VoteType.PRECOMMIT).sign_bytes("c"),
        replace(vote, height=2).sign_bytes("c"),
        replace(vote, round=1).sign_bytes("c"),
        vote.sign_bytes("d"),
        vote.extension_sign_bytes("c"),
        proof_text(signer=hello(), other=hello()),
    ]
    texts.sort()
    assert not [(a, b) for a, b in pairwise(texts) if b.startswith(a)], "one text begins with another"
