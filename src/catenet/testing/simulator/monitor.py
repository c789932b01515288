"""The invariants of consensus.md 10.2, checked whenever a node signs, appends, or lets something leave.

The monitor sees all nodes at once and holds no part of any. It raises `Violation`. What traitors do is not
judged; what they signed counts where it is asked whether a polka or an end of a round can exist.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import NoReturn

from catenet.chain.commit import BlockID, Commit, Flag
from catenet.chain.evidence import unwrap
from catenet.chain.light import InvalidCommit, verify_commit
from catenet.chain.state import ChainState
from catenet.chain.time import median_time
from catenet.chain.validators import ValidatorSet
from catenet.chain.vote import Proposal, Vote, VoteType
from catenet.core.config import CoreConfig
from catenet.core.consensus.state import HeightState
from catenet.core.node import Node
from catenet.testing.simulator.bounds import excess
from catenet.testing.simulator.config import Violation
from catenet.testing.simulator.journals import Journals
from catenet.testing.simulator.keys import verify
from catenet.testing.simulator.reached import Reached
from catenet.testing.simulator.undecided import undecided
from catenet.types.effects import CommitBlock
from catenet.types.ids import Address, TxId
from catenet.types.messages import (
    BatchMessage,
    CommittedBlock,
    EvidenceMessage,
    Message,
    ProposalMessage,
    VoteMessage,
    VoteSet,
)

Step = tuple[int, int, int]
"""(height, round, type)."""


Signed = dict[Address, dict[BlockID, None]]
"""What was signed in one step, by address. Of the honest only the last: one before a crash may never have
left. Of traitors all."""


class Monitor:
    """What must hold between all nodes, always."""

    def __init__(self, genesis: ChainState, traitors: Collection[Address] = ()) -> None:
        self._chain_id = genesis.chain_id
        self._traitors = set(traitors)
        self.reached = Reached()
        self._sets: dict[int, ValidatorSet] = {genesis.height: genesis.validators}
        """Of each height that may have begun: the one before it is committed."""
        self._upcoming: dict[int, ValidatorSet] = {genesis.height + 1: genesis.next_validators}
        """Of the height after those: who has decided relays its votes before anybody has committed."""
        self._decided: dict[int, BlockID] = {}
        self._signed: dict[Step, Signed] = {}
        self._released: dict[tuple[bytes, Step], BlockID] = {}
        self._proposed: dict[tuple[int, int], dict[BlockID, set[int]]] = {}
        self._verified: set[tuple[bytes, bytes]] = set()
        self._times: dict[int, int] = {}
        self._timed: set[int] = set()
        self._verified_commits: set[tuple[int, BlockID, Commit]] = set()
        self._made_by_honest: dict[BlockID, None] = {}
        self._tx_heights: dict[TxId, int] = {}
        self._submitted: set[TxId] = set()
        self.replicated: dict[TxId, bytes] = {}
        """Transactions that were promised to be kept, with their bytes, in order of the promise."""
        self.journals = Journals()
        self._locks: dict[bytes, Vote] = {}
        self.rounds_max = 0
        self.notices: dict[str, int] = {}
        self.penalties: dict[str, int] = {}
        self.acts: dict[str, int] = {}
        self._trace = sha256()

    def distrust(self, node: Address) -> None:
        """A node may contradict itself from here on: it runs from an old copy of its home.

        Its peers warn it of votes that they have seen; nobody can warn it of one that is still on its way.
        """
        self._traitors.add(node)

    def note(self, text: str) -> None:
        """Add a line to the run's digest."""
        self._trace.update(f"{text}\n".encode())

    def digest(self) -> str:
        """Return the hash over all that happened so far."""
        return self._trace.hexdigest()

    def submitted(self, txs: Sequence[bytes]) -> None:
        """A client hands in transactions."""
        self._submitted.update(sha256(tx).digest() for tx in txs)

    def promised(self, txs: Sequence[bytes]) -> None:
        """A node said REPLICATED to a client."""
        self.replicated.update((sha256(tx).digest(), tx) for tx in txs)

    @property
    def committed(self) -> dict[TxId, int]:
        """Transactions on the chain, with their heights."""
        return self._tx_heights

    def signed(self, address: bytes, item: Vote | Proposal) -> None:
        """A guard signed: 4 (no precommit without polka), 5 (locks are kept), 16 (no round without end)."""
        if isinstance(item, Proposal):
            rests = self._proposed.setdefault((item.height, item.round), {})
            rests.setdefault(item.block_id, set()).add(item.pol_round)
        if address in self._traitors:
            if isinstance(item, Vote):
                step = (item.height, item.round, int(item.type))
                self._signed.setdefault(step, {}).setdefault(address, {})[item.block_id] = None
            return
        self._entered(address, item.height, item.round)
        self.reached.signed(address, item, self._locks.get(address))
        if isinstance(item, Proposal):
            return
        step = (item.height, item.round, int(item.type))
        if item.type is VoteType.PRECOMMIT and not item.is_nil:
            prevotes = (item.height, item.round, int(VoteType.PREVOTE))
            if not _two(self._sets[item.height], self._power(prevotes, item.block_id)):
                self._fail(address, f"4: precommits {_say(item)} although no polka for it was signed")
        if item.type is VoteType.PREVOTE and not item.is_nil:
            self._keeps_lock(address, item)
            self._rests_on_polka(address, item)
        self._signed.setdefault(step, {})[address] = {item.block_id: None}

    def _keeps_lock(self, address: bytes, vote: Vote) -> None:
        lock = self._locks.get(address)
        if lock is None or lock.height != vote.height or lock.block_id == vote.block_id:
            return
        polkas = [(vote.height, round_, int(VoteType.PREVOTE)) for round_ in range(lock.round, vote.round)]
        members = self._sets[vote.height]
        if not any(_two(members, self._power(polka, vote.block_id)) for polka in polkas):
            self._fail(address, f"5: prevotes {_say(vote)} against its lock {_say(lock)}")

    def _rests_on_polka(self, address: bytes, vote: Vote) -> None:
        """A block that is only proposed again is prevoted only if one of the polkas it names exists (6)."""
        rounds = self._proposed.get((vote.height, vote.round), {}).get(vote.block_id, set())
        if not rounds or -1 in rounds:
            return
        members = self._sets[vote.height]
        polkas = [(vote.height, round_, int(VoteType.PREVOTE)) for round_ in sorted(rounds)]
        if not any(_two(members, self._power(polka, vote.block_id)) for polka in polkas):
            self._fail(address, f"6: prevotes {_say(vote)}, proposed with a polka that does not exist")

    def _entered(self, address: bytes, height: int, round_: int) -> None:
        if height not in self._sets:
            self._fail(address, f"signs at height {height}, whose height before nobody has committed")
        before = (height, round_ - 1, int(VoteType.PRECOMMIT))
        if round_ > 0 and not _two(self._sets[height], self._power(before, None)):
            self._fail(
                address, f"16: is in round {round_} of height {height}; round {round_ - 1} is not over"
            )

    def _power(self, step: Step, block_id: BlockID | None) -> int:
        members = self._sets[step[0]]
        voted = self._signed.get(step, {})
        return sum(
            validator.power
            for validator in members.validators
            if validator.address in voted and (block_id is None or block_id in voted[validator.address])
        )

    def refused(self, address: bytes, reason: str) -> None:
        """A guard refused: it is the last barrier, so a core that comes to it has contradicted itself (3)."""
        if address not in self._traitors:
            self._fail(address, f"3: its guard refuses: {reason}")

    def leaves(self, node: bytes, message: Message) -> None:
        """A message leaves a node: 3 (no double signing), 8 (nobody honest is accused), 9 (its records)."""
        if node in self._traitors:
            return
        match message:
            case BatchMessage(batch=batch):
                if self.journals.lacks_batch(node, batch):
                    self._fail(node, f"9: pushes batch {batch.seq} that is not in its journal")
            case VoteMessage(vote=vote):
                self._vote(node, vote)
            case VoteSet(votes=votes):
                for vote in votes:
                    self._vote(node, vote)
            case ProposalMessage(signed=proposal, pol=pol):
                self._proposal(node, proposal)
                for vote in pol.votes if pol else ():
                    self._vote(node, vote)
            case CommittedBlock():
                self.reached("catch_ups")
            case EvidenceMessage(evidence=evidence):
                if not self._traitors.issuperset(unwrap(evidence).accused):
                    self._fail(node, "8: accuses an honest validator")
            case _:
                pass

    def _vote(self, node: bytes, vote: Vote) -> None:
        if vote.address == node and self.journals.lacks_vote(vote):
            self._fail(node, f"9: {_say(vote)} leaves, and it or its polka is not in the journal")
        # The same vote leaves many times; a set of what was seen saves checks; nobody walks through it.
        seen = (vote.signature, vote.block_id.hash)
        if seen in self._verified:
            return
        members = self._sets.get(vote.height, self._upcoming.get(vote.height))
        member = None if members is None else members.by_address(vote.address)
        if member is None or not verify(member.public_key, vote.sign_bytes(self._chain_id), vote.signature):
            self._fail(node, f"sends a vote that nobody signed: {_say(vote)}")
        self._verified.add(seen)
        if vote.address in self._traitors:
            return
        step = (vote.height, vote.round, int(vote.type))
        first = self._released.setdefault((vote.address, step), vote.block_id)
        if first != vote.block_id:
            self._fail(vote.address, f"3: signed both {first} and {vote.block_id} at {step}")
        if vote.type is VoteType.PRECOMMIT and not vote.is_nil:
            # A lock counts from the moment at which others may know of it: a crash before takes it back.
            lock = self._locks.get(vote.address)
            if lock is None or (lock.height, lock.round) < (vote.height, vote.round):
                self._locks[vote.address] = vote

    def _proposal(self, node: bytes, proposal: Proposal) -> None:
        members = self._sets.get(proposal.height, self._upcoming.get(proposal.height))
        if members is None:
            self._fail(node, f"proposes at height {proposal.height} too early")
        proposer = members.proposer_at(proposal.round)
        sign_bytes = proposal.sign_bytes(self._chain_id)
        if not verify(proposer.public_key, sign_bytes, proposal.signature):
            self._fail(node, f"sends a proposal that its proposer did not sign: {proposal}")
        if proposer.address in self._traitors:
            return
        if proposer.address == node and self.journals.lacks_proposal(node, proposal):
            self._fail(node, f"9: {proposal} leaves and is not in the journal")
        if proposal.pol_round < 0:
            self._made_by_honest[proposal.block_id] = None
        step = (proposal.height, proposal.round, int(VoteType.PROPOSAL))
        first = self._released.setdefault((proposer.address, step), proposal.block_id)
        if first != proposal.block_id:
            self._fail(proposer.address, f"3: proposed both {first} and {proposal.block_id} at {step}")
        if proposal.pol_round >= 0:
            polka = (proposal.height, proposal.pol_round, int(VoteType.PREVOTE))
            if not _two(members, self._power(polka, proposal.block_id)):
                self._fail(proposer.address, f"6: names a polka that does not exist: {proposal}")

    def judged(self, node: bytes, state: HeightState) -> None:
        """A node says nil. 7: no block that an honest proposer made breaks a rule of headers, for anybody."""
        for entry in state.blocks:
            if entry.header_fault is not None and entry.block_id in self._made_by_honest:
                self._fail(node, f"7: refuses a block of an honest proposer: {entry.header_fault}")

    def holds(self, node: bytes, core: Node, config: CoreConfig) -> None:
        """A node is looked at. 13: what it holds is bounded; 14: it decides what it can; 7 again."""
        too_much = excess(core, config)
        if too_much is not None:
            self._fail(node, f"13: holds {too_much}")
        left = undecided(core)
        if left is not None:
            self._fail(node, f"14: does not decide {left}")
        self.judged(node, core.consensus.state)

    def commits(self, node: bytes, effect: CommitBlock) -> None:
        """A node commits a block: 1 (agreement), 2 (its commit verifies), 11 (submitted, at most once)."""
        if node in self._traitors:
            return
        first = self._decided.setdefault(effect.height, effect.block_id)
        if first != effect.block_id:
            self._fail(node, f"1: two blocks at height {effect.height}: {first} and {effect.block_id}")
        if self.journals.lacks_outcome(node, effect.height):
            self._fail(node, f"9: commits height {effect.height}, whose outcome is not in the journal")
        members = self._sets[effect.height]
        self._check_commit(node, members, effect)
        self._check_time(node, effect)
        self._sets.setdefault(effect.height + 1, effect.state.validators)
        self._upcoming.setdefault(effect.height + 2, effect.state.next_validators)
        self.reached.decided(
            effect.height,
            tuple(effect.block.evidence),
            set_changed=bool(effect.outcome.validator_updates),
        )
        self.rounds_max = max(self.rounds_max, effect.commit.round)
        for piece in effect.block.evidence:
            if not self._traitors.issuperset(piece.accused):
                self._fail(node, f"8: evidence against an honest validator in block {effect.height}")
        for tx_id in effect.tx_ids:
            if tx_id not in self._submitted:
                self._fail(node, f"11: commits {tx_id.hex()}, which nobody submitted")
            if self._tx_heights.setdefault(tx_id, effect.height) != effect.height:
                self._fail(
                    node, f"11: commits {tx_id.hex()} at {effect.height}, {self._tx_heights[tx_id]} has it"
                )
        if len(set(effect.tx_ids)) != len(effect.tx_ids):
            self._fail(node, f"11: a transaction twice in block {effect.height}")

    def _check_commit(self, node: bytes, members: ValidatorSet, effect: CommitBlock) -> None:
        # Nodes often commit with the very same commit: what verified once does so again.
        seen = (effect.height, effect.block_id, effect.commit)
        if seen not in self._verified_commits:
            try:
                verify_commit(self._chain_id, members, effect.block_id, effect.height, effect.commit, verify)
            except InvalidCommit as error:
                self._fail(node, f"2: the commit of height {effect.height}: {error}")
            self._verified_commits.add(seen)
        if not _two(members, eligible_power(members, effect.commit, effect.block.header.time_ns)):
            self._fail(node, f"2: the commit of height {effect.height} rests on votes older than the block")

    def _check_time(self, node: bytes, effect: CommitBlock) -> None:
        """Block time is the median of the last commit, and rises (7): worked out once per block."""
        block, height = effect.block, effect.height
        if self._times.setdefault(height, block.header.time_ns) != block.header.time_ns:
            self._fail(node, f"7: block {height} has another time than elsewhere")
        before, last_members = self._times.get(height - 1), self._sets.get(height - 1)
        if before is None or last_members is None or height in self._timed:
            return
        self._timed.add(height)
        if not before < block.header.time_ns == median_time(block.last_commit, last_members):
            self._fail(node, f"7: the time of block {height} is not the median of its last commit")

    def did(self, what: str) -> None:
        """Count what a traitor did."""
        self.acts[what] = self.acts.get(what, 0) + 1

    def notice(self, name: str) -> None:
        """Count what a node tells its operator."""
        self.notices[name] = self.notices.get(name, 0) + 1

    def penalised(self, node: bytes, peer: bytes, reason: str, *, disconnect: bool) -> None:
        """A node blames a peer: an honest one is never cut off."""
        if node in self._traitors:
            return
        self.penalties[reason] = self.penalties.get(reason, 0) + 1
        if disconnect and peer not in self._traitors:
            self._fail(node, f"8: cuts off honest {peer.hex()[:8]}: {reason}")

    def halted(self, node: bytes, reason: str) -> None:
        """A node stops for good: no honest one may while traitors have less than a third of the power."""
        if node not in self._traitors:
            self._fail(node, f"halts: {reason}")

    def _fail(self, node: bytes, text: str) -> NoReturn:
        raise Violation(f"node {node.hex()[:8]}: {text}")


def _say(vote: Vote) -> str:
    """Return a vote in a few words."""
    what = "nil" if vote.is_nil else vote.block_id.hash.hex()[:8]
    return f"{vote.type.name.lower()} for {what} at height {vote.height} round {vote.round}"


def _two(members: ValidatorSet, power: int) -> bool:
    """Whether power is a quorum: worked out here, for the monitor judges the code that works it out too."""
    return 3 * power > 2 * sum([validator.power for validator in members.validators])


def eligible_power(members: ValidatorSet, commit: Commit, block_time_ns: int) -> int:
    """Return the power of entries for the block with a time above the block's (consensus.md 2.5)."""
    return sum(
        validator.power
        for validator, entry in zip(members.validators, commit.signatures, strict=True)
        if entry.flag is Flag.COMMIT and entry.time_ns > block_time_ns
    )
