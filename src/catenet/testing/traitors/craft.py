"""What traitors make: votes for anything, and blocks that rebuild to their id. All signed by the own key."""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from catenet.chain.block import Block, block_id, data_hash
from catenet.chain.commit import BlockID, Commit
from catenet.chain.evidence import DuplicateVoteEvidence, decode_list, encode_list, list_hash
from catenet.chain.header import Header
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus import timers
from catenet.core.consensus.state import HeightState
from catenet.testing.simulator.conduct import Hand
from catenet.types.batch import Compact, Inline
from catenet.types.messages import Message, ProposalMessage, VoteMessage, VoteSet


def here(hand: Hand) -> HeightState:
    """Return what the traitor's core knows of its height."""
    return hand.core.consensus.state


def vote(
    hand: Hand, type: VoteType, block_id: BlockID, *, round: int, height: int = 0, time_ns: int = 0
) -> Vote | None:
    """Return a signed vote of one's own, of this height unless another is named; None: not a member."""
    state = here(hand)
    index = state.validators.index_of(hand.address)
    if index is None:
        return None
    return hand.sign_vote(
        Vote(
            type=type,
            height=height or state.height,
            round=round,
            block_id=block_id,
            time_ns=time_ns or hand.now().wall_ns,
            address=hand.address,
            index=index,
        )
    )


def wait_us(hand: Hand, base_us: int, round: int) -> int:
    """Return how long a timer of a round runs that takes `base_us` in the first one."""
    return timers.duration_us(base_us, round=round, level=0, cap_us=hand.settings.round_cap_us)


def say(hand: Hand, peers: Sequence[int], message: Message) -> None:
    """Send the same thing to some peers."""
    for peer in peers:
        hand.say(peer, message)


def is_mine(hand: Hand, signed: Proposal) -> bool:
    """Whether a proposal of this height is one's own."""
    state = here(hand)
    return signed.height == state.height and state.proposer(signed.round).address == hand.address


def block(
    compact: Compact,
    txs: Sequence[bytes],
    *,
    time_ns: int = 0,
    evidence: Sequence[DuplicateVoteEvidence] | None = None,
) -> tuple[BlockID, Compact]:
    """Return another block in the place of one: with these transactions inline, and what else is named."""
    pieces = decode_list(compact.evidence) if evidence is None else tuple(evidence)
    header = Header.decode(compact.header)
    header = replace(
        header,
        time_ns=time_ns or header.time_ns,
        data_hash=data_hash([sha256(tx).digest() for tx in txs]),
        evidence_hash=list_hash(pieces),
    )
    last_commit = Commit.decode(compact.last_commit)
    raw = Block(header=header, txs=tuple(txs), evidence=pieces, last_commit=last_commit).encode()
    made = replace(
        compact,
        header=header.encode(),
        evidence=encode_list(pieces),
        manifest=(Inline(txs=tuple(txs)),) if txs else (),
    )
    return block_id(raw, header), made


def proposal(
    hand: Hand, signed: Proposal, block_id: BlockID, compact: Compact, *, pol: VoteSet | None = None
) -> ProposalMessage:
    """Return a signed proposal in the place of one, for another block."""
    other = hand.sign_proposal(replace(signed, block_id=block_id, signature=b""))
    return ProposalMessage(signed=other, compact=compact, pol=pol)


def own_transaction(hand: Hand, what: str, *numbers: int) -> bytes:
    """Return a transaction of one's own, and own up to it."""
    name = "-".join([what, str(hand.index), *map(str, numbers)])
    tx = f"{name}=mine".encode()
    hand.submitted([tx])
    return tx


def own_vote(hand: Hand, message: Message) -> Vote | None:
    """Return the vote of one's own that a message is."""
    if isinstance(message, VoteMessage) and message.vote.address == hand.address:
        return message.vote
    return None


def is_turn(hand: Hand, round: int) -> bool:
    """Whether a round of this height is one's own to propose in."""
    return here(hand).proposer(round).address == hand.address
