"""A validator that votes twice is convicted: its evidence is in a block within three heights, once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from catenet.apps.kv import KeyValue
from catenet.chain.block import Block
from catenet.chain.commit import NIL
from catenet.chain.evidence import DuplicateVoteEvidence
from catenet.chain.state import ChainState
from catenet.chain.vote import Vote, VoteType
from catenet.core.node import Node
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.keys import SimulatedKey
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.world import World
from catenet.types.application import BlockOutcome, FinalizeBlock, Misbehavior
from catenet.types.effects import Broadcast, Effect, Send
from catenet.types.messages import VoteMessage
from catenet.types.ports import StateStore
from catenet.types.records import EvidenceRecord, Record
from catenet.wire.records import decode_record
from support.town import Town

TRAITOR = 3
ADDRESS = SimulatedKey.of(TRAITOR).public.address
AT = 2
"""The height at which it votes twice."""


def watch(genesis: ChainState) -> Monitor:
    """Return a monitor for which the invariants hold for the honest; what the traitor signs is not judged."""
    return Monitor(genesis, [ADDRESS])


@dataclass(frozen=True, slots=True)
class Seen:
    """What an application was told at one height."""

    height: int
    misbehavior: tuple[Misbehavior, ...]


class Told(KeyValue):
    """The application, and what it was told of misbehaviour."""

    def __init__(self, store: StateStore, seen: list[Seen]) -> None:
        super().__init__(store)
        self._seen = seen

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        if request.misbehavior:
            self._seen.append(Seen(request.height, tuple(request.misbehavior)))
        return super().finalize_block(request)


class Citizen(Host):
    """A validator; the traitor prevotes nil as well: one peer hears this, one that, one both."""

    def __init__(self, world: World, index: int) -> None:
        super().__init__(world, index)
        self.seen: list[Seen] = []

    def _restore(self, records: Sequence[Record]) -> Node:
        self._app = Told(self.state, self.seen)
        return super()._restore(records)

    def _release(self, released: Sequence[Effect]) -> None:
        for effect in released:
            match effect:
                case Broadcast(message=VoteMessage(vote=vote)) if self.index == TRAITOR and _chosen(vote):
                    self._vote_twice(vote)
                case _:
                    super()._release([effect])

    def _vote_twice(self, vote: Vote) -> None:
        other = replace(vote, block_id=NIL, signature=b"")
        other = replace(other, signature=self.key.sign(other.sign_bytes(self._world.genesis.chain_id)))
        for peer, votes in ((0, [vote]), (1, [other]), (2, [other, vote])):
            address = self._world.hosts[peer].address
            super()._release([Send(peer=address, message=VoteMessage(vote=item)) for item in votes])


def _chosen(vote: Vote) -> bool:
    return vote.type is VoteType.PREVOTE and vote.height == AT and not vote.is_nil


def seen_by(host: Host) -> list[Seen]:
    """Return what a node's application was told."""
    assert isinstance(host, Citizen)
    return host.seen


def betrayed_town() -> Town:
    """Return a town in which the traitor will vote twice, with work all the time."""
    town = Town(host=Citizen, monitor=watch)
    town.start()
    town.schedule.after(900_000, town.feed)
    return town


def convictions(town: Town, index: int) -> list[int]:
    """Return the heights whose blocks hold evidence against the traitor, once for each piece."""
    chain = town.hosts[index].chain
    found = []
    for height in range(1, chain.head + 1):
        stored = chain.block(height)
        assert stored is not None
        for piece in Block.decode(stored.raw).evidence:
            assert isinstance(piece, DuplicateVoteEvidence)
            assert (piece.vote_a.address, piece.vote_b.address) == (ADDRESS, ADDRESS)
            assert piece.height == AT
            found.append(height)
    return found


def recorded(town: Town, index: int) -> bool:
    """Whether a node's journal holds evidence."""
    return any(isinstance(decode_record(data), EvidenceRecord) for data in town.disks[index].records)


def require_one_conviction(town: Town, *, by: int) -> None:
    """Every node has the evidence in the same block, once, and its application was told of it there."""
    town.require_one_chain()
    for index, host in enumerate(town.hosts):
        (height,) = convictions(town, index)
        assert height <= by
        told = seen_by(host)
        assert told
        # A block may be executed again after a crash; what is told does not change.
        assert set(told) == {told[0]}
        assert told[0].height == height
        (piece,) = told[0].misbehavior
        assert (piece.address, piece.height, piece.power, piece.total_power) == (ADDRESS, AT, 10, 40)
        assert piece.time_ns == host.chain.time_at(AT)


def test_a_double_voter_is_convicted_within_three_blocks_once_and_everywhere() -> None:
    town = betrayed_town()
    town.until(lambda: min(town.heights) >= AT + 12)
    require_one_conviction(town, by=AT + 3)
    assert any(recorded(town, index) for index in range(3))
    assert [len(seen_by(host)) for host in town.hosts] == [1] * 4


def test_evidence_survives_a_crash_of_all_between_accusation_and_block() -> None:
    town = betrayed_town()
    town.until(lambda: any(recorded(town, index) for index in range(3)))
    assert not any(convictions(town, index) for index in range(4))
    crash_and_go_on(town)
    require_one_conviction(town, by=max(town.heights))


@pytest.mark.parametrize("later", [0, 1, 3])
def test_evidence_in_a_block_is_not_committed_again_after_a_crash_of_all(later: int) -> None:
    town = betrayed_town()
    town.until(lambda: bool(convictions(town, 0)))
    goal = town.heights[0] + later
    town.until(lambda: town.heights[0] >= goal)
    # A journal holds the evidence still, and the stores may have lost its block.
    assert any(recorded(town, index) for index in range(3))
    crash_and_go_on(town)
    require_one_conviction(town, by=AT + 3)


def crash_and_go_on(town: Town) -> None:
    """Crash everybody, start again, and let many heights pass."""
    town.crash_all()
    town.until(lambda: all(host.alive for host in town.hosts))
    town.grow(10)
