"""What proves an attack on light clients to a node that has the chain (E2, chain-format.md 1.9). Pure.

The rules are those of CometBFT's evidence pool. `chain.light_fork` makes such evidence.
"""

from catenet.chain.evidence import InvalidEvidence, LightClientAttackEvidence
from catenet.chain.keys import Verify
from catenet.chain.light import InvalidCommit, check_decided_by, signed_power
from catenet.chain.light_block import LightBlock
from catenet.chain.light_fork import byzantine, is_lunatic
from catenet.chain.validators import Validator


class Disputed(InvalidEvidence):
    """Evidence that this part of the chain does not bear out: a node that has more or less of it may."""


def verify_attack(
    evidence: LightClientAttackEvidence,
    *,
    chain_id: str,
    common: LightBlock,
    trusted: LightBlock,
    verify: Verify,
) -> None:
    """Check evidence against the chain: `common` is its block at the common height, with that set.

    `trusted` is the chain's block at the height of the conflict, with the commit that the next block holds;
    or the newest block, when the chain is not so high. Raises `InvalidEvidence`; `Disputed` where another
    height of the chain would say something else. That it is new and not expired is not checked here.
    """
    evidence.check_form()
    block = evidence.conflicting_block
    if block.chain_id != chain_id:
        raise InvalidEvidence(f"the conflicting block is of chain {block.chain_id!r}, not {chain_id!r}")
    if evidence.time_ns != common.time_ns:
        raise InvalidEvidence(f"time {evidence.time_ns} is not that of block {common.height}")
    if evidence.total_power != common.validators.total_power:
        raise InvalidEvidence(f"a total power of {evidence.total_power} at height {common.height} is wrong")
    _check_conflict(block, common, trusted)
    if _names(evidence.byzantine_validators) != _names(byzantine(block, trusted, common.validators)):
        raise Disputed("it does not name those who are proven guilty")
    # Signatures last: they cost the most.
    try:
        if common.height != block.height:
            power = signed_power(chain_id, common.validators, block.commit, verify)
            if power <= common.validators.total_power // 3:
                raise InvalidEvidence(
                    f"power {power} of {common.validators.total_power} of height {common.height} signed"
                )
        check_decided_by(chain_id, block, verify)
    except InvalidCommit as error:
        raise InvalidEvidence(f"the conflicting block: {error.reason}") from error


def _check_conflict(block: LightBlock, common: LightBlock, trusted: LightBlock) -> None:
    lunatic = is_lunatic(block, trusted)
    if common.height == block.height and lunatic:
        raise Disputed("a block that the chain's state cannot give conflicts with the height it is of")
    if block.height > trusted.height:
        if not lunatic:
            raise Disputed(f"nothing contradicts height {block.height}: the chain is not so high")
        if block.time_ns > trusted.time_ns:
            raise Disputed("a later block of a height to come is no conflict")
    elif block.hash() == trusted.hash():
        raise Disputed(f"block {block.height} is the chain's own")


def _names(members: tuple[Validator, ...]) -> list[tuple[bytes, int]]:
    return [(member.public_key.data, member.power) for member in members]
