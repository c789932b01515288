"""The double-sign guard: what it signs, repeats and refuses."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catenet.chain.commit import NIL, BlockID, PartSetHeader
from catenet.chain.encoding import DecodeError
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core import guard
from catenet.types.batch import Compact
from catenet.types.messages import ProposalMessage
from catenet.types.records import ProposalRecord, Record, RejoinRecord, VoteRecord
from support.chain import make_keys

KEY = make_keys(1)[0]
CHAIN = "guarded"
COMPACT = Compact(header=b"h", last_commit=b"", evidence=b"", manifest=())
A = BlockID(hash=b"a" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))
B = BlockID(hash=b"b" * 32, parts=PartSetHeader(total=1, hash=b"p" * 32))


def vote(
    height: int = 5,
    round: int = 1,
    type: VoteType = VoteType.PREVOTE,
    block_id: BlockID = A,
    time_ns: int = 7,
) -> Vote:
    return Vote(
        type=type,
        height=height,
        round=round,
        block_id=block_id,
        time_ns=time_ns,
        address=KEY.public.address,
        index=0,
    )


def proposal(height: int = 5, round: int = 1, block_id: BlockID = A, time_ns: int = 7) -> Proposal:
    return Proposal(height=height, round=round, pol_round=-1, block_id=block_id, time_ns=time_ns)


def sign(state: guard.GuardState, item: Vote | Proposal) -> tuple[guard.GuardState, Vote | Proposal]:
    decision = guard.decide(state, item, CHAIN)
    assert isinstance(decision, guard.Sign), decision
    return guard.signed(item, sign_bytes=decision.sign_bytes, signature=KEY.sign(decision.sign_bytes))


def test_a_fresh_guard_signs_and_remembers() -> None:
    state, done = sign(guard.GuardState(), vote())
    assert KEY.public.verify(done.sign_bytes(CHAIN), done.signature)
    assert state.vote() == done
    assert state.place == (5, 1, 2)


@pytest.mark.parametrize(
    "item",
    [
        vote(type=VoteType.PRECOMMIT),
        vote(round=2),
        vote(height=6, round=0),
        proposal(round=2),
        proposal(height=6, round=0),
    ],
)
def test_what_lies_above_is_signed(item: Vote | Proposal) -> None:
    state, _ = sign(guard.GuardState(), vote())
    assert isinstance(guard.decide(state, item, CHAIN), guard.Sign)


@pytest.mark.parametrize("item", [proposal(), vote(round=0), vote(height=4, round=9), proposal(round=0)])
def test_what_lies_below_is_refused(item: Vote | Proposal) -> None:
    state, _ = sign(guard.GuardState(), vote())
    decision = guard.decide(state, item, CHAIN)
    assert isinstance(decision, guard.Refuse)
    assert "lies below" in decision.reason


@pytest.mark.parametrize("item", [vote(), proposal()])
def test_the_same_again_gives_the_stored_signature(item: Vote | Proposal) -> None:
    state, done = sign(guard.GuardState(), item)
    assert guard.decide(state, item, CHAIN) == guard.Repeat(item=done)


@pytest.mark.parametrize("item", [vote(), vote(block_id=NIL), proposal()])
def test_only_another_time_gives_the_stored_time_and_signature(item: Vote | Proposal) -> None:
    state, done = sign(guard.GuardState(), item)
    later = replace(item, time_ns=item.time_ns + 10**9)
    assert guard.decide(state, later, CHAIN) == guard.Repeat(item=done)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (vote(), vote(block_id=B)),
        (vote(), vote(block_id=NIL)),
        (vote(block_id=NIL), vote()),
        (proposal(), proposal(block_id=B)),
        (vote(), vote(block_id=B, time_ns=8)),
    ],
)
def test_something_else_at_the_same_place_is_refused(first: Vote | Proposal, second: Vote | Proposal) -> None:
    state, _ = sign(guard.GuardState(), first)
    assert isinstance(guard.decide(state, second, CHAIN), guard.Refuse)


def test_nothing_is_signed_up_to_the_rejoin_height() -> None:
    assert isinstance(guard.decide(guard.GuardState(), vote(height=5), CHAIN, 5), guard.Refuse)
    assert isinstance(guard.decide(guard.GuardState(), vote(height=6), CHAIN, 5), guard.Sign)


def test_a_newer_journal_raises_the_guard_and_an_older_one_does_not() -> None:
    state, done = sign(guard.GuardState(), vote())
    assert isinstance(done, Vote)
    assert guard.raised(guard.GuardState(), done, CHAIN) == state
    newer, _ = sign(state, vote(round=2))
    assert guard.raised(newer, done, CHAIN) == newer


def test_a_journal_raises_the_guard_to_the_newest_of_its_own_votes_and_proposals() -> None:
    older, voted = sign(guard.GuardState(), vote())
    newest, proposed = sign(older, proposal(round=2))
    assert isinstance(voted, Vote)
    assert isinstance(proposed, Proposal)
    message = ProposalMessage(signed=proposed, compact=COMPACT, pol=None)
    records: list[Record] = [
        VoteRecord(vote=voted),
        ProposalRecord(proposal=message),
        RejoinRecord(height=0),
        VoteRecord(vote=voted),
    ]
    assert guard.raised_by(guard.GuardState(), records, CHAIN) == newest
    assert guard.raised_by(guard.GuardState(), records[:1], CHAIN) == older
    assert guard.raised_by(newest, [], CHAIN) is newest


def test_the_state_has_bytes() -> None:
    state, _ = sign(guard.GuardState(), vote())
    assert guard.GuardState.decode(state.encode()) == state
    assert guard.GuardState.decode(b"") == guard.GuardState()


def test_cometbft_s_file_carries_the_state_over() -> None:
    state, done = sign(guard.GuardState(), vote())
    there = guard.import_json(guard.export_json(state))
    assert there == replace(state, item=b"")
    # Without the item the stored time is read out of the sign bytes.
    assert guard.decide(there, replace(vote(), time_ns=99), CHAIN) == guard.Repeat(item=done)
    assert guard.import_json(guard.export_json(guard.GuardState())) == guard.GuardState()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"height": 5}',
        '{"height": "5", "round": "1"}',
        '{"height": "5", "round": 1, "step": 4}',
        '{"height": "-1"}',
        '{"height": "5", "round": 1, "step": 2, "signature": "AAAA"}',
    ],
)
def test_a_wrong_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"missing|not|cannot|together"):
        guard.import_json(text)


items = st.builds(
    vote,
    height=st.integers(1, 3),
    round=st.integers(0, 2),
    type=st.sampled_from([VoteType.PREVOTE, VoteType.PRECOMMIT]),
    block_id=st.sampled_from([A, B, NIL]),
    time_ns=st.integers(1, 3),
) | st.builds(proposal, height=st.integers(1, 3), round=st.integers(0, 2), block_id=st.sampled_from([A, B]))


@given(st.lists(items, max_size=30))
def test_no_order_of_requests_signs_two_things_for_one_step(requests: list[Vote | Proposal]) -> None:
    state = guard.GuardState()
    signed: dict[tuple[int, int, int], bytes] = {}
    for item in requests:
        decision = guard.decide(state, item, CHAIN)
        if isinstance(decision, guard.Sign):
            state, done = guard.signed(item, sign_bytes=decision.sign_bytes, signature=b"s" * 64)
            assert state.place not in signed
            assert all(state.place > place for place in signed)
            signed[state.place] = done.sign_bytes(CHAIN)
        elif isinstance(decision, guard.Repeat):
            assert signed[state.place] == decision.item.sign_bytes(CHAIN)


def test_a_state_names_its_own_place_and_chain() -> None:
    """An imported file whose sign bytes are of another height, round, step or chain protects nothing."""
    for item in (vote(), vote(type=VoteType.PRECOMMIT, round=3), proposal(), vote(height=9)):
        state, _ = sign(guard.GuardState(), item)
        assert guard.names_its_place(state, CHAIN)
        assert not guard.names_its_place(state, CHAIN + "x")
        assert not guard.names_its_place(state, CHAIN[:-1])
        assert not guard.names_its_place(replace(state, height=state.height + 1), CHAIN)
        assert not guard.names_its_place(replace(state, round=state.round + 1), CHAIN)
        for step in {0, 1, 2, 3, 4} - {state.step}:
            assert not guard.names_its_place(replace(state, step=step), CHAIN)
        longer = replace(state, sign_bytes=state.sign_bytes + b"\0")
        assert not guard.names_its_place(longer, CHAIN)


def test_a_journal_says_up_to_which_height_nothing_is_signed() -> None:
    def up_to(*heights: int) -> int:
        return guard.rejoin_height([RejoinRecord(height=height) for height in heights])

    assert up_to() == 0
    assert up_to(5) == 5
    assert up_to(5, 3) == 5
    # 0: a rejoin began, and the height is not known yet.
    assert up_to(5, 0) == guard.NEVER
    assert up_to(0, 7) == 7
    assert guard.NEVER == 2**63 - 1
    records: list[Record] = [RejoinRecord(height=0), VoteRecord(vote=vote()), RejoinRecord(height=7)]
    assert guard.rejoin_height(records) == 7
    assert guard.rejoin_records(records) == [records[0], records[2]]
    refused = guard.decide(guard.GuardState(), vote(height=10**12), CHAIN, guard.NEVER)
    assert isinstance(refused, guard.Refuse)
    assert "nothing is signed before" in refused.reason


def test_only_a_vote_whose_bytes_are_kept_goes_back_into_a_journal() -> None:
    proposed, _ = sign(guard.GuardState(), proposal())
    assert proposed.item
    assert proposed.vote() is None
    imported = replace(sign(guard.GuardState(), vote())[0], item=b"")
    assert imported.vote() is None
    assert guard.GuardState().vote() is None


def test_a_state_holds_at_the_limit_and_not_one_beyond() -> None:
    largest = guard.GuardState(height=2**63 - 1, round=2**31 - 1, step=3)
    assert guard.GuardState.decode(largest.encode()) == largest
    assert guard.import_json(guard.export_json(largest)) == largest
    for beyond in (replace(largest, round=2**31), replace(largest, step=2**31)):
        with pytest.raises(DecodeError):
            guard.GuardState.decode(beyond.encode())
    assert guard.GuardState.decode(replace(largest, step=2**31 - 1).encode()).step == 2**31 - 1


def test_nothing_below_the_first_height_is_signed() -> None:
    assert isinstance(guard.decide(guard.GuardState(), vote(height=0), CHAIN), guard.Refuse)
    assert isinstance(guard.decide(guard.GuardState(), vote(height=1), CHAIN), guard.Sign)


def test_a_journal_s_vote_at_the_same_place_changes_nothing() -> None:
    state, _ = sign(guard.GuardState(), vote())
    assert guard.raised(state, replace(vote(block_id=B), signature=b"s" * 64), CHAIN) is state


def test_sign_bytes_of_another_length_than_they_say_name_nothing() -> None:
    state, _ = sign(guard.GuardState(), vote())
    length, body = state.sign_bytes[0], state.sign_bytes[1:]
    assert length == len(body) < 127
    for wrong in (length - 1, length + 1):
        assert not guard.names_its_place(replace(state, sign_bytes=bytes([wrong]) + body), CHAIN)


def test_cometbft_s_file_has_this_text() -> None:
    state = guard.GuardState(height=5, round=1, step=2, sign_bytes=b"\xab\x01", signature=b"sig")
    assert guard.export_json(state) == (
        '{\n  "height": "5",\n  "round": 1,\n  "step": 2,\n  "signature": "c2ln",\n  "signbytes": "AB01"\n}\n'
    )
    assert guard.import_json("{}") == guard.GuardState()
    for text in (
        '{"height": "5", "round": -1, "step": 2}',
        '{"height": "5", "round": 2147483648, "step": 2}',
        '{"height": "5", "round": 4294967296, "step": 2}',
        '{"height": "5", "round": 1, "step": -1}',
        '{"height": "5", "round": 1, "step": 2, "signbytes": "AB01"}',
    ):
        with pytest.raises(ValueError, match=r"cannot have been signed|come together"):
            guard.import_json(text)
