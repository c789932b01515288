"""Invariant 13 of consensus.md 10.2: a core holds no more than sections 3 and 5.3 allow, whatever peers say.

Looked at once a second and at the end, from outside: the code that bounds it is not asked.
"""

from collections.abc import Iterator

from catenet.core.config import CoreConfig
from catenet.core.node import Node

ROUNDS = 13
"""Rounds whose votes are kept: eight back, the present one, four ahead."""
PROPOSALS = 5
BLOCKS = 16
"""Besides those that are pinned, and those that a kept polka names."""
FUTURE_VOTES = 4
DECIDED = 3
EVIDENCE = 1_024
EVIDENCE_PER_VALIDATOR = 64
SIGNATURES = 2 * 65_536


def excess(core: Node, config: CoreConfig) -> str | None:
    """Say what a core holds too much of; None: nothing."""
    for what, count, most in (*_of_height(core), *_of_peers(core), *_of_pools(core, config)):
        if count > most:
            return f"{count} {what}, at most {most} are allowed"
    return None


def _of_height(core: Node) -> Iterator[tuple[str, int, int]]:
    """Section 3, bounds per height."""
    state = core.consensus.state
    book = state.votes
    rounds = {round_: None for round_, _ in book._rounds if round_ not in book.precommit_quorums}
    pinned = len(state.pinned_blocks())
    yield "rounds with votes", len(rounds), ROUNDS
    yield "rounds with a quorum of precommits", len(book.precommit_quorums), ROUNDS
    yield "proposals", len(state.proposals), PROPOSALS
    yield "polkas", len(state.polkas), ROUNDS + PROPOSALS + 2
    yield "blocks", len([*state.blocks]), BLOCKS + pinned + len(state.polkas)
    yield "commits of one height", len(state.certificates), 1
    yield "names of blocks' sources", max([len(e.sources) for e in state.blocks], default=0), _nodes(core)
    yield "late precommits", len(state.last_commit.parked) if state.last_commit else 0, _nodes(core)


def _of_peers(core: Node) -> Iterator[tuple[str, int, int]]:
    """Section 3, G6 and G7: what is kept by peer, and of the heights around."""
    ctx = core.consensus._ctx
    members = _nodes(core)
    yield "peers", len(ctx.peers), members
    yield "validators with a newest vote", len(ctx.newest), members
    yield "senders of future votes", len(ctx.future_votes), members
    for votes in ctx.future_votes.values():
        yield "votes of the next height of one validator", len(votes), FUTURE_VOTES
    yield "decided blocks kept for others", len(ctx.decided), DECIDED
    yield "signatures found good", len(ctx.signatures._young) + len(ctx.signatures._old), SIGNATURES


def _of_pools(core: Node, config: CoreConfig) -> Iterator[tuple[str, int, int]]:
    """Section 5.3, and what evidence and block sync may hold."""
    batches, sync = config.batches, config.sync
    for usage in core._batches._store.usage.values():
        yield "batches of one author", usage.batches, batches.window_batches
        yield "bytes of batches of one author", usage.bytes, batches.window_bytes + batches.payload_bytes
    yield "bytes that wait for sealing", core._batches.buffered_bytes, config.ingress.buffer_bytes
    pending = core.evidence._pending
    yield "pieces of evidence", len(pending), EVIDENCE
    accused: dict[bytes, int] = {}
    for piece in pending.values():
        for address in piece.accused[:1]:
            accused[address] = accused.get(address, 0) + 1
    yield "pieces of evidence against one", max(accused.values(), default=0), EVIDENCE_PER_VALIDATOR
    yield "accusations", len(core.evidence._accusations), EVIDENCE
    following = core._following._sync
    yield "blocks in hand of block sync", len(following._blocks), sync.ahead_blocks + sync.range_blocks
    yield "ranges asked for", len(following._sources.running), sync.peers


def _nodes(core: Node) -> int:
    """Return how many processes there can be in a simulation: each is a validator at some height."""
    state = core.state
    return len(state.validators) + len(state.next_validators)
