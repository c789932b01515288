"""From a trusted header to another one, through as many in between as it takes. Pure: generators.

A walk yields the height that it needs and is sent that height's light block; it returns the blocks that it
verified, in the order of verification. Whoever drives it does the fetching.
"""

from collections.abc import Generator, Sequence
from typing import TypeAlias

from catenet.chain.header import Header
from catenet.chain.keys import Verify
from catenet.chain.light import InvalidCommit, NotTrusted, Terms, verify_backwards, verify_header
from catenet.chain.light_block import LightBlock, Trusted

Walk: TypeAlias = Generator[int, LightBlock, tuple[LightBlock, ...]]


def skipping(trusted: Trusted, target: LightBlock, verify: Verify, *, terms: Terms, now_ns: int) -> Walk:
    """Verify `target` with as few headers between as the changes of the validators allow (bisection).

    Raises `InvalidCommit`. Every block asked for lies between; there are never more than heights between.
    """
    verified: list[LightBlock] = []
    waiting = [target]
    while waiting:
        try:
            verify_header(trusted, waiting[-1], verify, terms=terms, now_ns=now_ns)
        except NotTrusted:
            # The next height never ends here: it is not a question of trust, its set is named.
            waiting.append((yield from _ask((trusted.height + waiting[-1].height) // 2)))
        else:
            trusted = waiting.pop()
            verified.append(trusted)
    return tuple(verified)


def sequential(trusted: Trusted, target: LightBlock, verify: Verify, *, terms: Terms, now_ns: int) -> Walk:
    """Verify every header from the trusted one up to `target`. Raises `InvalidCommit`."""
    verified: list[LightBlock] = []
    for height in range(trusted.height + 1, target.height + 1):
        block = target if height == target.height else (yield from _ask(height))
        verify_header(trusted, block, verify, terms=terms, now_ns=now_ns)
        trusted = block
        verified.append(block)
    if not verified:
        raise InvalidCommit(f"height {target.height} is not above {trusted.height}")
    return tuple(verified)


def backwards(trusted: Header, target: LightBlock) -> Walk:
    """Verify an older header: each names the one below it by its hash. Raises `InvalidCommit`."""
    verified: list[LightBlock] = []
    for height in range(trusted.height - 1, target.height - 1, -1):
        block = target if height == target.height else (yield from _ask(height))
        verify_backwards(trusted, block)
        trusted = block.header
        verified.append(block)
    if not verified:
        raise InvalidCommit(f"height {target.height} is not below {trusted.height}")
    return tuple(verified)


def shortened(
    trusted: Trusted, blocks: Sequence[LightBlock], verify: Verify, *, terms: Terms, now_ns: int
) -> tuple[LightBlock, ...]:
    """Leave out of verified headers, which lead from a trusted one to the last, those that need not be there.

    Raises `InvalidCommit` when they do not lead there.
    """
    kept: list[LightBlock] = []
    left = list(blocks)
    while left:
        for place in range(len(left) - 1, -1, -1):
            try:
                verify_header(trusted, left[place], verify, terms=terms, now_ns=now_ns)
            except NotTrusted:
                if place == 0:
                    raise
            else:
                trusted = left[place]
                kept.append(trusted)
                del left[: place + 1]
                break
    return tuple(kept)


def _ask(height: int) -> Generator[int, LightBlock, LightBlock]:
    block = yield height
    if block.height != height:
        raise InvalidCommit(f"a header of height {block.height} came instead of {height}")
    return block
