"""Commit forger: commits with too few, repeated, misplaced or forged signatures, pushed, fetched and synced.

A commit is believed only when precommits of two thirds for its block verify, each in its place (2.5, S3);
the first forged signature cuts it off.
"""

from collections.abc import Sequence
from dataclasses import replace

from catenet.chain.commit import ABSENT, BlockID, Commit, CommitSig, Flag
from catenet.chain.encoding import DecodeError
from catenet.chain.vote import VoteType
from catenet.testing.simulator.conduct import Conduct
from catenet.testing.traitors import craft
from catenet.types.batch import Compact
from catenet.types.events import BlocksReceived
from catenet.types.messages import CommittedBlock, Found, FoundBlock, Message


class CommitForger(Conduct):
    """Makes commits of nothing."""

    def begin(self) -> None:
        """Begin to push blocks that nobody decided."""
        self._next()

    def _next(self) -> None:
        self.hand.after(self.hand.chooser.between(100_000, 600_000), self._push)

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Bend the commits that it passes on."""
        if isinstance(message, CommittedBlock):
            return (replace(message, commit=self._bent(message.commit)),)
        return (message,)

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Bend the commits that it hands out."""
        return [
            replace(piece, commit=self._bent(piece.commit)) if isinstance(piece, FoundBlock) else piece
            for piece in found
        ]

    def serves(self, run: BlocksReceived) -> BlocksReceived | None:
        """Bend the commit that it sends along."""
        try:
            commit = Commit.decode(run.commit)
        except DecodeError:
            return run
        return replace(run, commit=self._bent(commit).encode())

    def _push(self) -> None:
        """Push a block of this height, that it may have made itself, as if it were decided."""
        self._next()
        hand, state = self.hand, craft.here(self.hand)
        known = [(e.block_id, e.compact) for e in state.blocks if e.compact is not None]
        peers = hand.peers()
        if not known or not peers:
            return
        block_id, compact = hand.chooser.pick(known)
        if hand.chooser.chance(0.5):
            block_id, compact = craft.block(compact, [craft.own_transaction(hand, "forged", state.height)])
        vote = craft.vote(hand, VoteType.PRECOMMIT, block_id, round=state.round)
        if vote is None:
            return
        mine = CommitSig(
            flag=Flag.COMMIT, address=hand.address, time_ns=vote.time_ns, signature=vote.signature
        )
        self._say(hand.chooser.pick(peers), block_id, compact, vote.index, mine)

    def _say(self, peer: int, block_id: BlockID, compact: Compact, index: int, mine: CommitSig) -> None:
        state = craft.here(self.hand)
        members = state.validators.validators
        match self.hand.chooser.choose(12):
            case 11:
                # Everybody's name under its own signature.
                entries = [replace(mine, address=member.address) for member in members]
            case n if n > 6:
                entries = [mine for _ in members]
            case _:
                entries = [mine if place == index else ABSENT for place in range(len(members))]
        commit = Commit(height=state.height, round=state.round, block_id=block_id, signatures=tuple(entries))
        self.hand.did("pushed a forged commit")
        self.hand.say(peer, CommittedBlock(compact=compact, commit=commit))

    def _bent(self, commit: Commit) -> Commit:
        """Return a true commit with something wrong."""
        entries = [*commit.signatures]
        match self.hand.chooser.choose(5):
            case 0:
                return commit
            case 1:
                entries = [ABSENT if 2 * place < len(entries) else e for place, e in enumerate(entries)]
            case 2:
                entries.reverse()
            case 3:
                entries = [replace(entry, time_ns=0) for entry in entries]
            case _:
                entries.pop()
        self.hand.did("bent a commit")
        return replace(commit, signatures=tuple(entries))
