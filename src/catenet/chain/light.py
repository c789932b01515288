"""Verification of commits and headers from little trust: what light clients do, and block sync too.

The rules are CometBFT's, with one more: an entry's address must be the one at its index (consensus.md 2.4).
"""

from dataclasses import dataclass
from fractions import Fraction

from catenet.chain.block_id import NIL, BlockID
from catenet.chain.commit import Commit, CommitSig, Flag
from catenet.chain.header import Header
from catenet.chain.keys import Verify
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import SignTemplate, VoteType, vote_template

ONE_THIRD = Fraction(1, 3)
DEFAULT_CLOCK_DRIFT_NS = 10 * 10**9


class InvalidCommit(ValueError):
    """A commit or header that proves nothing: `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotTrusted(InvalidCommit):
    """Too little power of the trusted set signed: a header in between may bridge the gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LightBlock:
    """A header, the commit that decided it, and the validators of its height."""

    header: Header
    commit: Commit
    validators: ValidatorSet


class _Signed:
    """The sign bytes of a commit's entries; entries of one flag share all but the time."""

    def __init__(self, chain_id: str, commit: Commit) -> None:
        self._commit = commit
        self._chain_id = chain_id
        self._templates: dict[Flag, SignTemplate] = {}

    def bytes_of(self, entry: CommitSig) -> bytes:
        template = self._templates.get(entry.flag)
        if template is None:
            template = self._templates[entry.flag] = vote_template(
                self._chain_id,
                type=VoteType.PRECOMMIT,
                height=self._commit.height,
                round=self._commit.round,
                block_id=self._commit.block_id if entry.flag is Flag.COMMIT else NIL,
            )
        return template.at(entry.time_ns)


def _check_shape(valset: ValidatorSet, block_id: BlockID, height: int, commit: Commit) -> None:
    if commit.height != height or height < 1:
        raise InvalidCommit(f"the commit is of height {commit.height}, not {height}")
    if commit.block_id != block_id or not block_id.is_complete:
        raise InvalidCommit(f"the commit is for {commit.block_id.hash.hex()}, not {block_id.hash.hex()}")
    if len(commit.signatures) != len(valset):
        raise InvalidCommit(f"{len(commit.signatures)} entries for {len(valset)} validators")
    for index, (entry, member) in enumerate(zip(commit.signatures, valset.validators, strict=True)):
        if entry.flag is Flag.ABSENT:
            if entry.address or entry.signature:
                raise InvalidCommit(f"entry {index} is absent but has content")
        elif entry.address != member.address:
            raise InvalidCommit(
                f"entry {index} names {entry.address.hex().upper()}, not {member.address.hex().upper()}"
            )


def verify_commit(
    chain_id: str, valset: ValidatorSet, block_id: BlockID, height: int, commit: Commit, verify: Verify
) -> None:
    """Check a commit whole: every present signature valid, more than two thirds for the block.

    Raises `InvalidCommit`.
    """
    _check_shape(valset, block_id, height, commit)
    signed, power = _Signed(chain_id, commit), 0
    for index, (entry, member) in enumerate(zip(commit.signatures, valset.validators, strict=True)):
        if entry.flag is Flag.ABSENT:
            continue
        if not verify(member.public_key, signed.bytes_of(entry), entry.signature):
            raise InvalidCommit(f"the signature of entry {index} is wrong")
        if entry.flag is Flag.COMMIT:
            power += member.power
    if not valset.two_thirds(power):
        raise InvalidCommit(f"power {power} of {valset.total_power} signed: not more than two thirds")


def verify_commit_light(
    chain_id: str, valset: ValidatorSet, block_id: BlockID, height: int, commit: Commit, verify: Verify
) -> None:
    """Check a commit until more than two thirds have been seen for the block. Raises `InvalidCommit`."""
    _check_shape(valset, block_id, height, commit)
    signed, power = _Signed(chain_id, commit), 0
    for index, (entry, member) in enumerate(zip(commit.signatures, valset.validators, strict=True)):
        if entry.flag is not Flag.COMMIT:
            continue
        if not verify(member.public_key, signed.bytes_of(entry), entry.signature):
            raise InvalidCommit(f"the signature of entry {index} is wrong")
        power += member.power
        if valset.two_thirds(power):
            return
    raise InvalidCommit(f"power {power} of {valset.total_power} signed: not more than two thirds")


