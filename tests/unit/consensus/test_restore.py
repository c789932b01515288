"""What a journal gives back to a height that was under way (consensus.md 4), record by record."""

from dataclasses import replace

from catenet.chain.commit import NIL, BlockID
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus import proposing
from catenet.core.consensus.io import BuildBlock, Built, ConsensusConfig, Output
from catenet.core.consensus.machine import Consensus
from catenet.types.assembly import Assembled
from catenet.types.batch import Compact
from catenet.types.effects import Append, Broadcast, Sign
from catenet.types.events import LinkChanged, Received, Started
from catenet.types.messages import ProposalMessage, VoteMessage, VoteSet
from catenet.types.records import ProposalRecord, Record, RejoinRecord, VoteRecord
from support.bench import GENESIS, KEYS, NOW, Bench, status
from support.chain import make_keys
from support.consensus import Node, make_genesis

FIRST = KEYS[0]
"""The proposer of height 1, round 0."""


def own_vote(block_id: BlockID, *, round: int = 0, type: VoteType = VoteType.PREVOTE) -> Vote:
    at = Bench()
    index = at.node.state.validators.index_of(FIRST.public.address)
    assert index is not None
    vote = Vote(
        type=type,
        height=1,
        round=round,
        block_id=block_id,
        time_ns=NOW.wall_ns,
        address=FIRST.public.address,
        index=index,
    )
    return replace(vote, signature=FIRST.sign(vote.sign_bytes(GENESIS.chain_id)))


def booted(*records: Record) -> tuple[Node, list[Output]]:
    """Return the first proposer after a restart with this journal, and what it did at once."""
    at = Bench()
    node = Node(FIRST, GENESIS, config=ConsensusConfig(first_signature_wait_us=0))
    node.pool = at.node.pool
    node.disk.records = list(records)
    node.boot()
    for key in KEYS[1:]:
        node.run(LinkChanged(peer=key.public.address, up=True), NOW)
    outputs = node.run(Started(), NOW)
    for peer in [key.public.address for key in KEYS[1:]]:
        outputs += node.run(Received(peer=peer, message=status(1)), NOW)
    return node, outputs


def block() -> tuple[Compact, BlockID]:
    at = Bench()
    made = at.node.pool.assemble(at.compact)
    assert isinstance(made, Assembled)
    return at.compact, at.block_id


def test_without_records_the_first_proposer_has_a_block_built() -> None:
    _, outputs = booted()
    assert [output.round for output in outputs if isinstance(output, BuildBlock)] == [0]


def test_t3_who_prevoted_in_its_own_round_without_a_proposal_proposes_nothing_there() -> None:
    """Its vote is not lost, but its proposal is: another one would be a second."""
    vote = own_vote(NIL)
    node, outputs = booted(VoteRecord(vote=vote))
    assert not [output for output in outputs if isinstance(output, BuildBlock | Sign)]
    assert [o.message for o in outputs if isinstance(o, Broadcast)] == [VoteMessage(vote=vote)]
    assert node.machine.step == "prevote"
    # Nor when its step were not known.
    node.machine.state.step = type(node.machine.state.step).PROPOSE
    node.machine._ctx.hs.entered_round = 0
    assert proposing.propose(node.machine._ctx)
    assert node.machine._ctx.out == []


def test_t3_a_proposal_of_an_older_value_brings_its_polka_back() -> None:
    compact, block_id = block()
    at = Bench()
    polka = tuple([at.vote(index, block_id, type=VoteType.PREVOTE) for index in range(3)])
    signed = Proposal(height=1, round=4, pol_round=0, block_id=block_id, time_ns=NOW.wall_ns)
    signed = replace(signed, signature=FIRST.sign(signed.sign_bytes(GENESIS.chain_id)))
    message = ProposalMessage(signed=signed, compact=compact, pol=VoteSet(votes=polka))
    node, outputs = booted(ProposalRecord(proposal=message))
    state = node.machine.state
    assert state.round == 4
    assert state.polkas[0].votes == polka
    assert Broadcast(message=message) in outputs
    # T4: its own proposal passes like anyone's, with the polka of the round that it names.
    prevotes = [
        o.message.vote for o in outputs if isinstance(o, Broadcast) and isinstance(o.message, VoteMessage)
    ]
    assert [(vote.round, vote.block_id) for vote in prevotes] == [(4, block_id)]


def test_a_rejoined_node_signs_nothing_up_to_its_height() -> None:
    for records, signs in (((), True), ((RejoinRecord(height=1),), False)):
        node, outputs = booted(*records)
        assert node.machine.signs is signs
        assert bool([output for output in outputs if isinstance(output, BuildBlock)]) is signs


def test_a_rejoin_that_had_only_begun_begins_again() -> None:
    begun = RejoinRecord(height=0)
    node, outputs = booted(RejoinRecord(height=1), begun)
    # The others answered: all are at height 1, so nothing is signed up to 2.
    assert [output for output in outputs if isinstance(output, Append)] == [
        Append(record=RejoinRecord(height=2))
    ]
    assert not node.machine.signs
    node, outputs = booted(RejoinRecord(height=1), begun, RejoinRecord(height=2))
    assert not [output for output in outputs if isinstance(output, Append)]
    assert not node.machine.signs


def test_locks_are_the_highest_own_precommit_for_a_block() -> None:
    _, block_id = block()
    records = [
        VoteRecord(vote=own_vote(block_id, round=0, type=VoteType.PRECOMMIT)),
        VoteRecord(vote=own_vote(block_id, round=2, type=VoteType.PRECOMMIT)),
        VoteRecord(vote=own_vote(block_id, round=1, type=VoteType.PRECOMMIT)),
        VoteRecord(vote=own_vote(NIL, round=3, type=VoteType.PRECOMMIT)),
    ]
    node, _ = booted(*records)
    state = node.machine.state
    assert (state.round, state.step.name) == (3, "PRECOMMIT")
    assert state.locked is not None
    assert (state.locked.round, state.locked.block_id) == (2, block_id)


def test_t3_a_round_is_proposed_once_whatever_is_built() -> None:
    compact, block_id = block()
    node, _ = booted()
    built = Built(height=1, round=0, compact=compact, block_id=block_id)
    first = node.run(built, NOW)
    assert [o for o in first if isinstance(o, Sign) and isinstance(o.item, Proposal)]
    mine = node.machine.state.mine_proposals[0]
    node.machine.state.step = type(node.machine.state.step).PROPOSE
    proposing.on_built(node.machine._ctx, built)
    assert node.machine.state.mine_proposals == {0: mine}
    assert node.machine._ctx.out == []


def test_large_sets_leave_time_between_blocks() -> None:
    """2.7: 20 ms between blocks, and 200 ms for more than 20 validators."""
    for count, interval_us in ((4, 20_000), (20, 20_000), (21, 200_000)):
        keys = make_keys(count)
        node = Node(keys[0], make_genesis(keys, [10] * count), config=ConsensusConfig())
        node.boot()
        machine: Consensus = node.machine
        assert proposing._interval_us(machine._ctx) == interval_us
