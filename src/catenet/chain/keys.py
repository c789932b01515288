"""Public and private keys, addresses, signatures, and the JSON forms of key files (chain-format.md 1.10).

Text in, values out: files are read and written elsewhere. Private keys never appear in `repr`.
"""

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeAlias

from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from catenet.chain.encoding import DecodeError, Message, message_field, require_canonical
from catenet.chain.json_fields import JsonError, JsonObject, parse_object

ED25519 = "ed25519"
SECP256K1 = "secp256k1"

_JSON_TYPES = {ED25519: "tendermint/PubKeyEd25519", SECP256K1: "tendermint/PubKeySecp256k1"}
_PRIVATE_JSON_TYPE = "tendermint/PrivKeyEd25519"
_TYPE_CHARS_MAX = 40
_PROTO_FIELDS = {ED25519: 1, SECP256K1: 2}
_SIZES = {ED25519: 32, SECP256K1: 33}


def verify_ed25519(key: bytes, message: bytes, signature: bytes) -> bool:
    """Say whether a raw 32-byte key signed the message; False on anything malformed."""
    if len(key) != 32 or len(signature) != 64:
        return False
    try:
        crypto_sign_open(signature + message, key)
    except BadSignatureError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A vote or node key. Only ed25519 keys can be verified here; secp256k1 keys are carried and hashed."""

    type: str
    """`ed25519` or `secp256k1`."""
    data: bytes
    address: bytes = field(init=False, compare=False)
    """20 bytes; ed25519: the first 20 of the key's SHA-256; secp256k1: RIPEMD-160 of it."""

    def __post_init__(self) -> None:
        size = _SIZES.get(self.type)
        if size is None:
            raise ValueError(f"key type {self.type!r}, not one of {sorted(_SIZES)}")
        if len(self.data) != size:
            raise ValueError(f"{self.type} key of {len(self.data)} bytes, not {size}")
        digest = sha256(self.data).digest()
        address = digest[:20] if self.type == ED25519 else hashlib.new("ripemd160", digest).digest()
        object.__setattr__(self, "address", address)

    def encode(self) -> bytes:
        """Return the bytes of the `PublicKey` message (one of two fields)."""
        return message_field(_PROTO_FIELDS[self.type], self.data)

    @classmethod
    def decode(cls, data: bytes) -> "PublicKey":
        """Read canonical bytes; raises `DecodeError`."""
        message = Message(data, pieces=(1, 2))
        try:
            key = cls(ED25519, message.piece(1)) if message.piece(1) else cls(SECP256K1, message.piece(2))
        except ValueError as error:
            raise DecodeError(str(error)) from error
        require_canonical(data, key.encode())
        return key

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Say whether this key signed the message; False on anything odd, and for every secp256k1 key."""
        return self.type == ED25519 and verify_ed25519(self.data, message, signature)

    def to_json(self) -> dict[str, str]:
        """Return the `{"type", "value"}` form."""
        return {"type": _JSON_TYPES[self.type], "value": b64encode(self.data).decode()}

    @classmethod
    def from_json(cls, value: JsonObject) -> "PublicKey":
        """Read the `{"type", "value"}` form; raises `JsonError`."""
        name = value.text("type")
        for kind, json_type in _JSON_TYPES.items():
            if name == json_type:
                try:
                    return cls(kind, value.base64("value"))
                except ValueError as error:
                    raise JsonError(str(error)) from error
        raise JsonError(f"key type {name!r}, not one of {sorted(_JSON_TYPES.values())}")


Verify: TypeAlias = Callable[[PublicKey, bytes, bytes], bool]
"""(key, message, signature) -> whether it is valid. Caches and counters stand behind this."""


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An ed25519 signing key."""

    seed: bytes = field(repr=False)
    """32 secret bytes."""
    public: PublicKey = field(init=False, compare=False)
    _secret: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != 32:
            raise ValueError(f"a seed of {len(self.seed)} bytes, not 32")
        public, secret = crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "public", PublicKey(ED25519, public))
        object.__setattr__(self, "_secret", secret)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        return crypto_sign(message, self._secret)[:64]

    def to_json(self) -> dict[str, str]:
        """Return the `{"type", "value"}` form: seed and public key. Secret."""
        value = b64encode(self.seed + self.public.data).decode()
        return {"type": _PRIVATE_JSON_TYPE, "value": value}

    @classmethod
    def from_json(cls, value: JsonObject) -> "PrivateKey":
        """Read the `{"type", "value"}` form; raises `JsonError`, never naming the secret."""
        kind = value.text("type")
        if kind != _PRIVATE_JSON_TYPE:
            # What is too long for a type may be the secret in the wrong place.
            shown = repr(kind) if len(kind) <= _TYPE_CHARS_MAX else f"of {len(kind)} characters"
            raise JsonError(f"private key type {shown}, not {_PRIVATE_JSON_TYPE!r}")
        data = value.base64("value")
        if len(data) != 64:
            raise JsonError(f"a private key of {len(data)} bytes, not 64")
        key = cls(data[:32])
        if key.public.data != data[32:]:
            raise JsonError("the private key's two halves do not belong together")
        return key


def node_id(public: PublicKey) -> str:
    """Return a node's name: the lower-case hex address of its node key."""
    return public.address.hex()


def key_file_json(private: PrivateKey) -> str:
    """Return the text of `priv_validator_key.json`."""
    content = {
        "address": private.public.address.hex().upper(),
        "pub_key": private.public.to_json(),
        "priv_key": private.to_json(),
    }
    return json.dumps(content, indent=2) + "\n"


def parse_key_file(text: str) -> PrivateKey:
    """Read `priv_validator_key.json`; raises `JsonError` also when its parts do not belong together."""
    content = parse_object(text)
    private = PrivateKey.from_json(content.child("priv_key"))
    if PublicKey.from_json(content.child("pub_key")) != private.public:
        raise JsonError("pub_key does not belong to priv_key")
    if content.hex("address") != private.public.address:
        raise JsonError("address does not belong to priv_key")
    return private


def node_key_json(private: PrivateKey) -> str:
    """Return the text of `node_key.json`."""
    return json.dumps({"priv_key": private.to_json()}) + "\n"


def parse_node_key(text: str) -> PrivateKey:
    """Read `node_key.json`; raises `JsonError`."""
    return PrivateKey.from_json(parse_object(text).child("priv_key"))
