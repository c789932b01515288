"""What light clients read: light blocks, evidence of attacks, receipts, and headers in the RPC's JSON."""

import json
from collections.abc import Callable
from functools import cache

from catenet.chain.encoding import DecodeError
from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.json_fields import JsonError, parse_object
from catenet.chain.keys import PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.light_fork import make_attack_evidence
from catenet.chain.receipt import InvalidReceipt, Proven, Receipt, verify_receipt
from catenet.client.light import shapes
from support.forging import HEIGHT, town
from support.fuzzing.chain_targets import from_real
from support.fuzzing.mutation import json_altered
from support.fuzzing.targets import Make, Target, anything, reading, same_bytes
from support.fuzzing.values import chance


def light_targets() -> list[Target]:
    """Return the readers of light clients; one promise is that a receipt proves nothing but the truth."""
    return [
        reading(
            "light.block",
            from_real(lambda: [decided.light.encode() for decided in town().chain.decided]),
            LightBlock.decode,
            errors=(DecodeError,),
            check=same_bytes(LightBlock.encode),
        ),
        reading(
            "light.attack",
            from_real(lambda: [evidence().encode()]),
            LightClientAttackEvidence.decode,
            errors=(DecodeError,),
            check=same_bytes(LightClientAttackEvidence.encode),
        ),
        reading(
            "light.receipt",
            altered_text(lambda: town().receipt.to_json()),
            _judged,
            errors=(InvalidReceipt,),
            check=_true,
        ),
        reading("light.rpc", altered_text(signed_json), _from_rpc, errors=(ValueError,), check=anything),
    ]


def altered_text(text: Callable[[], str]) -> Make:
    """Return a maker of altered copies of a JSON text; once in a while, of the unaltered one."""
    return lambda random: text().encode() if chance(random, 12) else json_altered(text(), random)


@cache
def evidence() -> LightClientAttackEvidence:
    return make_attack_evidence(
        conflicting=town().light(HEIGHT), trusted=town().light(HEIGHT), common=town().light(2)
    )


@cache
def true() -> Proven:
    return _judged(town().receipt.to_json().encode())


@cache
def signed_json() -> str:
    block = town().light(HEIGHT)
    return json.dumps(
        {
            "header": shapes.header_json(block.header),
            "commit": shapes.commit_json(block.commit),
            "validators": [shapes.validator_json(member) for member in block.validators.validators],
        }
    )


def _judged(data: bytes) -> Proven:
    receipt = Receipt.from_json(data)
    return verify_receipt(receipt, town().chain.genesis, PublicKey.verify, now_ns=town().now_ns)


def _true(data: bytes, proven: Proven) -> None:
    """Promise that whatever verifies says nothing but what happened."""
    assert (proven.tx, proven.height, proven.block_hash) == (true().tx, true().height, true().block_hash)
    assert proven.outcome in (None, true().outcome)


def _from_rpc(data: bytes) -> LightBlock:
    try:
        value = parse_object(data)
    except UnicodeDecodeError as fault:
        raise JsonError("not text") from fault
    members = [shapes.read_member(one) for one in value.children("validators")]
    header, commit = shapes.read_header(value.child("header")), shapes.read_commit(value.child("commit"))
    return shapes.light_block(header, commit, members)
