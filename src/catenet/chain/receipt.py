"""Receipts: that a transaction is in a chain, and what it gave, for whoever has only the genesis file.

The format is docs/reference/receipts.md. Text in, values out, and back; nothing here fetches.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from catenet.chain.commit import Commit, Flag
from catenet.chain.encoding import DecodeError
from catenet.chain.genesis import Genesis
from catenet.chain.header import Header
from catenet.chain.json_fields import JsonError, JsonObject, parse_object
from catenet.chain.keys import PublicKey, Verify
from catenet.chain.light import NO_EXPIRY, InvalidCommit, verify_adjacent, verify_header
from catenet.chain.light_block import GenesisTrust, LightBlock, Trusted
from catenet.chain.merkle import Proof
from catenet.chain.results import result_bytes
from catenet.chain.validators import InvalidUpdate, ValidatorSet

FORMAT = "catenet-receipt/1"


class InvalidReceipt(ValueError):
    """A receipt that proves nothing: the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHeader:
    """A header and the commit that decided it; its validators stand in the receipt once for all headers."""

    header: Header
    commit: Commit

    @classmethod
    def of(cls, block: LightBlock) -> "SignedHeader":
        """Return a light block without its validators."""
        return cls(header=block.header, commit=block.commit)

    def to_json(self) -> dict[str, str]:
        """Return both as base64 of their canonical bytes."""
        return {"header": _base64(self.header.encode()), "commit": _base64(self.commit.encode())}

    @classmethod
    def from_json(cls, value: JsonObject) -> "SignedHeader":
        """Read what `to_json` gave; raises `JsonError`, `DecodeError`."""
        _only(value, "header", "commit")
        return cls(header=Header.decode(value.base64("header")), commit=Commit.decode(value.base64("commit")))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultProof:
    """What a transaction gave, and that the next header says so."""

    code: int
    data: bytes
    gas_wanted: int
    gas_used: int
    proof: Proof
    next: SignedHeader

    def to_json(self) -> dict[str, object]:
        """Return the member `result` of a receipt."""
        return {
            "code": self.code,
            "data": _base64(self.data),
            "gas_wanted": str(self.gas_wanted),
            "gas_used": str(self.gas_used),
            "proof": _proof_json(self.proof),
            "next": self.next.to_json(),
        }

    @classmethod
    def from_json(cls, value: JsonObject) -> "ResultProof":
        """Read what `to_json` gave; raises `JsonError`, `DecodeError`."""
        _only(value, "code", "data", "gas_wanted", "gas_used", "proof", "next")
        code = value.number("code")
        if not 0 <= code < 1 << 32:
            raise JsonError(f"result.code {code} does not fit into 32 bits")
        return cls(
            code=code,
            data=value.base64("data"),
            gas_wanted=value.integer("gas_wanted"),
            gas_used=value.integer("gas_used"),
            proof=_proof(value.child("proof")),
            next=SignedHeader.from_json(value.child("next")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """All that is needed, beside the genesis, to see that a transaction is in a chain."""

    chain_id: str
    tx: bytes
    proof: Proof
    """That the transaction's hash is under the `data_hash` of the last header of `path`."""
    path: tuple[SignedHeader, ...]
    """From the genesis validators to the transaction's header, each verified from the one before."""
    sets: tuple[ValidatorSet, ...]
    """Those of the headers, each once, without that of the genesis."""
    result: ResultProof | None = None
    """None: the next header was not there yet."""

    def to_json(self) -> str:
        """Return the text of a receipt file."""
        value: dict[str, object] = {
            "format": FORMAT,
            "chain_id": self.chain_id,
            "tx": _base64(self.tx),
            "proof": _proof_json(self.proof),
            "path": [header.to_json() for header in self.path],
            "validator_sets": [
                [{"pub_key": one.public_key.to_json(), "power": str(one.power)} for one in valset.validators]
                for valset in self.sets
            ],
        }
        if self.result is not None:
            value["result"] = self.result.to_json()
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Receipt":
        """Read the text of a receipt; raises `InvalidReceipt`. Nothing is verified yet."""
        try:
            return _read(parse_object(text))
        except (JsonError, DecodeError, InvalidUpdate) as error:
            raise InvalidReceipt(f"the receipt does not read: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What executing a transaction gave, as far as headers hold it."""

    code: int
    data: bytes
    gas_wanted: int
    gas_used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What a receipt proves."""

    chain_id: str
    tx: bytes
    height: int
    index: int
    time_ns: int
    block_hash: bytes
    signed: int
    """Validators who signed the block."""
    validators: int
    headers: int
    """How many headers lead from the genesis to the block."""
    outcome: Outcome | None

    @property
    def id(self) -> bytes:
        """The transaction's hash."""
        return sha256(self.tx).digest()


def make_receipt(
    tx: bytes,
    proof: Proof,
    path: Sequence[LightBlock],
    *,
    known: ValidatorSet,
    outcome: Outcome | None = None,
    outcome_proof: Proof | None = None,
    next_block: LightBlock | None = None,
) -> Receipt:
    """Put a receipt together; `known` is the genesis set, which is left out. Nothing is verified."""
    blocks = list(path)
    result = None
    if outcome is not None and outcome_proof is not None and next_block is not None:
        blocks.append(next_block)
        result = ResultProof(
            code=outcome.code,
            data=outcome.data,
            gas_wanted=outcome.gas_wanted,
            gas_used=outcome.gas_used,
            proof=outcome_proof,
            next=SignedHeader.of(next_block),
        )
    sets = {block.validators.hash(): block.validators for block in blocks}
    sets.pop(known.hash(), None)
    return Receipt(
        chain_id=path[-1].chain_id,
        tx=tx,
        proof=proof,
        path=tuple(map(SignedHeader.of, path)),
        sets=tuple(sets.values()),
        result=result,
    )


def verify_receipt(receipt: Receipt, genesis: Genesis, verify: Verify, *, now_ns: int) -> Proven:
    """Verify a receipt from the genesis alone. Raises `InvalidReceipt` with the first reason found."""
    if receipt.chain_id != genesis.chain_id:
        raise InvalidReceipt(f"the receipt is of chain {receipt.chain_id!r}, not {genesis.chain_id!r}")
    if not genesis.validators:
        raise InvalidReceipt("the genesis names no validators: nothing can be verified from it alone")
    trust = GenesisTrust.of(genesis)
    sets = {valset.hash(): valset for valset in (*receipt.sets, trust.validators)}
    blocks = [_with_set(signed, sets) for signed in receipt.path]
    if not blocks:
        raise InvalidReceipt("the receipt has no header")
    _verify_path(trust, blocks, verify, now_ns)
    last = blocks[-1]
    if not receipt.proof.verify(last.header.data_hash, sha256(receipt.tx).digest()):
        raise InvalidReceipt(f"the proof does not place the transaction in block {last.height}")
    outcome = None
    if receipt.result is not None:
        after = _with_set(receipt.result.next, sets)
        outcome = _verify_result(receipt.result, receipt.proof, last, after, verify, now_ns)
    return Proven(
        chain_id=receipt.chain_id,
        tx=receipt.tx,
        height=last.height,
        index=receipt.proof.index,
        time_ns=last.time_ns,
        block_hash=last.hash(),
        signed=sum(entry.flag is Flag.COMMIT for entry in last.commit.signatures),
        validators=len(last.validators),
        headers=len(blocks),
        outcome=outcome,
    )


def _verify_path(trust: GenesisTrust, blocks: Sequence[LightBlock], verify: Verify, now_ns: int) -> None:
    trusted: Trusted = trust
    for block in blocks:
        try:
            verify_header(trusted, block, verify, terms=NO_EXPIRY, now_ns=now_ns)
        except InvalidCommit as error:
            raise InvalidReceipt(f"header {block.height}: {error.reason}") from error
        trusted = block


def _verify_result(
    result: ResultProof, tx_proof: Proof, block: LightBlock, after: LightBlock, verify: Verify, now_ns: int
) -> Outcome:
    try:
        verify_adjacent(block, after, verify, terms=NO_EXPIRY, now_ns=now_ns)
    except InvalidCommit as error:
        raise InvalidReceipt(f"header {after.height}, which holds the result: {error.reason}") from error
    if (result.proof.index, result.proof.total) != (tx_proof.index, tx_proof.total):
        raise InvalidReceipt(
            f"the result is that of transaction {result.proof.index} of {result.proof.total}, "
            f"not of {tx_proof.index} of {tx_proof.total}"
        )
    leaf = result_bytes(result.code, result.data, result.gas_wanted, result.gas_used)
    if not result.proof.verify(after.header.last_results_hash, leaf):
        raise InvalidReceipt(f"header {after.height} does not hold this result")
    return Outcome(code=result.code, data=result.data, gas_wanted=result.gas_wanted, gas_used=result.gas_used)


def _with_set(signed: SignedHeader, sets: Mapping[bytes, ValidatorSet]) -> LightBlock:
    validators = sets.get(signed.header.validators_hash)
    if validators is None:
        raise InvalidReceipt(
            f"header {signed.header.height}: no set here has its validators_hash "
            f"{signed.header.validators_hash.hex().upper()}"
        )
    return LightBlock(header=signed.header, commit=signed.commit, validators=validators)


def _read(value: JsonObject) -> Receipt:
    if value.text("format") != FORMAT:
        raise JsonError(f"format {value.text('format')!r}, not {FORMAT!r}")
    _only(value, "format", "chain_id", "tx", "proof", "path", "validator_sets", "result")
    return Receipt(
        chain_id=value.text("chain_id"),
        tx=value.base64("tx"),
        proof=_proof(value.child("proof")),
        path=tuple([SignedHeader.from_json(one) for one in value.children("path")]),
        sets=tuple([_valset(members) for members in value.lists("validator_sets")]),
        result=ResultProof.from_json(value.child("result")) if "result" in value else None,
    )


def _valset(members: Sequence[JsonObject]) -> ValidatorSet:
    for member in members:
        _only(member, "pub_key", "power")
    return ValidatorSet.new(
        [(PublicKey.from_json(member.child("pub_key")), member.integer("power")) for member in members]
    )


def _proof(value: JsonObject) -> Proof:
    _only(value, "total", "index", "leaf_hash", "aunts")
    return Proof(
        total=value.integer("total"),
        index=value.integer("index"),
        leaf_hash=value.base64("leaf_hash"),
        aunts=tuple(value.bases64("aunts")),
    )


def _proof_json(proof: Proof) -> dict[str, object]:
    return {
        "total": str(proof.total),
        "index": str(proof.index),
        "leaf_hash": _base64(proof.leaf_hash),
        "aunts": [_base64(aunt) for aunt in proof.aunts],
    }


def _only(value: JsonObject, *names: str) -> None:
    """Refuse what nothing checks: a reader might believe it."""
    for name in value.names():
        if name not in names:
            raise JsonError(f"{name!r} has no place in a receipt")


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
