"""Pitfall 13: nothing hangs on one delivery. Whichever frame of a height is lost, everybody decides it."""

import pytest

from catenet.types.messages import Message, Status
from catenet.types.records import CommitRecord
from support.consensus_traces import Cluster

FRAMES = 3 * (1 + 4 + 4)
"""Of one height of four validators: one proposal, and a prevote and a precommit of each, to three others."""


class Losing(Cluster):
    """Loses one frame of those that are not Status: which one is counted in the order of sending."""

    def __init__(self, lost: int) -> None:
        super().__init__()
        self.lost = lost
        self.frames = 0

    def _fly(self, number: int, other: int, message: Message) -> None:
        if number != other and not isinstance(message, Status):
            self.frames += 1
            if self.frames == self.lost:
                return
        super()._fly(number, other, message)


def decided(cluster: Cluster) -> list[int]:
    return [number for number, node in cluster.nodes.items() if node.machine.height > 1]


def heal(cluster: Cluster) -> None:
    """Let Status go round, twice: what is missing comes by G2, G5 and G6."""
    for name in ("status", "fetch", "status", "fetch"):
        cluster.command("timeout", [name])
        cluster.command("stabilize", [])


def run(lost: int) -> Losing:
    """Run height 1 with one frame lost; no round ends, only Status and fetching go on."""
    cluster = Losing(lost)
    cluster.command("nodes", ["4"])
    cluster.frames = 0
    cluster.command("propose", ["txs=a"])
    cluster.command("stabilize", [])
    return cluster


def test_without_a_loss_everybody_decides_at_once() -> None:
    cluster = run(lost=0)
    assert decided(cluster) == [1, 2, 3, 4]
    assert cluster.frames == FRAMES


@pytest.mark.parametrize("lost", range(1, FRAMES + 1))
def test_whichever_frame_is_lost_everybody_decides_in_the_first_round(lost: int) -> None:
    cluster = run(lost)
    for _ in range(2):
        if len(decided(cluster)) == 4:
            break
        heal(cluster)
    assert decided(cluster) == [1, 2, 3, 4]
    assert {node.decided[1] for node in cluster.nodes.values()} == {cluster.nodes[1].decided[1]}
    records = [record for node in cluster.nodes.values() for record in node.written]
    assert {record.commit.round for record in records if isinstance(record, CommitRecord)} == {0}
