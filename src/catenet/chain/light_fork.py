"""When two nodes show light clients different histories: where they part, and who signed both. Pure."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from catenet.chain.commit import Flag
from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.keys import Verify
from catenet.chain.light import InvalidCommit, Terms
from catenet.chain.light_block import LightBlock
from catenet.chain.light_walk import skipping
from catenet.chain.validators import Validator, ValidatorSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Two histories that both verify from one header."""

    common: LightBlock
    """The newest header that both have, of those that were looked at."""
    ours: LightBlock
    """The first header of our trace that the other history does not have."""
    theirs: tuple[LightBlock, ...]
    """The other history from `common`, verified, up to the height of the conflict."""

    def against_ours(self) -> LightClientAttackEvidence:
        """Return evidence against those who signed our trace, for a node that has the other history."""
        return make_attack_evidence(conflicting=self.ours, trusted=self.theirs[-1], common=self.common)


def examine(
    trace: Sequence[LightBlock], target: LightBlock, verify: Verify, *, terms: Terms, now_ns: int
) -> Generator[int, LightBlock, Fork]:
    """Find where another node's history leaves `trace`, verifying its blocks on the way to `target`.

    Yields heights to ask that node for, and is sent its light blocks. `trace` begins with the header that was
    trusted. `target` is the other node's block at the end of the trace, or its newest when it claims not to
    be so far and yet to be later. Raises `InvalidCommit` when that node cannot bear its claim out.
    """
    if target.height < trace[0].height:
        raise InvalidCommit(f"height {target.height} is below the trusted height {trace[0].height}")
    before = trace[0]
    for block in trace:
        if block.height > target.height:
            if block.time_ns > target.time_ns:
                raise InvalidCommit(f"height {target.height} is behind, not in conflict")
            theirs: tuple[LightBlock, ...] = (before,)
            if before.height != target.height:
                theirs = yield from skipping(before, target, verify, terms=terms, now_ns=now_ns)
            return Fork(common=before, ours=block, theirs=theirs)
        other = target if block.height == target.height else (yield block.height)
        if other.height != block.height:
            raise InvalidCommit(f"a header of height {other.height} came instead of {block.height}")
        if block.height == trace[0].height:
            if other.hash() != block.hash():
                raise InvalidCommit(f"header {block.height}, which is trusted, is another one there")
            continue
        steps = yield from skipping(before, other, verify, terms=terms, now_ns=now_ns)
        if other.hash() != block.hash():
            return Fork(common=before, ours=block, theirs=steps)
        before = other
    raise InvalidCommit("both histories are the same")


def make_attack_evidence(
    *, conflicting: LightBlock, trusted: LightBlock, common: LightBlock
) -> LightClientAttackEvidence:
    """Return evidence that `conflicting` was signed, by whoever holds `trusted` for the truth.

    `common` is a header below that both histories have.
    """
    base = common if is_lunatic(conflicting, trusted) else trusted
    return LightClientAttackEvidence(
        conflicting_block=conflicting,
        common_height=base.height,
        byzantine_validators=byzantine(conflicting, trusted, common.validators),
        total_power=base.validators.total_power,
        time_ns=base.time_ns,
    )


def is_lunatic(conflicting: LightBlock, trusted: LightBlock) -> bool:
    """Whether a header says what the chain's state cannot give: its signers made it up."""
    made, true = conflicting.header, trusted.header
    return (
        made.validators_hash != true.validators_hash
        or made.next_validators_hash != true.next_validators_hash
        or made.consensus_hash != true.consensus_hash
        or made.app_hash != true.app_hash
        or made.last_results_hash != true.last_results_hash
    )


def byzantine(conflicting: LightBlock, trusted: LightBlock, common: ValidatorSet) -> tuple[Validator, ...]:
    """Return who is proven guilty, by power descending, then by address.

    Of a header that was made up, its signers among the validators of the common height. Of two blocks of one
    round, who signed both. Of blocks of two rounds (amnesia), nobody: it takes more than the two commits.
    """
    signers = [entry for entry in conflicting.commit.signatures if entry.flag is Flag.COMMIT]
    if is_lunatic(conflicting, trusted):
        found = [common.by_address(entry.address) for entry in signers]
    elif conflicting.commit.round == trusted.commit.round:
        both = {entry.address for entry in trusted.commit.signatures if entry.flag is Flag.COMMIT}
        found = [
            conflicting.validators.by_address(entry.address) for entry in signers if entry.address in both
        ]
    else:
        found = []
    guilty = [member for member in found if member is not None]
    return tuple(sorted(guilty, key=lambda member: (-member.power, member.address)))
