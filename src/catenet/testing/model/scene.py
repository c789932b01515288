"""Four validators in the order of their turns, the blocks that can be proposed, and the bytes behind names.

Everything is signed with the simulator's keys; the traitor's signatures are made here on demand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256

from catenet.chain import state as chain_state
from catenet.chain.block import Block, block_id, data_hash
from catenet.chain.commit import EMPTY_COMMIT, NIL, BlockID, Commit
from catenet.chain.evidence import list_hash
from catenet.chain.genesis import Genesis, GenesisValidator
from catenet.chain.state import ChainState, InvalidBlock
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.consensus.votes import commit_of
from catenet.testing.model.config import ModelConfig
from catenet.testing.model.moves import NIL_NAME, Cast, Kind, Made
from catenet.testing.simulator.keys import SimulatedKey, verify
from catenet.types.assembly import Assembled, Broken
from catenet.types.batch import Compact, Inline
from catenet.types.clock import Instant
from catenet.types.messages import CommittedBlock, Message, ProposalMessage, VoteMessage, VoteSet

VALIDATORS = 4
QUORUM = 3
"""Of four equal validators; not asked of the production code."""
GENESIS_TIME_NS = 1_700_000_000 * 10**9
NOW = Instant(mono_us=60_000_000, wall_ns=GENESIS_TIME_NS + 60 * 10**9)
"""The moment at which everything happens: no rule of safety asks a clock."""
INVALID = "X"
"""The block that breaks a header rule."""

_TYPES = {Kind.PREVOTE: VoteType.PREVOTE, Kind.PRECOMMIT: VoteType.PRECOMMIT}
_KINDS = {type: kind for kind, type in _TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A block that can be proposed."""

    name: str
    maker: int
    """Whose block it is, by turn."""
    compact: Compact
    assembled: Assembled


