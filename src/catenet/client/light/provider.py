"""What a light client asks a node for. Nothing that comes back is believed.

`GrpcProvider` asks over Catenet's own services.
"""

from dataclasses import dataclass
from typing import Protocol

from catenet.chain.evidence import LightClientAttackEvidence
from catenet.chain.light_block import LightBlock
from catenet.chain.merkle import Proof
from catenet.chain.receipt import Outcome
from catenet.client.sdk import Client
from catenet.types.errors import InvalidInput, NotFound, NotVerified
from catenet.types.ids import TxId


@dataclass(frozen=True, slots=True, kw_only=True)
class TxAnswer:
    """What a node says about a transaction."""

    tx: bytes
    height: int
    proof: Proof
    """Of the transaction's hash, under the `data_hash` of its block."""
    outcome: Outcome
    outcome_proof: Proof | None
    """Of the outcome, under the `last_results_hash` of the block after."""


class Provider(Protocol):
    """One node. Each call has a deadline and raises `Unavailable` when there is no answer in time."""

    @property
    def name(self) -> str:
        """How messages call this node: its address."""
        ...

    async def light_block(self, height: int = 0) -> LightBlock:
        """Return a height's header, commit and validators; 0: the newest.

        Raises `PastTip`, `NotFound` (not kept), `NotVerified` (it does not read).
        """
        ...

    async def transaction(self, tx_id: TxId) -> TxAnswer:
        """Look a committed transaction up, with proofs. Raises `NotFound`, `NotVerified`."""
        ...

    async def report(self, evidence: LightClientAttackEvidence) -> None:
        """Hand evidence of an attack in."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class GrpcProvider:
    """A node over Catenet's gRPC services."""

    def __init__(self, client: Client) -> None:
        """Take a client of one target; `close` closes it."""
        self._client = client

    @property
    def name(self) -> str:
        """The node's address."""
        return f"grpc://{self._client.target}"

    async def light_block(self, height: int = 0) -> LightBlock:
        """Return a height's header, commit and validators; 0: the newest."""
        return await self._client.light_block(height)

    async def transaction(self, tx_id: TxId) -> TxAnswer:
        """Look a committed transaction up, with proofs."""
        found = await self._client.transaction(tx_id, prove=True)
        if not found.found:
            raise NotFound(f"transaction {tx_id.hex().upper()} is in no block that {self.name} has")
        if found.proof is None:
            raise NotVerified(f"{self.name} has no proof of transaction {tx_id.hex().upper()}")
        return TxAnswer(
            tx=found.tx,
            height=found.height,
            proof=found.proof,
            outcome=Outcome(
                code=found.code, data=found.data, gas_wanted=found.gas_wanted, gas_used=found.gas_used
            ),
            outcome_proof=found.result_proof,
        )

    async def report(self, evidence: LightClientAttackEvidence) -> None:
        """Refuse: the gRPC services take no evidence; JSON-RPC does."""
        raise InvalidInput(f"{self.name} takes no evidence over gRPC; give its JSON-RPC address")

    async def close(self) -> None:
        """Close the connection."""
        await self._client.__aexit__(None, None, None)
