"""Verification of commits and headers from little trust: what light clients do, and block sync too.

The rules are CometBFT's, with one more: an entry's address must be the one at its index (consensus.md 2.4).
"""

from dataclasses import dataclass
from fractions import Fraction

from catenet.chain.block_id import NIL, BlockID
from catenet.chain.commit import Commit, CommitSig, Flag
from catenet.chain.header import BLOCK_VERSION, Header
from catenet.chain.keys import Verify
from catenet.chain.light_block import GenesisTrust, LightBlock, Trusted
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


class Expired(InvalidCommit):
    """What is trusted is too old to lead to others: trust must begin anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a verifier demands."""

    trusting_period_ns: int
    """For so long after its time a header may lead to others; shorter than validators can be punished."""
    trust: Fraction = ONE_THIRD
    """More than this share of a known set must have signed a header that skips others; 1/3 to 1."""
    clock_drift_ns: int = DEFAULT_CLOCK_DRIFT_NS
    """A header may be ahead of our clock by so much."""

    def __post_init__(self) -> None:
        if self.trusting_period_ns <= 0:
            raise ValueError(f"a trusting period of {self.trusting_period_ns} ns")
        if not ONE_THIRD <= self.trust <= 1:
            raise ValueError(f"trust {self.trust} is not within 1/3 to 1")


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


NO_EXPIRY = Terms(trusting_period_ns=1 << 63)
"""For what must hold later, too (receipts). What that asks of validators: docs/reference/receipts.md."""


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


def signed_power(chain_id: str, valset: ValidatorSet, commit: Commit, verify: Verify) -> int:
    """Return the power of those of a set who signed for the commit's block, all signatures checked.

    Entries of strangers are passed over. Raises `InvalidCommit`.
    """
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
    return power


def check_decided_by(chain_id: str, block: LightBlock, verify: Verify) -> None:
    """Check that a block's own validators decided it, and every signature for it. Raises `InvalidCommit`."""
    valset, commit = block.validators, block.commit
    _check_shape(valset, commit.block_id, block.height, commit)
    power = signed_power(chain_id, valset, commit, verify)
    if not valset.two_thirds(power):
        raise InvalidCommit(f"power {power} of {valset.total_power} signed: not more than two thirds")


def check_form(block: LightBlock, chain_id: str) -> None:
    """Check that the parts of a light block belong together; nothing is said of who signed.

    Raises `InvalidCommit`.
    """
    header = block.header
    if header.chain_id != chain_id:
        raise InvalidCommit(f"the header is of chain {header.chain_id!r}, not {chain_id!r}")
    if header.version_block != BLOCK_VERSION:
        raise InvalidCommit(f"the header has block version {header.version_block}, not {BLOCK_VERSION}")
    if header.height < 1:
        raise InvalidCommit(f"height {header.height} is not above 0")
    if header.validators_hash != block.validators.hash():
        raise InvalidCommit("the validators are not those of the header")
    if block.commit.height != header.height:
        raise InvalidCommit(f"the commit is of height {block.commit.height}, not {header.height}")
    if header.hash() != block.commit.block_id.hash:
        raise InvalidCommit("the commit is for another header")


def check_decided(block: LightBlock, chain_id: str, verify: Verify) -> None:
    """Check that a light block is whole, and that its own validators decided it.

    Raises `InvalidCommit`. Whether those validators are to be trusted is another question.
    """
    check_form(block, chain_id)
    verify_commit_light(
        chain_id, block.validators, block.commit.block_id, block.header.height, block.commit, verify
    )


def _check_new(trusted: Trusted, untrusted: LightBlock, terms: Terms, now_ns: int) -> None:
    new = untrusted.header
    if trusted.time_ns + terms.trusting_period_ns <= now_ns:
        raise Expired(f"the trusted header of height {trusted.height} has expired")
    if new.chain_id != trusted.chain_id:
        raise InvalidCommit(f"the header is of chain {new.chain_id!r}, not {trusted.chain_id!r}")
    if new.height <= trusted.height:
        raise InvalidCommit(f"height {new.height} is not above {trusted.height}")
    # The first block has the time of the genesis, to the letter.
    if new.time_ns <= trusted.time_ns and not isinstance(trusted, GenesisTrust):
        raise InvalidCommit(f"time {new.time_ns} is not after {trusted.time_ns}")
    if new.time_ns < trusted.time_ns:
        raise InvalidCommit(f"time {new.time_ns} is before that of the genesis, {trusted.time_ns}")
    if new.time_ns >= now_ns + terms.clock_drift_ns:
        raise InvalidCommit(f"time {new.time_ns} is in the future")
    check_form(untrusted, trusted.chain_id)


def verify_adjacent(
    trusted: Trusted, untrusted: LightBlock, verify: Verify, *, terms: Terms, now_ns: int
) -> None:
    """Check the next height from a trusted one. Raises `InvalidCommit`."""
    if untrusted.header.height != trusted.height + 1:
        raise InvalidCommit(f"height {untrusted.header.height} does not follow {trusted.height}")
    _check_new(trusted, untrusted, terms, now_ns)
    if untrusted.header.validators_hash != trusted.next_validators_hash:
        raise InvalidCommit("the validators are not those that the trusted header names next")
    check_decided(untrusted, trusted.chain_id, verify)


def verify_non_adjacent(
    trusted: Trusted, untrusted: LightBlock, verify: Verify, *, terms: Terms, now_ns: int
) -> None:
    """Check a later height from a trusted one, skipping those between.

    Raises `NotTrusted` when a nearer height could still be verified, else `InvalidCommit`.
    """
    if untrusted.header.height == trusted.height + 1:
        raise InvalidCommit("the heights are adjacent")
    _check_new(trusted, untrusted, terms, now_ns)
    verify_commit_trusting(trusted.chain_id, trusted.validators, untrusted.commit, verify, trust=terms.trust)
    check_decided(untrusted, trusted.chain_id, verify)


def verify_header(
    trusted: Trusted, untrusted: LightBlock, verify: Verify, *, terms: Terms, now_ns: int
) -> None:
    """Check a later height from a trusted one, whether it is the next or not. Raises as those two do."""
    adjacent = untrusted.header.height == trusted.height + 1
    check = verify_adjacent if adjacent else verify_non_adjacent
    check(trusted, untrusted, verify, terms=terms, now_ns=now_ns)


def verify_backwards(trusted: Header, older: LightBlock) -> None:
    """Check the height below a trusted one: its hash is in the trusted header. Raises `InvalidCommit`."""
    if older.header.height != trusted.height - 1:
        raise InvalidCommit(f"height {older.header.height} is not the one below {trusted.height}")
    check_form(older, trusted.chain_id)
    if older.hash() != trusted.last_block_id.hash:
        raise InvalidCommit(f"header {older.header.height} is not the one that header {trusted.height} names")
    if older.time_ns >= trusted.time_ns:
        raise InvalidCommit(f"time {older.time_ns} is not before {trusted.time_ns}")
