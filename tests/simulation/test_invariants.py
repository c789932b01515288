"""Invariants of consensus.md 10.2 that schedules do not break by themselves: 7, 9, 13, 14, 15, 17."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from catenet.apps.kv import KeyValue
from catenet.chain.block import Block
from catenet.chain.state import ChainState
from catenet.core.config import CoreConfig
from catenet.core.consensus import rules
from catenet.testing.simulator.bounds import excess
from catenet.testing.simulator.calls import Calls
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.simulator.config import Violation
from catenet.testing.simulator.hand import OwnHand
from catenet.testing.simulator.host import Host
from catenet.testing.simulator.keys import verify
from catenet.testing.simulator.monitor import Monitor
from catenet.testing.simulator.network import Network
from catenet.testing.simulator.replay import difference
from catenet.testing.simulator.run import make_genesis
from catenet.testing.simulator.schedule import Schedule
from catenet.testing.simulator.town import CALM, Nobody
from catenet.testing.simulator.town import Town as BareTown
from catenet.testing.simulator.undecided import undecided
from catenet.testing.simulator.world import World
from catenet.types.application import Application, BlockOutcome, FinalizeBlock
from catenet.types.events import Level, Submitted
from catenet.types.messages import Have, Message, Ping, Status
from catenet.types.ports import StateStore
from catenet.types.records import Record, VoteRecord
from catenet.wire.records import decode_record
from support.accountability import guilty
from support.town import Town


def busy_town() -> Town:
    """Return a town with work all the time, in the middle of a height in which somebody voted."""
    town = Town()
    town.start()
    town.schedule.after(900_000, town.feed)
    town.until(lambda: min(town.heights) >= 3)
    town.until(lambda: bool(town.hosts[0].core.consensus.state.mine))
    return town


# 13


def test_13_a_core_that_holds_too_much_is_found() -> None:
    town = busy_town()
    core, config = town.hosts[0].core, CoreConfig()
    assert excess(core, config) is None
    narrow = replace(config, batches=replace(config.batches, window_batches=-1))
    assert "batches of one author" in (excess(core, narrow) or "")
    state = core.consensus.state
    vote = next(iter(state.mine.values()))
    core.consensus._ctx.future_votes[vote.address] = [vote] * 5
    assert "5 votes of the next height" in (excess(core, config) or "")


def test_13_is_asked_by_the_monitor() -> None:
    town = busy_town()
    town.hosts[0].core.consensus._ctx.future_votes = {bytes([n]): [] for n in range(20)}
    with pytest.raises(Violation, match="13: holds 20 senders"):
        town.monitor.holds(town.hosts[0].address, town.hosts[0].core, CoreConfig())


# 14


def test_14_a_core_that_does_not_decide_what_it_could_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    town = busy_town()
    host = town.hosts[0]
    assert not town.reach(lambda: undecided(host.core) is not None, 1_000_000)
    monkeypatch.setattr(rules, "RULES", [rule for rule in rules.RULES if rule is not rules.decide])
    assert town.reach(lambda: undecided(host.core) is not None, 10_000_000)
    with pytest.raises(Violation, match="14: does not decide block"):
        town.monitor.holds(host.address, host.core, CoreConfig())


# 9, second half


def test_9_replay_of_the_log_gives_the_state_that_was() -> None:
    town = busy_town()
    for host in town.hosts:
        assert difference(host) is None


def test_9_a_vote_that_is_missing_in_the_log_is_found() -> None:
    town = busy_town()
    disk, height = town.disks[0], town.hosts[0].core.consensus.height
    disk.records = [data for data in disk.handed_in() if not _is_vote(decode_record(data), height)]
    disk._writing, disk._queue = [], []
    assert "the own votes" in (difference(town.hosts[0]) or "")


def _is_vote(record: Record, height: int) -> bool:
    return isinstance(record, VoteRecord) and record.vote.height == height


# 7


class Odd(KeyValue):
    """An application that comes to another state than all others."""

    def finalize_block(self, request: FinalizeBlock) -> BlockOutcome:
        return replace(super().finalize_block(request), app_hash=b"\1" * 32)


def test_7_who_refuses_the_block_of_an_honest_proposer_is_found() -> None:
    def application(index: int, store: StateStore) -> Application:
        return Odd(store) if index == 2 else KeyValue(store)

    town = BareTown(application=application)
    town.start()
    with pytest.raises(Violation, match="7: refuses a block of an honest proposer"):
        town.reach(lambda: min(town.heights) >= 5, 20_000_000)


# 15


class Ear(Monitor):
    """Hears when something leaves that an idle chain does not say."""

    now: Callable[[], int]

    def __init__(self, genesis: ChainState) -> None:
        super().__init__(genesis)
        self.heard: list[int] = []

    def leaves(self, node: bytes, message: Message) -> None:
        super().leaves(node, message)
        if not isinstance(message, Status | Have | Ping):
            self.heard.append(self.now())


def test_15_an_idle_chain_is_silent_but_for_heartbeats_and_the_proof_block() -> None:
    ears: list[Ear] = []

    def monitor(genesis: ChainState) -> Monitor:
        ears.append(Ear(genesis))
        return ears[0]

    town = BareTown(monitor=monitor)
    ears[0].now = lambda: town.schedule.now_us
    town.start()
    assert not town.reach(lambda: False, 25_000_000)
    quiet = max(town.heights)
    assert quiet == 3
    town.monitor.submitted([b"k=v"])
    town.hosts[1].submit(Submitted(ticket=1, client="c", txs=(b"k=v",), level=Level.REPLICATED))
    assert not town.reach(lambda: False, 35_000_000)
    blocks = [_block(town.hosts[0], height) for height in range(1, town.heights[0] + 1)]
    assert [len(block.txs) for block in blocks] == [0, 0, 0, 1, 0, 0, 0, 0]
    # The first block, heartbeats at 10 s and 20 s, the transaction with its proof, heartbeats from there on.
    bursts = [at for before, at in pairwise([-(10**9), *ears[0].heard]) if at - before > 1_000_000]
    assert len(bursts) == 7
    assert town.heights == [8] * 4


def _block(host: Host, height: int) -> Block:
    stored = host.chain.block(height)
    assert stored is not None
    return Block.decode(stored.raw)


# 17


def test_17_with_a_third_byzantine_a_fork_is_proved_by_the_journals() -> None:
    """Two of four run twice under one key, on either side of a partition: both sides decide."""
    schedule, chooser = Schedule(), Chooser(1)
    genesis = make_genesis(CALM)
    hosts: list[Host] = []
    network = Network(schedule, chooser, CALM, places=6)
    calls = Calls(schedule, network)
    addresses = [genesis.validators[index].address for index in (2, 3)]
    monitor = Monitor(ChainState.genesis(genesis), addresses)
    world = World(
        config=CALM,
        schedule=schedule,
        chooser=chooser,
        network=network,
        calls=calls,
        clients=Nobody(),
        monitor=monitor,
        genesis=genesis,
        hosts=hosts,
    )
    hosts.extend(Host(world, index) for index in (0, 1))
    hosts.extend(Host(world, 2 + n, conduct=Conduct(), identity=2 + n % 2) for n in range(4))
    for host in hosts[2:]:
        assert host.conduct is not None
        host.conduct.hand = OwnHand(world, host)
    calls.start(hosts)
    network.end_chaos()
    network.split([0, 1, 0, 0, 1, 1])
    network.start(lambda node, peer, up: hosts[node].link(peer, up=up))
    for host in hosts:
        host.start()

    def go_on() -> None:
        while schedule.now_us < 20_000_000:
            schedule.step()

    with pytest.raises(Violation, match="1: two blocks at height"):
        go_on()
    journals = [[decode_record(data) for data in host.disk.handed_in()] for host in hosts[:2]]
    validators = ChainState.genesis(genesis).validators
    named = guilty(journals, chain_id=genesis.chain_id, validators=validators, verify=verify)
    assert sorted(named) == sorted(addresses)


def test_17_journals_of_an_honest_network_blame_nobody() -> None:
    town = busy_town()
    town.crash_all()
    town.grow(3)
    journals = [[decode_record(data) for data in host.disk.handed_in()] for host in town.hosts]
    validators = ChainState.genesis(town.genesis).validators
    assert not guilty(journals, chain_id=town.genesis.chain_id, validators=validators, verify=verify)


# 8, and what follows from it


def test_8_a_liar_is_cut_off_for_as_long_as_in_production_and_by_that_process_only() -> None:
    town = Town()
    town.start()
    town.until(lambda: all(len(town.network.connected(index)) == 3 for index in range(4)))
    town.network.ban(0, 3, 5_000_000)
    assert not town.reach(lambda: False, 1)
    assert (town.network.connected(0), town.network.connected(3)) == ([1, 2], [1, 2])
    assert not town.reach(lambda: False, 4_900_000)
    assert town.network.connected(0) == [1, 2]
    assert town.reach(lambda: town.network.connected(0) == [1, 2, 3], 200_000)
    town.network.ban(0, 3, 60_000_000)
    town.crash(0)
    assert town.reach(lambda: 3 in town.network.connected(0), 5_000_000)
