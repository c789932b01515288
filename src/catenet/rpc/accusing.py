"""The method that takes evidence of misbehaviour."""

from catenet.chain.encoding import DecodeError
from catenet.chain.evidence import InvalidEvidence, unwrap, wrap
from catenet.chain.json_fields import JsonObject
from catenet.rpc import reading
from catenet.rpc.context import Context
from catenet.rpc.errors import INVALID_PARAMS, RpcError, failed
from catenet.rpc.params import Arguments
from catenet.rpc.shapes import based
from catenet.types.errors import InvalidInput


async def broadcast_evidence(context: Context, args: Arguments) -> object:
    """Answer `broadcast_evidence`: a double vote or an attack on light clients, for a block to come."""
    value = args.raw("evidence")
    if value is None:
        raise failed("no evidence was provided")
    if not isinstance(value, dict):
        raise RpcError(INVALID_PARAMS, "evidence is no object with the members type and value")
    try:
        evidence = reading.evidence(JsonObject(value))
        evidence.check_form()
        wrapped = wrap(evidence)
        # What JSON can say and the format cannot (a negative round) stops here.
        unwrap(wrapped)
    except InvalidEvidence as error:
        raise failed(f"evidence.ValidateBasic failed: {error}") from None
    except (ValueError, OverflowError, DecodeError) as error:
        raise RpcError(INVALID_PARAMS, f"evidence: {error}") from None
    try:
        return {"hash": based(context.service.intake.submit_evidence(wrapped))}
    except InvalidInput as error:
        raise failed(f"failed to add evidence: {error}") from None
