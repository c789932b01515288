"""The validator set changes by transactions in one height after the other: every header rule holds."""

from base64 import b64encode
from dataclasses import replace
from functools import partial
from itertools import groupby, pairwise

import pytest

from catenet.apps.kv import KeyValue, parse_update
from catenet.chain.block import Block
from catenet.chain.keys import PublicKey
from catenet.chain.state import ChainState, advance, check_block
from catenet.node.handshake import shake_hands
from catenet.testing.simulator.chain_store import ChainStore, MemoryState
from catenet.testing.simulator.keys import SimulatedKey, verify
from catenet.testing.simulator.town import CALM
from support.town import Town

KEYS = [SimulatedKey.of(index).public for index in range(5)]
NEW = 4
"""A machine that the genesis does not know."""


def update(index: int, power: int, number: int) -> bytes:
    """Return the transaction that gives a validator another power; `number` makes its bytes unique."""
    digits = b"%d" % power
    return b"val=ed25519!%b!%b" % (b64encode(KEYS[index].data), digits.zfill(1 + number))


def judge_chain(town: Town, index: int) -> list[ChainState]:
    """Judge a node's blocks by every rule, with the updates read from the transactions; return all states."""
    chain = town.hosts[index].chain
    states = [shake_hands(KeyValue(MemoryState()), town.genesis, ChainStore())]
    for height in range(1, chain.head + 1):
        stored, outcome = chain.block(height), chain.outcome(height)
        assert stored is not None
        assert outcome is not None
        block = Block.decode(stored.raw)
        check_block(states[-1], block, raw_size=len(stored.raw), verify=verify)
        read = [parse_update(tx) for tx in block.txs if tx.startswith(b"val=")]
        latest = {item.public_key: item.power for item in read}
        changes = [(PublicKey(type="ed25519", data=key), power) for key, power in latest.items()]
        after = advance(
            states[-1],
            block.header,
            stored.block_id,
            results=[(r.code, r.data, r.gas_wanted, r.gas_used) for r in outcome.results],
            app_hash=outcome.app_hash,
            validator_updates=changes,
        )
        assert after == chain.state_at(height)
        states.append(after)
    return states


def power_of(state: ChainState, index: int) -> int:
    """Return a validator's power at the height after a state; 0: it is no member."""
    member = state.validators.by_address(KEYS[index].address)
    return 0 if member is None else member.power


def commit_one(town: Town, tx: bytes) -> int:
    """Hand in an update and return the height that holds it."""
    town.submit(town.schedule.now_us % 2, [tx])
    chain = town.hosts[0].chain

    def found() -> bool:
        return any(tx in Block.decode(stored.raw).txs for stored in [chain.block(chain.head)] if stored)

    town.until(found)
    return chain.head


@pytest.mark.slow
def test_powers_change_at_each_of_many_heights() -> None:
    town = Town()
    town.start()
    town.grow(1)
    for number in range(120):
        tx = update(number % 4, 8 + number // 4 % 5, number // 20)
        town.schedule.after(30_000 * number, partial(town.submit, number % 4, [tx]))
    town.grow(30)
    town.feed()
    town.grow(2)
    town.require_one_chain()
    states = judge_chain(town, 0)
    sets = [state.validators.hash() for state in states]
    changes = [before != after for before, after in pairwise(sets)]
    longest = max(len(list(run)) for changed, run in groupby(changes) if changed)
    assert longest >= 10, changes


@pytest.mark.slow
def test_a_validator_leaves_follows_the_chain_and_comes_back() -> None:
    town = Town()
    town.start()
    town.grow(1)
    planned = [(3, 0), (0, 12), (3, 10), (1, 11), (2, 13), (3, 0), (3, 9)]
    heights = [commit_one(town, update(who, power, n)) for n, (who, power) in enumerate(planned)]
    town.feed()
    # Two thirds do without it, so not every commit waits for its signature.
    town.grow(20)
    town.require_one_chain()
    states = judge_chain(town, 3)
    for (who, power), height in zip(planned, heights, strict=True):
        # What a block changes signs two heights later: the state after the height between says so.
        assert power_of(states[height + 1], who) == power
    chain = town.hosts[0].chain
    signed = {height: signs(chain, height) for height in range(1, chain.head + 1)}
    for height, state in enumerate(states[:-1], start=1):
        assert power_of(state, 3) or not signed[height]
    # It signs again after it came back.
    assert any(signed[height] for height in range(heights[-1] + 2, chain.head + 1))


def signs(chain: ChainStore, height: int, index: int = 3) -> bool:
    """Whether the commit of a height has a vote of a validator."""
    stored = chain.block(height)
    assert stored is not None
    return KEYS[index].address in [entry.address for entry in stored.commit.signatures]


def signed_by(chain: ChainStore, height: int) -> set[bytes]:
    """Return whose votes are in the commit of a height."""
    stored = chain.block(height)
    assert stored is not None
    return {entry.address for entry in stored.commit.signatures if entry.address}


def test_a_change_is_in_force_after_a_crash_of_all() -> None:
    town = Town()
    town.start()
    town.grow(1)
    commit_one(town, update(3, 0, 0))
    town.crash_all()
    town.until(lambda: all(host.alive for host in town.hosts))
    town.feed()
    town.grow(3)
    commit_one(town, update(3, 14, 0))
    town.crash_all()
    town.until(lambda: all(host.alive for host in town.hosts))
    town.grow(4)
    town.require_one_chain()
    states = judge_chain(town, 1)
    assert {power_of(state, 3) for state in states} == {10, 0, 14}


@pytest.mark.slow
def test_a_machine_with_an_empty_home_becomes_a_validator_and_signs_through_crashes() -> None:
    town = Town(config=replace(CALM, validators=5, powers=(10, 10, 10, 10, 0)))
    newcomer = town.hosts[NEW]
    for host in town.hosts[:NEW]:
        host.start()
    town.until(lambda: min(town.heights[:NEW]) >= 1)
    town.feed()
    town.until(lambda: min(town.heights[:NEW]) >= 40)
    assert newcomer.chain.head == 0
    newcomer.start()
    added = commit_one(town, update(NEW, 10, 0))
    town.until(lambda: newcomer.chain.head > added)
    town.crash(NEW)
    town.until(lambda: newcomer.alive)
    town.until(lambda: signs(town.hosts[0].chain, town.hosts[0].chain.head, NEW), within_us=60_000_000)
    # With one of the old ones down the four others go on, the newcomer among them.
    town.hosts[0].crash()
    goal = max(town.heights) + 10
    town.until(lambda: min(town.heights[1:]) >= goal)
    assert len(signed_by(town.hosts[1].chain, goal)) == 4
    town.hosts[0].start()
    town.grow(2)
    town.require_one_chain()
    states = judge_chain(town, NEW)
    assert [power_of(state, NEW) for state in states[added : added + 2]] == [0, 10]
