"""G9: block sync may end where it began. What ended meanwhile unheard is waited for anew."""

from catenet.chain.state import ChainState
from catenet.core.consensus import timers
from catenet.core.consensus.io import (
    AppVerdict,
    BuildBlock,
    CheckBlock,
    ConsensusConfig,
    Leave,
    Output,
    Reenter,
)
from catenet.types.clock import Instant
from catenet.types.effects import Broadcast, SetTimer
from catenet.types.events import LinkChanged, Received, Started, TimerFired
from catenet.types.messages import ProposalMessage, Status
from support.chain import GENESIS_TIME_NS, make_keys
from support.consensus import Node, by_turn, make_genesis

POWERS = (10, 10, 10, 10)
KEYS = by_turn(make_keys(4), POWERS)
GENESIS = make_genesis(KEYS, POWERS)
NOW = Instant(mono_us=1_000_000, wall_ns=GENESIS_TIME_NS + 10**9)


def started(place: int) -> Node:
    node = Node(KEYS[place], GENESIS, config=ConsensusConfig())
    node.boot()
    for peer in [key.public.address for key in KEYS if key is not KEYS[place]]:
        node.run(LinkChanged(peer=peer, up=True), NOW)
    return node


def answers(node: Node) -> list[Output]:
    status = Status(
        height=1,
        round=0,
        step=1,
        due=False,
        prevotes=b"",
        precommits=b"",
        proposal=False,
        valid_round=-1,
        lowest=1,
        head_hash=b"",
    )
    outputs = node.run(Started(), NOW)
    for key in KEYS:
        if key.public.address != node.address:
            outputs += node.run(Received(peer=key.public.address, message=status), NOW)
    return outputs


def comes_back(node: Node, state: ChainState) -> list[Output]:
    return node.run(Reenter(state=state, last_commit=None), NOW)


def test_a_round_timer_that_ended_during_sync_is_set_again() -> None:
    node = started(3)
    propose = timers.key(timers.PROPOSE, 1, 0)
    assert propose in [o.key for o in answers(node) if isinstance(o, SetTimer)]
    node.run(Leave(), NOW)
    assert node.run(TimerFired(key=propose), NOW) == []
    assert propose in [o.key for o in comes_back(node, node.state) if isinstance(o, SetTimer)]
    node.run(TimerFired(key=propose), NOW)
    assert node.machine.step == "prevote"


def test_a_block_that_was_built_during_sync_is_built_again_and_proposed_once() -> None:
    node = started(0)
    (build,) = [o for o in answers(node) if isinstance(o, BuildBlock)]
    node.run(Leave(), NOW)
    assert node.run(node.build(build, [b"tx"]), NOW) == []
    (again,) = [o for o in comes_back(node, node.state) if isinstance(o, BuildBlock)]
    built = node.build(again, [b"tx"])
    outputs = [*node.run(built, NOW), *node.run(built, NOW)]
    told = [o for o in outputs if isinstance(o, Broadcast) and isinstance(o.message, ProposalMessage)]
    assert len(told) == 1


def test_the_applications_opinion_counts_although_it_comes_during_sync() -> None:
    node = started(0)
    node.auto_check = False
    (build,) = [o for o in answers(node) if isinstance(o, BuildBlock)]
    (check,) = [o for o in node.run(node.build(build, [b"tx"]), NOW) if isinstance(o, CheckBlock)]
    node.run(Leave(), NOW)
    verdict = AppVerdict(height=1, block_hash=check.block_hash, accepted=True)
    assert node.run(verdict, NOW) == []
    comes_back(node, node.state)
    assert node.machine.step == "prevote"
