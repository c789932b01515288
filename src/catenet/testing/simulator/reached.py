"""How often a run came to the hard cases: a campaign that never reaches them proves little."""

from collections import Counter
from collections.abc import Mapping

from catenet.chain.evidence import Evidence
from catenet.chain.vote import Proposal, Vote, VoteType

KINDS = (
    "heights",
    "late_rounds",
    "locked_rounds",
    "reproposals",
    "nil_precommits",
    "catch_ups",
    "syncs",
    "evidence",
    "set_changes",
    "crashes",
)
"""What is counted, in the order in which it is reported.

    heights         decided heights
    late_rounds     rounds above 0 in which an honest validator signed
    locked_rounds   rounds that an honest validator entered with a lock of an earlier one
    reproposals     honest proposals with a polka of an earlier round
    nil_precommits  signed by honest validators
    catch_ups       decided blocks handed to a node that was one or two heights behind (G6)
    syncs           ranges of blocks asked for by a node that was farther behind (G9)
    evidence        pieces of evidence in decided blocks
    set_changes     decided blocks that changed a validator's power
    crashes         of honest nodes
"""


class Reached:
    """Counts distinct occurrences; the same one seen twice counts once."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._seen: set[tuple[str | int | bytes, ...]] = set()

    def __call__(self, kind: str, *name: str | int | bytes) -> None:
        """Count an occurrence; `name` tells it from others. Without a name each call counts."""
        assert kind in KINDS, kind
        if name:
            key = (kind, *name)
            if key in self._seen:
                return
            self._seen.add(key)
        self._counts[kind] += 1

    def signed(self, address: bytes, item: Vote | Proposal, lock: Vote | None) -> None:
        """Count what an honest signature shows; `lock` is the newest lock of its signer."""
        if item.round > 0:
            self("late_rounds", item.height, item.round)
            if lock is not None and lock.height == item.height and lock.round < item.round:
                self("locked_rounds", address, item.height, item.round)
        if isinstance(item, Proposal):
            if item.pol_round >= 0:
                self("reproposals", item.height, item.round)
        elif item.type is VoteType.PRECOMMIT and item.is_nil:
            self("nil_precommits", address, item.height, item.round)

    def decided(self, height: int, evidence: tuple[Evidence, ...], *, set_changed: bool) -> None:
        """Count what a decided block shows."""
        self("heights", height)
        for piece in evidence:
            self("evidence", piece.hash())
        if set_changed:
            self("set_changes", height)

    def counts(self) -> Mapping[str, int]:
        """Return all counts by kind."""
        return {kind: self._counts[kind] for kind in KINDS}
