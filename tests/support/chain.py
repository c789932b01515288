"""A chain that is signed with real keys, block by block: valid blocks, commits and states for tests."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from catenet.chain.block import Block, block_id, data_hash
from catenet.chain.commit import ABSENT, EMPTY_COMMIT, NIL, BlockID, Commit, CommitSig, Flag
from catenet.chain.evidence import Evidence, list_hash
from catenet.chain.genesis import Genesis, GenesisValidator
from catenet.chain.keys import PrivateKey, PublicKey
from catenet.chain.light_block import LightBlock
from catenet.chain.state import ChainState, advance, block_time, make_header
from catenet.chain.vote import Vote, VoteType

GENESIS_TIME_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9


def make_keys(number: int, *, first: int = 1) -> list[PrivateKey]:
    """Return keys that are the same in every run."""
    return [PrivateKey(n.to_bytes(32, "big")) for n in range(first, first + number)]


def make_genesis(
    keys: Sequence[PrivateKey], powers: Sequence[int] | None = None, *, chain_id: str = "test-chain"
) -> Genesis:
    """Return a genesis; every power is 10 unless `powers` says otherwise."""
    return Genesis(
        genesis_time_ns=GENESIS_TIME_NS,
        chain_id=chain_id,
        validators=tuple(
            GenesisValidator(address=key.public.address, public_key=key.public, power=power)
            for key, power in zip(keys, powers or [10] * len(keys), strict=True)
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One height of the chain."""

    block: Block
    raw: bytes
    block_id: BlockID
    commit: Commit
    light: LightBlock


class LocalChain:
    """Grows by valid blocks. All validators sign with their own keys, one second after the block's time."""

    def __init__(self, keys: Sequence[PrivateKey], genesis: Genesis) -> None:
        self.keys = {key.public.address: key for key in keys}
        self.genesis = genesis
        self.state = ChainState.genesis(genesis)
        self.decided: list[Decided] = []

    @property
    def last_commit(self) -> Commit:
        return self.decided[-1].commit if self.decided else EMPTY_COMMIT

    def build(
        self,
        txs: Sequence[bytes] = (),
        evidence: tuple[Evidence, ...] = (),
        last_commit: Commit | None = None,
    ) -> Block:
        """Return a valid next block."""
        last_commit = self.last_commit if last_commit is None else last_commit
        header = make_header(
            self.state,
            time_ns=block_time(self.state, last_commit),
            data_hash=data_hash([sha256(tx).digest() for tx in txs]),
            last_commit=last_commit,
            evidence_hash=list_hash(evidence),
            proposer_address=self.state.validators.proposer.address,
        )
        return Block(header=header, txs=list(txs), evidence=evidence, last_commit=last_commit)

    def sign(
        self, block: Block, *, round: int = 0, absent: Collection[int] = (), nil: Collection[int] = ()
    ) -> Commit:
        """Return a commit of the next height, with the entries at some places absent or nil."""
        identity = block_id(block.encode(), block.header)
        entries = []
        for index in range(len(self.state.validators)):
            if index in absent:
                entries.append(ABSENT)
                continue
            vote = self.vote(
                index,
                NIL if index in nil else identity,
                round=round,
                time_ns=block.header.time_ns + SECOND_NS + index,
            )
            flag = Flag.NIL if vote.is_nil else Flag.COMMIT
            entries.append(
                CommitSig(flag=flag, address=vote.address, time_ns=vote.time_ns, signature=vote.signature)
            )
        return Commit(height=self.state.height, round=round, block_id=identity, signatures=tuple(entries))

    def vote(
        self,
        index: int,
        block_id: BlockID,
        *,
        round: int = 0,
        time_ns: int = GENESIS_TIME_NS,
        type: VoteType = VoteType.PRECOMMIT,
    ) -> Vote:
        """Return a signed vote of a validator of the next height."""
        member = self.state.validators.validators[index]
        vote = Vote(
            type=type,
            height=self.state.height,
            round=round,
            block_id=block_id,
            time_ns=time_ns,
            address=member.address,
            index=index,
        )
        key = self.keys[member.address]
        return replace(vote, signature=key.sign(vote.sign_bytes(self.state.chain_id)))

    def add(
        self,
        block: Block,
        commit: Commit | None = None,
        *,
        app_hash: bytes | None = None,
        validator_updates: Sequence[tuple[PublicKey, int]] = (),
        results: Sequence[tuple[int, bytes, int, int]] | None = None,
    ) -> Decided:
        """Decide a block, and advance; every transaction succeeds and the application hash is the height.

        Unless `results` says what the transactions give: code, data, gas wanted and used.
        """
        raw = block.encode()
        commit = commit or self.sign(block)
        light = LightBlock(header=block.header, commit=commit, validators=self.state.validators)
        decided = Decided(
            block=block, raw=raw, block_id=block_id(raw, block.header), commit=commit, light=light
        )
        self.state = advance(
            self.state,
            block.header,
            decided.block_id,
            results=[(0, b"", 0, 0) for _ in block.txs] if results is None else results,
            app_hash=block.header.height.to_bytes(8, "big") if app_hash is None else app_hash,
            validator_updates=validator_updates,
        )
        self.decided.append(decided)
        return decided

    def grow(self, heights: int) -> None:
        """Add so many blocks, each with one transaction."""
        for _ in range(heights):
            self.add(self.build([b"tx of height %d" % self.state.height]))


def make_chain(validators: int = 4, heights: int = 0, *, powers: Sequence[int] | None = None) -> LocalChain:
    """Return a chain of so many validators and heights."""
    keys = make_keys(validators)
    chain = LocalChain(keys, make_genesis(keys, powers))
    chain.grow(heights)
    return chain
