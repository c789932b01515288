"""Chains for light clients, and who answers a walk's questions."""

from collections.abc import Generator
from typing import TypeVar

from catenet.chain.light_block import LightBlock
from support.chain import LocalChain, make_genesis, make_keys

R = TypeVar("R")


def changing_chain(*, heights: int, change_at: int) -> LocalChain:
    """Return a chain whose four validators are all replaced by the block of one height: from two later on."""
    old, new = make_keys(4), make_keys(4, first=50)
    chain = LocalChain([*old, *new], make_genesis(old))
    chain.grow(change_at - 1)
    updates = [(key.public, 0) for key in old] + [(key.public, 10) for key in new]
    chain.add(chain.build([b"all change"]), validator_updates=updates)
    chain.grow(heights - change_at)
    return chain


def drive(walk: Generator[int, LightBlock, R], chain: LocalChain) -> tuple[R, list[int]]:
    """Answer a walk from a chain; return its result and the heights that it asked for."""
    asked: list[int] = []
    try:
        height = next(walk)
        while True:
            asked.append(height)
            height = walk.send(chain.decided[height - 1].light)
    except StopIteration as done:
        return done.value, asked
