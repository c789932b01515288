"""G5: what is wanted, from whom, and its own timer.

`wanted` is computed from the state whenever something changed, never remembered as a one-shot request: so
nothing that is missing can be forgotten.
"""

from collections.abc import Iterator

from catenet.chain.commit import Flag
from catenet.chain.vote import VoteType
from catenet.core.consensus import intake, timers
from catenet.core.consensus.blocks import BlockEntry
from catenet.core.consensus.context import Context
from catenet.core.consensus.io import Want
from catenet.core.consensus.state import HeightState
from catenet.types.ids import Address, Digest

FIRST_US = 100_000
CAP_US = 2_000_000


def update(ctx: Context) -> None:
    """Start the timer when something begins to be missing, and start it over when something joins."""
    fetch = ctx.fetch
    if not fetch.stale:
        return
    fetch.stale = False
    digests, hashes, _ = _wanted(ctx)
    wanted = frozenset((*digests, *hashes))
    if wanted and not (fetch.attempt >= 0 and wanted <= fetch.asked_for):
        fetch.attempt = 0
        ctx.set_timer(timers.key(timers.FETCH), FIRST_US)
    elif not wanted:
        fetch.attempt = -1
    fetch.asked_for = wanted


def on_timer(ctx: Context) -> None:
    """Ask for all that is missing, the sources turned by one each time."""
    fetch = ctx.fetch
    if fetch.attempt < 0:
        return
    retry_batches(ctx)
    digests, hashes, sources = _wanted(ctx)
    if not digests and not hashes:
        fetch.attempt = -1
        return
    if sources:
        turn = fetch.attempt % len(sources)
        ordered = tuple(sources[turn:] + sources[:turn])
        ctx.out.append(Want(digests=digests, block_hashes=hashes, height=ctx.hs.height, sources=ordered))
    fetch.attempt += 1
    delay_us = timers.duration_us(FIRST_US, round=fetch.attempt, level=0, cap_us=CAP_US)
    ctx.set_timer(timers.key(timers.FETCH), delay_us)


def retry_batches(ctx: Context) -> None:
    """Look again for batches that were missing: they may have come by any way, and before they were named."""
    for entry in ctx.hs.blocks:
        intake.blame(ctx, ctx.hs.blocks.rebuild(entry, ctx.now.mono_us))
    ctx.fetch.stale = True


def _wanted(ctx: Context) -> tuple[tuple[Digest, ...], tuple[bytes, ...], list[Address]]:
    digests: dict[Digest, None] = {}
    hashes: dict[bytes, None] = {}
    sources: dict[Address, None] = {}
    now_us = ctx.now.mono_us
    for entry in _needed(ctx.hs):
        if entry.assembled is not None:
            continue
        stuck = intake.is_stuck(entry.missing_since_us, bool(entry.missing), now_us)
        if entry.compact is None or stuck:
            hashes[entry.block_id.hash] = None
        digests.update(dict.fromkeys(entry.missing))
        sources.update(dict.fromkeys(entry.sources))
        sources.update(dict.fromkeys(_signers(ctx.hs, entry)))
    if not digests and not hashes:
        # Mostly nothing is missing, and nobody is asked.
        return (), (), []
    linked = ctx.linked()
    ordered = [peer for peer in sources if peer in linked]
    return tuple(digests), tuple(hashes), ordered + [peer for peer in linked if peer not in sources]


def _needed(hs: HeightState) -> Iterator[BlockEntry]:
    """Yield the blocks that a rule could use: decided elsewhere, proposed, behind a newer polka."""
    ids = [*hs.certificates, *hs.votes.precommit_quorums.values()]
    ids += [proposal.block_id for round, proposal in hs.proposals.items() if round >= hs.round]
    ids += [
        polka.block_id
        for round, polka in hs.polkas.items()
        if round > hs.valid_round and not polka.block_id.is_nil
    ]
    for block_id in dict.fromkeys(ids):
        yield hs.blocks.name(block_id)


def _signers(hs: HeightState, entry: BlockEntry) -> Iterator[Address]:
    """Yield who signed for a block: whoever precommitted it had it whole."""
    for round, block_id in hs.votes.precommit_quorums.items():
        votes = hs.votes.of(round, VoteType.PRECOMMIT)
        if block_id == entry.block_id and votes is not None:
            yield from [vote.address for vote in votes.those_for(block_id)]
    commit = hs.certificates.get(entry.block_id)
    if commit is not None:
        yield from [e.address for e in commit.signatures if e.flag is Flag.COMMIT]
    for polka in hs.polkas.values():
        if polka.block_id == entry.block_id:
            yield from [vote.address for vote in polka.votes]
