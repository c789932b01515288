"""The state of a chain and its rules: valid blocks pass, each rule of consensus.md 2.4 refuses its breach."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import pytest

from catenet.chain.block import Block, data_hash, encode_block
from catenet.chain.commit import ABSENT, EMPTY_COMMIT, NIL, BlockID, Commit, CommitSig, Flag, PartSetHeader
from catenet.chain.encoding import DecodeError
from catenet.chain.evidence import DuplicateVoteEvidence, list_hash, make
from catenet.chain.header import Header
from catenet.chain.keys import PublicKey
from catenet.chain.merkle import EMPTY_HASH
from catenet.chain.params import ConsensusParams, InvalidParams
from catenet.chain.results import results_hash
from catenet.chain.state import (
    ChainState,
    InvalidBlock,
    advance,
    check_block,
    check_contents,
    check_rules,
    max_data_bytes,
)
from catenet.chain.validators import InvalidUpdate
from catenet.chain.vote import VoteType
from support.chain import LocalChain, make_chain, make_genesis, make_keys

OTHER_ID = BlockID(hash=b"h" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))


def check(chain: LocalChain, block: Block) -> None:
    check_block(chain.state, block, raw_size=len(block.encode()), verify=PublicKey.verify)


def refuse(chain: LocalChain, block: Block, reason: str) -> None:
    with pytest.raises(InvalidBlock, match=reason) as caught:
        check(chain, block)
    assert caught.value.reason == str(caught.value)


def with_commit(chain: LocalChain, commit: Commit) -> Block:
    """Return the next block with another last commit, all else made to fit."""
    return chain.build([b"tx"], last_commit=commit)


def with_entry(commit: Commit, index: int, entry: CommitSig) -> Commit:
    entries = list(commit.signatures)
    entries[index] = entry
    return replace(commit, signatures=tuple(entries))


def test_valid_blocks_are_accepted_from_the_first_height_on() -> None:
    chain = make_chain(4)
    for height in range(1, 6):
        block = chain.build([b"tx %d" % height, b""])
        assert block.header.height == height
        check(chain, block)
        chain.add(block)


def test_the_chain_may_start_at_another_height() -> None:
    keys = make_keys(2)
    chain = LocalChain(keys, replace(make_genesis(keys), initial_height=1000))
    assert chain.state.height == 1000
    for height in (1000, 1001):
        block = chain.build()
        assert block.header.height == height
        check(chain, block)
        chain.add(block)


HEADER_FAULTS: list[tuple[str, Callable[[Header], Header]]] = [
    ("version_block", lambda header: replace(header, version_block=12)),
    ("version_app", lambda header: replace(header, version_app=1)),
    ("chain_id", lambda header: replace(header, chain_id="other")),
    ("height", lambda header: replace(header, height=4)),
    ("last_block_id", lambda header: replace(header, last_block_id=OTHER_ID)),
    ("last_block_id", lambda header: replace(header, last_block_id=NIL)),
    ("last_commit_hash", lambda header: replace(header, last_commit_hash=EMPTY_HASH)),
    ("data_hash", lambda header: replace(header, data_hash=EMPTY_HASH)),
    ("validators_hash", lambda header: replace(header, validators_hash=b"v" * 32)),
    ("next_validators_hash", lambda header: replace(header, next_validators_hash=b"v" * 32)),
    ("consensus_hash", lambda header: replace(header, consensus_hash=b"c" * 32)),
    ("app_hash", lambda header: replace(header, app_hash=b"a")),
    ("last_results_hash", lambda header: replace(header, last_results_hash=EMPTY_HASH)),
    ("evidence_hash", lambda header: replace(header, evidence_hash=b"e" * 32)),
    ("proposer_address", lambda header: replace(header, proposer_address=b"x" * 20)),
    ("time", lambda header: replace(header, time_ns=header.time_ns + 1)),
]


@pytest.mark.parametrize(("field", "fault"), HEADER_FAULTS)
def test_each_field_of_the_header_is_checked(field: str, fault: Callable[[Header], Header]) -> None:
    chain = make_chain(4, heights=2)
    block = chain.build([b"tx"])
    check(chain, block)
    refuse(chain, replace(block, header=fault(block.header)), field)


def test_any_member_may_be_named_proposer() -> None:
    # In a re-proposal the header names the original proposer; who may propose is the core's question (T4).
    chain = make_chain(4, heights=2)
    block = chain.build()
    for member in chain.state.validators.validators:
        check(chain, replace(block, header=replace(block.header, proposer_address=member.address)))


@pytest.mark.parametrize("shift", [-1, 1])
def test_the_time_is_the_median_to_the_nanosecond(shift: int) -> None:
    for heights in (0, 2):
        chain = make_chain(4, heights=heights)
        block = chain.build()
        refuse(
            chain,
            replace(block, header=replace(block.header, time_ns=block.header.time_ns + shift)),
            "median",
        )


def test_nil_votes_move_the_median_but_never_below_the_last_block() -> None:
    chain = make_chain(4)
    block = chain.build()
    commit = chain.sign(block, nil=[0])
    vote = chain.vote(0, NIL, time_ns=0)
    stale = with_entry(commit, 0, replace(commit.signatures[0], time_ns=0, signature=vote.signature))
    chain.add(block, stale)
    following = chain.build()
    assert following.header.time_ns > block.header.time_ns
    check(chain, following)


def test_a_precommit_that_is_not_later_than_its_block_must_be_left_out() -> None:
    chain = make_chain(4)
    block = chain.build()
    commit = chain.sign(block)
    vote = chain.vote(0, commit.block_id, time_ns=block.header.time_ns)
    entry = replace(commit.signatures[0], time_ns=vote.time_ns, signature=vote.signature)
    chain.add(block, commit)
    refuse(chain, with_commit(chain, with_entry(commit, 0, entry)), "entry 0 is not later")
    check(chain, with_commit(chain, with_entry(commit, 0, ABSENT)))


def test_equal_powers_of_one_can_make_the_mandatory_time_illegal() -> None:
    # The trap of consensus.md 2.5: with three powers of 1 the walk stops at the lowest time.
    chain = make_chain(3, powers=[1, 1, 1])
    block = chain.build()
    commit = chain.sign(block)
    vote = chain.vote(0, commit.block_id, time_ns=block.header.time_ns - 5)
    entry = replace(commit.signatures[0], time_ns=vote.time_ns, signature=vote.signature)
    chain.add(block, with_entry(commit, 0, entry))
    assert chain.build().header.time_ns < block.header.time_ns
    refuse(chain, chain.build(), "not later")


def commits_to_refuse(chain: LocalChain) -> list[tuple[Commit, str]]:
    commit = chain.last_commit
    first, second = commit.signatures[:2]
    return [
        (EMPTY_COMMIT, "height 0"),
        (replace(commit, height=commit.height - 1), "height 1"),
        (replace(commit, block_id=OTHER_ID), "commit is for"),
        (replace(commit, round=1), "signature"),
        (replace(commit, signatures=commit.signatures[:3]), "3 entries"),
        (with_entry(with_entry(commit, 0, ABSENT), 1, ABSENT), "power 20 of 40"),
        (with_entry(commit, 0, replace(first, signature=second.signature)), "signature of entry 0"),
        (with_entry(with_entry(commit, 0, second), 1, first), "entry 0 names"),
        (with_entry(commit, 0, replace(first, address=second.address)), "entry 0 names"),
        (with_entry(commit, 0, replace(first, time_ns=first.time_ns + 1)), "signature of entry 0"),
    ]


@pytest.mark.parametrize("case", range(10))
def test_a_false_last_commit_is_refused(case: int) -> None:
    chain = make_chain(4, heights=2)
    commit, reason = commits_to_refuse(chain)[case]
    block = replace(chain.build([b"tx"]), last_commit=commit)
    header = replace(block.header, last_commit_hash=commit.hash())
    refuse(chain, replace(block, header=header), f"last_commit: .*{reason}")


def test_the_first_block_has_no_last_commit() -> None:
    chain, other = make_chain(4), make_chain(4, heights=1)
    block = replace(chain.build(), last_commit=other.last_commit)
    header = replace(block.header, last_commit_hash=other.last_commit.hash())
    refuse(chain, replace(block, header=header), "first block")


def test_a_transaction_stands_once_in_a_block() -> None:
    chain = make_chain(4)
    refuse(chain, chain.build([b"1", b"2", b"1"]), "twice")


def test_the_contents_are_those_that_the_header_names() -> None:
    chain = make_chain(4)
    block = chain.build([b"1", b"2"])
    refuse(chain, replace(block, txs=[b"2", b"1"]), "data_hash")
    ids = [sha256(tx).digest() for tx in block.txs]
    check_contents(block, ids)
    with pytest.raises(InvalidBlock, match="data_hash"):
        check_contents(block, ids[:1])


def test_a_block_larger_than_the_parameters_allow_is_refused() -> None:
    chain = make_chain(4)
    block, limit = chain.build(), chain.state.params.max_bytes
    check_rules(chain.state, block, raw_size=limit, verify=PublicKey.verify)
    with pytest.raises(InvalidBlock, match=f"{limit + 1} bytes exceed max_bytes {limit}"):
        check_rules(chain.state, block, raw_size=limit + 1, verify=PublicKey.verify)


def double_vote(
    chain: LocalChain, index: int = 0, type: VoteType = VoteType.PREVOTE
) -> DuplicateVoteEvidence:
    """Return evidence of the next height."""
    other = BlockID(hash=b"i" * 32, parts=OTHER_ID.parts)
    return make(
        chain.vote(index, other, type=type),
        chain.vote(index, OTHER_ID, type=type),
        chain.state.validators,
        chain.state.last_time_ns,
    )


def test_evidence_of_a_past_height_is_accepted() -> None:
    chain = make_chain(4, heights=1)
    first, second = double_vote(chain, 0), double_vote(chain, 1)
    chain.grow(1)
    check(chain, chain.build(evidence=(first, second)))


def evidence_to_refuse(chain: LocalChain, good: DuplicateVoteEvidence) -> list[tuple[object, str]]:
    return [
        ((good, good), "twice"),
        ((replace(good, vote_a=good.vote_b, vote_b=good.vote_a),), "out of order"),
        ((replace(good, vote_b=good.vote_a),), "one block"),
        ((replace(good, vote_b=replace(good.vote_b, round=1)),), "different steps"),
        ((replace(good, vote_b=replace(good.vote_b, index=1)),), "different validators"),
        ((replace(good, validator_power=0),), "power 0"),
        ((double_vote(chain),), "not past"),
    ]


@pytest.mark.parametrize("case", range(7))
def test_evidence_that_is_not_well_formed_is_refused(case: int) -> None:
    chain = make_chain(4, heights=1)
    good = double_vote(chain)
    chain.grow(1)
    evidence, reason = evidence_to_refuse(chain, good)[case]
    assert isinstance(evidence, tuple)
    refuse(chain, chain.build(evidence=evidence), reason)


def test_too_much_evidence_is_refused() -> None:
    chain = make_chain(4, heights=1)
    evidence = double_vote(chain)
    chain.grow(1)
    chain.state = replace(chain.state, params=replace(chain.state.params, evidence_max_bytes=100))
    refuse(chain, chain.build(evidence=(evidence,)), "evidence.max_bytes 100")


def test_an_update_signs_two_heights_later() -> None:
    keys = make_keys(5)
    chain = LocalChain(keys, make_genesis(keys[:4]))
    newcomer = keys[4].public
    chain.grow(2)
    chain.add(chain.build(), validator_updates=[(newcomer, 10)])  # height 3
    assert newcomer.address not in {entry.address for entry in chain.last_commit.signatures}
    for height in (4, 5, 6):
        block = chain.build([b"%d" % height])
        check(chain, block)
        chain.add(block)
        signers = {entry.address for entry in chain.last_commit.signatures}
        assert (newcomer.address in signers) is (height >= 5)


def test_advancing_carries_results_hash_and_application() -> None:
    chain = make_chain(4)
    block = chain.build([b"tx"])
    params = replace(chain.state.params, max_bytes=1024 * 1024, app_version=7)
    results = [(3, b"data", 5, 4)]
    state = advance(
        chain.state,
        block.header,
        OTHER_ID,
        results=iter(results),
        app_hash=b"app",
        validator_updates=(),
        params=params,
    )
    assert (state.height, state.last_height, state.last_block_id) == (2, 1, OTHER_ID)
    assert (state.app_hash, state.app_version, state.params) == (b"app", 7, params)
    assert state.last_results_hash == results_hash(results)
    assert state.last_validators == chain.state.validators
    assert state.validators == chain.state.next_validators
    assert state.next_validators == chain.state.next_validators.increment(1)


def advance_with(
    updates: Sequence[tuple[PublicKey, int]] = (), params: ConsensusParams | None = None
) -> ChainState:
    chain = make_chain(2)
    return advance(
        chain.state,
        chain.build().header,
        OTHER_ID,
        results=(),
        app_hash=b"",
        validator_updates=updates,
        params=params,
    )


def test_impossible_updates_stop_the_chain() -> None:
    members = make_chain(2).state.validators.validators
    with pytest.raises(InvalidUpdate, match="no validator"):
        advance_with([(member.public_key, 0) for member in members])
    with pytest.raises(InvalidUpdate, match="secp256k1"):
        advance_with([(PublicKey("secp256k1", b"\x02" * 33), 1)])
    with pytest.raises(InvalidParams, match="max_bytes"):
        advance_with(params=ConsensusParams(max_bytes=4 * 1024 * 1024))


def test_a_header_of_another_height_does_not_advance() -> None:
    chain = make_chain(2, heights=1)
    with pytest.raises(ValueError, match="height 1, not 2"):
        advance(
            chain.state,
            chain.decided[0].block.header,
            OTHER_ID,
            results=(),
            app_hash=b"",
            validator_updates=(),
        )


def test_the_state_comes_back_from_storage() -> None:
    for heights in (0, 1, 3):
        state = make_chain(3, heights=heights, powers=[1, 2, 3]).state
        assert ChainState.from_json(state.to_json()) == state


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"chain_id": 1}'])
def test_damaged_storage_is_noticed(data: bytes) -> None:
    with pytest.raises(DecodeError, match="chain state"):
        ChainState.from_json(data)


def test_the_answer_to_init_chain_overrides_the_genesis() -> None:
    keys = make_keys(3)
    genesis = replace(make_genesis(keys[:2]), app_hash=b"genesis")
    plain = ChainState.genesis(genesis, app_version=5)
    assert (plain.app_hash, plain.app_version, len(plain.validators)) == (b"genesis", 5, 2)
    assert plain.last_results_hash == EMPTY_HASH
    assert plain.last_time_ns == genesis.genesis_time_ns
    params = replace(genesis.params, max_gas=9, app_version=6)
    answered = ChainState.genesis(
        genesis, app_hash=b"app", validators=[(keys[2].public, 1)], params=params, app_version=5
    )
    assert (answered.app_hash, answered.app_version) == (b"app", 6)
    assert [member.public_key for member in answered.validators.validators] == [keys[2].public]
    assert answered.params == params
    with pytest.raises(InvalidUpdate):
        ChainState.genesis(replace(genesis, validators=()))


def test_an_empty_block_has_the_hash_of_nothing() -> None:
    block = make_chain(1).build()
    assert block.header.data_hash == data_hash([]) == list_hash([]) == EMPTY_HASH
    assert block.header.last_commit_hash == EMPTY_HASH


@pytest.mark.parametrize("validators", [1, 4, 100])
def test_the_room_for_transactions_is_never_too_large(validators: int) -> None:
    far = 253_402_300_799 * 10**9 + 999_999_999
    top = BlockID(hash=b"h" * 32, parts=PartSetHeader(total=2**32 - 1, hash=b"p" * 32))
    entry = CommitSig(flag=Flag.NIL, address=b"a" * 20, time_ns=-(2**62), signature=b"s" * 64)
    commit = Commit(height=2**63 - 1, round=2**31 - 1, block_id=top, signatures=(entry,) * validators)
    chain = make_chain(validators)
    for app_hash in (b"", b"h" * 32, b"h" * 5000):
        state = replace(chain.state, app_hash=app_hash, last_validators=chain.state.validators)
        header = replace(
            chain.build().header,
            version_block=2**64 - 1,
            version_app=2**64 - 1,
            chain_id="x" * 50,
            height=2**63 - 1,
            time_ns=far,
            last_block_id=top,
            app_hash=app_hash,
        )
        room = max_data_bytes(state, evidence_bytes=100_000)
        raw = encode_block(header.encode(), b"d" * room, b"e" * 100_000, commit.encode())
        assert state.params.max_bytes - 1000 < len(raw) <= state.params.max_bytes
