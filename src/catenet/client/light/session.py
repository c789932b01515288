"""`LightClient`: verified headers and transactions, from a primary that witnesses watch.

A header counts as verified when it follows from one that is trusted, and a witness has the same. A primary
that does not answer, or lies, is replaced by a witness.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeVar

from catenet.chain.genesis import Genesis
from catenet.chain.keys import PublicKey, Verify
from catenet.chain.light import Expired, InvalidCommit, Terms, check_decided, verify_adjacent
from catenet.chain.light_block import GenesisTrust, LightBlock
from catenet.chain.light_walk import Walk, backwards, sequential, skipping
from catenet.chain.receipt import Outcome
from catenet.chain.results import result_bytes
from catenet.client.light.compare import (
    LAG_S,
    POLL_S,
    SILENCE,
    Examination,
    Says,
    ask_all,
    contradicted,
    drive,
)
from catenet.client.light.provider import Provider, TxAnswer
from catenet.client.light.store import TrustedStore
from catenet.types.errors import (
    CatenetError,
    Corrupt,
    NotFound,
    NotVerified,
    PastTip,
    Unavailable,
    WrongState,
)
from catenet.types.ids import TxId

A = TypeVar("A")

NEXT_S: Final = 10.0
"""So long `verified_tx` waits for the header that holds a transaction's result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedTx:
    """A transaction whose place in the chain, and result, are proven."""

    id: TxId
    tx: bytes
    index: int
    block: LightBlock
    """The verified header of its block."""
    answer: TxAnswer
    """The proofs themselves."""
    outcome: Outcome | None
    """None: the next header, which holds it, did not come in time."""
    next_block: LightBlock | None


class _Silent(Exception):
    """The primary does not have a header in between that it should have."""


