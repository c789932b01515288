"""The state of a chain after a block: what the next header must say, and the rules for it (consensus.md 2.4).

A value: `advance` gives the next one. What needs more history than this (transactions of the window, evidence
that was committed before) is checked elsewhere.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from catenet.chain import evidence as evidence_format
from catenet.chain import light
from catenet.chain.block import Block, data_hash
from catenet.chain.block_id import NIL, BlockID
from catenet.chain.commit import EMPTY_COMMIT, Commit, Flag
from catenet.chain.encoding import DecodeError
from catenet.chain.evidence import InvalidEvidence
from catenet.chain.genesis import Genesis
from catenet.chain.header import BLOCK_VERSION, Header
from catenet.chain.json_fields import JsonError, parse_object
from catenet.chain.keys import PublicKey, Verify
from catenet.chain.merkle import EMPTY_HASH
from catenet.chain.params import ConsensusParams
from catenet.chain.results import results_hash
from catenet.chain.time import median_time
from catenet.chain.validators import InvalidUpdate, ValidatorSet

_BLOCK_RESERVE = 11
_HEADER_RESERVE = 626
_COMMIT_RESERVE = 94
_COMMIT_SIG_RESERVE = 111
"""An ed25519 entry at its largest, with its key and length."""


class InvalidBlock(ValueError):
    """A block that breaks a rule of the format: `reason` says which."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """Everything that decides whether a header may come next."""

    chain_id: str
    initial_height: int
    last_height: int
    """0 before the first block."""
    last_block_id: BlockID
    last_time_ns: int
    """Time of the last block; before the first, the genesis time."""
    last_validators: ValidatorSet | None
    """Those who signed the last block; None before the first."""
    validators: ValidatorSet
    """Those of the next height."""
    next_validators: ValidatorSet
    """Those of the height after the next."""
    params: ConsensusParams
    app_hash: bytes
    last_results_hash: bytes
    app_version: int
    dedup_window_ns: int

    @property
    def height(self) -> int:
        """The height of the next block."""
        return self.last_height + 1 if self.last_height else self.initial_height

    @classmethod
    def genesis(
        cls,
        genesis: Genesis,
        app_hash: bytes | None = None,
        validators: Sequence[tuple[PublicKey, int]] | None = None,
        params: ConsensusParams | None = None,
        app_version: int = 0,
    ) -> "ChainState":
        """Return the state before the first block.

        `app_hash`, `validators` and `params` are the answer to InitChain where it gave any; `app_version` is
        that of Info, which answered parameters override. Raises `InvalidUpdate` when there is no validator.
        """
        current = ValidatorSet.new(validators or genesis.members())
        return cls(
            chain_id=genesis.chain_id,
            initial_height=genesis.initial_height,
            last_height=0,
            last_block_id=NIL,
            last_time_ns=genesis.genesis_time_ns,
            last_validators=None,
            validators=current,
            next_validators=current.increment(1),
            params=genesis.params if params is None else params,
            app_hash=app_hash or genesis.app_hash,
            last_results_hash=EMPTY_HASH,
            app_version=app_version if params is None else params.app_version,
            dedup_window_ns=genesis.dedup_window_ns,
        )

    def to_json(self) -> bytes:
        """Return the bytes under which the state is stored."""
        last = self.last_validators
        content = {
            "chain_id": self.chain_id,
            "initial_height": str(self.initial_height),
            "last_height": str(self.last_height),
            "last_block_id": self.last_block_id.encode().hex(),
            "last_time": str(self.last_time_ns),
            "last_validators": last.encode().hex() if last else None,
            "validators": self.validators.encode().hex(),
            "next_validators": self.next_validators.encode().hex(),
            "params": self.params.to_json(),
            "app_hash": self.app_hash.hex(),
            "last_results_hash": self.last_results_hash.hex(),
            "app_version": str(self.app_version),
            "dedup_window": str(self.dedup_window_ns),
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "ChainState":
        """Read what `to_json` gave; raises `DecodeError`."""
        try:
            content = parse_object(data)
            last = (
                ValidatorSet.decode(content.hex("last_validators")) if "last_validators" in content else None
            )
            return cls(
                chain_id=content.text("chain_id"),
                initial_height=content.integer("initial_height"),
                last_height=content.integer("last_height"),
                last_block_id=BlockID.decode(content.hex("last_block_id")),
                last_time_ns=int(content.text("last_time")),
                last_validators=last,
                validators=ValidatorSet.decode(content.hex("validators")),
                next_validators=ValidatorSet.decode(content.hex("next_validators")),
                params=ConsensusParams.from_json(content.child("params")),
                app_hash=content.hex("app_hash"),
                last_results_hash=content.hex("last_results_hash"),
                app_version=content.integer("app_version"),
                dedup_window_ns=content.integer("dedup_window"),
            )
        except (JsonError, ValueError) as error:
            raise DecodeError(f"chain state: {error}") from error


def block_time(state: ChainState, last_commit: Commit) -> int:
    """Return the one legal time of the next block (consensus.md 2.5)."""
    if state.last_validators is None:
        return state.last_time_ns
    return median_time(last_commit, state.last_validators)


def max_data_bytes(state: ChainState, *, evidence_bytes: int = 0) -> int:
    """Return how many bytes the encoded `Data` of the next block may have (chain-format.md 1.10).

    `evidence_bytes` is the length of the encoded `EvidenceList`. Negative when there is no room at all.
    """
    signers = 0 if state.last_validators is None else len(state.last_validators)
    # The reserve for the header was made for an application hash of 32 bytes.
    header = _HEADER_RESERVE + max(0, len(state.app_hash) - 32)
    commit = _COMMIT_RESERVE + signers * _COMMIT_SIG_RESERVE
    return state.params.block_bytes - _BLOCK_RESERVE - header - commit - evidence_bytes


def make_header(
    state: ChainState,
    *,
    time_ns: int,
    data_hash: bytes,
    last_commit: Commit,
    evidence_hash: bytes,
    proposer_address: bytes,
) -> Header:
    """Return the header of the next block."""
    return Header(
        version_block=BLOCK_VERSION,
        version_app=state.app_version,
        chain_id=state.chain_id,
        height=state.height,
        time_ns=time_ns,
        last_block_id=state.last_block_id,
        last_commit_hash=last_commit.hash(),
        data_hash=data_hash,
        validators_hash=state.validators.hash(),
        next_validators_hash=state.next_validators.hash(),
        consensus_hash=state.params.hash(),
        app_hash=state.app_hash,
        last_results_hash=state.last_results_hash,
        evidence_hash=evidence_hash,
        proposer_address=proposer_address,
    )


def advance(
    state: ChainState,
    header: Header,
    block_id: BlockID,
    *,
    results: Iterable[tuple[int, bytes, int, int]],
    app_hash: bytes,
    validator_updates: Sequence[tuple[PublicKey, int]] = (),
    params: ConsensusParams | None = None,
) -> ChainState:
    """Return the state after a decided and executed block.

    `results` are (code, data, gas_wanted, gas_used) in order; `params` the whole parameters when they change.
    Raises `InvalidUpdate` or `InvalidParams`: on these every node must halt (consensus.md 2.4, 6).
    """
    if header.height != state.height:
        raise ValueError(f"header of height {header.height}, not {state.height}")
    if params is not None:
        params.check_bounds()
    for key, _ in validator_updates:
        if key.type not in state.params.key_types:
            raise InvalidUpdate(f"{key.type} keys are not allowed by validator.pub_key_types")
    # An update decided here signs first two heights later.
    next_validators = state.next_validators.update(validator_updates).increment(1)
    return replace(
        state,
        last_height=header.height,
        last_block_id=block_id,
        last_time_ns=header.time_ns,
        last_validators=state.validators,
        validators=state.next_validators,
        next_validators=next_validators,
        params=state.params if params is None else params,
        app_hash=app_hash,
        last_results_hash=results_hash(results),
        app_version=state.app_version if params is None else params.app_version,
    )


def check_block(
    state: ChainState,
    block: Block,
    *,
    raw_size: int,
    verify: Verify,
    tx_hashes: Sequence[bytes] | None = None,
) -> None:
    """Check a block against the state: every rule of consensus.md 2.4 that needs no further history.

    `raw_size` is the length of the block's bytes; `tx_hashes` spares hashing the transactions when their ids
    are known already. Raises `InvalidBlock`.
    """
    check_contents(block, tx_hashes)
    check_rules(state, block, raw_size=raw_size, verify=verify)


def check_contents(block: Block, tx_hashes: Sequence[bytes] | None = None) -> None:
    """Check that the header names what the block contains. Raises `InvalidBlock`."""
    header = block.header
    if tx_hashes is None:
        tx_hashes = [sha256(tx).digest() for tx in block.txs]
    _require(header.data_hash == data_hash(tx_hashes), "data_hash is not that of the transactions")
    _require(len(set(tx_hashes)) == len(tx_hashes), "a transaction stands twice in the block")
    _require(
        header.last_commit_hash == block.last_commit.hash(), "last_commit_hash is not that of last_commit"
    )
    _require(
        header.evidence_hash == evidence_format.list_hash(block.evidence),
        "evidence_hash is not that of the evidence",
    )


def check_rules(state: ChainState, block: Block, *, raw_size: int, verify: Verify) -> None:
    """Check what the state demands of the next block. Raises `InvalidBlock`."""
    limit = state.params.block_bytes
    _require(raw_size <= limit, f"{raw_size} bytes exceed max_bytes {limit}")
    _check_header(state, block.header)
    _check_evidence(state, block)
    _check_last_commit(state, block.last_commit, verify)
    _check_time(state, block)


def _require(holds: bool, reason: str) -> None:
    if not holds:
        raise InvalidBlock(reason)


def _check_header(state: ChainState, header: Header) -> None:
    expected = make_header(
        state,
        time_ns=header.time_ns,
        data_hash=header.data_hash,
        last_commit=EMPTY_COMMIT,
        evidence_hash=header.evidence_hash,
        proposer_address=header.proposer_address,
    )
    expected = replace(expected, last_commit_hash=header.last_commit_hash)
    if header != expected:
        for name in Header.__slots__:
            found, wanted = getattr(header, name), getattr(expected, name)
            _require(found == wanted, f"{name} is {_shown(found)}, not {_shown(wanted)}")
    _require(
        state.validators.index_of(header.proposer_address) is not None,
        f"proposer_address {header.proposer_address.hex().upper()} is not a validator",
    )


def _shown(value: object) -> str:
    return value.hex().upper() if isinstance(value, bytes) else str(value)


def _check_evidence(state: ChainState, block: Block) -> None:
    size = len(evidence_format.encode_list(block.evidence))
    limit = state.params.evidence_max_bytes
    _require(size <= limit, f"{size} bytes of evidence exceed evidence.max_bytes {limit}")
    for piece in block.evidence:
        try:
            piece.check_form()
        except InvalidEvidence as error:
            raise InvalidBlock(f"evidence: {error}") from error
        _require(piece.height <= state.last_height, f"evidence of height {piece.height} is not past")
    hashes = {piece.hash() for piece in block.evidence}
    _require(len(hashes) == len(block.evidence), "evidence stands twice in the block")


def _check_last_commit(state: ChainState, commit: Commit, verify: Verify) -> None:
    if state.last_validators is None:
        _require(commit == EMPTY_COMMIT, "the first block has a last commit")
        return
    for index, entry in enumerate(commit.signatures):
        # A precommit that is not later than its block must not be counted, so it must not be included (2.5).
        _require(
            entry.flag is not Flag.COMMIT or entry.time_ns > state.last_time_ns,
            f"last_commit: entry {index} is not later than the block it signs",
        )
    try:
        light.verify_commit(
            state.chain_id, state.last_validators, state.last_block_id, state.last_height, commit, verify
        )
    except light.InvalidCommit as error:
        raise InvalidBlock(f"last_commit: {error.reason}") from error


def _check_time(state: ChainState, block: Block) -> None:
    time_ns, wanted = block.header.time_ns, block_time(state, block.last_commit)
    _require(time_ns == wanted, f"time {time_ns} is not the median {wanted}")
    _require(
        state.last_validators is None or time_ns > state.last_time_ns,
        f"time {time_ns} is not after {state.last_time_ns}",
    )
