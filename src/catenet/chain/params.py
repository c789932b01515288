"""Consensus parameters: defaults, bounds, hash, and the JSON form of the genesis file (consensus.md 2.4).

`validate` holds for every chain of the format, `check_bounds` for chains that Catenet runs.
"""

from dataclasses import dataclass
from hashlib import sha256

from catenet.chain.encoding import int_field
from catenet.chain.json_fields import JsonObject
from catenet.chain.keys import ED25519, SECP256K1

MAX_BLOCK_BYTES = 100 * 1024 * 1024
"""The format's own limit, which `max_bytes` -1 stands for."""

MIN_CATENET_BLOCK_BYTES = 1024 * 1024
MAX_CATENET_BLOCK_BYTES = 3 * 1024 * 1024
MAX_CATENET_EVIDENCE_BYTES = 128 * 1024


class InvalidParams(ValueError):
    """Parameters that no chain may have, or none that Catenet runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusParams:
    """What all nodes of a chain must agree on besides its blocks."""

    max_bytes: int = 2 * 1024 * 1024
    """Largest block in proto bytes; -1: the format's limit."""
    max_gas: int = -1
    evidence_max_age_blocks: int = 100_000
    evidence_max_age_ns: int = 48 * 3600 * 10**9
    evidence_max_bytes: int = MAX_CATENET_EVIDENCE_BYTES
    key_types: tuple[str, ...] = (ED25519,)
    app_version: int = 0
    vote_extensions_height: int = 0
    """First height with vote extensions; 0: none."""

    @property
    def block_bytes(self) -> int:
        """The largest block in proto bytes, always positive."""
        return MAX_BLOCK_BYTES if self.max_bytes == -1 else self.max_bytes

    def hash(self) -> bytes:
        """Return the `consensus_hash`: it covers max_bytes and max_gas, nothing else."""
        return sha256(int_field(1, self.max_bytes) + int_field(2, self.max_gas)).digest()

    def validate(self) -> None:
        """Raise `InvalidParams` unless a chain of the format may have these."""
        if not (self.max_bytes == -1 or 0 < self.max_bytes <= MAX_BLOCK_BYTES):
            raise InvalidParams(f"block.max_bytes {self.max_bytes} is not -1 or 1 to {MAX_BLOCK_BYTES}")
        if self.max_gas < -1:
            raise InvalidParams(f"block.max_gas {self.max_gas} is below -1")
        if self.evidence_max_age_blocks <= 0 or self.evidence_max_age_ns <= 0:
            raise InvalidParams("evidence.max_age_num_blocks and max_age_duration must be positive")
        if not 0 <= self.evidence_max_bytes <= self.block_bytes:
            raise InvalidParams(f"evidence.max_bytes {self.evidence_max_bytes} exceeds a block")
        if self.vote_extensions_height < 0 or self.app_version < 0:
            raise InvalidParams("abci.vote_extensions_enable_height and version.app cannot be negative")
        if not self.key_types or not set(self.key_types) <= {ED25519, SECP256K1}:
            raise InvalidParams(f"validator.pub_key_types {list(self.key_types)}")

    def check_bounds(self) -> None:
        """Raise `InvalidParams` unless Catenet can run a chain with these (consensus.md 2.4)."""
        self.validate()
        if not MIN_CATENET_BLOCK_BYTES <= self.max_bytes <= MAX_CATENET_BLOCK_BYTES:
            raise InvalidParams(
                f"block.max_bytes {self.max_bytes} is not within"
                f" {MIN_CATENET_BLOCK_BYTES} to {MAX_CATENET_BLOCK_BYTES}"
            )
        if self.evidence_max_bytes > MAX_CATENET_EVIDENCE_BYTES:
            raise InvalidParams(
                f"evidence.max_bytes {self.evidence_max_bytes} exceeds {MAX_CATENET_EVIDENCE_BYTES}"
            )
        if self.key_types != (ED25519,):
            raise InvalidParams(
                f"validator.pub_key_types {list(self.key_types)}: validators sign with ed25519"
            )

    def to_json(self) -> dict[str, dict[str, str | list[str]]]:
        """Return the form of the genesis file: 64-bit integers are strings."""
        return {
            "block": {"max_bytes": str(self.max_bytes), "max_gas": str(self.max_gas)},
            "evidence": {
                "max_age_num_blocks": str(self.evidence_max_age_blocks),
                "max_age_duration": str(self.evidence_max_age_ns),
                "max_bytes": str(self.evidence_max_bytes),
            },
            "validator": {"pub_key_types": list(self.key_types)},
            "version": {"app": str(self.app_version)},
            "abci": {"vote_extensions_enable_height": str(self.vote_extensions_height)},
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> "ConsensusParams":
        """Read the form of the genesis file; raises `JsonError`. `version` and `abci` may miss."""
        block, evidence = value.child("block"), value.child("evidence")
        app_version = vote_extensions_height = 0
        if "version" in value and "app" in (version := value.child("version")):
            app_version = version.integer("app")
        if "abci" in value and "vote_extensions_enable_height" in (abci := value.child("abci")):
            vote_extensions_height = abci.integer("vote_extensions_enable_height")
        return cls(
            max_bytes=block.integer("max_bytes"),
            max_gas=block.integer("max_gas"),
            evidence_max_age_blocks=evidence.integer("max_age_num_blocks"),
            evidence_max_age_ns=evidence.integer("max_age_duration"),
            evidence_max_bytes=evidence.integer("max_bytes") if "max_bytes" in evidence else 0,
            key_types=tuple(value.child("validator").texts("pub_key_types")),
            app_version=app_version,
            vote_extensions_height=vote_extensions_height,
        )