def verify_commit_trusting(
    chain_id: str,
    valset: ValidatorSet,
    commit: Commit,
    verify: Verify,
    *,
    trust: Fraction = ONE_THIRD,
) -> None:
    """Check that more than `trust` of a known set signed a commit of another height.

    Entries of strangers are passed over. Raises `NotTrusted` when too little power signed, else
    `InvalidCommit`.
    """
    if not ONE_THIRD <= trust <= 1:
        raise ValueError(f"trust {trust} is not within 1/3 to 1")
    signed, power = _Signed(chain_id, commit), 0
    seen: set[bytes] = set()
    for index, entry in enumerate(commit.signatures):
        member = valset.by_address(entry.address)
        if entry.flag is not Flag.COMMIT or member is None:
            continue
        if entry.address in seen:
            raise InvalidCommit(f"entry {index} is a second one of {entry.address.hex().upper()}")
        seen.add(entry.address)
        if not verify(member.public_key, signed.bytes_of(entry), entry.signature):
            raise InvalidCommit(f"the signature of entry {index} is wrong")
        power += member.power
        # CometBFT rounds the needed power down before it compares.
        if power > valset.total_power * trust.numerator // trust.denominator:
            return
    raise NotTrusted(f"power {power} of {valset.total_power} of the trusted validators signed")


def _check_new(
    trusted: LightBlock, untrusted: LightBlock, trusting_period_ns: int, now_ns: int, drift_ns: int
) -> None:
    old, new = trusted.header, untrusted.header
    if old.time_ns + trusting_period_ns <= now_ns:
        raise InvalidCommit(f"the trusted header of height {old.height} has expired")
    if new.chain_id != old.chain_id:
        raise InvalidCommit(f"the header is of chain {new.chain_id!r}, not {old.chain_id!r}")
    if new.height <= old.height:
        raise InvalidCommit(f"height {new.height} is not above {old.height}")
    if new.time_ns <= old.time_ns:
        raise InvalidCommit(f"time {new.time_ns} is not after {old.time_ns}")
    if new.time_ns >= now_ns + drift_ns:
        raise InvalidCommit(f"time {new.time_ns} is in the future")
    if new.validators_hash != untrusted.validators.hash():
        raise InvalidCommit("the validators are not those of the header")
    if new.hash() != untrusted.commit.block_id.hash:
        raise InvalidCommit("the commit is for another header")


def _check_decided(untrusted: LightBlock, verify: Verify) -> None:
    header, commit = untrusted.header, untrusted.commit
    verify_commit_light(header.chain_id, untrusted.validators, commit.block_id, header.height, commit, verify)


def verify_adjacent(
    trusted: LightBlock,
    untrusted: LightBlock,
    verify: Verify,
    *,
    trusting_period_ns: int,
    now_ns: int,
    clock_drift_ns: int = DEFAULT_CLOCK_DRIFT_NS,
) -> None:
    """Check the next height from a trusted one. Raises `InvalidCommit`."""
    if untrusted.header.height != trusted.header.height + 1:
        raise InvalidCommit(f"height {untrusted.header.height} does not follow {trusted.header.height}")
    _check_new(trusted, untrusted, trusting_period_ns, now_ns, clock_drift_ns)
    if untrusted.header.validators_hash != trusted.header.next_validators_hash:
        raise InvalidCommit("the validators are not those that the trusted header names next")
    _check_decided(untrusted, verify)


def verify_non_adjacent(
    trusted: LightBlock,
    untrusted: LightBlock,
    verify: Verify,
    *,
    trusting_period_ns: int,
    now_ns: int,
    clock_drift_ns: int = DEFAULT_CLOCK_DRIFT_NS,
    trust: Fraction = ONE_THIRD,
) -> None:
    """Check a later height from a trusted one, skipping those between.

    Raises `NotTrusted` when a nearer height could still be verified, else `InvalidCommit`.
    """
    if untrusted.header.height == trusted.header.height + 1:
        raise InvalidCommit("the heights are adjacent")
    _check_new(trusted, untrusted, trusting_period_ns, now_ns, clock_drift_ns)
    chain_id = trusted.header.chain_id
    verify_commit_trusting(chain_id, trusted.validators, untrusted.commit, verify, trust=trust)
    _check_decided(untrusted, verify)
