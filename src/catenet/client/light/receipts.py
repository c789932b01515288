"""Makes a receipt out of a node's answers. What the node says is verified on the way, from the genesis."""

import asyncio
from typing import Final

from catenet.chain.genesis import Genesis
from catenet.chain.keys import PublicKey, Verify
from catenet.chain.light import NO_EXPIRY, InvalidCommit
from catenet.chain.light_block import GenesisTrust, LightBlock
from catenet.chain.light_walk import shortened, skipping
from catenet.chain.receipt import InvalidReceipt, Receipt, make_receipt, verify_receipt
from catenet.chain.validators import InvalidUpdate
from catenet.client.light.compare import POLL_S, drive
from catenet.client.light.provider import Provider
from catenet.types.errors import InvalidInput, NotVerified, PastTip
from catenet.types.ids import TxId

NEXT_S: Final = 10.0


async def fetch_receipt(
    node: Provider,
    tx_id: TxId,
    genesis: Genesis,
    *,
    now_ns: int,
    wait_s: float = NEXT_S,
    verify: Verify = PublicKey.verify,
) -> Receipt:
    """Return a receipt that verifies; with the result when the next header comes within `wait_s`.

    Raises `NotFound`, `NotVerified`, `Unavailable`, and `InvalidInput` for a genesis without validators.
    """
    try:
        trust = GenesisTrust.of(genesis)
    except InvalidUpdate:
        raise InvalidInput(
            "the genesis names no validators (the application chose them): no receipt can start from it"
        ) from None
    answer = await node.transaction(tx_id)
    target = await node.light_block(answer.height)
    try:
        steps = skipping(trust, target, verify, terms=NO_EXPIRY, now_ns=now_ns)
        walked = await drive(steps, node)
        path = shortened(trust, walked, verify, terms=NO_EXPIRY, now_ns=now_ns)
        following = None
        if answer.outcome_proof is not None:
            following = await _following(node, target.height + 1, wait_s)
        receipt = make_receipt(
            answer.tx,
            answer.proof,
            path,
            known=trust.validators,
            outcome=answer.outcome,
            outcome_proof=answer.outcome_proof,
            next_block=following,
        )
        proven = verify_receipt(receipt, genesis, verify, now_ns=now_ns)
    except (InvalidCommit, InvalidReceipt) as fault:
        raise NotVerified(f"{node.name}: {fault}") from None
    if proven.id != tx_id:
        raise NotVerified(f"{node.name}: that is transaction {proven.id.hex().upper()}")
    return receipt


async def _following(node: Provider, height: int, wait_s: float) -> LightBlock | None:
    now = asyncio.get_running_loop().time
    deadline = now() + wait_s
    while True:
        try:
            return await node.light_block(height)
        except PastTip:
            if now() >= deadline:
                return None
        await asyncio.sleep(POLL_S)
