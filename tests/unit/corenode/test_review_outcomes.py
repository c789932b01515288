"""An outcome that no chain can have halts the node with a reason, never by an exception (2.4, 6)."""

from dataclasses import replace

import pytest

from catenet.chain.params import ConsensusParams
from catenet.core.execution import Decided, Execution
from catenet.types.application import BlockOutcome, TxResult, ValidatorUpdate
from catenet.types.assembly import Assembled
from catenet.types.effects import Execute, Halt
from catenet.types.events import Finalized
from support.chain import make_chain

GOOD = BlockOutcome(results=(), app_hash=b"")


@pytest.mark.parametrize(
    "outcome",
    [
        replace(GOOD, validator_updates=(ValidatorUpdate(key_type="ed25519", public_key=b"short", power=1),)),
        replace(GOOD, validator_updates=(ValidatorUpdate(key_type="bls", public_key=b"k" * 32, power=1),)),
        replace(
            GOOD, validator_updates=(ValidatorUpdate(key_type="ed25519", public_key=b"k" * 32, power=-1),)
        ),
        replace(GOOD, param_updates=replace(ConsensusParams(), max_bytes=0)),
        replace(GOOD, results=(TxResult(code=2**64, data=b""),)),
    ],
)
def test_an_impossible_outcome_halts_the_node(outcome: BlockOutcome) -> None:
    chain = make_chain(4)
    block = chain.build([b"tx"] * len(outcome.results))
    raw, commit = block.encode(), chain.sign(block)
    execution = Execution(chain.state)
    assembled = Assembled(
        block=block, raw=raw, block_id=commit.block_id, tx_ids=(), data_hash=block.header.data_hash
    )
    begun = execution.decided(Decided(assembled=assembled, commit=commit))
    assert [type(effect) for effect in begun] == [Execute]
    (halt,) = execution.finalized(Finalized(height=1, outcome=outcome))
    assert isinstance(halt, Halt)
    assert "height 1" in halt.reason