class LightClient:
    """Verified answers about one chain. Call `begin` or `begin_at_genesis` first."""

    def __init__(
        self,
        chain_id: str,
        primary: Provider,
        witnesses: Sequence[Provider],
        store: TrustedStore,
        terms: Terms,
        *,
        one_by_one: bool = False,
        lag_s: float = LAG_S,
        verify: Verify = PublicKey.verify,
        clock_ns: Callable[[], int] = time.time_ns,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Take over the nodes; `close` closes them.

        `one_by_one`: verify every header instead of skipping; `lag_s`: how long a witness may be behind;
        `tell`: hears what happened to nodes, in sentences.
        """
        self.chain_id = chain_id
        self.store = store
        self._primary = primary
        self._witnesses = list(witnesses)
        self._unwatched = not witnesses
        self._terms = terms
        self._forward = sequential if one_by_one else skipping
        self._lag_s = lag_s
        self._verify = verify
        self._clock_ns = clock_ns
        self._tell = tell
        self._lock = asyncio.Lock()

    @property
    def primary(self) -> Provider:
        """The node that is asked first."""
        return self._primary

    @property
    def witnesses(self) -> Sequence[Provider]:
        """The nodes that the primary is compared with."""
        return tuple(self._witnesses)

    async def close(self) -> None:
        """Close the connections to all nodes that are still in use."""
        for node in (self._primary, *self._witnesses):
            await node.close()

    async def begin(self, height: int, block_hash: bytes) -> LightBlock:
        """Trust the header of a height that has this hash, unless it is trusted already.

        Raises `NotVerified` when a node shows another one, or when what is trusted already leads to another.
        """
        if self.store.newest() is not None:
            try:
                known = await self.at(height)
            except WrongState:
                self._tell(f"what {self.store.folder} holds is too old to trust: it is forgotten")
                self.store.clear()
            else:
                self._require_hash(known, block_hash, f"{self.store.folder} and what follows from it")
                return known
        block = await self._first(height)
        self._require_hash(block, block_hash, self._primary.name)
        return await self._trust(block)

    async def begin_at_genesis(self, genesis: Genesis) -> LightBlock:
        """Trust the first header, signed by a genesis's validators, unless something is trusted already.

        Raises `InvalidInput` when that began with another genesis.
        """
        self.store.require_genesis(genesis.hash())
        if (known := self.store.newest()) is not None:
            return known
        block = await self._first(genesis.initial_height)
        try:
            trust = GenesisTrust.of(genesis)
            verify_adjacent(trust, block, self._verify, terms=self._terms, now_ns=self._clock_ns())
        except Expired:
            raise WrongState(
                "the genesis is older than the trusting period; name a newer height and its hash, from"
                " somebody that you trust"
            ) from None
        except ValueError as fault:
            raise NotVerified(f"{self._primary.name}: header {block.height}: {fault}") from None
        return await self._trust(block)

    async def update(self) -> LightBlock:
        """Verify the newest header that the primary has; return the newest that is verified."""
        async with self._lock:
            found = await self._retried(0)
            newest = self.store.newest()
            return found if newest is None or newest.height < found.height else newest

    async def at(self, height: int) -> LightBlock:
        """Return the verified header of a height.

        Raises `PastTip`, `NotFound` (pruned), `Unavailable`, `NotVerified`, `Forked`, and `WrongState` when
        what is trusted is too old.
        """
        async with self._lock:
            return self.store.at(height) or await self._retried(height)

    async def verified_tx(self, tx_id: TxId, *, wait_s: float = NEXT_S) -> VerifiedTx:
        """Return a transaction with its block verified, and its result, too, once the next header is there.

        Raises `NotFound` (the primary does not have it: it may be elsewhere), `NotVerified`.
        """
        answer = await self._call(lambda node: node.transaction(tx_id))
        name = self._primary.name
        block = await self.at(answer.height)
        if sha256(answer.tx).digest() != tx_id or not answer.proof.verify(block.header.data_hash, tx_id):
            raise NotVerified(
                f"{name}: the proof does not place transaction {tx_id.hex().upper()} in block {block.height}"
            )
        following = await self._following(block.height + 1, wait_s)
        outcome = None if following is None else _proven_outcome(answer, following, name)
        return VerifiedTx(
            id=tx_id,
            tx=answer.tx,
            index=answer.proof.index,
            block=block,
            answer=answer,
            outcome=outcome,
            next_block=following,
        )

    async def _following(self, height: int, wait_s: float) -> LightBlock | None:
        now = asyncio.get_running_loop().time
        deadline = now() + wait_s
        while True:
            try:
                return await self.at(height)
            except PastTip:
                if now() >= deadline:
                    return None
            await asyncio.sleep(POLL_S)

    async def _first(self, height: int) -> LightBlock:
        """Return the block that trust begins with, whole and decided by its own validators."""
        block = await self._call(lambda node: node.light_block(height))
        try:
            check_decided(block, self.chain_id, self._verify)
        except InvalidCommit as fault:
            raise NotVerified(f"{self._primary.name}: header {height}: {fault.reason}") from None
        return block

    def _require_hash(self, block: LightBlock, block_hash: bytes, where: str) -> None:
        if block.hash() != block_hash:
            raise NotVerified(
                f"header {block.height} is {block.hash().hex().upper()} at {where}, not "
                f"{block_hash.hex().upper()}; check the trusted hash, and where you have it from"
            )

    async def _trust(self, block: LightBlock) -> LightBlock:
        for said in await ask_all(self._witnesses, block, lag_s=self._lag_s):
            if said.says is Says.OTHER:
                raise NotVerified(
                    f"header {block.height} is another one at {said.witness.name}"
                    f" than at {self._primary.name}"
                )
            if said.says is Says.RUBBISH:
                await self._drop(said.witness, said.reason)
        await asyncio.to_thread(self.store.save, block)
        return block

    async def _retried(self, height: int) -> LightBlock:
        """Verify a height with the primary, or with the witnesses that take its place."""
        reason = ""
        for _ in range(len(self._witnesses) + 1):
            try:
                return await self._verified(height)
            except Expired as fault:
                raise WrongState(f"{fault}; name a newer trusted height and its hash") from None
            except _Silent as fault:
                reason = str(fault)
                await self._replace(reason, keep=True)
            except (InvalidCommit, NotVerified) as fault:
                if not self._witnesses:
                    raise NotVerified(f"{self._primary.name}: {fault}") from None
                await self._replace(f"it lies: {fault}", keep=False)
        raise Unavailable(f"none of the nodes has all that is needed: {reason}")

    async def _verified(self, height: int) -> LightBlock:
        target = await self._call(lambda node: node.light_block(height))
        if height and target.height != height:
            raise NotVerified(f"a header of height {target.height} came instead of {height}")
        if (known := self.store.at(target.height)) is not None:
            if known.hash() != target.hash():
                raise NotVerified(f"header {target.height} is not the one that is verified already")
            return known
        now_ns = self._clock_ns()
        trusted = self.store.below(target.height)
        if trusted is None:
            oldest = self.store.oldest()
            if oldest is None:
                raise WrongState("nothing is trusted yet: name a height and its hash, or a genesis")
            check_decided(target, self.chain_id, self._verify)
            await self._walk(backwards(oldest.header, target))
        else:
            steps = self._forward(trusted, target, self._verify, terms=self._terms, now_ns=now_ns)
            await self._compare((trusted, *await self._walk(steps)), now_ns)
        await asyncio.to_thread(self.store.save, target)
        return target

    async def _walk(self, steps: Walk) -> tuple[LightBlock, ...]:
        try:
            return await drive(steps, self._primary)
        except SILENCE as fault:
            if not self._witnesses:
                raise
            raise _Silent(str(fault)) from None

    async def _compare(self, trace: Sequence[LightBlock], now_ns: int) -> None:
        """Compare the end of a verified trace with every witness; at least one must have the same."""
        if self._unwatched:
            return
        agreed, reasons = False, []
        for said in await ask_all(self._witnesses, trace[-1], lag_s=self._lag_s):
            if said.says is Says.OTHER:
                by = Examination(
                    verify=self._verify,
                    terms=self._terms,
                    now_ns=now_ns,
                    folder=self.store.folder,
                    tell=self._tell,
                )
                await self._drop(said.witness, await contradicted(self._primary, trace, said, by))
            elif said.says is Says.RUBBISH:
                await self._drop(said.witness, said.reason)
            agreed = agreed or said.says is Says.SAME
            reasons.append(f"{said.witness.name} says {said.says.value} {said.reason}".rstrip())
        if not agreed:
            raise Unavailable(
                f"no witness confirms header {trace[-1].height} of {self._primary.name}: "
                f"{'; '.join(reasons) or 'none is left'}"
            )

    async def _call(self, ask: Callable[[Provider], Awaitable[A]]) -> A:
        """Ask the primary; one that is silent changes places with a witness, one that babbles is dropped."""
        for _ in range(len(self._witnesses) + 1):
            try:
                return await ask(self._primary)
            except (PastTip, NotFound):
                raise
            except CatenetError as fault:
                if not self._witnesses:
                    raise
                await self._replace(str(fault), keep=not isinstance(fault, Corrupt))
        raise Unavailable(f"none of the nodes answers; the last one asked was {self._primary.name}")

    async def _replace(self, reason: str, *, keep: bool) -> None:
        """Make the first witness the primary; keep the old one as the last witness, or drop it."""
        old, self._primary = self._primary, self._witnesses.pop(0)
        self._tell(f"{old.name} is the primary no more ({reason}); now it is {self._primary.name}")
        if keep:
            self._witnesses.append(old)
        else:
            await old.close()

    async def _drop(self, witness: Provider, reason: str) -> None:
        self._witnesses.remove(witness)
        self._tell(f"{witness.name} is a witness no more: {reason}")
        await witness.close()


def _proven_outcome(answer: TxAnswer, following: LightBlock, name: str) -> Outcome:
    """Check a transaction's result under the header of the next block. Raises `NotVerified`."""
    outcome, proof = answer.outcome, answer.outcome_proof
    leaf = result_bytes(outcome.code, outcome.data, outcome.gas_wanted, outcome.gas_used)
    if (
        proof is None
        or (proof.index, proof.total) != (answer.proof.index, answer.proof.total)
        or not proof.verify(following.header.last_results_hash, leaf)
    ):
        raise NotVerified(f"{name}: header {following.height} does not hold the result that it names")
    return outcome
