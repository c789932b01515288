"""The genesis file in CometBFT's exact form (chain-format.md 1.10).

Its section `catenet` is ignored by other parsers. Text in, values out, and back. Files are read elsewhere.
"""

import json
from dataclasses import dataclass, replace
from hashlib import sha256

from catenet.chain.header import MAX_CHAIN_ID_BYTES
from catenet.chain.json_fields import JsonError, JsonObject, members, parse_object
from catenet.chain.keys import PublicKey
from catenet.chain.params import ConsensusParams, InvalidParams
from catenet.chain.time import format_rfc3339, parse_rfc3339

DEFAULT_DEDUP_WINDOW_NS = 3600 * 10**9

_DEFAULT_PARAMS = ConsensusParams()
_FOREIGN_DEFAULTS = ConsensusParams(max_bytes=22_020_096, evidence_max_bytes=1_048_576)
"""What CometBFT takes for a file without `consensus_params`: the same file is the same chain everywhere."""


class GenesisError(ValueError):
    """A genesis file that cannot start a chain: the message says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisValidator:
    """A validator of the first height."""

    address: bytes
    public_key: PublicKey
    power: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """What a chain starts from."""

    genesis_time_ns: int
    chain_id: str
    """1 to 50 bytes."""
    initial_height: int = 1
    params: ConsensusParams = _DEFAULT_PARAMS
    validators: tuple[GenesisValidator, ...] = ()
    """Empty when the application names them at InitChain."""
    app_hash: bytes = b""
    app_state: str = "{}"
    """JSON text for the application, kept to the letter."""
    dedup_window_ns: int = DEFAULT_DEDUP_WINDOW_NS
    """W of consensus.md 5.6: block time within which a transaction cannot repeat."""

    def members(self) -> list[tuple[PublicKey, int]]:
        """Return (key, power) of each validator, as `ValidatorSet.new` takes them."""
        return [(validator.public_key, validator.power) for validator in self.validators]

    def to_json(self) -> str:
        """Return the text of `genesis.json`; `app_state` is always written."""
        validators = [
            {
                "address": validator.address.hex().upper(),
                "pub_key": validator.public_key.to_json(),
                "power": str(validator.power),
                "name": validator.name,
            }
            for validator in self.validators
        ]
        before = {
            "genesis_time": format_rfc3339(self.genesis_time_ns),
            "chain_id": self.chain_id,
            "initial_height": str(self.initial_height),
            "consensus_params": self.params.to_json(),
            "validators": validators,
            "app_hash": self.app_hash.hex().upper(),
        }
        lines = [f'  "{name}": {_indented(value)}' for name, value in before.items()]
        lines.append(f'  "app_state": {self.app_state}')
        lines.append(f'  "catenet": {_indented({"dedup_window": str(self.dedup_window_ns)})}')
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def hash(self) -> bytes:
        """Return a digest of what must be equal on all nodes: for comparing, not of the format."""
        return sha256(self.to_json().encode()).digest()

    def check_bounds(self) -> None:
        """Raise `GenesisError` unless Catenet can run this chain (consensus.md 2.4)."""
        try:
            self.params.check_bounds()
        except InvalidParams as error:
            raise GenesisError(f"consensus_params: {error}") from error

    @classmethod
    def from_json(cls, text: str) -> "Genesis":
        """Read the text of a `genesis.json` of Catenet or CometBFT; raises `GenesisError`."""
        try:
            return _read(text)
        except JsonError as error:
            raise GenesisError(f"genesis: {error}") from error


def _indented(value: object) -> str:
    return json.dumps(value, indent=2).replace("\n", "\n  ")


def _read(text: str) -> Genesis:
    content = parse_object(text)
    genesis = Genesis(
        genesis_time_ns=_time(content.text("genesis_time")),
        chain_id=content.text("chain_id"),
        # CometBFT reads a missing height, and "0", as 1.
        initial_height=(content.integer("initial_height") if "initial_height" in content else 0) or 1,
        params=_FOREIGN_DEFAULTS,
        validators=tuple([_validator(member) for member in content.children("validators")]),
        app_hash=content.hex("app_hash") if "app_hash" in content else b"",
        app_state=members(text).get("app_state", "{}"),
    )
    if "consensus_params" in content:
        genesis = replace(genesis, params=ConsensusParams.from_json(content.child("consensus_params")))
    if "catenet" in content:
        window = content.child("catenet").integer("dedup_window")
        genesis = replace(genesis, dedup_window_ns=window)
    _check(genesis)
    return genesis


def _time(text: str) -> int:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise GenesisError(f"genesis: genesis_time: {error}") from error


def _validator(member: JsonObject) -> GenesisValidator:
    public_key = PublicKey.from_json(member.child("pub_key"))
    address = member.hex("address") if "address" in member else b""
    if address not in (b"", public_key.address):
        raise GenesisError(f"genesis: address {address.hex().upper()} does not belong to its pub_key")
    return GenesisValidator(
        address=public_key.address,
        public_key=public_key,
        power=member.integer("power"),
        name=member.text("name") if "name" in member else "",
    )


def _check(genesis: Genesis) -> None:
    if not 1 <= len(genesis.chain_id.encode()) <= MAX_CHAIN_ID_BYTES:
        raise GenesisError(f"genesis: chain_id {genesis.chain_id!r} is not 1 to {MAX_CHAIN_ID_BYTES} bytes")
    if genesis.initial_height < 1:
        raise GenesisError(f"genesis: initial_height {genesis.initial_height} is below 1")
    if genesis.dedup_window_ns < 0:
        raise GenesisError(f"genesis: catenet.dedup_window {genesis.dedup_window_ns} is negative")
    try:
        genesis.params.validate()
    except InvalidParams as error:
        raise GenesisError(f"genesis: consensus_params: {error}") from error
    addresses = [validator.address for validator in genesis.validators]
    if len(set(addresses)) != len(addresses):
        raise GenesisError("genesis: a validator stands twice")
    for validator in genesis.validators:
        if validator.power < 1:
            raise GenesisError(f"genesis: power {validator.power} of {validator.address.hex().upper()}")
