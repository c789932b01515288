"""What the core may ask of past heights (`core.evidence.History`), out of the ledger."""

from catenet.chain.block import Block
from catenet.chain.light_block import LightBlock
from catenet.chain.validators import ValidatorSet
from catenet.storage.ledger import Ledger


class ChainHistory:
    """What the core may ask of past heights, out of the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def validators_at(self, height: int) -> ValidatorSet | None:
        """Return who could sign at a height."""
        return self._ledger.validators_at(height)

    def time_at(self, height: int) -> int | None:
        """Return the block time of a height in nanoseconds."""
        return self._ledger.time_at(height)

    def light_block_at(self, height: int) -> LightBlock | None:
        """Return a header with its validators, and with the commit in the next block when there is one."""
        stored, validators = self._ledger.block(height), self._ledger.validators_at(height)
        if stored is None or validators is None:
            return None
        after = self._ledger.block(height + 1)
        commit = Block.decode(after.raw).last_commit if after else stored.commit
        return LightBlock(header=Block.decode(stored.raw).header, commit=commit, validators=validators)

    def evidence_committed(self, evidence_hash: bytes) -> bool:
        """Whether a block of the chain holds this evidence."""
        return self._ledger.evidence_committed(evidence_hash)
