"""What witnesses say about a header that the primary gave, and what follows when one says another thing."""

import asyncio
import json
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.keys import Verify
from catenet.chain.light import InvalidCommit, Terms
from catenet.chain.light_block import LightBlock
from catenet.chain.light_fork import Fork, examine
from catenet.client.light import shapes
from catenet.client.light.provider import Provider
from catenet.types.errors import CatenetError, Forked, NotFound, Overloaded, PastTip, Unavailable

R = TypeVar("R")

LAG_S: Final = 10.0
"""So long a witness may take to reach the primary's height."""

POLL_S: Final = 0.25
SILENCE = (Unavailable, Overloaded, NotFound, PastTip)
"""No answer, which is nobody's lie."""


class Says(Enum):
    """What a witness says about a header."""

    SAME = "the same"
    NOTHING = "nothing"
    OTHER = "another header"
    RUBBISH = "what does not read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A witness's answer."""

    witness: Provider
    says: Says
    block: LightBlock | None = None
    """Its own header, when that is another one."""
    reason: str = ""


async def drive(steps: Generator[int, LightBlock, R], provider: Provider) -> R:
    """Answer a walk with a node's light blocks. Signatures are verified in a thread beside the loop."""
    block: LightBlock | None = None
    while True:
        height, done = await asyncio.to_thread(_step, steps, block)
        if done:
            return done[0]
        block = await provider.light_block(height)


def _step(steps: Generator[int, LightBlock, R], block: LightBlock | None) -> tuple[int, tuple[R, ...]]:
    """Go on with a walk; return the height that it asks for, or its result in a tuple of one."""
    try:
        return (next(steps) if block is None else steps.send(block)), ()
    except StopIteration as done:
        return 0, (done.value,)


async def ask_all(
    witnesses: Sequence[Provider], block: LightBlock, *, lag_s: float = LAG_S
) -> list[Statement]:
    """Ask every witness for its header of a height, all at once."""
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(_ask(witness, block, lag_s)) for witness in witnesses]
    return [task.result() for task in asked]


async def _ask(witness: Provider, block: LightBlock, lag_s: float) -> Statement:
    try:
        found = await _at_or_later(witness, block, lag_s)
    except SILENCE as fault:
        return Statement(witness=witness, says=Says.NOTHING, reason=str(fault))
    except CatenetError as fault:
        return Statement(witness=witness, says=Says.RUBBISH, reason=str(fault))
    if found is None:
        reason = f"it is below height {block.height} after {lag_s:g} s"
        return Statement(witness=witness, says=Says.NOTHING, reason=reason)
    if found.hash() == block.hash():
        return Statement(witness=witness, says=Says.SAME)
    return Statement(witness=witness, says=Says.OTHER, block=found)


async def _at_or_later(witness: Provider, block: LightBlock, lag_s: float) -> LightBlock | None:
    """Return a witness's block of a height; or its newest, when that is lower and yet not earlier.

    None: the witness stays behind.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + lag_s
    while True:
        try:
            return await witness.light_block(block.height)
        except PastTip:
            newest = await witness.light_block()
        if newest.height < block.height and newest.time_ns >= block.time_ns:
            return newest
        if now() >= deadline:
            return None
        if newest.height != block.height:
            await asyncio.sleep(min(POLL_S, lag_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What examining needs beside the histories."""

    verify: Verify
    terms: Terms
    now_ns: int
    folder: Path
    """Where evidence is kept, too."""
    tell: Callable[[str], None]


async def contradicted(
    primary: Provider, trace: Sequence[LightBlock], other: Statement, by: Examination
) -> str:
    """Look into another header of a witness. Returns why the witness is wrong.

    Raises `Forked` when its history verifies as well: evidence is then on disk, and with the other side.
    """
    assert other.block is not None
    try:
        fork = await drive(_examine(trace, other.block, by), other.witness)
    except (InvalidCommit, CatenetError) as fault:
        return f"it cannot bear its header out: {fault}"
    evidence = fork.against_ours()
    place = await _report(evidence, other.witness, by)
    try:
        history = (fork.common, *fork.theirs)
        back = await drive(_examine(history, fork.ours, by), primary)
        await _report(back.against_ours(), primary, by)
    except (InvalidCommit, CatenetError) as fault:
        by.tell(f"{primary.name} does not bear its own header out: {fault}")
    guilty = ", ".join(one.address.hex().upper() for one in evidence.byzantine_validators)
    raise Forked(
        f"{primary.name} and {other.witness.name} have two histories after height {fork.common.height}, both "
        f"signed; block {fork.ours.height} is {fork.ours.hash().hex().upper()} at the first. "
        f"Proven to have signed the first wrongly, if the second is true: {guilty or 'nobody yet'}. "
        f"The evidence is in {place}. Trust neither before people have found out which one is true"
    )


def _examine(
    trace: Sequence[LightBlock], target: LightBlock, by: Examination
) -> Generator[int, LightBlock, Fork]:
    return examine(trace, target, by.verify, terms=by.terms, now_ns=by.now_ns)


async def _report(evidence: LightClientAttackEvidence, to: Provider, by: Examination) -> Path:
    """Keep evidence on disk and hand it to a node; that the node takes it is not certain."""
    path = by.folder / f"evidence-{evidence.hash().hex()[:16]}.json"
    path.write_text(json.dumps(shapes.evidence_json(evidence), indent=1) + "\n", encoding="utf-8")
    try:
        await to.report(evidence)
        by.tell(f"{to.name} took the evidence in {path}")
    except CatenetError as fault:
        by.tell(f"{to.name} does not take the evidence in {path}: {fault}")
    return path