class Scene:
    """What all validators of a model share; immutable once made."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        members = [SimulatedKey.of(index) for index in range(VALIDATORS)]
        self.genesis = Genesis(
            genesis_time_ns=GENESIS_TIME_NS,
            chain_id="model",
            validators=tuple(
                [
                    GenesisValidator(address=key.public.address, public_key=key.public, power=10)
                    for key in members
                ]
            ),
        )
        self.chain = ChainState.genesis(self.genesis)
        by_address = {key.public.address: key for key in members}
        turns = [self.chain.validators.proposer_at(round).address for round in range(VALIDATORS)]
        self.keys = [by_address[address] for address in turns]
        self.addresses = turns
        self.indices = [self.chain.validators.index_of(address) or 0 for address in turns]
        self.traitor = config.traitor
        self.honest = [turn for turn in range(VALIDATORS) if turn != config.traitor]
        self.candidates: dict[str, Candidate] = {}
        self._by_compact: dict[Compact, Candidate] = {}
        self._names: dict[BlockID, str] = {NIL: NIL_NAME}
        for turn in self.honest:
            self._add(f"C{turn}", turn)
        for name in "AB"[: config.values]:
            self._add(name, self.traitor)
        self._add(INVALID, self.traitor, app_hash=b"\1" * 32)
        # Blocks of those whose turn comes after the bound are made only while a state is brought to its end.
        proposers = range(min(config.rounds, VALIDATORS))
        self.values = [
            one.name for one in self.candidates.values() if one.maker in proposers and one.name != INVALID
        ]
        self.vote = cache(self._vote)
        self._checks: dict[bytes, str | None] = {}

    def _add(self, name: str, maker: int, *, app_hash: bytes | None = None) -> None:
        txs = (name.encode(),)
        ids = [sha256(tx).digest() for tx in txs]
        header = chain_state.make_header(
            self.chain,
            time_ns=chain_state.block_time(self.chain, EMPTY_COMMIT),
            data_hash=data_hash(ids),
            last_commit=EMPTY_COMMIT,
            evidence_hash=list_hash(()),
            proposer_address=self.addresses[maker],
        )
        if app_hash is not None:
            header = replace(header, app_hash=app_hash)
        block = Block(header=header, txs=txs, evidence=(), last_commit=EMPTY_COMMIT)
        raw = block.encode()
        made = Assembled(
            block=block, raw=raw, block_id=block_id(raw, header), tx_ids=ids, data_hash=data_hash(ids)
        )
        compact = Compact(
            header=header.encode(),
            last_commit=EMPTY_COMMIT.encode(),
            evidence=b"",
            manifest=(Inline(txs=txs),),
        )
        found = Candidate(name=name, maker=maker, compact=compact, assembled=made)
        self.candidates[name] = self._by_compact[compact] = found
        self._names[made.block_id] = name

    def proposer(self, round: int) -> int:
        """Return who proposes in a round, by turn: powers are equal."""
        return round % VALIDATORS

    # What the machine asks.

    def assemble(self, compact: Compact) -> Assembled | Broken:
        """Put a block together: this is the `BlockAssembler` of every validator."""
        found = self._by_compact.get(compact)
        return Broken(reason="no block of the model") if found is None else found.assembled

    def check(self, assembled: Assembled) -> str | None:
        """Judge a block by the production rules; the answer depends on the block alone."""
        name = assembled.block_id.hash
        if name not in self._checks:
            try:
                chain_state.check_block(
                    self.chain, assembled.block, raw_size=len(assembled.raw), verify=verify
                )
                self._checks[name] = None
            except InvalidBlock as error:
                self._checks[name] = error.reason
        return self._checks[name]

    # Names for what the machine says.

    def name(self, value: BlockID) -> str:
        """Return the name of a block id; one that no block of the model has is told by its bytes."""
        return self._names.get(value, value.hash.hex()[:8])

    def turn_of(self, address: bytes) -> int:
        """Return a validator's turn."""
        return self.addresses.index(address)

    def cast_of(self, vote: Vote) -> Cast:
        """Return a vote as the model says it."""
        return Cast(self.turn_of(vote.address), vote.round, _KINDS[vote.type], self.name(vote.block_id))

    def made_of(self, signed: Proposal, proposer: int) -> Made:
        """Return a proposal as the model says it."""
        return Made(proposer, signed.round, self.name(signed.block_id), signed.pol_round)

    # Bytes for what the model says.

    def block_id(self, name: str) -> BlockID:
        """Return the id of a block."""
        return NIL if name == NIL_NAME else self.candidates[name].assembled.block_id

    def _vote(self, cast: Cast) -> Vote:
        vote = Vote(
            type=_TYPES[cast.kind],
            height=self.chain.height,
            round=cast.round,
            block_id=self.block_id(cast.value),
            time_ns=NOW.wall_ns,
            address=self.addresses[cast.voter],
            index=self.indices[cast.voter],
        )
        signature = self.keys[cast.voter].sign(vote.sign_bytes(self.chain.chain_id))
        return replace(vote, signature=signature)

    def vote_message(self, cast: Cast) -> Message:
        """Return a single vote's message."""
        return VoteMessage(vote=self.vote(cast))

    def vote_set(self, casts: Sequence[Cast]) -> VoteSet:
        """Return a polka or certificate."""
        return VoteSet(votes=tuple([self.vote(cast) for cast in casts]))

    def proposal(self, made: Made, polka: Sequence[Cast]) -> Message:
        """Return a proposal's message."""
        signed = Proposal(
            height=self.chain.height,
            round=made.round,
            pol_round=made.pol_round,
            block_id=self.block_id(made.value),
            time_ns=NOW.wall_ns,
        )
        signature = self.keys[made.proposer].sign(signed.sign_bytes(self.chain.chain_id))
        return ProposalMessage(
            signed=replace(signed, signature=signature),
            compact=self.candidates[made.value].compact,
            pol=self.vote_set(polka) if polka else None,
        )

    def committed(self, casts: Sequence[Cast]) -> Message:
        """Return a decided block with the commit that precommits make."""
        found = self.candidates[casts[0].value]
        votes: list[Vote | None] = [None] * VALIDATORS
        for cast in casts:
            votes[self.indices[cast.voter]] = self.vote(cast)
        commit: Commit = commit_of(
            votes,
            height=self.chain.height,
            round=casts[0].round,
            block_id=found.assembled.block_id,
            block_time_ns=found.assembled.block.header.time_ns,
        )
        return CommittedBlock(compact=found.compact, commit=commit)
